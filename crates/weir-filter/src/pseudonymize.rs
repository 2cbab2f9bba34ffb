//! Identifiers become pseudonyms: the only place where an identifier's text is read.
//!
//! Two domains never meet. In the consent domain a person is a [`PersonKey`], the same for all purposes, asked about and never
//! stored. In a purpose's domain the same identifier is a [`Pseudonym<P>`], under keys of that purpose, epoch and tenant.

use crate::consent::{Permitted, PermittedEvent};
use crate::decode::{Decoded, Identifier, Kind, Value};
use crate::json::usize_of;
use crate::names::Within;
use crate::recent::Recent;
use crate::tally::Fate;
use fearless_simd::Level;
use std::cmp::Ordering;
use std::hash::{self, Hash};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use weir_consent::{ConsentView, TenantIx};
use weir_keys::{EVENT_ID_KIND, KeySet, PersonDomain, PersonKey, PersonQueue, PseudonymKey, PseudonymQueue};
use weir_policy::{DenyReason, Purpose};

/// What stands for an identifier within one purpose, tenant, kind and epoch.
///
/// Those of two purposes have different types, so they cannot be compared, and different keys, so they would not match.
#[expect(missing_debug_implementations, reason = "a pseudonym still is a person's, and does not belong in a log")]
pub struct Pseudonym<P: Purpose> {
    bytes: [u8; 16],
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> Pseudonym<P> {
    /// Stands where there is none.
    pub(crate) const BLANK: Self = Self { bytes: [0; 16], purpose: PhantomData };

    /// Returns the pseudonym whose bytes were stored in a row for `P`.
    pub(crate) const fn from_stored(bytes: [u8; 16]) -> Self {
        Self { bytes, purpose: PhantomData }
    }

    /// Returns the bytes to store.
    pub const fn bytes(self) -> [u8; 16] {
        self.bytes
    }
}

/// Shows that an identifier is read in order to be hashed with a key.
pub(crate) struct KeyInUse(());

/// Permitted events whose identifiers were handed in to become pseudonyms for `P`.
pub(crate) struct Keyed<'j, P> {
    pub(crate) decoded: Decoded<'j>,
    /// Those of one contract and day after each other.
    events: Vec<KeyedEvent<'j, P>>,
}

/// A permitted event that there are keys for.
pub(crate) struct KeyedEvent<'j, P> {
    pub(crate) permitted: PermittedEvent<'j, P>,
    pub(crate) epoch: i32,
    /// The place of its keys in the cache.
    keys: usize,
}

impl<'j, P> Keyed<'j, P> {
    /// Returns the events of each contract and day.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &[KeyedEvent<'j, P>]> {
        self.events.chunk_by(|one, other| one.permitted.event.table() == other.permitted.event.table())
    }
}

/// Hands in the identifiers that rows for `P` have: row by row the subject, the event's id, then those of its columns.
///
/// Says in `fates` where there is no key for the tenant at the event's time.
pub(crate) fn pseudonymize<'j, P: Purpose>(
    permitted: Permitted<'j, P>,
    hasher: &mut Hasher,
    cache: &mut KeyCache<P>,
    fates: &mut [[Fate; 3]],
) -> Keyed<'j, P> {
    let decoded = permitted.decoded();
    cache.make_room();
    let mut events = Vec::with_capacity(decoded.events().len());
    for permitted in permitted.events() {
        // Looked at here, where nothing waits for it.
        std::hint::black_box(decoded.plan(permitted.event).identifiers(P::ID).first().map(|column| column.kind));
        let epoch = decoded.policy.purposes().epoch(P::ID, permitted.event.event_ms());
        let name = decoded.attribute(permitted.event, permitted.event.envelope.tenant);
        match cache.keys(hasher, (permitted.tenant, name), epoch) {
            Some(keys) => {
                events.push(KeyedEvent { permitted, epoch, keys });
            }
            None => fates[permitted.place][P::ID.index()] = Fate::Denied(DenyReason::EpochClosed),
        }
    }
    let keyed = Keyed { decoded, events };
    keyed.tables().for_each(|table| hasher.push_table(decoded, cache, table));
    keyed
}

