//! Bodies of requests, checked.
//!
//! A body is one JSON object with known members, each once; another member is a fault and not ignored, because a misspelt end of a
//! consent would make it last for ever. Names and identifiers are checked by the rules of the inbox and nowhere else.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use weir_consent::{Decision, InboxFault, InboxRecord, StateKey, StateRecord, Status, instant_ms};
use weir_keys::KeySet;
use weir_policy::PurposeId;

use crate::api::problem::{Code, Problem};
use crate::rights::Subject;

/// What is to be decided, and about whom.
pub(crate) struct Order {
    pub(crate) about: About,
    pub(crate) purposes: Vec<PurposeId>,
    pub(crate) decision: Decision,
    pub(crate) valid_until_ms: Option<i64>,
    pub(crate) evidence: Option<String>,
}

/// A person, or a tenant with where its data may live; checked.
pub(crate) enum About {
    Person { tenant: String, kind: String, subject: String, key: StateKey },
    Tenant { tenant: String, regions: Option<Vec<String>>, key: StateKey },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConsent {
    tenant: String,
    kind: String,
    subject: String,
    purposes: Vec<String>,
    decision: String,
    valid_until: Option<String>,
    evidence: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAgreement {
    tenant: String,
    purposes: Vec<String>,
    decision: String,
    valid_until: Option<String>,
    regions: Option<Vec<String>>,
    evidence: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPerson {
    tenant: String,
    kind: String,
    subject: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTenant {
    tenant: String,
}

impl Order {
    /// Reads a decision about a person.
    pub(crate) fn consent(body: &[u8], keys: &KeySet) -> Result<Self, Problem> {
        let raw: RawConsent = json(body)?;
        let about = About::person(RawPerson { tenant: raw.tenant, kind: raw.kind, subject: raw.subject }, keys)?;
        Self::new(about, &raw.purposes, &raw.decision, raw.valid_until.as_deref(), raw.evidence)
    }

    /// Reads a decision about a tenant's agreement.
    pub(crate) fn agreement(body: &[u8]) -> Result<Self, Problem> {
        let raw: RawAgreement = json(body)?;
        let has_regions = raw.regions.is_some();
        let about = About::tenant(raw.tenant, raw.regions)?;
        let order = Self::new(about, &raw.purposes, &raw.decision, raw.valid_until.as_deref(), raw.evidence)?;
        // Where data may live is said with a yes; a no that named regions would look as if it ended a part.
        if has_regions && !order.permits() {
            return Err(Problem::of_member("regions"));
        }
        Ok(order)
    }

    fn new(
        about: About,
        purposes: &[String],
        decision: &str,
        valid_until: Option<&str>,
        evidence: Option<String>,
    ) -> Result<Self, Problem> {
        let purposes = distinct(purposes).ok_or(Problem::of_member("purposes"))?;
        let decision = Decision::parse(decision).ok_or(Problem::of_member("decision"))?;
        let valid_until_ms = valid_until.map(instant_ms).transpose()?;
        if evidence.as_ref().is_some_and(|evidence| evidence.len() > EVIDENCE_BYTES_MAX) {
            return Err(Problem::of_member("evidence"));
        }
        let order = Self { about, purposes, decision, valid_until_ms, evidence };
        // A no has no end, and nobody may believe that it had.
        if order.valid_until_ms.is_some() && !order.permits() {
            return Err(Problem::of_member("valid_until"));
        }
        Ok(order)
    }

    /// Tells whether the decision leads to a state that lets events pass.
    pub(crate) const fn permits(&self) -> bool {
        matches!(self.decision.leads_to(), Status::Given | Status::Renewed)
    }
}

impl About {
    /// Reads who is looked up.
    pub(crate) fn person_of(body: &[u8], keys: &KeySet) -> Result<Self, Problem> {
        Self::person(json(body)?, keys)
    }

    /// Reads which tenant is looked up.
    pub(crate) fn tenant_of(body: &[u8]) -> Result<Self, Problem> {
        let RawTenant { tenant } = json(body)?;
        Self::tenant(tenant, None)
    }

    fn person(raw: RawPerson, keys: &KeySet) -> Result<Self, Problem> {
        let RawPerson { tenant, kind, subject } = raw;
        let key = StateKey::of_person(keys, (&tenant, &kind, &subject), PurposeId::Reliability)?;
        Ok(Self::Person { tenant, kind, subject, key })
    }

    fn tenant(tenant: String, regions: Option<Vec<String>>) -> Result<Self, Problem> {
        let key = StateKey::of_tenant(&tenant, PurposeId::Reliability)?;
        Ok(Self::Tenant { tenant, regions, key })
    }

    /// Returns the name of the tenant.
    pub(crate) fn tenant_name(&self) -> &str {
        match self {
            Self::Person { tenant, .. } | Self::Tenant { tenant, .. } => tenant,
        }
    }

    /// Returns the same for whichever purpose: who it is.
    pub(crate) const fn whom(&self) -> &StateKey {
        match self {
            Self::Person { key, .. } | Self::Tenant { key, .. } => key,
        }
    }

    /// Returns what a record about a purpose is kept under.
    pub(crate) fn key(&self, purpose: PurposeId) -> StateKey {
        let mut key = self.whom().clone();
        if let StateKey::Agreement { purpose: of_key, .. } | StateKey::Choice { purpose: of_key, .. } = &mut key {
            *of_key = purpose;
        }
        key
    }
}

/// Makes the record that a decision leads to; an agreement keeps its regions unless others are given.
pub(crate) fn record(
    order: &Order,
    purpose: PurposeId,
    standing: weir_consent::Standing,
    known: Option<&StateRecord>,
) -> Result<InboxRecord, InboxFault> {
    let record = match &order.about {
        About::Person { tenant, kind, subject, .. } => InboxRecord::choice(tenant, kind, subject, purpose, standing)?,
        About::Tenant { tenant, regions, .. } => {
            let kept = match known {
                Some(StateRecord::Agreement { agreement, .. }) => agreement.regions.as_deref(),
                _ => None,
            };
            let given = regions.as_ref().map(|regions| regions.iter().map(String::as_str).collect::<Vec<_>>());
            let regions = given.or_else(|| kept.map(|kept| kept.iter().map(AsRef::as_ref).collect()));
            InboxRecord::agreement(tenant, purpose, standing, regions.as_deref())?
        }
    };
    Ok(match &order.evidence {
        Some(evidence) => record.with_evidence(evidence),
        None => record,
    })
}

/// Reads whose right is exercised, by all their names.
pub(crate) fn subject(body: &[u8], keys: &KeySet) -> Result<Subject, Problem> {
    let subject = Subject::of_json(body, keys).map_err(|fault| {
        // Here the identifiers stand in a list.
        if fault == InboxFault::Subject { Problem::of_member("ids") } else { Problem::from(fault) }
    })?;
    if subject.names().count() > NAMES_MAX { Err(Problem::of_member("ids")) } else { Ok(subject) }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // What serde says about a fault may quote the body, so it is dropped.
    serde_json::from_slice(body).map_err(|_quotes| Code::Json.into())
}

fn distinct(names: &[String]) -> Option<Vec<PurposeId>> {
    let mut purposes = Vec::new();
    for name in names {
        let purpose = PurposeId::parse(name).filter(|purpose| !purposes.contains(purpose))?;
        purposes.push(purpose);
    }
    (!purposes.is_empty()).then_some(purposes)
}

/// A reference and not a document; so that a record, written out, stays far below what the inbox takes.
pub(crate) const EVIDENCE_BYTES_MAX: usize = 2_048;
/// More names than anybody has; each is looked for in every table.
pub(crate) const NAMES_MAX: usize = 32;
