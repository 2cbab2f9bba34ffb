//! Identifiers become pseudonyms: the only place where an identifier's text is read.
//!
//! Two domains never meet. In the consent domain a person is a [`PersonKey`], the same for all purposes, asked about and never
//! stored. In a purpose's domain the same identifier is a [`Pseudonym<P>`], under keys of that purpose, epoch and tenant.

use crate::consent::{Judged, Permitted};
use crate::decode::{Event, Identifier};
use crate::hash::FastMap;
use std::cmp::Ordering;
use std::hash::{self, Hash};
use std::marker::PhantomData;
use std::sync::Arc;
use weir_consent::TenantIx;
use weir_keys::{EVENT_ID_KIND, KeySet, PersonDomain, PersonKey, PersonQueue, PseudonymKey, PseudonymQueue};
use weir_policy::{DenyReason, Policy, Purpose};

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

    /// Returns the bytes to store.
    pub const fn bytes(self) -> [u8; 16] {
        self.bytes
    }
}

/// Shows that an identifier is read in order to be hashed with a key.
pub(crate) struct KeyInUse(());

/// A permitted event whose identifiers were handed in to become pseudonyms for `P`.
pub(crate) struct Keyed<'e, P> {
    pub(crate) permitted: Permitted<'e, P>,
    pub(crate) epoch: i32,
    identifiers: usize,
}

/// Hands in the identifiers that a row for `P` has: the subject, the event's id, then those of the columns.
///
/// Fails where there is no key for the tenant at the event's time.
pub(crate) fn pseudonymize<'e, P: Purpose>(
    permitted: Permitted<'e, P>,
    policy: &Policy,
    hasher: &mut Hasher,
    cache: &mut KeyCache<P>,
) -> Result<Keyed<'e, P>, DenyReason> {
    let Judged { classified, event, tenant, tenant_name, .. } = permitted.judged();
    let epoch = policy.purposes().epoch(P::ID, classified.event_ms());
    let keys = cache.keys(hasher, (*tenant, tenant_name), epoch).ok_or(DenyReason::EpochClosed)?;
    let (event_id_key, keys) = keys.split_last().expect("event ids always have a key");
    let mut identifiers = 1;
    if let Some((field, subject)) = event.subject() {
        hasher.queue.push(&keys[event.plan.kinds[field]], subject.expose(KeyInUse(())));
        identifiers += 1;
    }
    hasher.push_event_id(
        event_id_key,
        event.bytes.at(classified.envelope.source),
        event.bytes.at(classified.envelope.id),
    );
    for field in &event.plan.identifiers[P::ID.index()] {
        let key = &keys[event.plan.kinds[*field]];
        for place in event.identifiers(*field) {
            hasher.queue.push(key, event.identifier(place).expose(KeyInUse(())));
            identifiers += 1;
        }
    }
    Ok(Keyed { permitted, epoch, identifiers })
}

/// Derives keys, and hashes what was handed in, many identifiers at a time.
pub(crate) struct Hasher {
    keys: Arc<KeySet>,
    /// Every kind of identifier in the policy, by its number.
    kinds: Arc<[Arc<str>]>,
    queue: PseudonymQueue,
    /// Where an event id is put together.
    buffer: Vec<u8>,
}

impl Hasher {
    pub(crate) fn new(keys: Arc<KeySet>, kinds: Arc<[Arc<str>]>) -> Self {
        Self { keys, kinds, queue: PseudonymQueue::new(), buffer: Vec::new() }
    }

    /// Returns the pseudonyms of all that was handed in.
    pub(crate) fn finish(&mut self) -> Pseudonyms<'_> {
        Pseudonyms(self.queue.finish())
    }

    /// CloudEvents names an event by source and id together; the source's length keeps `a` + `bc` and `ab` + `c` apart.
    fn push_event_id(&mut self, key: &PseudonymKey, source: &[u8], id: &[u8]) {
        let length = u32::try_from(source.len()).expect("a record is shorter than 4 GiB");
        self.buffer.clear();
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(source);
        self.buffer.extend_from_slice(id);
        self.queue.push(key, &self.buffer);
    }
}