/// Derives keys, and hashes what was handed in, many identifiers at a time.
pub(crate) struct Hasher {
    keys: Arc<KeySet>,
    /// Every kind of identifier in the policy, by its number.
    kinds: Arc<[Arc<str>]>,
    queue: PseudonymQueue,
}

impl Hasher {
    pub(crate) fn new(keys: Arc<KeySet>, kinds: Arc<[Arc<str>]>, level: Level) -> Self {
        Self { keys, kinds, queue: PseudonymQueue::new(level) }
    }

    /// Returns the pseudonyms of all that was handed in for a purpose.
    pub(crate) fn finish<P: Purpose>(&mut self, _: &Keyed<'_, P>) -> Pseudonyms<'_, P> {
        Pseudonyms(self.queue.finish().iter(), PhantomData)
    }

    fn push_table<P: Purpose>(&mut self, decoded: Decoded<'_>, cache: &KeyCache<P>, table: &[KeyedEvent<'_, P>]) {
        let Some(first) = table.first() else { return };
        let plan = decoded.plan(first.permitted.event);
        for keyed in table {
            let (event, keys) = (keyed.permitted.event, &cache.sets[keyed.keys]);
            if let Some((kind, subject)) = decoded.subject(event) {
                self.queue.push(&keys[kind], subject.expose(KeyInUse(())));
            }
            self.push_event_id(
                keys.last().expect("event ids always have a key"),
                decoded.attribute(event, event.envelope.source),
                decoded.attribute(event, event.envelope.id),
            );
            for column in plan.identifiers(P::ID) {
                let (field, key) = (usize_of(column.field), &keys[usize_of(column.kind)]);
                let mut push = |value: Value| {
                    if value.kind() == Kind::Identifier {
                        self.queue.push(key, decoded.identifier(event, value.as_place()).expose(KeyInUse(())));
                    }
                };
                let value = decoded.value(event, field);
                if value.kind() == Kind::List {
                    decoded.items(plan, field, value).for_each(push);
                } else {
                    push(value);
                }
            }
        }
    }

    /// CloudEvents names an event by source and id together; the source's length keeps `a` + `bc` and `ab` + `c` apart.
    fn push_event_id(&mut self, key: &PseudonymKey, source: &[u8], id: &[u8]) {
        let length = u32::try_from(source.len()).expect("a record is shorter than 4 GiB");
        self.queue.push_joined(key, [&length.to_le_bytes(), source, id]);
    }
}

/// The keys of one purpose, by tenant and epoch.
pub(crate) struct KeyCache<P> {
    /// By tenant: its epochs, and where the keys are; nowhere if the epoch is closed.
    known: Vec<Vec<(i32, Option<usize>)>>,
    /// By the number of the kind, the last that of event ids.
    sets: Vec<Box<[PseudonymKey]>>,
    derived: usize,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> KeyCache<P> {
    fn make_room(&mut self) {
        if self.derived >= CACHE_MAX {
            self.known.clear();
            self.sets.clear();
            self.derived = 0;
        }
    }

    /// Returns the place of a tenant's keys of an epoch.
    fn keys(&mut self, hasher: &Hasher, (tenant, name): (TenantIx, &[u8]), epoch: i32) -> Option<usize> {
        let at = index(tenant);
        let known = self.known.get(at).and_then(|epochs| epochs.iter().rev().find(|(known, _)| *known == epoch));
        match known {
            Some((_, place)) => *place,
            None => self.derive(hasher, (at, name), epoch),
        }
    }

    #[cold]
    fn derive(&mut self, hasher: &Hasher, (tenant, name): (usize, &[u8]), epoch: i32) -> Option<usize> {
        let name = std::str::from_utf8(name).expect("records and headers are UTF-8");
        let kinds = hasher.kinds.iter().map(|kind| &**kind).chain([EVENT_ID_KIND]);
        let keys = kinds.map(|kind| hasher.keys.pseudonym_key(P::ID, epoch, name, kind)).collect::<Option<_>>();
        let place = keys.map(|keys| {
            self.sets.push(keys);
            self.sets.len() - 1
        });
        self.known.resize_with(self.known.len().max(tenant + 1), Vec::new);
        self.known[tenant].push((epoch, place));
        self.derived += 1;
        place
    }
}

impl<P: Purpose> Default for KeyCache<P> {
    fn default() -> Self {
        Self { known: Vec::new(), sets: Vec::new(), derived: 0, purpose: PhantomData }
    }
}

/// Pseudonyms, in the order in which the identifiers were handed in.
pub(crate) struct Pseudonyms<'k, P>(std::slice::Iter<'k, [u8; 16]>, PhantomData<fn() -> P>);

