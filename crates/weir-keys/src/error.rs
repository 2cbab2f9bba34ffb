//! Everything that a key ring can refuse, in words that name the remedy.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::wrap::WrapError;

/// Longest name of a tenant in bytes; what a person would type, with room.
pub(crate) const TENANT_BYTES_MAX: usize = 128;

/// Why the ring could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The client of the vault cannot be started.
    #[error("cannot start the client of the vault")]
    Client(#[source] io::Error),
    /// A file is not what the ring wrote.
    #[error("{} is not a key file that weir wrote, or is damaged: restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The epochs of a purpose have another length in the policy than in the ring.
    #[error(
        "epochs of {purpose} are {ring_days} days long in the key ring, {policy_days} in the policy: their numbers would mean other times"
    )]
    EpochLength {
        /// The purpose.
        purpose: &'static str,
        /// Days in the ring.
        ring_days: u32,
        /// Days in the policy.
        policy_days: u32,
    },
    /// A file is not overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Keys that are wrapped have a file that is not.
    #[error(
        "{} holds its secret in clear, and the configuration has `[{section}]`: `weir keys {verb}` moves such keys into the vault",
        path.display()
    )]
    InClear {
        /// The file.
        path: PathBuf,
        /// The section of the configuration.
        section: &'static str,
        /// The verb that moves them.
        verb: &'static str,
    },
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The store's keys were forgotten.
    #[error("the store's keys are not confirmed by their vault any more, or the version was destroyed there")]
    Lapsed,
    /// There is no ring.
    #[error("no key ring in {}: make one with `weir keys init`", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Others may read a secret.
    #[error("{} has mode {mode:04o}, so that others may use the keys: run `chmod {widest:o} {}`", path.display(), path.display())]
    ModeTooWide {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The widest mode that is accepted.
        widest: u32,
    },
    /// The file is of a later weir.
    #[error("{} was written by a newer weir", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
    },
    /// The path of a ring is something else.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// There are no store keys.
    #[error("no store keys in {}: make them with `weir keys init-store`, or restore the backup", path.display())]
    NoStoreKeys {
        /// The folder.
        path: PathBuf,
    },
    /// A ring is made in a folder of its own.
    #[error("{} is not empty: new keys need an empty folder", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The newest version of the store's keys is not destroyed.
    #[error(
        "version {version} is the newest, which new objects are sealed with: `weir keys rotate-store` makes another"
    )]
    NewestVersion {
        /// The version.
        version: u32,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system")]
    Random(#[source] getrandom::Error),
    /// The vault has such a key under this prefix.
    #[error(
        "the vault at {place} has the key {key} there already: each ring and each store needs a prefix of its own, and a folder that \
         is an old copy lacks what the vault has a key for; if the same verb was cut short before, delete that key in the vault"
    )]
    Taken {
        /// Where the key is.
        place: String,
        /// The key, without its prefix.
        key: String,
    },
    /// The name cannot be a tenant's.
    #[error(
        "a tenant's name has 1 to {TENANT_BYTES_MAX} bytes, no `/`, no control character and no white space at its ends"
    )]
    TenantName,
    /// The vault did not do what it was asked.
    #[error(transparent)]
    Vault(#[from] WrapError),
    /// There is no vault to unwrap with.
    #[error("{} is wrapped by a vault: the configuration needs the `[{section}]` that it was made with", path.display())]
    Wrapped {
        /// The file.
        path: PathBuf,
        /// The section of the configuration.
        section: &'static str,
    },
}

impl KeyError {
    /// Tells whether waiting may mend it.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Vault(error) if error.may_pass())
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}
