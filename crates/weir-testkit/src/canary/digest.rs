//! Digests that anybody can compute: what an identifier must never leave as.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// Returns the digests of `bytes`, each with its name.
pub fn all(bytes: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    [
        ("md5", Md5::digest(bytes).to_vec()),
        ("sha1", Sha1::digest(bytes).to_vec()),
        ("sha256", Sha256::digest(bytes).to_vec()),
        ("sha512", Sha512::digest(bytes).to_vec()),
        ("blake3", blake3::hash(bytes).as_bytes().to_vec()),
    ]
}
