//! What a receipt says, what it never says, and that it cannot be changed.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use weir_consent::{InboxRecord, Issuer, Notice, Receipt, ReceiptFault, StateRecord, Status, receipt_key};
use weir_keys::{KeySet, SignatureFault};
use weir_policy::{Policy, PolicySource, PurposeId};

use super::{NOW_MS, agreement, choice, keys, person, standing};

const CONTRACTS: [(&str, &str); 2] = [
    (
        "paid.toml",
        r#"[event]
type = "com.example.paid"
version = 1
description = "A purchase."
benefit = "Payments work."
owner = "team"
review = "https://reviews.example/1"
expires = 2099-01-01
subject = "user.id"
[fields."user.id"]
class = "identifier"
kind = "user"
category = "user.unique_id"
[fields."ip"]
class = "quasi-identifier"
type = "ip"
category = "user.device.ip_address"
purposes = ["troubleshooting"]
[fields."ms"]
class = "measure"
type = "uint32"
category = "system.operations"
purposes = ["reliability"]
"#,
    ),
    (
        "up.toml",
        r#"[event]
type = "com.example.up"
version = 1
description = "A host is up."
benefit = "Hosts stay up."
owner = "team"
review = "https://reviews.example/2"
expires = 2099-01-01
subject = "none"
[fields."load"]
class = "measure"
type = "uint32"
category = "system"
purposes = ["reliability"]
"#,
    ),
];

fn notice() -> Notice {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in CONTRACTS {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let purposes = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    fs::write(&purposes, "[reliability]\nrecipients = [\"Repair Ltd\"]\n").unwrap();
    let source = PolicySource { contracts: folder.path().to_owned(), purposes: Some(purposes.path().to_owned()) };
    let (policy, _) = Policy::load(&source).unwrap();
    let issuer = Issuer {
        name: "Example GmbH".into(),
        identifier: "HRB 12345".into(),
        address: "Weg 1, 10115 Berlin".into(),
        contact: "privacy@example.com".into(),
        jurisdiction: "DE".into(),
        privacy_notice: "https://example.com/privacy".into(),
        language: "en".into(),
        withdrawal: "Settings, Privacy, one switch a purpose.".into(),
    };
    Notice::new(issuer, "eu", &policy)
}

fn given() -> StateRecord {
    let standing = standing(Status::Given, NOW_MS, Some(NOW_MS + 1_000));
    choice(person(7), PurposeId::Reliability, standing)
}

fn sign(record: &StateRecord, keys: &KeySet) -> String {
    Receipt::of(record, &notice()).unwrap().sign(&receipt_key(keys)).jws
}

/// The whole document is golden: other programs read it, and a person may show it in ten years.
#[test]
fn receipt_is_as_it_was() {
    let receipt = Receipt::of(&given(), &notice()).unwrap();
    let text = format!("{}\n\n{receipt}\n", serde_json::to_string_pretty(&receipt.json()).unwrap());
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consent/receipt.txt");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(golden, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(golden).unwrap(), text, "run with WEIR_BLESS=1 to rewrite");
}

/// A record that is taken twice must not make two receipts that differ.
#[test]
fn same_record_makes_the_same_bytes() {
    let keys = keys();
    assert_eq!(sign(&given(), &keys), sign(&given(), &keys));
    let at = |status, at_ms, end| choice(person(7), PurposeId::Reliability, standing(status, at_ms, end));
    let records = [
        given(),
        at(Status::Renewed, NOW_MS, Some(NOW_MS + 1_000)),
        at(Status::Given, NOW_MS + 1, Some(NOW_MS + 1_000)),
        at(Status::Given, NOW_MS, None),
        choice(person(8), PurposeId::Reliability, standing(Status::Given, NOW_MS, Some(NOW_MS + 1_000))),
        choice(person(7), PurposeId::Troubleshooting, standing(Status::Given, NOW_MS, Some(NOW_MS + 1_000))),
    ];
    let ids: BTreeSet<_> =
        records.iter().map(|record| Receipt::of(record, &notice()).unwrap().id().to_owned()).collect();
    assert_eq!(ids.len(), records.len(), "each state has a receipt of its own name");
}

#[test]
fn receipt_says_what_the_record_says_in_every_state() {
    let keys = keys();
    let public = [receipt_key(&keys).public()];
    for status in Status::ALL {
        for purpose in PurposeId::ALL {
            let stands = standing(status, NOW_MS, Some(NOW_MS + 1));
            let receipt = Receipt::verify(&sign(&choice(person(7), purpose, stands), &keys), &public).ok().unwrap();
            assert_eq!((receipt.standing(), receipt.purpose()), (stands, purpose.name()));
        }
    }
}

/// LK-42. What may be in a receipt is listed here, and a person's name, tenant and kind, what was told as evidence and
/// what a careless service added cannot be.
#[test]
fn receipt_has_the_listed_members_and_no_other() {
    let json = br#"{"tenant":"CANARYtenant","kind":"canarykind","subject":"CANARYsubject","purpose":"reliability","status":"given",
        "at":"2026-11-23T10:15:30Z","evidence":{"form":"CANARYform"},"userAgent":"CANARYagent","ip":"CANARYip"}"#;
    let record = InboxRecord::parse(json, NOW_MS).ok().unwrap().state(&keys());
    let receipt = Receipt::of(&record, &notice()).unwrap();
    assert!(!format!("{}{receipt}", receipt.json()).to_lowercase().contains("canary"));
    let mut found = BTreeSet::new();
    members("", &receipt.json(), &mut found);
    assert_eq!(found, MEMBERS.iter().map(|member| (*member).to_owned()).collect());
}

