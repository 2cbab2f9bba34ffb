//! Consent as a plain table of records, judged line by line as the rule in weir-consent is worded.

use std::collections::HashMap;

use serde::Deserialize;
use weir_policy::{DenyReason, LawfulBasis, PurposeId, Purposes};

use super::time;

/// Everything that organisations and persons have said, as the inbox has it; of one matter the last record counts.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    organisations: HashMap<String, Organisation>,
}

/// What an organisation has said, and its people.
#[derive(Clone, Debug, Default)]
struct Organisation {
    agreements: HashMap<PurposeId, Standing>,
    /// By kind, then by identifier.
    people: HashMap<String, HashMap<String, Person>>,
}

/// What somebody has said.
#[derive(Clone, Debug, Default)]
struct Person {
    choices: HashMap<PurposeId, Standing>,
    erased_before_ms: Option<i64>,
}

/// Somebody named in an event of an organisation: kind and canonical identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'i> {
    /// What the identifier names.
    pub kind: &'i str,
    /// The identifier, in its canonical form.
    pub identifier: &'i str,
}

/// One record of the inbox.
#[derive(Debug, Deserialize)]
struct Record {
    tenant: String,
    kind: Option<String>,
    subject: Option<String>,
    purpose: String,
    status: Option<String>,
    at: Option<String>,
    valid_until: Option<String>,
    regions: Option<Vec<String>>,
    erased_before: Option<String>,
}

/// What was said, and since and until when.
#[derive(Clone, Debug)]
struct Standing {
    status: String,
    at_ms: i64,
    valid_until_ms: Option<i64>,
    regions: Option<Vec<String>>,
}

/// What the answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'q> {
    /// The organisation.
    pub tenant: &'q str,
    /// The person; none for a contract without a subject.
    pub person: Option<Identity<'q>>,
    /// Everybody that the event names.
    pub named: &'q [Identity<'q>],
    /// The event's time.
    pub event_ms: i64,
    /// The time now.
    pub now_ms: i64,
    /// Where the daemon writes.
    pub region: &'q str,
    /// The lawful bases.
    pub purposes: &'q Purposes,
}

impl Consents {
    /// Takes a record of the inbox.
    ///
    /// # Panics
    /// Panics when the record is malformed: the tests that use the reference write only good ones.
    pub fn take(&mut self, record: &[u8]) {
        let record: Record = serde_json::from_slice(record).expect("a good record of the inbox");
        let organisation = self.organisations.entry(record.tenant).or_default();
        let person = record.kind.zip(record.subject).map(|(kind, subject)| {
            let identifier = weir_keys::canonical(&subject).into_owned();
            organisation.people.entry(kind).or_default().entry(identifier).or_default()
        });
        if record.purpose == "*" {
            let person = person.expect("an erasure names a person");
            person.erased_before_ms =
                Some(instant(record.erased_before.as_deref()).expect("an erasure has an instant"));
            return;
        }
        let purpose = PurposeId::parse(&record.purpose).expect("one of the three purposes");
        let standing = Standing {
            status: record.status.expect("a record has a status"),
            at_ms: instant(record.at.as_deref()).expect("a record has an instant"),
            valid_until_ms: instant(record.valid_until.as_deref()),
            regions: record.regions,
        };
        match person {
            Some(person) => person.choices.insert(purpose, standing),
            None => organisation.agreements.insert(purpose, standing),
        };
    }

    /// Tells whether the organisation ever said anything.
    pub fn knows_tenant(&self, tenant: &str) -> bool {
        self.organisations.get(tenant).is_some_and(|organisation| !organisation.agreements.is_empty())
    }

    /// Answers whether an event may serve `purpose`; the first line that applies gives the reason.
    ///
    /// # Errors
    /// It may not, for this reason.
    pub fn judge(&self, question: &Question<'_>, purpose: PurposeId) -> Result<(), DenyReason> {
        let first = question.event_ms.min(question.now_ms);
        let last = question.event_ms.max(question.now_ms);
        let has_ended = |standing: &Standing| standing.valid_until_ms.is_some_and(|end| end <= last);
        let permits = |standing: &Standing| standing.status == "given" || standing.status == "renewed";

        // Line 1.
        let organisation = self.organisations.get(question.tenant).ok_or(DenyReason::NoTenantAgreement)?;
        let agreement = organisation.agreements.get(&purpose).ok_or(DenyReason::NoTenantAgreement)?;
        if !permits(agreement) || first < agreement.at_ms || has_ended(agreement) {
            return Err(DenyReason::NoTenantAgreement);
        }
        let by_consent = purpose == PurposeId::Personalization
            || question.purposes.rules(purpose).lawful_basis == LawfulBasis::Consent;
        if let Some(person) = question.person {
            match organisation.person(person).and_then(|person| person.choices.get(&purpose)) {
                // Line 2.
                None if by_consent => return Err(DenyReason::NoConsentRecord),
                // Lines 2 and 3.
                Some(choice) if !permits(choice) => return Err(denial(&choice.status)),
                // Line 4.
                Some(choice) if has_ended(choice) => return Err(DenyReason::ConsentExpired),
                // Line 5.
                Some(choice) if by_consent && first < choice.at_ms => return Err(DenyReason::ConsentAfterEvent),
                None | Some(_) => {}
            }
        }
        // Line 6.
        if agreement.regions.as_ref().is_some_and(|regions| !regions.iter().any(|region| region == question.region)) {
            return Err(DenyReason::Region);
        }
        // Line 7.
        let erased = |named: Identity<'_>| {
            let before = organisation.person(named).and_then(|person| person.erased_before_ms);
            before.is_some_and(|before| question.event_ms < before)
        };
        if question.person.is_some_and(erased) || question.named.iter().copied().any(erased) {
            return Err(DenyReason::Erased);
        }
        Ok(())
    }
}

impl Organisation {
    fn person(&self, named: Identity<'_>) -> Option<&Person> {
        self.people.get(named.kind)?.get(named.identifier)
    }
}

fn denial(status: &str) -> DenyReason {
    match status {
        "requested" => DenyReason::ConsentRequested,
        "deferred" => DenyReason::ConsentDeferred,
        "refused" => DenyReason::ConsentRefused,
        "expired" => DenyReason::ConsentExpired,
        "withdrawn" => DenyReason::ConsentWithdrawn,
        "revoked" => DenyReason::ConsentRevoked,
        "invalidated" => DenyReason::ConsentInvalidated,
        "unknown" => DenyReason::NoConsentRecord,
        other => panic!("{other} is no state of consent"),
    }
}

fn instant(text: Option<&str>) -> Option<i64> {
    text.map(|text| time::micros(text).expect("an instant of RFC 3339").div_euclid(1000))
}
