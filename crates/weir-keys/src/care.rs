//! What an operator does with keys that a vault wraps: move them in, look at them, give the vault's new versions, wrap files anew.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use crate::{
    custody::{Custody, RING_KEY, key_of},
    error::KeyError,
    key_file::{Content, Holds, KeyFile},
    ring::{KeyRing, encode, read},
    storage,
    store_keys::StoreKeys,
    wrap::{Versions, Wrap, WrapError, version_of},
};

/// How a ring stands, by its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Epochs that have a secret.
    pub epochs: u64,
    /// Tenants that have a secret.
    pub tenants: u64,
    /// Keys that producers may seal to.
    pub sealing: u64,
    /// Those whose secret was destroyed, as far as the folder knows.
    pub destroyed: u64,
    /// Those whose key the vault has destroyed, though the folder does not say so.
    pub gone: u64,
    /// The oldest version of a key that wraps a file; none in clear.
    pub oldest_version: Option<u64>,
    /// Which versions the key of the ring's own file has; none in clear.
    pub ring_versions: Option<Versions>,
}

/// How the store's keys stand, by their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStanding {
    /// The version that new objects are sealed with.
    pub newest: u32,
    /// Versions that have a secret.
    pub live: u64,
    /// Versions that were destroyed.
    pub destroyed: u64,
    /// Versions whose key the vault has destroyed, though the folder does not say so.
    pub gone: u64,
    /// Versions that an older version of their key in the vault wraps.
    pub behind: u64,
}

/// What wrapping anew did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Files that are wrapped by the newest version now, and were not.
    pub files: u64,
    /// Files that were so already.
    pub current: u64,
    /// Files whose key the vault has destroyed.
    pub gone: u64,
}

/// What moving into a vault did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Files that are wrapped now, and were in clear.
    pub files: u64,
    /// Files that a former attempt moved.
    pub before: u64,
}

impl KeyRing {
    /// Returns how the ring stands.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or the vault cannot be asked.
    pub fn standing(&self) -> Result<Standing, KeyError> {
        let mut standing = Standing::default();
        let keys = self.snapshot();
        (standing.epochs, standing.tenants) = (count(keys.epochs().count()), count(keys.tenants()));
        standing.sealing = count(keys.sealing.len());
        let mut live = 0;
        for (_, file) in self.read_all()? {
            match &file.content {
                Content::Clear(_) => live += 1,
                Content::Destroyed => standing.destroyed += 1,
                Content::Wrapped(text) => {
                    live += 1;
                    let version = version_of(text);
                    standing.oldest_version =
                        standing.oldest_version.map_or(version, |oldest| version.map(|new| new.min(oldest)));
                }
            }
        }
        standing.gone = live - 1 - (standing.epochs + standing.tenants + standing.sealing).min(live - 1);
        if let Some(vault) = self.custody().vault() {
            standing.ring_versions = vault.versions(RING_KEY)?;
        }
        Ok(standing)
    }

    /// Gives every key in the vault a new version, which wraps from now on; returns how many.
    ///
    /// # Errors
    ///
    /// The vault does not do it; a second run gives those keys that had one another one, which does no harm.
    pub fn rotate(&self) -> Result<u64, KeyError> {
        self.custody().rotate(self.read_all()?)
    }

    /// Has the vault wrap every file anew by the newest version of its key; no secret leaves the vault for it.
    ///
    /// What was done before it was cut short is not done again. A file that somebody else changed meanwhile stays as they made it.
    ///
    /// # Errors
    ///
    /// A file cannot be read or replaced, or the vault does not do it.
    pub fn rewrap(&self) -> Result<Rewrapped, KeyError> {
        self.custody().rewrap(self.folder(), self.read_all()?)
    }

    /// Moves a ring that lies in clear into the vault, file by file; no other process may use it meanwhile.
    ///
    /// Each file is replaced only after the vault gave back what it wrapped. A move that was cut short goes on where it was.
    ///
    /// # Errors
    ///
    /// The vault has another ring there, or does not do what it is asked; or a file cannot be read or replaced.
    pub fn wrap(folder: &Path, vault: &Arc<dyn Wrap>) -> Result<Moved, KeyError> {
        let custody = Custody::Vault(Arc::clone(vault));
        let path = folder.join("ring");
        let file = read(&path, Holds::Ring)?.ok_or_else(|| KeyError::Missing { path: folder.to_owned() })?;
        let mut moved = Moved::default();
        if let Content::Clear(_) = &file.content {
            custody.claim(RING_KEY)?;
            move_in(folder, &path, file, &custody)?;
            moved.files += 1;
        } else {
            moved.before += 1;
        }
        let others = Self::enter(folder, custody.clone())?.read_all()?.into_iter().skip(1);
        move_all(folder, others, &custody, &mut moved)?;
        Ok(moved)
    }
}

impl KeyRing {
    /// Opens the ring's own file alone, for who signs, and finds nobody: no epochs, no tenants.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::open_with`].
    pub fn open_own_with(folder: &Path, vault: Option<Arc<dyn Wrap>>) -> Result<Self, KeyError> {
        Self::enter(folder, Custody::of(vault))
    }

