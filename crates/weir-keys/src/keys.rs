//! The keys that the ring hands out, and what each can do.

use std::fmt;

use crate::secret::{SECRET_BYTES, Secret};

/// The kind under which event ids are pseudonymized; no contract can declare a kind with an `@`.
pub const EVENT_ID_KIND: &str = "@event_id";

/// Names a ring; not a secret, so that a lake can remember which ring its rows were made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RingId(pub(crate) [u8; 16]);

impl RingId {
    /// Returns the id as bytes.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for RingId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Makes the pseudonyms of one purpose, epoch, tenant and kind.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct PseudonymKey(Secret);

impl PseudonymKey {
    pub(crate) fn new(secret: Secret) -> Self {
        Self(secret)
    }

    pub(crate) fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }

    /// Returns the pseudonym of an identifier in its canonical form.
    pub fn digest(&self, canonical: &[u8]) -> [u8; 16] {
        first_half(&blake3::keyed_hash(self.0.expose(), canonical))
    }
}

/// A person (or device, or account) inside the consent domain: a keyed hash of tenant, kind and identifier.
///
/// It joins with no pseudonym of any purpose, is never zero, and is never printed.
#[expect(missing_debug_implementations, reason = "a person's key is never printed")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonKey(u128);

impl PersonKey {
    pub(crate) fn new(digest: [u8; 16]) -> Self {
        // Zero marks an empty place in the consent store. No hash will ever be zero; if one is, it is moved aside.
        Self(u128::from_le_bytes(digest).max(1))
    }

    /// Returns the key that these bytes hold, as [`Self::bytes`] wrote them; none for zero.
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let number = u128::from_le_bytes(bytes);
        (number != 0).then_some(Self(number))
    }

    /// Returns the key for the state topic and the consent store.
    pub const fn bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Returns the key as a number, uniformly distributed.
    pub const fn number(self) -> u128 {
        self.0
    }
}

/// A key for the lake's own marks: sealed cells, names of partitions in logs, permutations.
#[expect(missing_debug_implementations, reason = "a key is never printed")]
pub struct LakeKey(Secret);

impl LakeKey {
    pub(crate) fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Hands out the bytes to a cipher or a hash.
    pub fn expose(&self) -> &[u8; SECRET_BYTES] {
        self.0.expose()
    }
}

/// Returns the first 128 bits of a hash.
pub(crate) fn first_half(hash: &blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}
