//! What a policy lets into the lake: event type, field and purpose, as sets that can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use weir_policy::{Contract, FieldClass, Policy, PurposeId};

/// Fields by event type, each with the purposes that may have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exposures(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Exposures {
    /// Returns what a policy exposes, over all versions of each contract.
    pub fn of(policy: &Policy) -> Self {
        Self::of_contracts(policy.contracts())
    }

    /// Returns what some contracts expose.
    pub fn of_contracts<'c>(contracts: impl IntoIterator<Item = &'c Contract>) -> Self {
        let mut exposures = Self::default();
        for contract in contracts {
            for field in contract.fields.iter().filter(|field| field.class != FieldClass::Content) {
                for purpose in field.purposes.iter() {
                    exposures.add(&contract.event_type, &field.path, purpose.name());
                }
            }
            // Whatever its own line says, the subject goes wherever the event goes.
            for (field, purpose) in contract
                .subject_field()
                .into_iter()
                .flat_map(|field| contract.purposes.iter().map(move |purpose| (field, purpose)))
            {
                exposures.add(&contract.event_type, &field.path, purpose.name());
            }
        }
        exposures
    }

    /// Returns what is exposed here and not there.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let is_there = |event_type: &str, field: &str, purpose: &str| {
            other.0.get(event_type).and_then(|fields| fields.get(field)).is_some_and(|known| known.contains(purpose))
        };
        let mut beyond = Self::default();
        for (event_type, field, purpose) in self.iter().filter(|(one, two, three)| !is_there(one, two, three)) {
            beyond.add(event_type, field, purpose);
        }
        beyond
    }

    /// Returns what is exposed for one purpose.
    #[must_use]
    pub fn only(&self, purpose: PurposeId) -> Self {
        let mut only = Self::default();
        for (event_type, field, purpose) in self.iter().filter(|one| one.2 == purpose.name()) {
            only.add(event_type, field, purpose);
        }
        only
    }

    /// Returns what is exposed both here and there.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        self.beyond(&self.beyond(other))
    }

    /// Adds what another set has.
    pub fn extend(&mut self, other: &Self) {
        other.iter().for_each(|(event_type, field, purpose)| self.add(event_type, field, purpose));
    }

    /// Tells whether nothing is exposed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns event types, fields and purposes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().flat_map(|(event_type, fields)| {
            fields.iter().flat_map(move |(field, purposes)| {
                purposes.iter().map(move |purpose| (event_type.as_str(), field.as_str(), purpose.as_str()))
            })
        })
    }

    fn add(&mut self, event_type: &str, field: &str, purpose: &str) {
        let fields = self.0.entry(event_type.to_owned()).or_default();
        fields.entry(field.to_owned()).or_default().insert(purpose.to_owned());
    }
}

impl fmt::Display for Exposures {
    /// One line a field: `event type: field → purpose, purpose`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (event_type, fields) in &self.0 {
            for (field, purposes) in fields {
                let purposes: Vec<_> = purposes.iter().map(String::as_str).collect();
                writeln!(f, "{event_type}: {field} → {}", purposes.join(", "))?;
            }
        }
        Ok(())
    }
}
