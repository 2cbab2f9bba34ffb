//! SHA-256, for what others check with their own tools.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

/// A digest that is being made.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "it has seen rows")]
pub struct Sha256(Context);

impl Sha256 {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest in lower-case hex, as `sha256sum` prints it.
    pub fn hex(self) -> String {
        let digest = self.0.finish();
        digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes all");
            text
        })
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the digest of bytes in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(bytes);
    digest.hex()
}
