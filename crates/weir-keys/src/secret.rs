//! A random 256-bit secret that cannot be printed and leaves memory when it is dropped.

use aws_lc_rs::constant_time;
use zeroize::Zeroizing;

use crate::error::KeyError;

/// Length of every secret.
pub(crate) const SECRET_BYTES: usize = 32;

/// 32 random bytes; without Debug, so that printing one does not compile.
pub(crate) struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

impl Secret {
    /// Draws a secret from the operating system's generator.
    pub(crate) fn random() -> Result<Self, KeyError> {
        let mut secret = Self(Zeroizing::new([0; SECRET_BYTES]));
        getrandom::fill(&mut *secret.0).map_err(KeyError::Random)?;
        Ok(secret)
    }

    /// Copies a secret that was read or derived.
    pub(crate) fn from_bytes(bytes: &[u8; SECRET_BYTES]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// Hands out the bytes, to a hash or a file and to nothing else.
    pub(crate) fn expose(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.expose(), other.expose()).is_ok()
    }
}