fn members(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let path = format!("{path}/{key}");
            let path = path.replace("/dpv:hasRecordOfActivity", "R").replace("R/dpv:hasProcess", "P");
            members(path.trim_start_matches('/'), value, found);
        }),
        Value::Array(array) => array.iter().for_each(|value| members(path, value, found)),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => drop(found.insert(path.to_owned())),
    }
}

/// `R` is the record and `P` its process, as `members` writes them.
const MEMBERS: [&str; 46] = [
    "@context/dct",
    "@context/dpv",
    "@context/rdf",
    "@context/skos",
    "@type",
    "dct:conformsTo/@id",
    "dct:identifier",
    "R/@type",
    "R/dct:conformsTo/@id",
    "R/dct:identifier",
    "R/dct:language",
    "R/dpv:hasDataController/@id",
    "R/dpv:hasDataController/@type",
    "R/dpv:hasDataController/dct:identifier",
    "R/dpv:hasDataController/dpv:hasAddress",
    "R/dpv:hasDataController/dpv:hasContact",
    "R/dpv:hasDataController/dpv:hasName",
    "R/dpv:hasDataSubject/@id",
    "R/dpv:hasDataSubject/@type",
    "R/dpv:hasDataSubject/dct:identifier",
    "R/dpv:hasJurisdiction/@type",
    "R/dpv:hasJurisdiction/dct:identifier",
    "R/dpv:hasNotice/@id",
    "R/dpv:hasNotice/@type",
    "P/@type",
    "P/dpv:hasConsentControl/@type",
    "P/dpv:hasConsentControl/dct:description",
    "P/dpv:hasConsentStatus/@type",
    "P/dpv:hasConsentStatus/dct:date",
    "P/dpv:hasConsentStatus/dct:valid",
    "P/dpv:hasConsentStatus/dpv:hasLegalBasis/@id",
    "P/dpv:hasConsentStatus/dpv:isImplementedByEntity/@id",
    "P/dpv:hasLegalBasis/@id",
    "P/dpv:hasPersonalData/@type",
    "P/dpv:hasPersonalData/dct:identifier",
    "P/dpv:hasPurpose/@type",
    "P/dpv:hasPurpose/dct:description",
    "P/dpv:hasPurpose/dct:identifier",
    "P/dpv:hasPurpose/skos:broader/@id",
    "P/dpv:hasRecipient/@type",
    "P/dpv:hasRecipient/dpv:hasName",
    "P/dpv:hasStorageCondition/@type",
    "P/dpv:hasStorageCondition/dpv:hasDuration/@type",
    "P/dpv:hasStorageCondition/dpv:hasDuration/rdf:value",
    "P/dpv:hasStorageCondition/dpv:hasLocation/@type",
    "P/dpv:hasStorageCondition/dpv:hasLocation/dct:identifier",
];

#[test]
fn changed_receipt_is_refused_wherever_it_is_changed() {
    let keys = keys();
    let (jws, public) = (sign(&given(), &keys), [receipt_key(&keys).public()]);
    assert!(Receipt::verify(&jws, &public).is_ok());
    for at in 0..jws.len() {
        let mut changed = jws.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(Receipt::verify(&String::from_utf8(changed).unwrap(), &public).is_err(), "byte {at}");
    }
    let refused = |jws: &str, keys: &[_]| Receipt::verify(jws, keys).err();
    assert_eq!(refused(&jws, &[]), Some(SignatureFault::OtherKey.into()));
    assert_eq!(refused(&jws, &[keys.signing_key("ledger").public()]), Some(SignatureFault::OtherKey.into()));
    let head = receipt_key(&keys).sign("weir-head+jwt", b"{}");
    assert_eq!(refused(&head, &public), Some(SignatureFault::OtherKey.into()), "another use of the same key");
    let foreign = receipt_key(&keys).sign("weir-receipt+jwt", b"{}");
    assert_eq!(refused(&foreign, &public), Some(ReceiptFault::Content));
}

#[test]
fn only_choices_of_people_have_receipts() {
    let agreed = agreement(PurposeId::Reliability, standing(Status::Given, 0, None), None);
    let erased = StateRecord::Erasure { person: person(7), before_ms: NOW_MS };
    for record in [agreed, erased, StateRecord::Tombstone(given().key())] {
        assert!(Receipt::of(&record, &notice()).is_none());
    }
}
