//! The bytes of one key file.
//!
//! ```text
//! offset  bytes  what
//!      0      8  magic, the ASCII text "weirkey" and the format's version: the byte 0x01, or 0x02 when the secrets are wrapped
//!      8      1  what it holds: 1 ring, 2 epoch, 3 tenant, 4 store, 5 sealing
//!      9      1  1 live, 2 destroyed, 3 live and wrapped by a vault
//!     10      2  n, length of the name, little-endian
//!     12      n  name, UTF-8: empty · "<purpose>/<epoch>/<days of the epoch>" · the tenant's name · the version or number
//!   12+n      m  secrets: ring 112 (id 16, consent 32, lake 32, file names 32) · epoch 32 · tenant 32 · store 32 · sealing 32 ·
//!                destroyed 0 · wrapped: the vault's text for the same secrets, such as "vault:v1:…"
//! 12+n+m     16  first 16 bytes of the BLAKE3 hash of everything before
//! ```
//! The hash finds damage, not attackers: who can write here owns the ring. A destroyed secret leaves its file behind, live flag off and
//! secret gone, in the same place, so that putting a new secret there fails as long as the ring exists.

use std::path::Path;

use zeroize::Zeroizing;

use crate::error::KeyError;

const MAGIC: &[u8; 7] = b"weirkey";
/// The format of a file whose secrets are in clear or destroyed.
const CLEAR: u8 = 1;
/// The format of a file whose secrets are wrapped; a weir that knows no vaults refuses it as newer.
const WRAPPED: u8 = 2;
const HEAD: usize = 12;
const CHECK: usize = 16;
/// What a vault makes of 112 bytes has 190; more than this is something else.
const WRAPPED_MAX: usize = 4096;

/// Length of the ring's id.
pub(crate) const RING_ID: usize = 16;
/// Length of the ring file's id and three secrets.
pub(crate) const RING_SECRETS: usize = RING_ID + 3 * 32;

/// What a key file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Epoch,
    Ring,
    Sealing,
    Store,
    Tenant,
}

/// Why bytes are not a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Damaged,
    NewerFormat,
}

impl Unreadable {
    /// Returns the error for the file at a path.
    pub(crate) fn at(self, path: &Path) -> KeyError {
        match self {
            Self::Damaged => KeyError::Damaged { path: path.to_owned() },
            Self::NewerFormat => KeyError::NewerFormat { path: path.to_owned() },
        }
    }
}

/// One key file, read or about to be written.
pub(crate) struct KeyFile {
    pub(crate) holds: Holds,
    pub(crate) name: String,
    pub(crate) content: Content,
}

/// What is left of a file's secrets.
pub(crate) enum Content {
    /// The secrets.
    Clear(Zeroizing<Vec<u8>>),
    /// Nothing, for good.
    Destroyed,
    /// The secrets as a vault wrapped them.
    Wrapped(String),
}

impl Content {
    const fn state(&self) -> u8 {
        match self {
            Self::Clear(_) => 1,
            Self::Destroyed => 2,
            Self::Wrapped(_) => 3,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Clear(secrets) => secrets,
            Self::Destroyed => &[],
            Self::Wrapped(text) => text.as_bytes(),
        }
    }
}

