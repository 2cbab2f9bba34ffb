//! A head: where the ledger stood, signed, small enough to keep anywhere.
//!
//! A JSON Web Signature over `{"at","entry","seq","sha256"}`. Whoever has one can tell later whether a ledger still
//! contains what it said then, with weir or with any JOSE library and `sha256sum`.

use serde::{Deserialize, Serialize};
use weir_keys::{PublicKey, SignatureFault, SigningKey};

/// A place in the ledger, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the entry.
    pub seq: u64,
    /// When it was made, RFC 3339.
    pub at: String,
    /// Its path below `_ledger`.
    pub entry: String,
    /// SHA-256 of its first line, in hex.
    pub sha256: String,
    /// All of it in the compact form, with the signature.
    pub jws: String,
}

/// A head is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// What was signed is no head.
    #[error("it is signed, and no head of a ledger")]
    NoHead,
    /// The signature is not this key's.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
}

#[derive(Serialize, Deserialize)]
struct Payload {
    at: String,
    entry: String,
    seq: u64,
    sha256: String,
}

impl Head {
    /// Signs a place.
    pub(crate) fn sign(key: &SigningKey, seq: u64, at: String, entry: String, sha256: String) -> Self {
        let payload = Payload { at, entry, seq, sha256 };
        let bytes = serde_json::to_vec(&payload).expect("texts and a number are JSON");
        let Payload { at, entry, seq, sha256 } = payload;
        Self { seq, at, entry, sha256, jws: key.sign(TYPE, &bytes) }
    }

    /// Reads a head that a key has signed.
    ///
    /// # Errors
    ///
    /// It is none, or not of this key.
    pub fn read(key: &PublicKey, jws: &str) -> Result<Self, HeadFault> {
        let payload = key.verify(TYPE, jws.trim())?;
        let Payload { at, entry, seq, sha256 } = serde_json::from_slice(&payload).ok().ok_or(HeadFault::NoHead)?;
        Ok(Self { seq, at, entry, sha256, jws: jws.trim().to_owned() })
    }
}

/// Tells a head from everything else that a ring signs.
const TYPE: &str = "weir-head+jwt";
