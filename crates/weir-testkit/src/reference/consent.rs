//! Consent as a plain table of records, judged line by line as the rule in weir-consent is worded.

use std::collections::HashMap;

use serde::Deserialize;
use weir_policy::{DenyReason, LawfulBasis, PurposeId, Purposes};

use super::time;

/// Everything that organisations and persons have said, as the inbox has it; of one matter the last record counts.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    agreements: HashMap<(String, PurposeId), Standing>,
    choices: HashMap<(Identity, PurposeId), Standing>,
    erasures: HashMap<Identity, i64>,
}

/// Somebody named in an event: tenant, kind and canonical identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The organisation.
    pub tenant: String,
    /// What the identifier names.
    pub kind: String,
    /// The identifier, in its canonical form.
    pub identifier: String,
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
    pub person: Option<&'q Identity>,
    /// Everybody that the event names.
    pub named: &'q [Identity],
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
        let identity = record.kind.clone().zip(record.subject.as_deref()).map(|(kind, subject)| Identity {
            tenant: record.tenant.clone(),
            kind,
            identifier: weir_keys::canonical(subject).into_owned(),
        });
        if record.purpose == "*" {
            let identity = identity.expect("an erasure names a person");
            self.erasures
                .insert(identity, instant(record.erased_before.as_deref()).expect("an erasure has an instant"));
            return;
        }
        let purpose = PurposeId::parse(&record.purpose).expect("one of the three purposes");
        let standing = Standing {
            status: record.status.expect("a record has a status"),
            at_ms: instant(record.at.as_deref()).expect("a record has an instant"),
            valid_until_ms: instant(record.valid_until.as_deref()),
            regions: record.regions,
        };
        match identity {
            Some(identity) => self.choices.insert((identity, purpose), standing),
            None => self.agreements.insert((record.tenant, purpose), standing),
        };
    }

    /// Tells whether the organisation ever said anything.
    pub fn knows_tenant(&self, tenant: &str) -> bool {
        PurposeId::ALL.into_iter().any(|purpose| self.agreements.contains_key(&(tenant.to_owned(), purpose)))
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
        let agreement =
            self.agreements.get(&(question.tenant.to_owned(), purpose)).ok_or(DenyReason::NoTenantAgreement)?;
        if !permits(agreement) || first < agreement.at_ms || has_ended(agreement) {
            return Err(DenyReason::NoTenantAgreement);
        }
        let by_consent = purpose == PurposeId::Personalization
            || question.purposes.rules(purpose).lawful_basis == LawfulBasis::Consent;
        if let Some(person) = question.person {
            match self.choices.get(&(person.clone(), purpose)) {
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
        let erased = |named: &Identity| self.erasures.get(named).is_some_and(|before| question.event_ms < *before);
        if question.person.is_some_and(erased) || question.named.iter().any(erased) {
            return Err(DenyReason::Erased);
        }
        Ok(())
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
