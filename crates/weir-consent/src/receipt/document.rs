//! The JSON-LD of a receipt, member by member.
//!
//! The context stands in the document itself, so that nobody has to fetch anything to read it. The order of the members is that of
//! the declarations, so that the bytes are always the same. A member that is not declared here cannot be in a receipt.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_policy::{LawfulBasis, PurposeId};

use super::notice::{Notice, Terms};
use crate::status::{Standing, Status, instant_text};

/// The profile of ISO/IEC TS 27560 in DPV that receipts follow, and that of the record inside.
const RECEIPT_PROFILE: &str = "https://w3id.org/dpv/schema/dpv-27560#receipt";
const RECORD_PROFILE: &str = "https://w3id.org/dpv/schema/dpv-27560#record";
const PREFIXES: [(&str, &str); 4] = [
    ("dct", "http://purl.org/dc/terms/"),
    ("dpv", "https://w3id.org/dpv#"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
];
/// Names inside the document.
const PRINCIPAL: &str = "_:principal";
const CONTROLLER: &str = "_:controller";
/// The end of a state that has none.
const OPEN: &str = "..";

/// The receipt.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "@context")]
    context: BTreeMap<String, String>,
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:identifier")]
    id: String,
    #[serde(rename = "dct:conformsTo")]
    conforms_to: Node,
    #[serde(rename = "dpv:hasRecordOfActivity")]
    record: Record,
}

/// A thing that is named elsewhere.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Node {
    #[serde(rename = "@id")]
    id: String,
}

/// What is known of one person and purpose.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:identifier")]
    id: String,
    #[serde(rename = "dct:conformsTo")]
    conforms_to: Node,
    #[serde(rename = "dct:language")]
    language: String,
    #[serde(rename = "dpv:hasDataSubject")]
    principal: Principal,
    #[serde(rename = "dpv:hasDataController")]
    controller: Controller,
    #[serde(rename = "dpv:hasJurisdiction")]
    jurisdiction: Named,
    #[serde(rename = "dpv:hasNotice")]
    notice: TypedNode,
    #[serde(rename = "dpv:hasProcess")]
    process: Process,
}

/// The person, by pseudonym.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    #[serde(rename = "@id")]
    node: String,
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:identifier")]
    pseudonym: String,
}

/// Who answers for the data.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Controller {
    #[serde(rename = "@id")]
    node: String,
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:identifier")]
    id: String,
    #[serde(rename = "dpv:hasName")]
    pub(super) name: String,
    #[serde(rename = "dpv:hasAddress")]
    pub(super) address: String,
    #[serde(rename = "dpv:hasContact")]
    pub(super) contact: String,
}

/// A thing of a type that has a name.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:identifier")]
    name: String,
}

/// A thing of a type that stands elsewhere.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TypedNode {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kind: String,
}

/// What is done with the data.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Process {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dpv:hasPurpose")]
    purpose: Purpose,
    #[serde(rename = "dpv:hasLegalBasis")]
    legal_basis: Node,
    #[serde(rename = "dpv:hasPersonalData")]
    data: Vec<Named>,
    #[serde(rename = "dpv:hasStorageCondition")]
    storage: (Place, Time),
    #[serde(rename = "dpv:hasRecipient")]
    recipients: Vec<Recipient>,
    #[serde(rename = "dpv:hasConsentControl")]
    withdrawal: Described,
    #[serde(rename = "dpv:hasConsentStatus")]
    event: Event,
}

#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Purpose {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:identifier")]
    name: String,
    #[serde(rename = "dct:description")]
    description: String,
    #[serde(rename = "skos:broader")]
    broader: Vec<Node>,
}

#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dpv:hasLocation")]
    location: Named,
}

#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Time {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dpv:hasDuration")]
    duration: Duration,
}

#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Duration {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "rdf:value")]
    days: String,
}

#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Recipient {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dpv:hasName")]
    name: String,
}

#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Described {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "dct:description")]
    description: String,
}

/// What was decided, by whom, and when.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Event {
    #[serde(rename = "@type")]
    state: String,
    /// The kind of the consent: one that a person expressed; under another basis there is none to be expressed.
    #[serde(rename = "dpv:hasLegalBasis")]
    kind: Node,
    #[serde(rename = "dct:date")]
    at: String,
    /// The interval of ISO 8601 in which the state holds.
    #[serde(rename = "dct:valid")]
    valid: String,
    #[serde(rename = "dpv:isImplementedByEntity")]
    by: Node,
}

impl Document {
    pub(super) fn new(
        (receipt, record): (String, String),
        pseudonym: String,
        purpose: PurposeId,
        standing: Standing,
        notice: &Notice,
    ) -> Self {
        let issuer = &notice.issuer;
        Self {
            context: PREFIXES.iter().map(|(prefix, iri)| ((*prefix).to_owned(), (*iri).to_owned())).collect(),
            kind: "dpv:ConsentReceipt".into(),
            id: receipt,
            conforms_to: node(RECEIPT_PROFILE),
            record: Record {
                kind: "dpv:ConsentRecord".into(),
                id: record,
                conforms_to: node(RECORD_PROFILE),
                language: issuer.language.clone(),
                principal: Principal { node: PRINCIPAL.into(), kind: "dpv:DataSubject".into(), pseudonym },
                controller: Controller {
                    node: CONTROLLER.into(),
                    kind: "dpv:DataController".into(),
                    id: issuer.identifier.clone(),
                    name: issuer.name.clone(),
                    address: issuer.address.clone(),
                    contact: issuer.contact.clone(),
                },
                jurisdiction: named("dpv:Location", &issuer.jurisdiction),
                notice: TypedNode { id: issuer.privacy_notice.clone(), kind: "dpv:PrivacyNotice".into() },
                process: Process::new(purpose, notice.terms(purpose), standing, notice),
            },
        }
    }

