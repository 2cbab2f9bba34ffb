//! The ledger: what was in force, what was committed, what was decided, chained and signed.
//!
//! The coverage says what became of every record; the ledger says that nobody changed that afterwards. Each entry names
//! the digest of the one before and carries a signed [`Head`], so nothing can be cut out, swapped or changed. The newest
//! head is kept in the key ring too, so the lake cannot be set back to an older state of itself either. An entry is put
//! where nothing is yet: two writers on one lake make one chain.
//!
//! ```text
//! <root>/<region>/_ledger/
//!   00000000000000000000.json             opened: the format, and the key that signs
//!   2026-11-28/
//!     00000000000000000001.json           line 1: the entry
//!     00000000000000000002.json           line 2: its head, {"head":"<JWS over seq, at, entry, sha256 of line 1>"}
//! ```
//! An entry lies in the folder of the day on which the entry *before it* was made. So where the next one goes follows from
//! what is there and not from a clock: two writers at midnight contend for one name instead of making two chains.
//!
//! Nothing of a person, no tenant's name, no topic and no offset stands here. Reading order: [`Entry`] → `link` (one file)
//! → [`Ledger::append`] → [`Ledger::verify`].

mod digest;
mod entry;
mod exposures;
mod folder;
mod head;
mod ledger;
mod link;
mod verify;

pub use digest::{Sha256, sha256_hex};
pub use entry::{
    Collector, Commit, CoverageVersion, DataFile, Decision, Entry, Epochs, Keys, Opened, PolicyInForce, Session,
};
pub use exposures::Exposures;
pub use head::{Head, HeadFault};
pub use ledger::{Ledger, LedgerError, Past};
pub use verify::{Fault, Found, Verified};
