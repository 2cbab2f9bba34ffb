//! Where a lake lies: a folder of this machine, or a bucket of an object store.
//!
//! A bucket has neither folders nor renames, and needs none of them here: an object appears whole or not at all, and of two who put
//! one where nothing is, exactly one succeeds. Calls are synchronous, as those on a folder are; requests go out on a runtime of
//! this crate's own. What an error says is written here: no address, no header, no answer of the store is quoted.

mod bucket;
mod client;
mod confirm;
mod credentials;
mod failure;
mod guarded;
mod root;
mod runtime;
mod settings;
mod upload;

pub use bucket::{Bucket, Entry, Mark};
pub use credentials::{Credentials, Secret};
pub use root::Root;
pub use settings::{Endpoint, Settings, is_bucket, is_key};
pub use upload::Upload;