    /// Reads what was signed; none if it is of another form.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let document: Self = serde_json::from_slice(payload).ok()?;
        let event = &document.record.process.event;
        (document.conforms_to.id == RECEIPT_PROFILE && event.standing().is_some()).then_some(document)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn purpose(&self) -> &str {
        &self.record.process.purpose.name
    }

    pub(super) fn standing(&self) -> Standing {
        self.record.process.event.standing().expect("it was made of one, or checked when it was read")
    }

    pub(super) fn controller(&self) -> &Controller {
        &self.record.controller
    }

    /// Returns what stands in a table of words: label and text.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let (record, process) = (&self.record, &self.record.process);
        let list = |texts: Vec<&str>| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
        let (place, time) = &process.storage;
        vec![
            ("receipt", self.id.clone()),
            ("record", record.id.clone()),
            ("person", format!("{} (a pseudonym)", record.principal.pseudonym)),
            ("purpose", format!("{}: {}", process.purpose.name, process.purpose.description)),
            ("lawful basis", process.legal_basis.id.clone()),
            ("data", list(process.data.iter().map(|data| data.name.as_str()).collect())),
            ("kept", format!("{} days, in {}", time.duration.days.trim_matches(['P', 'D']), place.location.name)),
            ("recipients", list(process.recipients.iter().map(|recipient| recipient.name.as_str()).collect())),
            ("to withdraw", process.withdrawal.description.clone()),
            ("privacy notice", format!("{} ({})", record.notice.id, record.language)),
            ("jurisdiction", record.jurisdiction.name.clone()),
        ]
    }
}

impl Process {
    fn new(purpose: PurposeId, terms: &Terms, standing: Standing, notice: &Notice) -> Self {
        let recipient = |name: &String| Recipient { kind: "dpv:Recipient".into(), name: name.clone() };
        Self {
            kind: "dpv:Process".into(),
            purpose: Purpose {
                kind: "dpv:Purpose".into(),
                name: purpose.name().to_owned(),
                description: terms.description.clone(),
                broader: terms.dpv.iter().map(|iri| node(iri)).collect(),
            },
            legal_basis: node(basis(terms.lawful_basis)),
            data: terms.categories.iter().map(|category| named("dpv:PersonalData", category)).collect(),
            storage: (
                Place { kind: "dpv:StorageLocation".into(), location: named("dpv:Location", &notice.region) },
                Time {
                    kind: "dpv:StorageDuration".into(),
                    duration: Duration {
                        kind: "dpv:TemporalDuration".into(),
                        days: format!("P{}D", terms.retention_days),
                    },
                },
            ),
            recipients: terms.recipients.iter().map(recipient).collect(),
            withdrawal: Described { kind: "dpv:WithdrawConsent".into(), description: notice.issuer.withdrawal.clone() },
            event: Event::new(standing, terms.lawful_basis),
        }
    }
}

impl Event {
    fn new(standing: Standing, lawful_basis: LawfulBasis) -> Self {
        let at = instant_text(standing.at_ms());
        let end = standing.valid_until_ms().map_or_else(|| OPEN.to_owned(), instant_text);
        Self {
            state: standing.status().dpv().into(),
            kind: node(if lawful_basis == LawfulBasis::Consent { "dpv:ExpressedConsent" } else { basis(lawful_basis) }),
            valid: format!("{at}/{end}"),
            at,
            by: node(if is_the_persons(standing.status()) { PRINCIPAL } else { CONTROLLER }),
        }
    }

    fn standing(&self) -> Option<Standing> {
        let status = Status::ALL.into_iter().find(|status| status.dpv() == self.state)?;
        let millis = |text: &str| text.parse().ok().map(Timestamp::as_millisecond);
        let (at, end) = self.valid.split_once('/')?;
        let end = if end == OPEN { None } else { Some(millis(end)?) };
        Standing::new(status, millis(at)?, end)
    }
}

/// Tells whether the person brings the state about; the others are the controller's to state.
const fn is_the_persons(status: Status) -> bool {
    match status {
        Status::Deferred | Status::Given | Status::Refused | Status::Renewed | Status::Withdrawn => true,
        Status::Expired | Status::Invalidated | Status::Requested | Status::Revoked | Status::Unknown => false,
    }
}

const fn basis(basis: LawfulBasis) -> &'static str {
    match basis {
        LawfulBasis::Consent => "dpv:Consent",
        LawfulBasis::Contract => "dpv:Contract",
        LawfulBasis::LegitimateInterests => "dpv:LegitimateInterest",
    }
}

fn node(id: &str) -> Node {
    Node { id: id.to_owned() }
}

fn named(kind: &str, name: &str) -> Named {
    Named { kind: kind.into(), name: name.to_owned() }
}
