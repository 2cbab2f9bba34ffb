//! Who wraps secrets, so that what lies on a disk opens nothing: the interface to a vault.
//!
//! A vault has keys with names, uses them for whom it knows, and never gives one away: HashiCorp Vault, OpenBao, or a cloud's key
//! service. Here is only what weir asks of one; the client is the crate `weir-vault`. Each use takes a client with a mount, a prefix and a login of its own.

use zeroize::Zeroizing;

/// Wraps and unwraps bytes under keys that never leave their keeper.
///
/// Names of keys are words of letters, digits and `-`; the client puts its prefix before them. A call may wait for the network
/// and has an end; none may be made where events are judged.
pub trait Wrap: Send + Sync {
    /// Returns where the keys are, for messages: nothing secret is in it.
    fn place(&self) -> String;

    /// Makes a key unless it is there; tells whether this call made it.
    ///
    /// # Errors
    /// As every call: [`WrapError`].
    fn make(&self, key: &str) -> Result<bool, WrapError>;

    /// Wraps bytes under the newest version of a key.
    ///
    /// # Errors
    /// As every call; the key has to be [made](Self::make) before.
    fn wrap(&self, key: &str, secret: &[u8]) -> Result<String, WrapError>;

    /// Unwraps many texts, each under its key; the answers are in the order of the questions.
    ///
    /// After an answer of [`WrapError::Away`] or [`WrapError::Login`] the rest may have the same without being asked.
    fn unwrap(&self, asked: &[(String, String)]) -> Vec<Result<Zeroizing<Vec<u8>>, WrapError>>;

    /// Wraps anew, under the newest version of the key, what an older one wrapped; the secret does not leave the vault.
    ///
    /// # Errors
    /// As [`Self::unwrap`].
    fn rewrap(&self, key: &str, wrapped: &str) -> Result<String, WrapError>;

    /// Adds a version to a key.
    ///
    /// # Errors
    /// As every call.
    fn rotate(&self, key: &str) -> Result<(), WrapError>;

    /// Destroys a key for good, with all its versions; one that is not there is destroyed already.
    ///
    /// # Errors
    /// As every call.
    fn destroy(&self, key: &str) -> Result<(), WrapError>;

    /// Returns which versions a key has; none when there is no such key.
    ///
    /// # Errors
    /// As every call.
    fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError>;
}

/// Which versions a key has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The one that wraps.
    pub newest: u64,
    /// The oldest that still unwraps.
    pub oldest: u64,
}

/// Returns the version of the key that wrapped a text such as `vault:v3:…` or `aws-kms:v3:…`.
pub fn version_of(wrapped: &str) -> Option<u64> {
    wrapped.split(':').nth(1)?.strip_prefix('v')?.parse().ok()
}

/// Why a vault did not do what it was asked, in words that name the remedy; nothing of a secret or a login is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// It does not answer, is sealed, or has too much to do: that may pass.
    #[error("the vault at {place} {why}")]
    Away {
        /// Where it is.
        place: String,
        /// What it did instead.
        why: String,
    },
    /// The key is there, and nobody may use it until somebody enables it.
    #[error("the vault has the key {key}, but it is disabled: enable it, or destroy it with `weir keys destroy`")]
    Disabled {
        /// The key, with its prefix.
        key: String,
    },
    /// The text is not what the key wrapped.
    #[error("the vault's key {key} did not wrap this: it is damaged, or of another ring or store")]
    Foreign {
        /// The key, with its prefix.
        key: String,
    },
    /// There is no such key.
    #[error(
        "the vault has no key {key}: it was destroyed, or the address, region, mount or prefix that is configured is another"
    )]
    Gone {
        /// The key, with its prefix.
        key: String,
    },
    /// The login is over, or never was one.
    #[error("the vault at {place} does not accept weir's login: {why}")]
    Login {
        /// Where it is.
        place: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The login lacks a right.
    #[error("the vault lets weir not {right} {path}: its policy needs the capability \"{right}\" on that path")]
    Refused {
        /// The capability, as policies call it.
        right: &'static str,
        /// The path, with its mount.
        path: String,
    },
    /// It answered something that makes no sense to weir.
    #[error("the vault at {place} {why}")]
    Unexpected {
        /// Where it is.
        place: String,
        /// What it did instead.
        why: String,
    },
    /// What an old version of the key wrapped is not opened any more.
    #[error(
        "the vault does not open what an old version of {key} wrapped: lower its min_decryption_version, run \
         `weir keys rewrap` (for the store's, `rewrap-store`), and raise it again"
    )]
    Version {
        /// The key, with its prefix.
        key: String,
    },
}

impl WrapError {
    /// Tells whether waiting may mend it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Disabled { .. }
            | Self::Foreign { .. }
            | Self::Gone { .. }
            | Self::Login { .. }
            | Self::Refused { .. }
            | Self::Unexpected { .. }
            | Self::Version { .. } => false,
        }
    }
}
