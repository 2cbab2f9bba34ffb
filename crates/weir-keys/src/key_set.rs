//! An immutable view of the ring, and every derivation that weir makes from it.
//!
//! # Construction, for another implementation
//!
//! `lp(x)` is the length of `x` in bytes as 4 bytes, little-endian, followed by `x`. `‖` joins bytes. `derive(context, input)` is
//! BLAKE3's key derivation (`derive_key`) with 32 bytes of output; `mac(key, input)` is keyed BLAKE3 cut to its first 16 bytes.
//! Secrets are 32 random bytes each. Text is UTF-8. Identifiers are in their [`canonical`](crate::canonical()) form.
//!
//! ```text
//! pseudonym   = mac(K, identifier)
//!           K = derive("weir 2026 pseudonym key", lp(secret of purpose and epoch) ‖ lp(secret of tenant)
//!                                                 ‖ lp(purpose) ‖ lp(epoch, 4 bytes little-endian) ‖ lp(kind))
//! event id    = mac(K with the kind "@event_id", the event's id as it is, not canonicalised)
//! person      = mac(C, identifier)
//!           C = derive("weir 2026 consent person key", lp(consent secret) ‖ lp(tenant) ‖ lp(kind))
//! lake key    = derive("weir 2026 lake key", lp(lake secret) ‖ lp(context))
//! signing key = Ed25519 with the seed derive("weir 2026 signing key", lp(lake secret) ‖ lp(context))
//! file key    = derive("weir 2026 sealed file key", lp(lake secret) ‖ lp(context) ‖ lp(head) ‖ lp(salt))          (see `sealed`)
//! data key    = derive("weir 2026 data file key", lp(secret) ‖ lp(reader) ‖ lp(table))                             (see `files`)
//! reader key  = derive("weir 2026 reader key", lp(secret) ‖ lp(reader))
//!   of an epoch's rows: secret = secret of purpose and epoch, reader = "<region>/<purpose>/<epoch>"
//!   of weir's tables:   secret = lake secret,                 reader = "<region>/weir"
//! ```
//! `purpose` is the word `troubleshooting`, `reliability` or `personalization`. A person's hash of sixteen zero bytes is replaced by
//! a one and fifteen zeros. `vectors.json` beside this crate holds worked examples of all of them.
//!
//! Each length prefix closes an ambiguity: without them tenant `ab` with kind `c` and tenant `a` with kind `bc` would share a key.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use weir_policy::PurposeId;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    jwe::{self, Attributes, JweFault, JweKey, JwePublic},
    keys::{LakeKey, PersonKey, PseudonymKey, RingId, first_half},
    secret::{SECRET_BYTES, Secret},
    signing::SigningKey,
};

const PSEUDONYM_CONTEXT: &str = "weir 2026 pseudonym key";
const PERSON_CONTEXT: &str = "weir 2026 consent person key";
const LAKE_CONTEXT: &str = "weir 2026 lake key";
const SIGNING_CONTEXT: &str = "weir 2026 signing key";
const FILE_CONTEXT: &str = "weir 2026 sealed file key";

/// The secrets of a ring at one moment.
#[expect(missing_debug_implementations, reason = "secrets are never printed")]
#[derive(Clone)]
pub struct KeySet {
    pub(crate) id: RingId,
    pub(crate) consent: Arc<Secret>,
    pub(crate) lake: Arc<Secret>,
    pub(crate) epochs: BTreeMap<(PurposeId, i32), Arc<Secret>>,
    pub(crate) tenants: HashMap<Box<str>, Arc<Secret>>,
    /// What producers seal to, by number.
    pub(crate) sealing: BTreeMap<u32, Arc<JweKey>>,
    pub(crate) has_lapsed: bool,
    /// Days of a purpose's epoch, as its files say.
    pub(crate) epoch_days: [Option<u32>; 3],
}

impl KeySet {
    /// Returns the name of the ring.
    pub const fn id(&self) -> RingId {
        self.id
    }

    /// Tells whether the vault did not confirm the secrets for too long: nothing may be judged by a set without them.
    pub const fn has_lapsed(&self) -> bool {
        self.has_lapsed
    }

    /// Returns the set without the secrets of epochs and tenants and the keys that producers seal to, for who never judges an event.
    #[must_use]
    pub fn without_pseudonyms(&self) -> Self {
        Self { epochs: BTreeMap::new(), tenants: HashMap::new(), sealing: BTreeMap::new(), ..self.clone() }
    }

