//! The policy: every contract, the rules of the purposes, and the hash that names both.

mod hash;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use crate::contract::{Contract, ContractIx};
use crate::purpose::PurposeId;
use crate::purposes::Purposes;

/// Where a policy is read from.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The folder whose `**/*.toml` are contracts (`*.test.toml` are their tests).
    pub contracts: PathBuf,
    /// The rules of the purposes; without it, those that ship.
    pub purposes: Option<PathBuf>,
}

/// Checked contracts and the rules of the purposes; immutable.
#[derive(Debug)]
pub struct Policy {
    contracts: Vec<Contract>,
    purposes: Purposes,
    hash: PolicyHash,
    by_type: HashMap<String, Vec<ContractIx>>,
}

/// What a policy says about an event type and version at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// This contract holds.
    Contract(ContractIx),
    /// There is a contract, but its last day has passed.
    Expired(ContractIx),
    /// Nobody declared the type, or not this version.
    NoContract,
}

impl Policy {
    /// Returns the policy of checked contracts, sorted by event type and version.
    pub(crate) fn new(contracts: Vec<Contract>, purposes: Purposes) -> Self {
        let hash = hash::of(&contracts, &purposes);
        let mut by_type: HashMap<String, Vec<ContractIx>> = HashMap::new();
        for (place, contract) in (0..).map(ContractIx).zip(&contracts) {
            by_type.entry(contract.event_type.clone()).or_default().push(place);
        }
        Self { contracts, purposes, hash, by_type }
    }

    /// Returns every contract, by event type and version.
    pub fn contracts(&self) -> &[Contract] {
        &self.contracts
    }

    /// Returns the contract at `place`.
    pub fn contract(&self, place: ContractIx) -> &Contract {
        &self.contracts[place.index()]
    }

    /// Returns every contract's place and value.
    pub fn iter(&self) -> impl Iterator<Item = (ContractIx, &Contract)> {
        (0..).map(ContractIx).zip(&self.contracts)
    }

    /// Tells whether a contract declares an event type for a purpose, in any version and though its last day has passed: what was taken
    /// under it is still what somebody listed.
    pub fn declares(&self, purpose: PurposeId, event_type: &str) -> bool {
        let declares = |place: &ContractIx| self.contract(*place).purposes.contains(purpose);
        self.by_type.get(event_type).is_some_and(|versions| versions.iter().any(declares))
    }

    /// Returns the rules of the purposes.
    pub fn purposes(&self) -> &Purposes {
        &self.purposes
    }

    /// Returns the hash over everything that the policy says.
    pub fn hash(&self) -> PolicyHash {
        self.hash
    }

    /// Returns what this policy would be if a contract did not declare one of its fields, to measure what the field costs; none for the
    /// subject, without which there is nobody to ask, and for the only field.
    pub fn without_field(&self, contract: ContractIx, field: usize) -> Option<Self> {
        let mut contracts = self.contracts.clone();
        let changed = &mut contracts[contract.index()];
        if changed.subject == Some(field) || changed.fields.len() == 1 {
            return None;
        }
        changed.fields.remove(field);
        changed.subject = changed.subject.map(|subject| subject - usize::from(subject > field));
        Some(Self::new(contracts, self.purposes.clone()))
    }

    /// Returns the contract of an event; without a version, the highest that has not expired.
    pub fn resolve(&self, event_type: &str, version: Option<u32>, now_ms: i64) -> Resolved {
        self.by_type.get(event_type).map_or(Resolved::NoContract, |versions| self.choose(versions, version, now_ms))
    }

    /// Returns the same for the contracts of one event type, which are sorted by version.
    pub fn choose(&self, versions: &[ContractIx], version: Option<u32>, now_ms: i64) -> Resolved {
        let expired = |place: &ContractIx| self.contract(*place).is_expired(now_ms);
        let chosen = match version {
            Some(version) => versions.iter().find(|place| self.contract(**place).version == version),
            None => versions.iter().rev().find(|place| !expired(place)).or(versions.last()),
        };
        match chosen {
            None => Resolved::NoContract,
            Some(place) if expired(place) => Resolved::Expired(*place),
            Some(place) => Resolved::Contract(*place),
        }
    }
}

/// BLAKE3 over the canonical form of a policy: comments, order and files do not count.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyHash(pub [u8; 32]);

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyHash({self})")
    }
}