/// The keys of one purpose, by tenant and epoch.
pub(crate) struct KeyCache<P> {
    /// By the number of the kind, the last that of event ids; none where the epoch is closed.
    known: FastMap<(TenantIx, i32), Option<Box<[PseudonymKey]>>>,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> KeyCache<P> {
    fn keys(&mut self, hasher: &Hasher, (tenant, name): (TenantIx, &str), epoch: i32) -> Option<&[PseudonymKey]> {
        if self.known.len() >= CACHE_MAX {
            self.known.clear();
        }
        let keys = self.known.entry((tenant, epoch)).or_insert_with(|| {
            let kinds = hasher.kinds.iter().map(|kind| &**kind).chain([EVENT_ID_KIND]);
            kinds.map(|kind| hasher.keys.pseudonym_key(P::ID, epoch, name, kind)).collect()
        });
        keys.as_deref()
    }
}

impl<P: Purpose> Default for KeyCache<P> {
    fn default() -> Self {
        Self { known: FastMap::default(), purpose: PhantomData }
    }
}

/// Pseudonyms of an event, purpose after purpose, in the order in which its identifiers were handed in.
pub(crate) struct Pseudonyms<'k>(&'k [[u8; 16]]);

/// The pseudonyms of one row.
pub(crate) struct OfRow<'k, P>(std::slice::Iter<'k, [u8; 16]>, PhantomData<fn() -> P>);

impl<'k> Pseudonyms<'k> {
    /// Takes those of the next purpose.
    pub(crate) fn take<P: Purpose>(&mut self, keyed: &Keyed<'_, P>) -> OfRow<'k, P> {
        let (row, rest) = self.0.split_at(keyed.identifiers);
        self.0 = rest;
        OfRow(row.iter(), PhantomData)
    }
}

impl<P: Purpose> OfRow<'_, P> {
    #[inline]
    pub(crate) fn next(&mut self) -> Pseudonym<P> {
        let bytes = *self.0.next().expect("as many are taken as were handed in");
        Pseudonym { bytes, purpose: PhantomData }
    }
}

/// People in the consent domain.
pub(crate) struct Persons {
    keys: Arc<KeySet>,
    kinds: Arc<[Arc<str>]>,
    domains: FastMap<(TenantIx, usize), PersonDomain>,
    queue: PersonQueue,
    others: Vec<PersonKey>,
}

impl Persons {
    pub(crate) fn new(keys: Arc<KeySet>, kinds: Arc<[Arc<str>]>) -> Self {
        Self { keys, kinds, domains: FastMap::default(), queue: PersonQueue::new(), others: Vec::new() }
    }

    /// Returns whom an event is about, and whom else it names, each once.
    pub(crate) fn of(&mut self, event: &Event<'_>, tenant: (TenantIx, &str)) -> (Option<PersonKey>, &[PersonKey]) {
        let subject = event.subject();
        if let Some((field, subject)) = subject {
            self.push(subject, event.plan.kinds[field], tenant);
        }
        for (field, place) in event.others {
            self.push(event.identifier(*place), event.plan.kinds[*field], tenant);
        }
        let mut persons = self.queue.finish();
        let person = subject.and_then(|_| persons.next());
        self.others.clear();
        for other in persons {
            if person != Some(other) && !self.others.contains(&other) {
                self.others.push(other);
            }
        }
        (person, &self.others)
    }

    fn push(&mut self, identifier: Identifier<'_>, kind: usize, (tenant, name): (TenantIx, &str)) {
        if self.domains.len() >= CACHE_MAX {
            self.domains.clear();
        }
        let domain =
            self.domains.entry((tenant, kind)).or_insert_with(|| self.keys.person_domain(name, &self.kinds[kind]));
        self.queue.push(domain, identifier.expose(KeyInUse(())));
    }
}

/// Keys that are kept before all are forgotten and derived anew: some MB, and more tenants than a batch has.
const CACHE_MAX: usize = 1 << 16;

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
