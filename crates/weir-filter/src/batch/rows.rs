//! The rows of one table and day: the system's columns, the declared ones, and what is never stored.

use super::cells::{Cells, retain};
use super::column::Column;
use super::pool::Pool;
use crate::pseudonymize::{Pseudonym, Pseudonyms};
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
    pub(super) body: Body<P>,
    /// Where the buffers go when the rows are dropped.
    pool: Pool<P>,
}

/// The buffers of rows.
pub(super) struct Body<P: Purpose> {
    tenants: Vec<TenantIx>,
    subjects: Cells<Pseudonym<P>>,
    subject_epochs: Vec<i32>,
    event_ids: Vec<Pseudonym<P>>,
    times: Vec<i64>,
    columns: Vec<Column<P>>,
    pub(super) hidden: Hidden,
}

/// What a row has beside its declared columns.
#[derive(Clone, Copy)]
pub(crate) struct Head<'e> {
    pub(crate) tenant: TenantIx,
    pub(crate) has_subject: bool,
    pub(crate) subject_epoch: i32,
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
        self.body.tenants.len()
    }

    /// Tells whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.body.tenants.is_empty()
    }

    /// Returns the column `tenant`; the consent view knows the names.
    pub fn tenants(&self) -> &[TenantIx] {
        &self.body.tenants
    }

    /// Returns the column `subject`; all null where the contract declares none.
    pub fn subjects(&self) -> &Cells<Pseudonym<P>> {
        &self.body.subjects
    }

    /// Returns the column `subject_epoch`.
    pub fn subject_epochs(&self) -> &[i32] {
        &self.body.subject_epochs
    }

    /// Returns the column `event_id`.
    pub fn event_ids(&self) -> &[Pseudonym<P>] {
        &self.body.event_ids
    }

    /// Returns the column `time`: µs since 1970, at the purpose's precision.
    pub fn times(&self) -> &[i64] {
        &self.body.times
    }

    /// Returns the time of the oldest event, in milliseconds since 1970 and as exact as it came.
    pub fn earliest_ms(&self) -> Option<i64> {
        self.body.hidden.events_ms.iter().copied().min()
    }

    /// Returns the declared columns, in the order of [`Contract::columns`].
    pub fn columns(&self) -> &[Column<P>] {
        &self.body.columns
    }

    /// Returns the partition of each row, which is never stored.
    pub fn origins(&self) -> &[Origin] {
        &self.body.hidden.origins
    }

    /// Returns the number of different people, for the audit's warning about small commits.
    pub fn people(&self) -> usize {
        let mut people: Vec<_> = self.body.subjects.iter().flatten().map(Pseudonym::bytes).collect();
        people.sort_unstable();
        people.dedup();
        people.len()
    }

    /// Returns the bytes that the rows occupy.
    pub fn memory(&self) -> usize {
        self.body.memory()
    }

    pub(crate) fn new(contract: ContractIx, policy: &Policy, date: i32, pool: &Pool<P>) -> Self {
        let declared = policy.contract(contract);
        let body = pool.take(contract).unwrap_or_else(|| Body::new(declared, policy));
        Self { contract, contract_version: declared.version, date, body, pool: pool.clone() }
    }

    /// Starts rows; its caller then adds as many values, or lists, to each of the columns returned.
    ///
    /// Takes the pseudonyms of all subjects, then those of all events' ids.
    pub(crate) fn extend(&mut self, heads: &[Head<'_>], pseudonyms: &mut Pseudonyms<'_, P>) -> &mut [Column<P>] {
        let Body { tenants, subjects, subject_epochs, event_ids, times, columns, hidden } = &mut self.body;
        subjects.extend(heads, |head| head.has_subject.then(|| pseudonyms.next()));
        event_ids.extend(heads.iter().map(|_| pseudonyms.next()));
        tenants.extend(heads.iter().map(|head| head.tenant));
        subject_epochs.extend(heads.iter().map(|head| head.subject_epoch));
        times.extend(heads.iter().map(|head| head.time));
        hidden.extend(heads);
        columns
    }

    pub(super) fn retain(&mut self, keep: &[bool]) {
        let Body { tenants, subjects, subject_epochs, event_ids, times, columns, hidden } = &mut self.body;
        retain(tenants, keep);
        subjects.retain(keep);
        retain(subject_epochs, keep);
        retain(event_ids, keep);
        retain(times, keep);
        for column in columns {
            column.retain(keep);
        }
        hidden.retain(keep);
    }

    pub(super) fn hidden(&self) -> &Hidden {
        &self.body.hidden
    }
}

impl<P: Purpose> Drop for Rows<P> {
    fn drop(&mut self) {
        self.pool.put(self.contract, std::mem::take(&mut self.body));
    }
}

impl<P: Purpose> Default for Body<P> {
    fn default() -> Self {
        Self {
            tenants: Vec::new(),
            subjects: Cells::new(),
            subject_epochs: Vec::new(),
            event_ids: Vec::new(),
            times: Vec::new(),
            columns: Vec::new(),
            hidden: Hidden::default(),
        }
    }
}

impl<P: Purpose> Body<P> {
    fn new(contract: &Contract, policy: &Policy) -> Self {
        let columns = contract.columns(P::ID).filter_map(|(at, field)| Column::of(at, field, policy)).collect();
        Self { columns, ..Self::default() }
    }

    pub(super) fn memory(&self) -> usize {
        let Self { tenants, subjects, subject_epochs, event_ids, times, columns, hidden } = self;
        let system = size_of_val(&tenants[..])
            + subjects.memory()
            + size_of_val(&subject_epochs[..])
            + size_of_val(&event_ids[..])
            + size_of_val(&times[..]);
        system + hidden.memory() + columns.iter().map(Column::memory).sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        let Self { tenants, subjects, subject_epochs, event_ids, times, columns, hidden } = self;
        tenants.clear();
        subjects.clear();
        subject_epochs.clear();
        event_ids.clear();
        times.clear();
        for column in columns {
            column.clear();
        }
        hidden.clear();
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

    fn extend(&mut self, heads: &[Head<'_>]) {
        self.origins.extend(heads.iter().map(|head| head.origin));
        self.events_ms.extend(heads.iter().map(|head| head.event_ms));
        self.persons.extend(heads.iter().filter_map(|head| head.person));
        for head in heads {
            self.others.extend_from_slice(head.others);
            self.other_ends.push(self.others.len());
        }
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
        size_of_val(&self.origins[..])
            + size_of_val(&self.events_ms[..])
            + size_of_val(&self.persons[..])
            + size_of_val(&self.others[..])
            + size_of_val(&self.other_ends[..])
    }

    fn clear(&mut self) {
        let Self { origins, events_ms, persons, others, other_ends } = self;
        origins.clear();
        events_ms.clear();
        persons.clear();
        others.clear();
        other_ends.clear();
    }
}
