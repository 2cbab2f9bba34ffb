//! A contract as a checked value: what an event type may carry, and for what.

use std::path::PathBuf;

use crate::field::{Field, FieldClass};
use crate::purpose::{PurposeId, PurposeSet};

/// The place of a contract (one event type and version) in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractIx(pub u32);

impl ContractIx {
    /// Returns the place as an index of [`Policy::contracts`](crate::Policy::contracts).
    pub fn index(self) -> usize {
        usize::try_from(self.0).expect("a policy holds fewer contracts than usize counts")
    }
}

/// One event type in one version, checked.
#[derive(Clone, Debug)]
pub struct Contract {
    /// CloudEvents `type`: lower case, digits, `.`, `_`, `-`; a path segment as it stands.
    pub event_type: String,
    /// Version of the contract, from 1.
    pub version: u32,
    /// What the event says.
    pub description: String,
    /// What the person gains from it.
    pub benefit: String,
    /// The team that answers for it.
    pub owner: String,
    /// URL of the review that let it in.
    pub review: String,
    /// Last day on which events are taken, in days since 1970-01-01.
    pub expires: i32,
    /// Fields in the order of the file, which is the order of their columns.
    pub fields: Vec<Field>,
    /// Place of the subject in `fields`; none when nothing personal is declared.
    pub subject: Option<usize>,
    /// Union of the fields' purposes: what the event as a whole may serve.
    pub purposes: PurposeSet,
    /// The file that declares it.
    pub file: PathBuf,
}

impl Contract {
    /// Returns the field that names the person.
    pub fn subject_field(&self) -> Option<&Field> {
        self.subject.map(|place| &self.fields[place])
    }

    /// Returns the columns that tables of `purpose` have beside the system's, with their places in `fields`.
    ///
    /// The subject is not among them: it is the system column `subject`.
    pub fn columns(&self, purpose: PurposeId) -> impl Iterator<Item = (usize, &Field)> {
        let subject = self.subject;
        self.fields.iter().enumerate().filter(move |(place, field)| {
            Some(*place) != subject && field.class != FieldClass::Content && field.purposes.contains(purpose)
        })
    }

    /// Tells whether the last day of the contract has passed.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        now_ms.div_euclid(DAY_MS) > i64::from(self.expires)
    }
}

const DAY_MS: i64 = 86_400_000;