    /// Has the vault open the ring's own file once more.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::open_with`]; or it is another ring's.
    pub fn confirm_own(&self) -> Result<(), KeyError> {
        let again = Self::enter(self.folder(), self.custody().clone())?;
        if again.id() == self.id() { Ok(()) } else { Err(KeyError::Damaged { path: self.folder().join("ring") }) }
    }
}

impl StoreKeys {
    /// Returns how the keys stand.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or the vault cannot be asked.
    pub fn standing(&self) -> Result<StoreStanding, KeyError> {
        let mut standing = StoreStanding { newest: self.newest()?.0, ..StoreStanding::default() };
        for (path, file) in self.read_all()? {
            let (Some(vault), Content::Wrapped(text)) = (self.custody.vault(), &file.content) else {
                let count =
                    if let Content::Destroyed = file.content { &mut standing.destroyed } else { &mut standing.live };
                *count += 1;
                continue;
            };
            match vault.versions(&key_of(file.holds, &path))? {
                Some(versions) => {
                    standing.live += 1;
                    standing.behind += u64::from(version_of(text) != Some(versions.newest));
                }
                None => standing.gone += 1,
            }
        }
        Ok(standing)
    }

    /// Has the vault wrap every version anew by the newest version of its key there.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::rewrap`].
    pub fn rewrap(&self) -> Result<Rewrapped, KeyError> {
        self.custody.rewrap(&self.folder, self.read_all()?)
    }

    /// Moves keys that lie in clear into the vault, file by file; no other process may use them meanwhile.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::wrap`].
    pub fn wrap(folder: &Path, vault: &Arc<dyn Wrap>) -> Result<Moved, KeyError> {
        let keys = Self::enter(folder, Some(Arc::clone(vault)));
        let files = keys.read_all()?;
        let is_clear = |(_, file): &&(PathBuf, KeyFile)| matches!(file.content, Content::Clear(_));
        let has_begun = files.iter().any(|(_, file)| matches!(file.content, Content::Wrapped(_)));
        if let (false, Some((path, file))) = (has_begun, files.iter().find(is_clear)) {
            keys.custody.claim(&key_of(file.holds, path))?;
        }
        let mut moved = Moved::default();
        move_all(folder, files.into_iter(), &keys.custody, &mut moved)?;
        Ok(moved)
    }
}

impl Custody {
    /// Gives the key of every wrapped file a new version; returns how many.
    pub(crate) fn rotate(&self, files: Vec<(PathBuf, KeyFile)>) -> Result<u64, KeyError> {
        let mut rotated = 0;
        for (path, file) in files {
            let (Some(vault), Content::Wrapped(_)) = (self.vault(), &file.content) else { continue };
            match vault.rotate(&key_of(file.holds, &path)) {
                Ok(()) => rotated += 1,
                Err(WrapError::Gone { .. }) if file.holds != Holds::Ring => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rotated)
    }

    /// Has the vault wrap files anew that an older version of their key wrapped.
    fn rewrap(&self, folder: &Path, files: Vec<(PathBuf, KeyFile)>) -> Result<Rewrapped, KeyError> {
        let mut done = Rewrapped::default();
        for (path, file) in files {
            let (Some(vault), Content::Wrapped(text)) = (self.vault(), &file.content) else { continue };
            let key = key_of(file.holds, &path);
            let wrapped = match vault.versions(&key)? {
                Some(versions) if version_of(text) == Some(versions.newest) => {
                    done.current += 1;
                    continue;
                }
                Some(_) => vault.rewrap(&key, text)?,
                None if file.holds == Holds::Ring => return Err(WrapError::Gone { key }.into()),
                None => {
                    done.gone += 1;
                    continue;
                }
            };
            let before = encode(&file);
            let after = encode(&KeyFile { content: Content::Wrapped(wrapped), ..file });
            done.files += u64::from(storage::replace_same(folder, &path, &before, &after)?);
        }
        Ok(done)
    }
}

/// Moves those files into the vault that lie in clear.
fn move_all(
    folder: &Path,
    files: impl Iterator<Item = (PathBuf, KeyFile)>,
    custody: &Custody,
    moved: &mut Moved,
) -> Result<(), KeyError> {
    for (path, file) in files {
        match &file.content {
            Content::Clear(_) => {
                move_in(folder, &path, file, custody)?;
                moved.files += 1;
            }
            Content::Destroyed => {}
            Content::Wrapped(_) => moved.before += 1,
        }
    }
    Ok(())
}

fn move_in(folder: &Path, path: &Path, file: KeyFile, custody: &Custody) -> Result<(), KeyError> {
    let Content::Clear(secrets) = &file.content else { return Ok(()) };
    let before = encode(&file);
    let content = custody.content(&key_of(file.holds, path), Zeroizing::clone(secrets))?;
    let wrapped = KeyFile { holds: file.holds, name: file.name.clone(), content };
    let after = encode(&wrapped);
    let opened = custody.open(vec![(path.to_owned(), wrapped)])?;
    let is_same = opened.first().and_then(|opened| opened.secrets.live()).is_some_and(|live| *live == *secrets);
    let replaced = is_same && storage::replace_same(folder, path, &before, &after)?;
    if replaced { Ok(()) } else { Err(KeyError::Damaged { path: path.to_owned() }) }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
