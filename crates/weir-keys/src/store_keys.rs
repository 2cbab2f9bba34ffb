//! The store's own keys: a hierarchy apart from the ring, which seals the lake's objects once more.
//!
//! ```text
//! <store keys>/     0700
//!   1, 2, …         0600  one secret a version, see `key_file`; new objects are sealed with the newest
//! ```
//! A version that no object is sealed with any more may be destroyed, but the newest. Secrets are in clear or wrapped by a vault, as
//! in a ring: see `custody`; there each version has a key of its own, `store-<version>`.
//! Whoever has the ring reads no object without these keys, and whoever has these keys reads nothing that the ring
//! protects. So they belong to another operator, on another disk and in another vault or mount.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use parking_lot::RwLock;
use zeroize::Zeroizing;

use crate::{
    custody::{Custody, Opened, key_of},
    error::KeyError,
    key_file::{Holds, KeyFile},
    ring::{encode, read, secret},
    secret::Secret,
    storage,
    wrap::Wrap,
};

/// The keys that seal the objects of a lake, all versions of them.
pub struct StoreKeys {
    pub(crate) folder: PathBuf,
    pub(crate) custody: Custody,
    held: RwLock<Held>,
}

/// What was opened, as long as it may be used.
#[derive(Default)]
struct Held {
    /// Each version that has a file; those that are destroyed have no secret.
    versions: BTreeMap<u32, Option<Arc<Secret>>>,
    has_lapsed: bool,
}

impl StoreKeys {
    /// Makes the first version in a folder that is empty or absent, in clear.
    ///
    /// # Errors
    ///
    /// The folder is not empty, can be entered by others, or cannot be written.
    pub fn init(folder: &Path) -> Result<Self, KeyError> {
        Self::init_with(folder, None)
    }

    /// The same, with a secret that the vault wraps, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::init`]; or the vault has store keys already, or does not do what it is asked.
    pub fn init_with(folder: &Path, vault: Option<Arc<dyn Wrap>>) -> Result<Self, KeyError> {
        storage::make_folder(folder)?;
        storage::check_folder(folder)?;
        if !storage::is_empty(folder)? {
            return Err(KeyError::NotEmpty { path: folder.to_owned() });
        }
        let keys = Self::enter(folder, vault);
        keys.put(FIRST)?;
        keys.reload()?;
        Ok(keys)
    }

