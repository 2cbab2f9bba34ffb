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

use clap::Subcommand;

use crate::cli::Global;
use crate::exit::{Exit, Failure};

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
