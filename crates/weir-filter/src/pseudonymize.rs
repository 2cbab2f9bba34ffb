//! Identifiers become pseudonyms: the only place where an identifier's text is read.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use weir_policy::Purpose;

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
