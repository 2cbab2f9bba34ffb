//! The whole ring as one file, to keep elsewhere and to restore into an empty folder.
//!
//! ```text
//! offset  bytes  what
//!      0      8  magic, the ASCII text "weirback", whose format's version stands in the next byte
//!      8      1  0x01
//!      9      4  number of key files, little-endian
//!     13         per key file: length 4, little-endian; its bytes, see `key_file`; the ring file first
//!      …     16  first 16 bytes of the BLAKE3 hash of everything before
//! ```
//! Marks of destruction are part of it. A backup of a ring in clear from before a destruction brings the secret back: expired epochs
//! are destroyed again as soon as the restored ring is used, a tenant has to be destroyed again. Old backups are to be destroyed with
//! what they hold. What a vault wraps stays wrapped in a backup, and what it has destroyed no backup opens.

use std::{path::Path, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    custody::Custody,
    error::KeyError,
    key_file::{Holds, KeyFile},
    keys::first_half,
    ring::KeyRing,
    storage,
    wrap::Wrap,
};

const MAGIC: &[u8; 9] = b"weirback\x01";
const CHECK: usize = 16;

impl KeyRing {
    /// Writes the whole ring into a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// The file exists, or cannot be written; or the ring cannot be read.
    pub fn backup(&self, to: &Path) -> Result<(), KeyError> {
        let mut files = Vec::new();
        for path in self.key_files()? {
            files.push(storage::read(&path)?.ok_or(KeyError::Damaged { path })?);
        }
        if storage::put_if_absent(to, &join(&files))? { Ok(()) } else { Err(KeyError::Exists { path: to.to_owned() }) }
    }

    /// Makes a ring from a backup, in a folder that is empty or absent.
    ///
    /// # Errors
    ///
    /// The backup is damaged or readable by others; or the folder is as [`KeyRing::init`] refuses it.
    pub fn restore(folder: &Path, from: &Path) -> Result<Self, KeyError> {
        Self::restore_with(folder, from, None)
    }

    /// The same for a ring that the vault wrapped, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::restore`]; or the vault does not open the ring.
    pub fn restore_with(folder: &Path, from: &Path, vault: Option<Arc<dyn Wrap>>) -> Result<Self, KeyError> {
        let damaged = || KeyError::Damaged { path: from.to_owned() };
        let bytes = storage::read(from)?.ok_or_else(|| KeyError::Missing { path: from.to_owned() })?;
        let mut files = Vec::new();
        for bytes in split(&bytes).ok_or_else(damaged)? {
            let file = KeyFile::decode(bytes).map_err(|unreadable| unreadable.at(from))?;
            files.push((file, bytes));
        }
        let mut files = files.into_iter();
        let (ring, ring_bytes) = files.next().ok_or_else(damaged)?;
        if ring.holds != Holds::Ring {
            return Err(damaged());
        }
        Self::prepare(folder)?;
        // The folder becomes a ring only with its last file, so that a restore that was cut short is not taken for one.
        let staged = Self::of_file(folder, Custody::of(vault.clone()), ring)?;
        for (file, bytes) in files {
            let path = staged.path_of(&file).filter(|_| file.holds != Holds::Ring).ok_or_else(damaged)?;
            storage::put_if_absent(&path, bytes)?;
        }
        storage::put_if_absent(&folder.join("ring"), ring_bytes)?;
        Self::open_with(folder, vault)
    }
}

fn join(files: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let length = MAGIC.len() + 4 + files.iter().map(|file| 4 + file.len()).sum::<usize>() + CHECK;
    // Sized once: a vector that grows leaves copies of the secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&length_bytes(files.len()));
    for file in files {
        bytes.extend_from_slice(&length_bytes(file.len()));
        bytes.extend_from_slice(file);
    }
    let check = first_half(&blake3::hash(&bytes));
    bytes.extend_from_slice(&check);
    bytes
}

fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a ring has far less than 4 GiB").to_le_bytes()
}

fn split(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
    if check != first_half(&blake3::hash(body)) {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    let count = take_length(&mut rest)?;
    let mut files = Vec::new();
    for _ in 0..count {
        let length = take_length(&mut rest)?;
        let (file, after) = rest.split_at_checked(length)?;
        files.push(file);
        rest = after;
    }
    rest.is_empty().then_some(files)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    u32::from_le_bytes(*length).try_into().ok()
}
