//! The rows of one table and day: the system's columns, the declared ones, and what is never stored.

use super::cells::{Cells, retain};
use super::column::Column;
use crate::pseudonymize::Pseudonym;
use crate::record::Origin;
use weir_consent::TenantIx;
use weir_keys::PersonKey;
use weir_policy::{Contract, ContractIx, Policy, Purpose};

/// Rows of one contract and one day, for one purpose, in the order in which their records came.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Rows<P: Purpose> {
    contract: ContractIx,
    contract_version: u32,
    date: i32,
    tenants: Vec<TenantIx>,
    subjects: Cells<Pseudonym<P>>,
    subject_epochs: Vec<i32>,
    event_ids: Vec<Pseudonym<P>>,
    times: Vec<i64>,
    columns: Vec<Column<P>>,
    pub(super) hidden: Hidden,
}

/// What a row has beside its declared columns.
pub(crate) struct Head<'e, P: Purpose> {
    pub(crate) tenant: TenantIx,
    pub(crate) subject: Option<Pseudonym<P>>,
    pub(crate) subject_epoch: i32,
    pub(crate) event_id: Pseudonym<P>,
    /// In µs, at the purpose's precision.
    pub(crate) time: i64,
    pub(crate) origin: Origin,
    pub(crate) person: Option<PersonKey>,
    pub(crate) others: &'e [PersonKey],
    /// As exact as it came.
    pub(crate) event_ms: i64,
}

impl<P: Purpose> Rows<P> {
    /// Returns the contract of all the rows.
    pub fn contract(&self) -> ContractIx {
        self.contract
    }

    /// Returns the column `contract_version`, the same for all the rows.
    pub fn contract_version(&self) -> u32 {
        self.contract_version
    }

    /// Returns the UTC day of the events' times, in days since 1970.
    pub fn date(&self) -> i32 {
        self.date
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Tells whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Returns the column `tenant`; the consent view knows the names.
    pub fn tenants(&self) -> &[TenantIx] {
        &self.tenants
    }

    /// Returns the column `subject`; all null where the contract declares none.
    pub fn subjects(&self) -> &Cells<Pseudonym<P>> {
        &self.subjects
    }

    /// Returns the column `subject_epoch`.
    pub fn subject_epochs(&self) -> &[i32] {
        &self.subject_epochs
    }

    /// Returns the column `event_id`.
    pub fn event_ids(&self) -> &[Pseudonym<P>] {
        &self.event_ids
    }

    /// Returns the column `time`: µs since 1970, at the purpose's precision.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// Returns the declared columns, in the order of [`Contract::columns`].
    pub fn columns(&self) -> &[Column<P>] {
        &self.columns
    }

    /// Returns the partition of each row, which is never stored.
    pub fn origins(&self) -> &[Origin] {
        &self.hidden.origins
    }

    /// Returns the number of different people, for the audit's warning about small commits.
    pub fn people(&self) -> usize {
        let mut people: Vec<_> = self.subjects.iter().flatten().map(Pseudonym::bytes).collect();
        people.sort_unstable();
        people.dedup();
        people.len()
    }

    /// Returns the bytes that the columns occupy, room for growth included.
    pub fn memory(&self) -> usize {
        let system = self.tenants.capacity() * size_of::<TenantIx>()
            + self.subjects.memory()
            + self.subject_epochs.capacity() * size_of::<i32>()
            + self.event_ids.capacity() * size_of::<Pseudonym<P>>()
            + self.times.capacity() * size_of::<i64>();
        system + self.hidden.memory() + self.columns.iter().map(Column::memory).sum::<usize>()
    }

    pub(crate) fn new(place: ContractIx, contract: &Contract, policy: &Policy, date: i32) -> Self {
        Self {
            contract: place,
            contract_version: contract.version,
            date,
            tenants: Vec::new(),
            subjects: Cells::new(),
            subject_epochs: Vec::new(),
            event_ids: Vec::new(),
            times: Vec::new(),
            columns: contract.columns(P::ID).filter_map(|(at, field)| Column::of(at, field, policy)).collect(),
            hidden: Hidden::default(),
        }
    }

    /// Starts a row; its caller then pushes one value, or one list, to each of the columns returned.
    pub(crate) fn push(&mut self, head: Head<'_, P>) -> &mut [Column<P>] {
        self.tenants.push(head.tenant);
        self.subjects.push(head.subject);
        self.subject_epochs.push(head.subject_epoch);
        self.event_ids.push(head.event_id);
        self.times.push(head.time);
        self.hidden.push(&head);
        &mut self.columns
    }

    pub(super) fn retain(&mut self, keep: &[bool]) {
        retain(&mut self.tenants, keep);
        self.subjects.retain(keep);
        retain(&mut self.subject_epochs, keep);
        retain(&mut self.event_ids, keep);
        retain(&mut self.times, keep);
        self.columns.iter_mut().for_each(|column| column.retain(keep));
        self.hidden.retain(keep);
    }
}

/// What is known of each row and never stored: whom to ask consent of again, and where to count it.
#[derive(Default)]
pub(super) struct Hidden {
    pub(super) origins: Vec<Origin>,
    pub(super) events_ms: Vec<i64>,
    /// One a row, or none at all where the contract names no subject.
    persons: Vec<PersonKey>,
    /// Everyone else whom the events name, row after row.
    others: Vec<PersonKey>,
    /// Where each row's others end.
    other_ends: Vec<usize>,
}

impl Hidden {
    pub(super) fn person(&self, row: usize) -> Option<PersonKey> {
        self.persons.get(row).copied()
    }

    pub(super) fn others(&self, row: usize) -> &[PersonKey] {
        let start = row.checked_sub(1).map_or(0, |before| self.other_ends[before]);
        &self.others[start..self.other_ends[row]]
    }

    fn push<P: Purpose>(&mut self, head: &Head<'_, P>) {
        self.origins.push(head.origin);
        self.events_ms.push(head.event_ms);
        self.persons.extend(head.person);
        self.others.extend_from_slice(head.others);
        self.other_ends.push(self.others.len());
    }

    fn retain(&mut self, keep: &[bool]) {
        let old = std::mem::take(self);
        for (row, _) in keep.iter().enumerate().filter(|(_, kept)| **kept) {
            self.origins.push(old.origins[row]);
            self.events_ms.push(old.events_ms[row]);
            self.persons.extend(old.person(row));
            self.others.extend_from_slice(old.others(row));
            self.other_ends.push(self.others.len());
        }
    }

    fn memory(&self) -> usize {
        self.origins.capacity() * size_of::<Origin>()
            + self.events_ms.capacity() * size_of::<i64>()
            + (self.persons.capacity() + self.others.capacity()) * size_of::<PersonKey>()
            + self.other_ends.capacity() * size_of::<usize>()
    }
}
