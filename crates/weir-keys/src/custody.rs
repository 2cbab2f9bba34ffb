//! How secrets get into key files and out of them: in clear, or wrapped by a vault.
//!
//! A ring is one or the other as a whole, and so are the store's keys. A wrapped file is not read without its vault, and a file in clear is not taken in a
//! ring that has one: somebody put it there, or a move into the vault was cut short. Each file has a key of its own in the vault,
//! named after its place in the folder, so that one can be destroyed alone and a ciphertext under another name opens nothing.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use crate::{
    error::KeyError,
    key_file::{Content, Holds, KeyFile},
    storage,
    wrap::{Wrap, WrapError},
};

/// Who keeps secrets.
#[derive(Clone)]
pub(crate) enum Custody {
    /// The folder itself, in clear.
    Clear,
    /// A vault.
    Vault(Arc<dyn Wrap>),
}

/// A key file and what it gives.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) secrets: Secrets,
}

/// What a key file gives.
pub(crate) enum Secrets {
    /// Nothing: it was destroyed.
    Destroyed,
    /// Nothing: the vault has destroyed its key, and the file does not say so yet.
    Gone,
    /// The secrets.
    Live(Zeroizing<Vec<u8>>),
}

impl Secrets {
    pub(crate) fn live(&self) -> Option<&Zeroizing<Vec<u8>>> {
        match self {
            Self::Destroyed | Self::Gone => None,
            Self::Live(secrets) => Some(secrets),
        }
    }
}

impl Custody {
    pub(crate) fn of(vault: Option<Arc<dyn Wrap>>) -> Self {
        vault.map_or(Self::Clear, Self::Vault)
    }

    pub(crate) fn vault(&self) -> Option<&Arc<dyn Wrap>> {
        match self {
            Self::Clear => None,
            Self::Vault(vault) => Some(vault),
        }
    }

    /// Sees that the vault does not have a key yet that is to be made for this ring, or for these store keys.
    pub(crate) fn claim(&self, key: &str) -> Result<(), KeyError> {
        match self.vault() {
            Some(vault) if vault.versions(key)?.is_some() => {
                Err(KeyError::Taken { place: vault.place(), key: key.to_owned() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Makes what a file of this ring holds of secrets that are new; in a vault, with a key of its own.
    pub(crate) fn content(&self, key: &str, secrets: Zeroizing<Vec<u8>>) -> Result<Content, KeyError> {
        match self {
            Self::Clear => Ok(Content::Clear(secrets)),
            Self::Vault(vault) => {
                vault.make(key)?;
                Ok(Content::Wrapped(vault.wrap(key, &secrets)?))
            }
        }
    }

    /// Opens many files at once, in their order; of the store's keys the newest is the last.
    ///
    /// # Errors
    /// When one of them is not of this custody, or the vault does not open it for another reason than that its key is gone; that, too,
    /// when it is the ring's own file or the store's newest.
    pub(crate) fn open(&self, files: Vec<(PathBuf, KeyFile)>) -> Result<Vec<Opened>, KeyError> {
        let mut asked = Vec::new();
        for (path, file) in &files {
            match (&file.content, self) {
                (Content::Destroyed, _) | (Content::Clear(_), Self::Clear) => {}
                (Content::Clear(_), Self::Vault(_)) => {
                    let (section, verb) = file.holds.vault();
                    return Err(KeyError::InClear { path: path.clone(), section, verb });
                }
                (Content::Wrapped(_), Self::Clear) => {
                    return Err(KeyError::Wrapped { path: path.clone(), section: file.holds.vault().0 });
                }
                (Content::Wrapped(text), Self::Vault(_)) => asked.push((key_of(file.holds, path), text.clone())),
            }
        }
        let answers = self.vault().map_or_else(Vec::new, |vault| vault.unwrap(&asked));
        let mut answers = answers.into_iter();
        let mut opened = Vec::with_capacity(files.len());
        let count = files.len();
        for (at, (path, file)) in files.into_iter().enumerate() {
            // What must open before anything else is taken for destroyed: the vault may be the wrong one.
            let is_anchor = file.holds == Holds::Ring || file.holds == Holds::Store && at + 1 == count;
            let secrets = match file.content {
                Content::Clear(secrets) => Secrets::Live(secrets),
                Content::Destroyed => Secrets::Destroyed,
                Content::Wrapped(_) => match answers.next().expect("each question has an answer") {
                    Ok(secrets) if secrets.len() == file.holds.secrets() => Secrets::Live(secrets),
                    Ok(_) => return Err(KeyError::Damaged { path }),
                    Err(WrapError::Gone { .. }) if !is_anchor => Secrets::Gone,
                    Err(error) => return Err(error.into()),
                },
            };
            opened.push(Opened { path, name: file.name, secrets });
        }
        Ok(opened)
    }

    /// Destroys a file's key in the vault, if there is one, and then what the file holds: in this order, so that whatever ends
    /// in between, no copy of the file opens again. Tells whether it held something.
    pub(crate) fn destroy(&self, folder: &Path, path: &Path, file: KeyFile) -> Result<bool, KeyError> {
        let was_live = !matches!(file.content, Content::Destroyed);
        if let Self::Vault(vault) = self {
            vault.destroy(&key_of(file.holds, path))?;
        }
        let mark = KeyFile { content: Content::Destroyed, ..file };
        let _alone = storage::alone(folder)?;
        storage::replace(path, &mark.encode().expect("names are checked to be short"))?;
        Ok(was_live)
    }
}

/// Returns the name of a file's key in the vault: a tenant's is a keyed hash, as its file's.
pub(crate) fn key_of(holds: Holds, path: &Path) -> String {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    match holds {
        Holds::Epoch => name.into_owned(),
        Holds::Ring => RING_KEY.to_owned(),
        Holds::Sealing => format!("sealing-{name}"),
        Holds::Store => format!("store-{name}"),
        Holds::Tenant => format!("tenant-{name}"),
    }
}

/// The key of the ring's own file.
pub(crate) const RING_KEY: &str = "ring";
