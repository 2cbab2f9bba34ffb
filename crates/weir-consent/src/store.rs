//! The newest known state of every tenant and person, and how current it is.
//!
//! One writer feeds it from the state topic; the filter reads it through a [`ConsentView`], which holds the lock for one poll's
//! records. A view is given out only while the store is current: a store that nobody vouches for answers nothing.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::atomic::Ordering as Memory,
};

use weir_keys::PersonKey;
use weir_policy::PurposeId;

use crate::{
    people::People,
    state::{Agreement, StateKey, StateRecord},
    sync::{AtomicI64, RwLock, RwLockReadGuard},
};

/// The place of a tenant in a store; it never changes as long as the store lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantIx(pub u32);

/// The consent of all tenants and people.
#[expect(missing_debug_implementations, reason = "names people")]
pub struct ConsentStore {
    known: RwLock<Known>,
    /// Instant at which the store held all that was published, or [`NEVER`].
    current_as_of_ms: AtomicI64,
}

const NEVER: i64 = i64::MIN;

impl ConsentStore {
    /// Makes an empty store that is not current yet.
    pub fn new() -> Self {
        Self { known: RwLock::new(Known::default()), current_as_of_ms: AtomicI64::new(NEVER) }
    }

    /// Takes one record.
    pub fn apply(&self, record: StateRecord) -> Applied {
        self.known.write().apply(record)
    }

    /// Takes many records under one lock; returns how many changed something.
    pub fn apply_all(&self, records: impl IntoIterator<Item = StateRecord>) -> usize {
        let mut known = self.known.write();
        records.into_iter().map(|record| known.apply(record)).filter(|applied| *applied == Applied::Changed).count()
    }

    /// Overwrites what is known by one record, whatever its `at`; erasures only grow.
    pub(crate) fn overwrite(&self, record: StateRecord) {
        self.known.write().put(record);
    }

    /// Opens the store for a copy of what is known, current or not.
    pub(crate) fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read()
    }

    /// Fills an empty store; a store that knows something is left as it is, because indexes of its tenants are about.
    pub(crate) fn fill(&self, known: Known) -> Result<(), Filled> {
        let mut old = self.known.write();
        if !old.is_empty() {
            return Err(Filled);
        }
        *old = known;
        Ok(())
    }

    /// Returns the record that counts for a key.
    pub fn current(&self, key: &StateKey) -> Option<StateRecord> {
        self.known.read().current(key)
    }

    /// Hands out every record that counts; a record that is forgotten is none. Writers wait meanwhile.
    ///
    /// # Errors
    ///
    /// The first that `take` returns.
    pub fn each<E>(&self, mut take: impl FnMut(StateRecord) -> Result<(), E>) -> Result<(), E> {
        let known = self.known.read();
        known.records().into_iter().try_for_each(&mut take)?;
        for (person, choices) in known.people.iter() {
            for purpose in PurposeId::ALL {
                if let Some(standing) = choices.of(purpose) {
                    take(StateRecord::Choice { person, purpose, standing })?;
                }
            }
        }
        Ok(())
    }

    /// Tells whether the record counts, or another that counts over it: what it said has arrived.
    pub fn covers(&self, record: &StateRecord) -> bool {
        self.current(&record.key()).is_some_and(|known| known.clone().merge(record.clone()) == known)
    }

    /// Vouches that the store held all that was published at an instant of the caller's monotonic clock.
    ///
    /// `i64::MAX` vouches for ever: a file that was read whole cannot fall behind.
    pub fn mark_current(&self, as_of_ms: i64) {
        self.current_as_of_ms.fetch_max(as_of_ms, Memory::Release);
    }

    /// Takes back every vouching: the flow stops until the store is current again.
    pub fn mark_unknown(&self) {
        self.current_as_of_ms.store(NEVER, Memory::Release);
    }

    /// Returns how long ago the store was current; none if it never was.
    pub fn age_ms(&self, now_ms: i64) -> Option<i64> {
        let as_of_ms = self.current_as_of_ms.load(Memory::Acquire);
        (as_of_ms != NEVER).then(|| now_ms.saturating_sub(as_of_ms).max(0))
    }

    /// Opens the store for reading, if it was current at most `max_staleness_ms` ago on the clock of [`Self::mark_current`].
    ///
    /// A view keeps writers out: hold it for one poll's records. Do not open a second one on the same thread.
    ///
    /// # Errors
    ///
    /// The store is stale: nobody knows what people want now.
    pub fn view(&self, now_ms: i64, max_staleness_ms: i64) -> Result<ConsentView<'_>, Stale> {
        let known = self.known.read();
        // Asked for under the lock, so that what was vouched for is what the view sees.
        match self.age_ms(now_ms) {
            Some(age_ms) if age_ms <= max_staleness_ms => Ok(ConsentView { known }),
            age_ms => Err(Stale { age_ms }),
        }
    }

    /// Returns the number of people of whom a choice is known.
    pub fn people(&self) -> usize {
        self.known.read().people.len()
    }

    /// Returns the bytes that the store takes, tenants' names estimated.
    pub fn memory(&self) -> usize {
        let known = self.known.read();
        let erased = known.erased.capacity() * (size_of::<(PersonKey, i64)>() + 1);
        let tenants = known.tenants.capacity() * (size_of::<Tenant>() + 64);
        known.people.memory() + erased + tenants
    }
}

impl Default for ConsentStore {
    fn default() -> Self {
        Self::new()
    }
}

/// What taking a record did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The record counts now.
    Changed,
    /// The record counted before.
    Known,
    /// Another record counts over this one: on the state topic, one of two writers was late.
    Older,
}

/// The store is not current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consent store is not current")]
pub struct Stale {
    /// How long ago it was; none if it never was.
    pub age_ms: Option<i64>,
}

