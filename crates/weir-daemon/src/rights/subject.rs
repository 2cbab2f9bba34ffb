//! Who is meant: a tenant and one or more names, all checked before anything is done.

use serde::Deserialize;
use weir_consent::{InboxFault, InboxRecord, StateKey, pseudonym};
use weir_keys::KeySet;
use weir_lake::Person;
use weir_policy::PurposeId;

/// One person by all their names, checked.
#[expect(missing_debug_implementations, reason = "names a person in clear")]
#[derive(Clone, Hash)]
pub struct Subject {
    tenant: String,
    /// Kind and identifier.
    names: Vec<(String, String)>,
}

impl Subject {
    /// Takes a tenant and pairs of a kind and an identifier.
    ///
    /// # Errors
    /// A name cannot be one, or there is none; which is said, never what it was.
    pub fn checked(tenant: String, names: Vec<(String, String)>, keys: &KeySet) -> Result<Self, InboxFault> {
        if names.is_empty() {
            return Err(InboxFault::Subject);
        }
        for (kind, id) in &names {
            StateKey::of_person(keys, (&tenant, kind, id), PurposeId::Troubleshooting)?;
        }
        Ok(Self { tenant, names })
    }

    /// Reads `{"tenant":"acme","ids":[{"kind":"user","id":"u-81"}]}`; other members are faults.
    ///
    /// # Errors
    /// It is not that, or a name cannot be one.
    pub fn of_json(text: &[u8], keys: &KeySet) -> Result<Self, InboxFault> {
        // The error of serde_json quotes its input.
        let Line { tenant, ids } = serde_json::from_slice(text).ok().ok_or(InboxFault::Json)?;
        let name = |Name { kind, id }: Name| match id {
            serde_json::Value::String(id) => Ok((kind, id)),
            serde_json::Value::Number(id) if id.is_i64() || id.is_u64() => Ok((kind, id.to_string())),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => Err(InboxFault::Subject),
        };
        Self::checked(tenant, ids.into_iter().map(name).collect::<Result<_, _>>()?, keys)
    }

    /// Returns the tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Returns the person's names: tenant, kind and identifier.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.names.iter().map(|(kind, id)| (self.tenant.as_str(), kind.as_str(), id.as_str()))
    }

    /// Returns what the person's consent is kept under, one a name.
    pub fn keys(&self, keys: &KeySet) -> Vec<StateKey> {
        let key = |(kind, id): &(String, String)| {
            StateKey::of_person(keys, (&self.tenant, kind, id), PurposeId::Troubleshooting).ok()
        };
        self.names.iter().filter_map(key).collect()
    }

    /// Returns the records of the inbox that keep anything from before an instant out, for every name.
    ///
    /// # Errors
    /// A name cannot be one.
    pub fn erasures(&self, before_ms: i64) -> Result<Vec<InboxRecord>, InboxFault> {
        self.names.iter().map(|(kind, id)| InboxRecord::erasure(&self.tenant, kind, id, before_ms)).collect()
    }

    /// Returns the person as the lake looks for them.
    pub fn person(&self) -> Person {
        self.names.iter().fold(Person::of(&self.tenant), |person, (kind, id)| person.named(kind, id))
    }

    /// Returns the person's pseudonyms in the consent domain, one a name, as receipts have them.
    pub fn pseudonyms(&self, keys: &KeySet) -> Vec<String> {
        let people = self.keys(keys).into_iter().filter_map(|key| match key {
            StateKey::Choice { person, .. } | StateKey::Erasure { person } => Some(pseudonym(person)),
            StateKey::Agreement { .. } => None,
        });
        people.collect()
    }
}

/// A line of a batch, and a body of the API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant: String,
    ids: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    kind: String,
    /// Text or a whole number, which equals its decimal text.
    id: serde_json::Value,
}
