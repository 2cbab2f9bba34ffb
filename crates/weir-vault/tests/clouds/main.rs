//! Key services of clouds: the client, the ring and the store's keys on servers that answer as the services' references say.
//!
//! What a key service does for weir is the same everywhere, so most tests are one for all of them; what differs stands in a file
//! for each.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod aws;
mod life;
mod proxy;
#[path = "../common/ring.rs"]
mod ring;
#[path = "../common/secrets.rs"]
mod secrets;

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::io::Write as _;
use tempfile::TempDir;
use weir_keys::{KeyError, Wrap, WrapError};

/// A cloud, with a login of weir's and a folder.
trait Cloud {
    /// Makes a client.
    fn client(&self) -> Arc<dyn Wrap>;

    /// Returns the folder.
    fn folder(&self) -> &TempDir;

    /// Returns the names of the keys that are there, with their prefix.
    fn names(&self) -> Vec<String>;

    /// Destroys a key, as the cloud's administrator may.
    fn delete(&self, name: &str);

    /// Disables a key or enables it, as the cloud's administrator may.
    fn disable(&self, name: &str, is_disabled: bool);

    /// Stops or begins to answer.
    fn set_gone(&self, is_gone: bool);

    /// Has the next few questions answered with "too many".
    fn throttle(&self, times: usize);

    fn path(&self, name: &str) -> PathBuf {
        self.folder().path().join(name)
    }
}

/// Writes a file that only its owner may read.
fn secret(path: &Path, text: &str) {
    let mut open = fs::OpenOptions::new();
    let file = open.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

#[track_caller]
fn refused<T>(result: Result<T, KeyError>) -> WrapError {
    match result {
        Err(KeyError::Vault(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was done"),
    }
}