/// The store, open for reading.
#[expect(missing_debug_implementations, reason = "names people")]
pub struct ConsentView<'s> {
    pub(crate) known: RwLockReadGuard<'s, Known>,
}

impl ConsentView<'_> {
    /// Returns the tenant of this name; none if it never agreed to anything.
    pub fn tenant(&self, name: &str) -> Option<TenantIx> {
        self.known.by_name.get(name).copied()
    }

    /// Returns the name of a tenant.
    ///
    /// # Panics
    ///
    /// The index is of another store.
    pub fn tenant_name(&self, tenant: TenantIx) -> &str {
        &self.known.tenant(tenant).name
    }

    /// Brings what is known of these people near: worth a call before the questions about a few dozen events.
    pub fn warm(&self, people: impl IntoIterator<Item = PersonKey>) {
        self.known.people.warm(people);
    }

    /// Returns the names of all tenants in the order of their indexes.
    pub fn tenants(&self) -> impl ExactSizeIterator<Item = (TenantIx, &str)> {
        self.known.tenants.iter().map(|tenant| (tenant.ix, &*tenant.name))
    }
}

/// The store knows something already.
pub(crate) struct Filled;

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) people: People,
    pub(crate) erased: HashMap<PersonKey, i64, BuildHasherDefault<AlreadyHashed>>,
    tenants: Vec<Tenant>,
    by_name: HashMap<Box<str>, TenantIx>,
}

pub(crate) struct Tenant {
    ix: TenantIx,
    name: Box<str>,
    pub(crate) agreements: [Option<Agreement>; 3],
}

impl Known {
    pub(crate) fn tenant(&self, tenant: TenantIx) -> &Tenant {
        let place = usize::try_from(tenant.0).expect("an index of 32 bits fits");
        self.tenants.get(place).expect("the index is of this store")
    }

    fn is_empty(&self) -> bool {
        self.people.len() == 0 && self.erased.is_empty() && self.tenants.is_empty()
    }

    /// Returns the agreements and erasures as records: all but what people chose.
    pub(crate) fn records(&self) -> Vec<StateRecord> {
        let agreements = self.tenants.iter().flat_map(|tenant| {
            PurposeId::ALL.into_iter().filter_map(|purpose| {
                let agreement = tenant.agreements[purpose.index()].clone()?;
                Some(StateRecord::Agreement { tenant: tenant.name.clone(), purpose, agreement })
            })
        });
        let erasure =
            |(person, before_ms): (&PersonKey, &i64)| StateRecord::Erasure { person: *person, before_ms: *before_ms };
        agreements.chain(self.erased.iter().map(erasure)).collect()
    }

    fn apply(&mut self, record: StateRecord) -> Applied {
        let before = self.current(&record.key());
        let after = match (before.clone(), record) {
            // Compaction would take the no away with it.
            (Some(before), StateRecord::Tombstone(_)) if before.denies() => return Applied::Older,
            (None, StateRecord::Tombstone(_)) => return Applied::Known,
            (_, StateRecord::Tombstone(key)) => return self.forget(&key),
            (None, record) => record,
            (Some(before), record) => {
                let after = before.clone().merge(record.clone());
                if after == before {
                    return if record == before { Applied::Known } else { Applied::Older };
                }
                after
            }
        };
        self.put(after);
        Applied::Changed
    }

    fn current(&self, key: &StateKey) -> Option<StateRecord> {
        match key {
            StateKey::Agreement { tenant, purpose } => {
                let found = self.tenant(*self.by_name.get(tenant)?);
                let agreement = found.agreements[purpose.index()].clone()?;
                Some(StateRecord::Agreement { tenant: tenant.clone(), purpose: *purpose, agreement })
            }
            StateKey::Choice { person, purpose } => {
                let standing = self.people.find(*person)?.of(*purpose)?;
                Some(StateRecord::Choice { person: *person, purpose: *purpose, standing })
            }
            StateKey::Erasure { person } => {
                let before_ms = *self.erased.get(person)?;
                Some(StateRecord::Erasure { person: *person, before_ms })
            }
        }
    }

    pub(crate) fn put(&mut self, record: StateRecord) {
        match record {
            StateRecord::Agreement { tenant, purpose, agreement } => {
                self.intern(tenant).agreements[purpose.index()] = Some(agreement);
            }
            StateRecord::Choice { person, purpose, standing } => self.people.set(person, purpose, Some(standing)),
            StateRecord::Erasure { person, before_ms } => {
                let known = self.erased.entry(person).or_insert(before_ms);
                *known = before_ms.max(*known);
            }
            StateRecord::Tombstone(key) => {
                self.forget(&key);
            }
        }
    }

    fn forget(&mut self, key: &StateKey) -> Applied {
        match key {
            StateKey::Agreement { tenant, purpose } => {
                self.intern(tenant.clone()).agreements[purpose.index()] = None;
            }
            StateKey::Choice { person, purpose } => self.people.set(*person, *purpose, None),
            StateKey::Erasure { .. } => return Applied::Known,
        }
        Applied::Changed
    }

    fn intern(&mut self, name: Box<str>) -> &mut Tenant {
        let next = TenantIx(u32::try_from(self.tenants.len()).expect("memory ends before 2³² tenants"));
        let ix = *self.by_name.entry(name.clone()).or_insert(next);
        if ix == next {
            self.tenants.push(Tenant { ix, name, agreements: [None, None, None] });
        }
        let place = usize::try_from(ix.0).expect("an index of 32 bits fits");
        &mut self.tenants[place]
    }
}

/// Hashes what is a hash already.
#[derive(Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().take(8).enumerate() {
            self.0 ^= u64::from(*byte) << (8 * at);
        }
    }
}
