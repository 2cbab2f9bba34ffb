"""Verifies a receipt with a JOSE library and a JSON-LD processor that are not ours. usage: verify_receipt.py JWKS RECEIPT

Prints the receipt in JSON-LD's expanded form, in which every member has its whole name: a member that the document's context
does not explain is dropped there. Fails unless the signature holds and each mandatory field of ISO/IEC TS 27560:2023 is there.
"""

import json
import pathlib
import sys

from joserfc import jws
from joserfc.jwk import KeySet
from pyld import jsonld

DCT, DPV = "http://purl.org/dc/terms/", "https://w3id.org/dpv#"
RECORD = [DPV + "hasRecordOfActivity"]
PROCESS = RECORD + [DPV + "hasProcess"]
EVENT = PROCESS + [DPV + "hasConsentStatus"]
CONTROLLER = RECORD + [DPV + "hasDataController"]
STORAGE = PROCESS + [DPV + "hasStorageCondition"]
# The mandatory fields and their paths, in the terms of the DPV guide to ISO/IEC TS 27560.
MANDATORY = {
    "schema version": [DCT + "conformsTo"],
    "receipt id": [DCT + "identifier"],
    "record id": RECORD + [DCT + "identifier"],
    "record schema version": RECORD + [DCT + "conformsTo"],
    "pii principal id": RECORD + [DPV + "hasDataSubject", DCT + "identifier"],
    "privacy notice": RECORD + [DPV + "hasNotice", "@id"],
    "language": RECORD + [DCT + "language"],
    "jurisdiction": RECORD + [DPV + "hasJurisdiction", DCT + "identifier"],
    "purpose": PROCESS + [DPV + "hasPurpose", DCT + "description"],
    "lawful basis": PROCESS + [DPV + "hasLegalBasis", "@id"],
    "pii type": PROCESS + [DPV + "hasPersonalData", DCT + "identifier"],
    "party id": CONTROLLER + [DCT + "identifier"],
    "party name": CONTROLLER + [DPV + "hasName"],
    "party address": CONTROLLER + [DPV + "hasAddress"],
    "party contact": CONTROLLER + [DPV + "hasContact"],
    "party type": CONTROLLER + ["@type"],
    "storage locations": STORAGE + [DPV + "hasLocation", DCT + "identifier"],
    "retention period": STORAGE + [DPV + "hasDuration"],
    "recipient third parties": PROCESS + [DPV + "hasRecipient"],
    "withdrawal method": PROCESS + [DPV + "hasConsentControl", DCT + "description"],
    "event time": EVENT + [DCT + "date"],
    "validity duration": EVENT + [DCT + "valid"],
    "entity id": EVENT + [DPV + "isImplementedByEntity", "@id"],
    "event type": EVENT + [DPV + "hasLegalBasis", "@id"],
    "event state": EVENT + ["@type"],
}


def no_network(url, options):
    raise RuntimeError(f"the document needs {url} to be read")


def at(nodes, path):
    """Returns what stands at the end of a path; every step on the way is a list, and an empty one at its end is an answer too."""
    *way, last = path
    for step in way:
        nodes = [value for node in nodes for value in node.get(step, [])]
    return [node[last] for node in nodes if last in node]


def main(keys, receipt):
    keys = KeySet.import_key_set(json.loads(pathlib.Path(keys).read_text()))
    verified = jws.deserialize_compact(pathlib.Path(receipt).read_text().strip(), keys, algorithms=["EdDSA"])
    if verified.headers()["typ"] != "weir-receipt+jwt":
        sys.exit("signed for another use")
    expanded = jsonld.expand(json.loads(verified.payload), {"documentLoader": no_network})
    missing = [field for field, path in MANDATORY.items() if not at(expanded, path)]
    if missing:
        sys.exit("missing: " + ", ".join(missing))
    print(json.dumps(expanded))


main(*sys.argv[1:])