    /// Opens keys that lie in clear.
    ///
    /// # Errors
    ///
    /// There are none; or a file is damaged, readable by others, of a newer format, or wrapped.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        Self::open_with(folder, None)
    }

    /// Opens keys that the vault wrapped, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; or a file is in clear, or the vault does not do what it is asked.
    pub fn open_with(folder: &Path, vault: Option<Arc<dyn Wrap>>) -> Result<Self, KeyError> {
        let keys = Self::enter(folder, vault);
        keys.reload()?;
        Ok(keys)
    }

    /// Names the keys in a folder; nothing is read yet.
    pub(crate) fn enter(folder: &Path, vault: Option<Arc<dyn Wrap>>) -> Self {
        Self { folder: folder.to_owned(), custody: Custody::of(vault), held: RwLock::default() }
    }

    /// Reads the folder anew, and has the vault open every version again: what was made elsewhere appears, what was destroyed is gone.
    ///
    /// A version whose key the vault no longer has is destroyed, as long as the newest opens: a vault or mount that is the wrong one
    /// ends nothing.
    ///
    /// # Errors
    ///
    /// As [`Self::open_with`]. The keys stay as they were.
    pub fn reload(&self) -> Result<(), KeyError> {
        let opened = self.custody.open(self.read_all()?)?;
        if let Some(Opened { path, .. }) = opened.last().filter(|newest| newest.secrets.live().is_none()) {
            return Err(KeyError::Damaged { path: path.clone() });
        }
        let mut held = self.held.write();
        let mut versions = BTreeMap::new();
        for Opened { path, secrets, .. } in opened {
            let Some(version) = number_of(&path) else { continue };
            let fresh = secrets.live().map(|bytes| Arc::new(secret(bytes)));
            // Objects that are being read go on as long as nothing differs.
            let before = held.versions.remove(&version).filter(|before| *before == fresh);
            versions.insert(version, before.unwrap_or(fresh));
        }
        *held = Held { versions, has_lapsed: false };
        Ok(())
    }

    /// Forgets all versions until they are [read anew](Self::reload): their vault did not confirm them for too long.
    ///
    /// Objects can then neither be sealed nor opened, and those that are being read end.
    pub fn lapse(&self) {
        *self.held.write() = Held { versions: BTreeMap::new(), has_lapsed: true };
    }

    /// Tells whether they were [forgotten](Self::lapse).
    pub fn has_lapsed(&self) -> bool {
        self.held.read().has_lapsed
    }

    /// Makes a version that new objects are sealed with; what is sealed already stays readable. Returns its number.
    ///
    /// In a vault the keys of the older versions get a new version each, which wraps from then on.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or the vault does not do what it is asked.
    pub fn rotate(&self) -> Result<u32, KeyError> {
        let (newest, _) = self.newest()?;
        self.custody.rotate(self.read_all()?)?;
        self.put(newest.saturating_add(1))?;
        self.newest().map(|(version, _)| version)
    }

    /// Destroys a version for good: no object that is sealed with it opens any more; tells whether there was one.
    ///
    /// # Errors
    ///
    /// It is the newest; or the folder cannot be written, or the vault does not do what it is asked.
    pub fn destroy(&self, version: u32) -> Result<bool, KeyError> {
        if version == self.newest()?.0 {
            return Err(KeyError::NewestVersion { version });
        }
        let path = self.path(version);
        let Some(file) = read(&path, Holds::Store)? else { return Ok(false) };
        let was_live = self.custody.destroy(&self.folder, &path, file)?;
        self.held.write().versions.insert(version, None);
        Ok(was_live)
    }

    /// Returns when the newest version was written, in milliseconds since 1970: an object that was begun before may be sealed with an
    /// older one.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn newest_since_ms(&self) -> Result<i64, KeyError> {
        let path = self.path(self.newest()?.0);
        let modified = fs::metadata(&path).and_then(|file| file.modified());
        let modified = modified.map_err(|source| KeyError::io("read", &path, source))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Returns the version that new objects are sealed with, also when another process has just made it.
    pub(crate) fn newest(&self) -> Result<(u32, Arc<Secret>), KeyError> {
        let last = || self.held.read().versions().map(|versions| versions.last_key_value().map(|(last, _)| *last));
        // Mostly there is no other, which is one look at the folder.
        while let Some(next) = last()?.and_then(|last| last.checked_add(1))
            && self.find(next)?
        {}
        let held = self.held.read();
        let newest = held.versions()?.iter().rev().find_map(|(version, secret)| Some((*version, secret.clone()?)));
        newest.ok_or_else(|| self.none())
    }

    /// Returns a version's secret; none if there is no such version.
    pub(crate) fn version(&self, version: u32) -> Result<Option<Arc<Secret>>, KeyError> {
        if let Some(known) = self.held.read().versions()?.get(&version) {
            return Ok(known.clone());
        }
        self.find(version)?;
        Ok(self.held.read().versions()?.get(&version).cloned().flatten())
    }

    /// Opens a version that is not known yet; tells whether it is there.
    fn find(&self, version: u32) -> Result<bool, KeyError> {
        let path = self.path(version);
        let Some(file) = read_version(&path)? else { return Ok(false) };
        let opened = self.custody.open(vec![(path, file)])?;
        let found = opened.first().and_then(|opened| opened.secrets.live()).map(|bytes| Arc::new(secret(bytes)));
        let mut held = self.held.write();
        if !held.has_lapsed {
            held.versions.entry(version).or_insert(found);
        }
        Ok(true)
    }

    /// Reads all files, the newest version's last.
    pub(crate) fn read_all(&self) -> Result<Vec<(PathBuf, KeyFile)>, KeyError> {
        if !self.folder.exists() {
            return Err(self.none());
        }
        storage::check_folder(&self.folder)?;
        let mut files = Vec::new();
        for path in storage::list(&self.folder)? {
            let version = number_of(&path).ok_or_else(|| KeyError::Damaged { path: path.clone() })?;
            // Removed since it was listed.
            let Some(file) = read_version(&path)? else { continue };
            files.push((version, path, file));
        }
        files.sort_by_key(|(version, ..)| *version);
        if files.is_empty() {
            Err(self.none())
        } else {
            Ok(files.into_iter().map(|(_, path, file)| (path, file)).collect())
        }
    }

    /// Puts a new secret where none is: of two processes one makes the version, and both use it.
    fn put(&self, version: u32) -> Result<(), KeyError> {
        let path = self.path(version);
        let key = key_of(Holds::Store, &path);
        // A key without a file: the folder is an old copy, and objects may be sealed with what it lacks.
        self.custody.claim(&key)?;
        let content = self.custody.content(&key, Zeroizing::new(Secret::random()?.expose().to_vec()))?;
        let file = KeyFile { holds: Holds::Store, name: version.to_string(), content };
        storage::put_if_absent(&path, &encode(&file)).map(drop)
    }

    fn path(&self, version: u32) -> PathBuf {
        self.folder.join(version.to_string())
    }

    fn none(&self) -> KeyError {
        KeyError::NoStoreKeys { path: self.folder.clone() }
    }
}

impl Held {
    /// Returns the versions, unless they were forgotten.
    fn versions(&self) -> Result<&BTreeMap<u32, Option<Arc<Secret>>>, KeyError> {
        if self.has_lapsed { Err(KeyError::Lapsed) } else { Ok(&self.versions) }
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKeys").field("versions", &self.held.read().versions.len()).finish_non_exhaustive()
    }
}

/// Reads the file of a version; one under another name would open what it did not seal.
fn read_version(path: &Path) -> Result<Option<KeyFile>, KeyError> {
    let Some(file) = read(path, Holds::Store)? else { return Ok(None) };
    let is_named_so = path.file_name().is_some_and(|name| name == file.name.as_str());
    if is_named_so { Ok(Some(file)) } else { Err(KeyError::Damaged { path: path.to_owned() }) }
}

/// Returns the version that a file's name says.
pub(crate) fn number_of(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

const FIRST: u32 = 1;
