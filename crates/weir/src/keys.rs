//! `weir keys`: makes and keeps the key ring, in clear or wrapped by a vault, and hands out what others check its signatures with.
//!
//! What is done to secrets by hand is told to the ledger of the lake, if there is one, before it is done.

mod destroy;
mod reader;
mod status;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use clap::Subcommand;
use weir_daemon::Config;
use weir_keys::{KeyRing, Rewrapped, StoreKeys, Wrap};
use weir_ledger::{Decision, Entry};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};
use reader::{ReaderArgs, reader};

/// What to do with the key ring.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Makes a new, empty ring in the folder that `keys.provider` names, wrapped by the vault if `keys.vault` names one.
    Init,
    /// Shows how the ring stands, and how its vault is.
    Status(status::StatusArgs),
    /// Gives every key in the vault a new version, which wraps from now on.
    Rotate,
    /// Has the vault wrap every file of the ring anew by the newest version of its key.
    Rewrap,
    /// Moves a ring that lies in clear into the vault; stop everything that uses it first.
    Wrap,
    /// Destroys the secret of a tenant or of an epoch for good: its pseudonyms belong to nobody from then on.
    Destroy(destroy::DestroyArgs),
    /// Writes the whole ring into one file; what a vault wraps stays wrapped.
    Backup {
        /// The file, which must not be there.
        file: PathBuf,
    },
    /// Makes the ring anew from such a file, in a folder that is empty or absent.
    Restore {
        /// The file.
        file: PathBuf,
    },
    /// Makes new keys of the store's own in the folder that `lake.store_keys` names.
    InitStore,
    /// Makes a version of the store's keys that new objects are sealed with; older objects stay readable.
    RotateStore,
    /// Prints the public keys that receipts and heads of the ledger are signed with, as a JSON Web Key Set.
    ExportPublic,
    /// Prints the keys of an encrypted table, or text to paste that opens it with them; the ledger tells that somebody took them.
    Reader(ReaderArgs),
}

/// Runs one of the verbs below `weir keys`.
///
/// # Errors
/// When the configuration has faults, or the ring cannot be made, read or changed.
pub(crate) fn keys(global: &Global, keys: &Keys) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    match keys {
        Keys::Init => init(&config)?,
        Keys::Status(args) => return status::status(&config, args),
        Keys::Rotate => rotate(&config)?,
        Keys::Rewrap => rewrap(&config)?,
        Keys::Wrap => wrap(&config)?,
        Keys::Destroy(args) => destroy::destroy(&config, args)?,
        Keys::Backup { file } => {
            setup::key_ring(&config)?.backup(file).or_exit(Exit::CannotCreate)?;
            output::print(format_args!("the ring is in {}: keep it where the ring is not\n", file.display()))?;
        }
        Keys::Restore { file } => {
            let ring = weir_daemon::keys::restore(&config, file).map_err(setup::key_failure)?;
            let folder = config.keys.provider.0.display();
            output::print(format_args!(
                "made key ring {} in {folder} again, as it was in {}\n",
                ring.id(),
                file.display()
            ))?;
        }
        Keys::InitStore => {
            let folder = store_keys(&config)?;
            StoreKeys::init(folder).or_exit(Exit::CannotCreate)?;
            output::print(format_args!("made store keys in {}\n", folder.display()))?;
            output::print("back them up, apart from the key ring: without them no object of the lake can be read\n")?;
        }
        Keys::RotateStore => {
            let version = StoreKeys::open(store_keys(&config)?).or_exit(Exit::NotAllowed)?.rotate();
            let version = version.or_exit(Exit::CannotCreate)?;
            output::print(format_args!("new objects are sealed with version {version}\n"))?;
        }
        Keys::ExportPublic => {
            let keys = setup::key_ring(&config)?.snapshot();
            let listed = SIGNED.map(|context| keys.signing_key(context).public().jwk());
            output::print(format_args!("{{\"keys\":[{}]}}\n", listed.join(",")))?;
        }
        Keys::Reader(args) => return reader(&config, args),
    }
    Ok(Exit::Done)
}

fn init(config: &Config) -> Result<(), Failure> {
    let ring = weir_daemon::keys::init(config).map_err(|why| {
        let exit = if why.may_pass() { Exit::Unavailable } else { Exit::CannotCreate };
        Failure::new(exit, why)
    })?;
    let folder = config.keys.provider.0.display();
    output::print(format_args!("made key ring {} in {folder}{}\n", ring.id(), wrapped_by(config)?))?;
    output::print("back it up: without it no pseudonym can be made again, and no person found\n")
}

fn rotate(config: &Config) -> Result<(), Failure> {
    let ring = wrapped_ring(config)?;
    tell(config, &ring, Decision::RotateRing)?;
    let keys = ring.rotate().map_err(setup::key_failure)?;
    output::print(format_args!(
        "{keys} keys have a new version; `weir keys rewrap` has the ring's files wrapped by it\n"
    ))
}

fn rewrap(config: &Config) -> Result<(), Failure> {
    let ring = wrapped_ring(config)?;
    tell(config, &ring, Decision::RewrapRing)?;
    let Rewrapped { files, current, gone } = ring.rewrap().map_err(setup::key_failure)?;
    output::print(format_args!(
        "{files} files are wrapped anew, {current} were by the newest version already, the keys of {gone} are destroyed\n"
    ))
}

fn wrap(config: &Config) -> Result<(), Failure> {
    let vault: Arc<dyn Wrap> = weir_daemon::keys::vault(config).map_err(setup::key_failure)?.ok_or_else(in_clear)?;
    let moved = KeyRing::wrap(&config.keys.provider.0, &vault).map_err(setup::key_failure)?;
    let ring = setup::key_ring(config)?;
    if moved.files > 0 {
        tell(config, &ring, Decision::WrapRing)?;
    }
    output::print(format_args!(
        "moved {} files into the vault, {} were there already\n\
         a copy of the ring from before opens everything still: destroy each, and what a disk may have kept of it\n",
        moved.files, moved.before
    ))
}

/// Opens the ring of a configuration that names a vault.
fn wrapped_ring(config: &Config) -> Result<KeyRing, Failure> {
    if config.vault.is_none() { Err(in_clear()) } else { setup::key_ring(config) }
}

fn in_clear() -> Failure {
    Failure::new(Exit::Config, anyhow!("the configuration has no `[keys.vault]`: the ring lies in clear"))
}

fn wrapped_by(config: &Config) -> Result<String, Failure> {
    let vault = weir_daemon::keys::vault(config).map_err(setup::key_failure)?;
    Ok(vault.map_or_else(String::new, |vault| format!(", wrapped by {}", vault.place())))
}

/// Tells the ledger of the lake, if there is one, what is decided about secrets.
fn tell(config: &Config, ring: &KeyRing, decision: Decision) -> Result<(), Failure> {
    if !config.lake.root.0.is_dir() {
        return Ok(());
    }
    let told = weir_daemon::lake::ledger(config, ring).append(setup::now_ms(), Entry::Decision(decision));
    told.map(drop).map_err(|why| setup::lake_failure(why.into()))
}

fn store_keys(config: &Config) -> Result<&Path, Failure> {
    let none =
        || Failure::new(Exit::Config, anyhow::anyhow!("no store keys: the configuration has no lake.store_keys"));
    config.lake.store_keys.as_ref().map(|folder| folder.0.as_path()).ok_or_else(none)
}

/// What the ring signs, each with a key of its own.
const SIGNED: [&str; 2] = ["ledger", "receipts"];
