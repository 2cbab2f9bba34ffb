//! Identifiers become pseudonyms: the only place where an identifier's text is read.
//!
//! Two domains never meet. In the consent domain a person is a [`PersonKey`], the same for all purposes, asked about and never
//! stored. In a purpose's domain the same identifier is a [`Pseudonym<P>`], under keys of that purpose, epoch and tenant.

use crate::consent::Judged;
use crate::decode::{Event, Identifier};
use crate::hash::FastMap;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;
use weir_consent::TenantIx;
use weir_keys::{EVENT_ID_KIND, KeySet, PersonDomain, PersonKey, PseudonymKey};
use weir_policy::{Personalization, Policy, Purpose, Reliability, Troubleshooting};

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

/// How keys are derived.
pub(crate) struct Derivation {
    keys: Arc<KeySet>,
    /// Every kind of identifier in the policy, by its number.
    kinds: Arc<[Arc<str>]>,
}

/// The keys of all purposes, as they were derived.
pub(crate) struct Keys {
    pub(crate) derivation: Derivation,
    pub(crate) troubleshooting: KeyCache<Troubleshooting>,
    pub(crate) reliability: KeyCache<Reliability>,
    pub(crate) personalization: KeyCache<Personalization>,
}

impl Keys {
    pub(crate) fn new(keys: Arc<KeySet>, kinds: Arc<[Arc<str>]>) -> Self {
        Self {
            derivation: Derivation { keys, kinds },
            troubleshooting: KeyCache::default(),
            reliability: KeyCache::default(),
            personalization: KeyCache::default(),
        }
    }
}

/// The keys of one purpose, by tenant and epoch.
pub(crate) struct KeyCache<P> {
    known: FastMap<(TenantIx, i32), Option<Box<[PseudonymKey]>>>,
    /// Where an event id is put together.
    buffer: Vec<u8>,
    purpose: PhantomData<fn() -> P>,
}

/// The keys of one purpose, tenant and epoch.
pub(crate) struct Keyed<'k, P> {
    pub(crate) epoch: i32,
    /// By the number of the kind; the last is that of event ids.
    keys: &'k [PseudonymKey],
    buffer: &'k mut Vec<u8>,
    purpose: PhantomData<fn() -> P>,
}

impl<P: Purpose> KeyCache<P> {
    /// Returns the keys for an event's tenant and time; none when the epoch is closed.
    pub(crate) fn keyed(
        &mut self,
        derivation: &Derivation,
        judged: &Judged<'_>,
        policy: &Policy,
    ) -> Option<Keyed<'_, P>> {
        if self.known.len() >= CACHE_MAX {
            self.known.clear();
        }
        let epoch = policy.purposes().epoch(P::ID, judged.classified.event_ms());
        let Derivation { keys, kinds } = derivation;
        let known = self.known.entry((judged.tenant, epoch)).or_insert_with(|| {
            let kinds = kinds.iter().map(|kind| &**kind).chain([EVENT_ID_KIND]);
            kinds.map(|kind| keys.pseudonym_key(P::ID, epoch, judged.tenant_name, kind)).collect()
        });
        let keys = known.as_deref()?;
        Some(Keyed { epoch, keys, buffer: &mut self.buffer, purpose: PhantomData })
    }
}

impl<P: Purpose> Default for KeyCache<P> {
    fn default() -> Self {
        Self { known: FastMap::default(), buffer: Vec::new(), purpose: PhantomData }
    }
}

impl<P: Purpose> Keyed<'_, P> {
    /// Returns the pseudonym of an identifier, by the number of its kind.
    #[inline]
    pub(crate) fn pseudonym(&self, identifier: Identifier<'_>, kind: usize) -> Pseudonym<P> {
        Pseudonym { bytes: self.keys[kind].digest(identifier.expose(KeyInUse(()))), purpose: PhantomData }
    }

    /// Returns the pseudonym of an event id.
    ///
    /// CloudEvents names an event by source and id together; the source's length keeps `a` + `bc` and `ab` + `c` apart.
    pub(crate) fn event_id(&mut self, source: &[u8], id: &[u8]) -> Pseudonym<P> {
        let length = u32::try_from(source.len()).expect("a record is shorter than 4 GiB");
        self.buffer.clear();
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(source);
        self.buffer.extend_from_slice(id);
        Pseudonym { bytes: self.keys[self.keys.len() - 1].digest(self.buffer), purpose: PhantomData }
    }
}

/// People in the consent domain.
pub(crate) struct Persons {
    keys: Arc<KeySet>,
    kinds: Arc<[Arc<str>]>,
    domains: FastMap<(TenantIx, usize), PersonDomain>,
    others: Vec<PersonKey>,
}

impl Persons {
    pub(crate) fn new(keys: Arc<KeySet>, kinds: Arc<[Arc<str>]>) -> Self {
        Self { keys, kinds, domains: FastMap::default(), others: Vec::new() }
    }

    /// Returns whom an event is about, and whom else it names, each once.
    pub(crate) fn of(&mut self, event: &Event<'_>, tenant: TenantIx, name: &str) -> (Option<PersonKey>, &[PersonKey]) {
        let person = event.subject().map(|(field, subject)| self.person(subject, event.kinds[field], (tenant, name)));
        self.others.clear();
        for (field, place) in event.others {
            let other = self.person(event.identifier(*place), event.kinds[*field], (tenant, name));
            if person != Some(other) && !self.others.contains(&other) {
                self.others.push(other);
            }
        }
        (person, &self.others)
    }

    fn person(&mut self, identifier: Identifier<'_>, kind: usize, (tenant, name): (TenantIx, &str)) -> PersonKey {
        if self.domains.len() >= CACHE_MAX {
            self.domains.clear();
        }
        let domain =
            self.domains.entry((tenant, kind)).or_insert_with(|| self.keys.person_domain(name, &self.kinds[kind]));
        domain.person(identifier.expose(KeyInUse(())))
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
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}
