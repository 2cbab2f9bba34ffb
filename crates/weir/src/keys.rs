//! `weir keys`: makes the key ring, and hands out what others check its signatures with.

use clap::Subcommand;
use weir_keys::KeyRing;

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

/// What to do with the key ring.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Makes a new, empty ring in the folder that `keys.provider` names.
    Init,
    /// Prints the public keys that receipts and heads of the ledger are signed with, as a JSON Web Key Set.
    ExportPublic,
}

/// Runs one of the verbs below `weir keys`.
///
/// # Errors
/// When the configuration has faults, or the ring cannot be made or read.
pub(crate) fn keys(global: &Global, keys: &Keys) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    match keys {
        Keys::Init => {
            let folder = &config.keys.provider.0;
            let ring = KeyRing::init(folder).or_exit(Exit::CannotCreate)?;
            output::print(format_args!("made key ring {} in {}\n", ring.id(), folder.display()))?;
            output::print("back it up: without it no pseudonym can be made again, and no person found\n")?;
            Ok(Exit::Done)
        }
        Keys::ExportPublic => {
            let keys = setup::key_ring(&config)?.snapshot();
            let listed = SIGNED.map(|context| keys.signing_key(context).public().jwk());
            output::print(format_args!("{{\"keys\":[{}]}}\n", listed.join(",")))?;
            Ok(Exit::Done)
        }
    }
}

/// What the ring signs, each with a key of its own.
const SIGNED: [&str; 2] = ["ledger", "receipts"];