impl KeyFile {
    /// Returns the file's bytes; none when the name is too long for the format.
    pub(crate) fn encode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let length = u16::try_from(self.name.len()).ok()?;
        let content = self.content.bytes();
        // Sized once: a vector that grows leaves copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + self.name.len() + content.len() + CHECK));
        bytes.extend_from_slice(MAGIC);
        bytes.push(match self.content {
            Content::Clear(_) | Content::Destroyed => CLEAR,
            Content::Wrapped(_) => WRAPPED,
        });
        bytes.push(self.holds.byte());
        bytes.push(self.content.state());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(content);
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        Some(bytes)
    }

    /// Reads a file's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.strip_prefix(MAGIC).and_then(<[u8]>::first) {
            Some(&(CLEAR | WRAPPED)) => Self::decode_body(bytes).ok_or(Unreadable::Damaged),
            Some(version) if *version > WRAPPED => Err(Unreadable::NewerFormat),
            Some(_) | None => Err(Unreadable::Damaged),
        }
    }

    fn decode_body(bytes: &[u8]) -> Option<Self> {
        let (body, found) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
        if found != check(body) {
            return None;
        }
        let holds = Holds::parse(*body.get(8)?)?;
        let length = u16::from_le_bytes([*body.get(10)?, *body.get(11)?]);
        let (name, content) = body.get(HEAD..)?.split_at_checked(length.into())?;
        let content = match (*body.get(MAGIC.len())?, *body.get(9)?, content.len()) {
            (CLEAR, 1, length) if length == holds.secrets() => Content::Clear(Zeroizing::new(content.to_vec())),
            (CLEAR, 2, 0) => Content::Destroyed,
            (WRAPPED, 3, 1..=WRAPPED_MAX) if content.iter().all(u8::is_ascii_graphic) => {
                Content::Wrapped(std::str::from_utf8(content).ok()?.to_owned())
            }
            _ => return None,
        };
        Some(Self { holds, name: std::str::from_utf8(name).ok()?.to_owned(), content })
    }
}

impl Holds {
    const fn byte(self) -> u8 {
        match self {
            Self::Ring => 1,
            Self::Epoch => 2,
            Self::Tenant => 3,
            Self::Store => 4,
            Self::Sealing => 5,
        }
    }

    fn parse(byte: u8) -> Option<Self> {
        let all = [Self::Ring, Self::Epoch, Self::Tenant, Self::Store, Self::Sealing];
        all.into_iter().find(|holds| holds.byte() == byte)
    }

    /// Returns the section of the configuration that names its vault, and the verb that moves it there.
    pub(crate) const fn vault(self) -> (&'static str, &'static str) {
        match self {
            Self::Epoch | Self::Ring | Self::Sealing | Self::Tenant => ("keys.vault", "wrap"),
            Self::Store => ("lake.store_vault", "wrap-store"),
        }
    }

    /// Returns the length of its secrets.
    pub(crate) const fn secrets(self) -> usize {
        match self {
            Self::Ring => RING_SECRETS,
            Self::Epoch | Self::Sealing | Self::Store | Self::Tenant => 32,
        }
    }
}

fn check(body: &[u8]) -> [u8; CHECK] {
    crate::keys::first_half(&blake3::hash(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(content: Content) -> KeyFile {
        KeyFile { holds: Holds::Tenant, name: "acme".into(), content }
    }

    fn each() -> [KeyFile; 3] {
        let clear = Content::Clear(Zeroizing::new(vec![7; 32]));
        [clear, Content::Destroyed, Content::Wrapped("vault:v1:AAAA".into())].map(tenant)
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        for file in each() {
            let bytes = file.encode().expect("short name");
            for at in 0..bytes.len() {
                assert!(KeyFile::decode(&bytes[..at]).is_err());
                for bit in 0..8 {
                    let mut other = bytes.clone();
                    other[at] ^= 1 << bit;
                    assert!(KeyFile::decode(&other).is_err());
                }
            }
            let read = KeyFile::decode(&bytes).ok().unwrap();
            assert!(read.holds == Holds::Tenant && read.name == "acme");
            assert!(read.content.state() == file.content.state() && read.content.bytes() == file.content.bytes());
        }
    }

    #[test]
    fn newer_format_is_told_apart_from_damage() {
        let bytes = each().map(|file| file.encode().expect("short name"));
        // A weir that knew no vaults read version 1 and refused every higher one as newer.
        assert_eq!(bytes.each_ref().map(|bytes| bytes[7]), [1, 1, 2]);
        for mut bytes in bytes {
            bytes[7] = 3;
            assert_eq!(KeyFile::decode(&bytes).err(), Some(Unreadable::NewerFormat));
        }
    }
}