    /// Tells whether the tenant has a secret, so that its events can have pseudonyms.
    pub fn has_tenant(&self, tenant: &str) -> bool {
        self.tenants.contains_key(tenant)
    }

    /// Tells whether the epoch's secret is there: made, and not destroyed.
    pub fn has_epoch(&self, purpose: PurposeId, epoch: i32) -> bool {
        self.epochs.contains_key(&(purpose, epoch))
    }

    /// Returns the epochs that have a secret, in order.
    pub fn epochs(&self) -> impl Iterator<Item = (PurposeId, i32)> + '_ {
        self.epochs.keys().copied()
    }

    /// Returns how many tenants have a secret.
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// Returns the set with the keys of another one that producers seal to.
    #[must_use]
    pub fn with_sealing_of(&self, other: &Self) -> Self {
        Self { sealing: other.sealing.clone(), ..self.clone() }
    }

    /// Returns the public keys that producers may seal to, the newest first.
    pub fn sealing_keys(&self) -> impl Iterator<Item = &JwePublic> {
        self.sealing.values().rev().map(|key| key.public())
    }

    /// Opens what a producer sealed for an event with these attributes.
    ///
    /// # Errors
    ///
    /// It is of another form, for another key or event, or was changed.
    pub fn open_sealed(&self, jwe: &[u8], event: &Attributes<'_>) -> Result<Zeroizing<Vec<u8>>, JweFault> {
        jwe::open(jwe, event, |kid| self.sealing.values().map(AsRef::as_ref).find(|key| key.public().kid() == kid))
    }

    /// Returns the key of a purpose, epoch, tenant and kind; none when the epoch is closed or the tenant unknown.
    ///
    /// A derivation costs two hashes: keep the key for as long as the [`KeySet`] it came from.
    pub fn pseudonym_key(&self, purpose: PurposeId, epoch: i32, tenant: &str, kind: &str) -> Option<PseudonymKey> {
        let of_epoch = self.epochs.get(&(purpose, epoch))?;
        let of_tenant = self.tenants.get(tenant)?;
        let parts: [&[u8]; 5] =
            [of_epoch.expose(), of_tenant.expose(), purpose.name().as_bytes(), &epoch.to_le_bytes(), kind.as_bytes()];
        Some(PseudonymKey::new(derive(PSEUDONYM_CONTEXT, parts)))
    }

    /// Returns the hasher of one tenant's identifiers of one kind inside the consent domain.
    pub fn person_domain(&self, tenant: &str, kind: &str) -> PersonDomain {
        PersonDomain(derive(PERSON_CONTEXT, [self.consent.expose(), tenant.as_bytes(), kind.as_bytes()]))
    }

    /// Returns the person of a canonical identifier inside the consent domain.
    pub fn person_key(&self, tenant: &str, kind: &str, canonical: &str) -> PersonKey {
        self.person_domain(tenant, kind).person(canonical.as_bytes())
    }

    /// Returns the lake's key for one use; each context has an independent key.
    pub fn lake_key(&self, context: &str) -> LakeKey {
        LakeKey::new(derive(LAKE_CONTEXT, [self.lake.expose(), context.as_bytes()]))
    }

    /// Returns the key that signs for one use; each context has an independent key.
    pub fn signing_key(&self, context: &str) -> SigningKey {
        SigningKey::new(&derive(SIGNING_CONTEXT, [self.lake.expose(), context.as_bytes()]))
    }

    /// Returns the secret of one sealed file.
    pub(crate) fn file_secret(&self, context: &str, head: &[u8], salt: &[u8]) -> Secret {
        derive(FILE_CONTEXT, [self.lake.expose(), context.as_bytes(), head, salt])
    }
}

/// Finds people of one tenant and kind; worth keeping, as [`PseudonymKey`] is.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct PersonDomain(Secret);

impl PersonDomain {
    pub(crate) fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }

    /// Returns the person of a canonical identifier.
    pub fn person(&self, canonical: &[u8]) -> PersonKey {
        PersonKey::new(first_half(&blake3::keyed_hash(self.0.expose(), canonical)))
    }
}

/// Derives a key from length-prefixed parts.
pub(crate) fn derive<const N: usize>(context: &str, parts: [&[u8]; N]) -> Secret {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        let length = u32::try_from(part.len()).expect("names are far shorter than 4 GiB");
        hasher.update(&length.to_le_bytes());
        hasher.update(part);
    }
    let mut derived = hasher.finalize();
    hasher.zeroize();
    let secret = Secret::from_bytes(derived.as_bytes());
    derived.zeroize();
    secret
}

#[cfg(test)]
pub(crate) mod vectors;
