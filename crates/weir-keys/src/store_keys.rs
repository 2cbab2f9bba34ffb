//! The store's own keys: a hierarchy apart from the ring, which seals the lake's objects once more.
//!
//! ```text
//! <store keys>/     0700
//!   1, 2, …         0600  one secret a version, see `key_file`; new objects are sealed with the newest
//! ```
//! A version that no object is sealed with any more may be removed, but the newest.
//! Whoever has the ring reads no object without these keys, and whoever has these keys reads nothing that the ring
//! protects. So they belong to another operator, on another disk or in another vault.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::RwLock;
use zeroize::Zeroizing;

use crate::{
    error::KeyError,
    key_file::{Content, Holds, KeyFile},
    secret::{SECRET_BYTES, Secret},
    storage,
};

/// The keys that seal the objects of a lake, all versions of them.
pub struct StoreKeys {
    folder: PathBuf,
    versions: RwLock<BTreeMap<u32, Arc<Secret>>>,
}

impl StoreKeys {
    /// Makes the first version in a folder that is empty or absent.
    ///
    /// # Errors
    ///
    /// The folder is not empty, can be entered by others, or cannot be written.
    pub fn init(folder: &Path) -> Result<Self, KeyError> {
        storage::make_folder(folder)?;
        storage::check_folder(folder)?;
        if !storage::is_empty(folder)? {
            return Err(KeyError::NotEmpty { path: folder.to_owned() });
        }
        put(folder, FIRST)?;
        Self::open(folder)
    }

    /// Opens the keys in a folder.
    ///
    /// # Errors
    ///
    /// There are none; or a file is damaged, readable by others, or of a newer format.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let keys = Self { folder: folder.to_owned(), versions: RwLock::default() };
        if !folder.exists() {
            return Err(KeyError::NoStoreKeys { path: folder.to_owned() });
        }
        storage::check_folder(folder)?;
        for path in storage::list(folder)? {
            let version = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            keys.load(version.ok_or(KeyError::Damaged { path })?)?;
        }
        if keys.versions.read().is_empty() {
            return Err(KeyError::NoStoreKeys { path: folder.to_owned() });
        }
        Ok(keys)
    }

    /// Makes a version that new objects are sealed with; what is sealed already stays readable. Returns its number.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn rotate(&self) -> Result<u32, KeyError> {
        let next = self.newest()?.0.saturating_add(1);
        put(&self.folder, next)?;
        self.newest().map(|(version, _)| version)
    }

    /// Returns the version that new objects are sealed with, also when another process has just made it.
    pub(crate) fn newest(&self) -> Result<(u32, Arc<Secret>), KeyError> {
        // Mostly there is no other, which is one look at the folder.
        let mut next = self.versions.read().last_key_value().map_or(FIRST, |(version, _)| version.saturating_add(1));
        while self.load(next)? {
            next = next.saturating_add(1);
        }
        let versions = self.versions.read();
        let newest = versions.last_key_value().map(|(version, secret)| (*version, secret.clone()));
        newest.ok_or_else(|| KeyError::NoStoreKeys { path: self.folder.clone() })
    }

    /// Returns a version's secret; none if there is no such version.
    pub(crate) fn version(&self, version: u32) -> Result<Option<Arc<Secret>>, KeyError> {
        if let Some(secret) = self.versions.read().get(&version) {
            return Ok(Some(secret.clone()));
        }
        self.newest()?;
        Ok(self.versions.read().get(&version).cloned())
    }

    /// Reads a version; tells whether it is there.
    fn load(&self, version: u32) -> Result<bool, KeyError> {
        let path = self.folder.join(version.to_string());
        let Some(bytes) = storage::read(&path)? else { return Ok(false) };
        let file = KeyFile::decode(&bytes).map_err(|unreadable| unreadable.at(&path))?;
        let is_sound = file.holds == Holds::Store && file.name == version.to_string();
        let secret = match file.content {
            Content::Clear(bytes) if is_sound => array(&bytes).map(Zeroizing::new),
            Content::Wrapped(_) => return Err(KeyError::Wrapped { path }),
            Content::Clear(_) | Content::Destroyed => None,
        };
        let secret = secret.ok_or(KeyError::Damaged { path })?;
        self.versions.write().insert(version, Arc::new(Secret::from_bytes(&secret)));
        Ok(true)
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKeys").field("versions", &self.versions.read().len()).finish_non_exhaustive()
    }
}

fn array(bytes: &[u8]) -> Option<[u8; SECRET_BYTES]> {
    bytes.try_into().ok()
}

/// Puts a new secret where none is: of two processes one makes the version, and both use it.
fn put(folder: &Path, version: u32) -> Result<(), KeyError> {
    let content = Content::Clear(Zeroizing::new(Secret::random()?.expose().to_vec()));
    let file = KeyFile { holds: Holds::Store, name: version.to_string(), content };
    let bytes = file.encode().expect("a number is short");
    storage::put_if_absent(&folder.join(version.to_string()), &bytes).map(drop)
}

const FIRST: u32 = 1;
