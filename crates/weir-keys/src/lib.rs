//! The key ring: secrets, canonical identifiers, pseudonyms.
//!
//! An identifier enters as text, is brought to its [`canonical()`] form, and leaves as a number that means nothing without
//! the ring: a [`PersonKey`] inside the consent domain, or a pseudonym that differs per purpose, epoch, tenant and kind.
//! Secrets are random, live in files that only their owner can read, in clear or wrapped by a vault, and can be destroyed one by
//! one: past that moment the pseudonyms made with them belong to nobody.
//!
//! Nothing that holds a secret or names a person can be printed:
//!
//! ```compile_fail,E0277
//! fn print(keys: &weir_keys::KeySet) -> String {
//!     format!("{keys:?}")
//! }
//! ```
//! ```compile_fail,E0277
//! fn print(person: weir_keys::PersonKey) -> String {
//!     format!("{person:?}")
//! }
//! ```
//!
//! Reading order: `canonical` → `key_set` (every derivation) → `ring` (the files and their life) → `custody` (in clear or in a vault).

mod backup;
mod canonical;
mod care;
mod custody;
mod error;
mod files;
mod heads;
mod jwe;
mod key_file;
mod key_set;
mod keys;
mod lanes;
mod object;
mod ring;
mod sealed;
mod secret;
mod signing;
mod storage;
mod store_keys;
mod wrap;

pub use canonical::{canonical, is_canonical_at_sight};
pub use care::{Moved, Rewrapped, Standing, StoreStanding};
pub use error::KeyError;
pub use files::{FileKey, ReaderKey, RowsOf};
pub use heads::HeadFile;
pub use jwe::{Attributes, JweFault, JwePublic};
pub use key_set::{KeySet, PersonDomain};
pub use keys::{EVENT_ID_KIND, LakeKey, PersonKey, PseudonymKey, RingId};
pub use lanes::{PersonQueue, PseudonymQueue};
pub use object::{Chunks, SealedObject};
pub use ring::{KeyRing, LiveKeys, Tended, tenant_name_is_sound};
pub use sealed::{Opening, Sealed, Sealing};
pub use signing::{PublicKey, SignatureFault, SigningKey};
pub use storage::{NotPrivate, open_private};
pub use store_keys::StoreKeys;
pub use wrap::{Versions, Wrap, WrapError, version_of};
