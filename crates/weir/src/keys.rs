//! `weir keys`: makes the key ring, and hands out what others check its signatures with.

use std::path::Path;

use clap::Subcommand;
use weir_daemon::Config;
use weir_keys::{KeyRing, StoreKeys};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

/// What to do with the key ring.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Makes a new, empty ring in the folder that `keys.provider` names.
    Init,
    /// Makes new keys of the store's own in the folder that `lake.store_keys` names.
    InitStore,
    /// Makes a version of the store's keys that new objects are sealed with; older objects stay readable.
    RotateStore,
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
        Keys::InitStore => {
            let folder = store_keys(&config)?;
            StoreKeys::init(folder).or_exit(Exit::CannotCreate)?;
            output::print(format_args!("made store keys in {}\n", folder.display()))?;
            output::print("back them up, apart from the key ring: without them no object of the lake can be read\n")?;
            Ok(Exit::Done)
        }
        Keys::RotateStore => {
            let version = StoreKeys::open(store_keys(&config)?).or_exit(Exit::NotAllowed)?.rotate();
            let version = version.or_exit(Exit::CannotCreate)?;
            output::print(format_args!("new objects are sealed with version {version}\n"))?;
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

fn store_keys(config: &Config) -> Result<&Path, Failure> {
    let none =
        || Failure::new(Exit::Config, anyhow::anyhow!("no store keys: the configuration has no lake.store_keys"));
    config.lake.store_keys.as_ref().map(|folder| folder.0.as_path()).ok_or_else(none)
}

/// What the ring signs, each with a key of its own.
const SIGNED: [&str; 2] = ["ledger", "receipts"];
