//! A world of its own for one event: a key ring in a temporary folder, consent in memory, and the real filter.
//!
//! What `weir test` and `weir explain` find out about contracts must depend on nothing that a machine happens to have.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use weir_consent::{Agreement, ConsentStore, ConsentView, Standing, StateRecord, Status};
use weir_filter::{Explanation, Fate, Filter, Filtered, Headers, Limits, Origin, Record};
use weir_keys::{Attributes, KeyRing, KeySet, PersonKey, canonical, tenant_name_is_sound};
use weir_policy::values::number;
use weir_policy::{Contract, FieldType, Policy, PurposeId};

use crate::exit::{Exit, Failure, OrExit as _};

/// Where the events of a sandbox come from.
pub(crate) const ORIGIN: Origin = Origin(0);

/// Key rings that live as long as the sandbox.
pub(crate) struct Sandbox {
    policy: Arc<Policy>,
    limits: Limits,
    region: String,
    folder: TempDir,
    keys: HashMap<(String, i64), Arc<KeySet>>,
}

impl Sandbox {
    /// Makes a sandbox for events of a policy.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn new(policy: Arc<Policy>) -> Result<Self, Failure> {
        Self::like(policy, Limits::default(), REGION.to_owned())
    }

    /// Makes a sandbox with the limits and the region of a daemon.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn like(policy: Arc<Policy>, limits: Limits, region: String) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("weir-").tempdir().or_exit(Exit::CannotCreate)?;
        Ok(Self { policy, limits, region, folder, keys: HashMap::new() })
    }

    /// Returns the policy.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the keys that a daemon which never stopped would have for a tenant at an instant.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn keys(&mut self, tenant: &str, now_ms: i64) -> Result<Arc<KeySet>, Failure> {
        let folder = self.folder.path().join(self.keys.len().to_string());
        match self.keys.entry((tenant.to_owned(), now_ms)) {
            Entry::Occupied(made) => Ok(Arc::clone(made.get())),
            Entry::Vacant(place) => {
                let ring = KeyRing::init(&folder).or_exit(Exit::CannotCreate)?;
                ring.ensure_epochs(self.policy.purposes(), now_ms).or_exit(Exit::CannotCreate)?;
                if tenant_name_is_sound(tenant) {
                    ring.ensure_tenant(tenant).or_exit(Exit::CannotCreate)?;
                }
                Ok(Arc::clone(place.insert(ring.snapshot())))
            }
        }
    }

    /// Filters one record at an instant.
    pub(crate) fn filter(&self, record: &[u8], keys: Arc<KeySet>, consent: &ConsentStore, now_ms: i64) -> Filtered {
        let mut filtered = Filtered::default();
        let view = current(consent, now_ms);
        self.new_filter(keys).apply(&[lone(record)], &view, now_ms, &mut filtered);
        filtered
    }

    /// Explains what the filter would make of one record at an instant.
    pub(crate) fn explain(&self, record: &[u8], keys: Arc<KeySet>, consent: &ConsentStore, now_ms: i64) -> Explanation {
        self.new_filter(keys).explain(&lone(record), &current(consent, now_ms), now_ms)
    }

    fn new_filter(&self, keys: Arc<KeySet>) -> Filter {
        Filter::new(Arc::clone(&self.policy), keys, self.limits, self.region.clone())
    }
}

fn lone(record: &[u8]) -> Record<'_> {
    Record::new(ORIGIN, 0, Some(record), Headers::NONE)
}

fn current(consent: &ConsentStore, now_ms: i64) -> ConsentView<'_> {
    consent.view(now_ms, i64::MAX).expect("a store that was marked current for ever")
}

/// Returns a store that is current for ever, and empty.
pub(crate) fn consent_store() -> ConsentStore {
    let store = ConsentStore::new();
    store.mark_current(i64::MAX);
    store
}

/// Lets a tenant agree to a purpose, since ever and for every region.
pub(crate) fn agree(store: &ConsentStore, tenant: &str, purpose: PurposeId) {
    let standing = Standing::new(Status::Given, 0, None).expect("1970 can be known");
    store.apply(StateRecord::Agreement {
        tenant: tenant.into(),
        purpose,
        agreement: Agreement { standing, regions: None },
    });
}

/// Returns the person that an event is about: its contract says where the event names it.
pub(crate) fn person(contract: &Contract, record: &str, tenant: &str, keys: &KeySet) -> Option<PersonKey> {
    let subject = contract.subject_field()?;
    let FieldType::Identifier { kind } = &subject.field_type else { return None };
    let record: Value = serde_json::from_str(record).ok()?;
    let value = subject.segments.iter().try_fold(record.get("data")?, |value, key| value.get(key))?;
    let text = match value {
        Value::String(text) => text.clone(),
        // A whole number as an identifier equals its decimal text, however it is written.
        Value::Number(digits) => number::whole(digits.to_string().as_bytes())?.to_string(),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => return None,
    };
    Some(keys.person_key(tenant, kind, &canonical(&text)))
}

/// Returns an event whose data is sealed with its data in clear; none if it is not sealed, or does not open.
pub(crate) fn in_clear(record: &str, keys: &KeySet) -> Option<String> {
    let mut event: Value = serde_json::from_str(record).ok()?;
    let text = |name: &str| match event.get(name)? {
        Value::String(text) => Some(Cow::Borrowed(text.as_str())),
        Value::Number(digits) => Some(Cow::Owned(digits.to_string())),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    };
    let attributes = Attributes {
        id: text("id")?,
        source: text("source")?,
        event_type: text("type")?,
        time: text("time")?,
        tenant: text("tenant")?,
        contract_version: text("contractversion"),
        purposes: text("purposes"),
        sec_gpc: text("secgpc"),
    };
    let data = keys.open_sealed(text("data")?.as_bytes(), &attributes).ok()?;
    event["data"] = serde_json::from_slice(&data).ok()?;
    Some(event.to_string())
}

/// Returns the tenant that an event names; empty where it names none.
pub(crate) fn tenant(record: &str) -> String {
    #[derive(Default, serde::Deserialize)]
    struct Named {
        #[serde(default)]
        tenant: String,
    }
    serde_json::from_str::<Named>(record).unwrap_or_default().tenant
}

/// Returns what became of the only record of a run, one fate a purpose.
pub(crate) fn fates(filtered: &Filtered) -> [Fate; 3] {
    let all = filtered.tally.fates();
    PurposeId::ALL.map(|purpose| {
        let of_purpose = all.iter().find(|(key, _)| key.purpose == purpose);
        of_purpose.expect("every record has a fate for every purpose").0.fate
    })
}

const REGION: &str = "sandbox";

/// A contract with a field of most classes, for tests.
#[cfg(test)]
pub(crate) const PAID: &str = include_str!("sandbox/paid.toml");
