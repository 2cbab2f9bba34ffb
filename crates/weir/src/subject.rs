//! `weir subject`: what is kept about one person, for them to have, and to have erased.
//!
//! A person is named by a tenant and one or more identifiers, each with its kind: whoever has several names is only found whole by
//! all of them. Somebody of whom nothing is kept gets the same answer in the same shape, with zeros in it. What the verbs do
//! is in [`weir_daemon::rights`], which the API asks too; here is who is meant, and what is printed.

mod access;
mod bar;
mod erase;
mod named;
mod restrict;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::Context as _;
use clap::Subcommand;
use weir_daemon::Config;
use weir_daemon::config::ConsentSource;
use weir_daemon::rights::Receipts;
use weir_keys::KeySet;
use weir_policy::Policy;

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::setup;

/// What to do about a person.
#[derive(Debug, Subcommand)]
pub(crate) enum SubjectVerb {
    /// Writes everything that is kept about a person into a folder: Parquet, JSON and a page to read.
    Access(access::AccessArgs),
    /// Removes everything that is kept about a person, for good, and gives a signed receipt.
    Erase(erase::EraseArgs),
    /// Stops what is collected about a person and hides what is there, until that is lifted.
    Restrict(Box<restrict::RestrictArgs>),
}

/// Runs one of the verbs below `weir subject`.
///
/// # Errors
/// When the configuration has faults, a name cannot be one, or lake, ledger or consent cannot be read or written.
pub(crate) fn subject(global: &Global, verb: &SubjectVerb) -> Result<Exit, Failure> {
    match verb {
        SubjectVerb::Access(args) => access::access(global, args),
        SubjectVerb::Erase(args) => erase::erase(global, args),
        SubjectVerb::Restrict(args) => restrict::restrict(global, args),
    }
}

/// What every verb about people needs to know before it may hear who is meant.
struct Ground {
    config: Config,
    policy: Policy,
    keys: Arc<KeySet>,
}

impl Ground {
    fn of(global: &Global) -> Result<Self, Failure> {
        let config = setup::config(global)?;
        let (policy, _) = setup::policy(global, &config)?;
        let keys = setup::key_ring(&config)?.snapshot();
        Ok(Self { config, policy, keys })
    }
}

/// Waits until no daemon can judge by anything older than what counts now.
fn until_all_know(config: &Config) {
    if let ConsentSource::Topic(_) = config.consent {
        thread::sleep(config.max_staleness);
    }
}

/// Reads the key ring once nothing of the people is let in any more: a tenant that agreed meanwhile has its secret from then on.
fn keys_now(config: &Config) -> Result<Arc<KeySet>, Failure> {
    setup::key_ring(config).map(|ring| ring.snapshot())
}

/// Writes receipts to the file that was asked for, if one was.
fn save(receipts: &Receipts, file: Option<&Path>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let mut options = OpenOptions::new();
    let written = write(options.create(true).truncate(true), file, receipts.text().as_bytes());
    written.with_context(|| format!("cannot write {}", file.display())).or_exit(Exit::CannotCreate)
}

/// Writes a file about people, which nobody else can read if it is made here.
fn write(options: &mut OpenOptions, path: &Path, bytes: &[u8]) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.write(true).open(path)?.write_all(bytes)
}