impl<P: Purpose> Pseudonyms<'_, P> {
    #[inline]
    pub(crate) fn next(&mut self) -> Pseudonym<P> {
        let bytes = *self.0.next().expect("as many are taken as were handed in");
        Pseudonym { bytes, purpose: PhantomData }
    }

    /// Checks that all were taken: one that is left over belongs to a row that has another's.
    pub(crate) fn end(self) {
        assert_eq!(self.0.len(), 0, "as many are taken as were handed in");
    }
}

/// People in the consent domain.
pub(crate) struct Persons {
    keys: Arc<KeySet>,
    kinds: Arc<[Arc<str>]>,
    tenants: Recent<TenantIx>,
    /// For each tenant, by the number of the kind; none before somebody asks.
    domains: Vec<Box<[PersonDomain]>>,
    derived: usize,
    queue: PersonQueue,
    pushed: usize,
}

impl Persons {
    pub(crate) fn new(keys: Arc<KeySet>, kinds: Arc<[Arc<str>]>, level: Level) -> Self {
        let tenants = Recent::new(TenantIx(u32::MAX));
        Self { keys, kinds, tenants, domains: Vec::new(), derived: 0, queue: PersonQueue::new(level), pushed: 0 }
    }

    /// Returns the tenant of a name; the store never forgets one.
    pub(crate) fn tenant(&mut self, consent: &ConsentView<'_>, name: Within<'_>) -> Option<TenantIx> {
        self.tenants
            .find(0, name, |name| consent.tenant(std::str::from_utf8(name).expect("records and headers are UTF-8")))
    }

    /// Hands in whom an event names, each with the number of their kind; returns their places.
    pub(crate) fn push<'d>(
        &mut self,
        (tenant, name): (TenantIx, &[u8]),
        people: impl Iterator<Item = (usize, Identifier<'d>)>,
    ) -> Range<usize> {
        let (start, tenant) = (self.pushed, index(tenant));
        if self.domains.get(tenant).is_none_or(|domains| domains.is_empty()) {
            self.derive(tenant, name);
        }
        let domains = &self.domains[tenant];
        for (kind, identifier) in people {
            self.queue.push(&domains[kind], identifier.expose(KeyInUse(())));
            self.pushed += 1;
        }
        start..self.pushed
    }

    #[cold]
    fn derive(&mut self, tenant: usize, name: &[u8]) {
        if self.derived >= CACHE_MAX {
            self.domains.clear();
            self.derived = 0;
        }
        let name = std::str::from_utf8(name).expect("records and headers are UTF-8");
        self.domains.resize_with(self.domains.len().max(tenant + 1), Box::default);
        self.domains[tenant] = self.kinds.iter().map(|kind| self.keys.person_domain(name, kind)).collect();
        self.derived += 1;
    }

    /// Returns all that were handed in.
    pub(crate) fn finish(&mut self) -> Vec<PersonKey> {
        self.pushed = 0;
        self.queue.finish().collect()
    }
}

fn index(tenant: TenantIx) -> usize {
    usize::try_from(tenant.0).expect("usize has at least 32 bits")
}

/// Tenants whose keys are kept before all are forgotten and derived anew: more than a batch has.
const CACHE_MAX: usize = 1 << 14;

// === impl Pseudonym: by hand, because deriving would ask the same of `P`, which has no values. ===

impl<P: Purpose> Clone for Pseudonym<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Purpose> Copy for Pseudonym<P> {}

impl<P: Purpose> PartialEq for Pseudonym<P> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<P: Purpose> Eq for Pseudonym<P> {}

impl<P: Purpose> PartialOrd for Pseudonym<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P: Purpose> Ord for Pseudonym<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl<P: Purpose> Hash for Pseudonym<P> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}
