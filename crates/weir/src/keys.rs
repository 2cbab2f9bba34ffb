//! `weir keys`: makes and keeps the key ring and the store's own keys, in clear or wrapped by vaults, and hands out what others check
//! its signatures with.
//!
//! What is done to secrets by hand is told to the ledger of the lake, if there is one, before it is done.

mod destroy;
mod reader;
mod status;
mod store;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Subcommand;
use weir_daemon::Config;
use weir_daemon::config::Vault as VaultSettings;
use weir_keys::{JwePublic, KeyError, KeyRing, Moved, Rewrapped, Wrap};
use weir_ledger::{Decision, Entry};
use weir_vault::Vault;

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};
use reader::{ReaderArgs, reader};

/// What to do with the key ring.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Makes a new, empty ring in the folder that `keys.provider` names, wrapped by the vault if `keys.vault` names one.
    Init,
    /// Shows how the ring and the store's keys stand, and how their vaults are.
    Status(status::StatusArgs),
    /// Gives every key in the vault a new version, which wraps from now on.
    Rotate,
    /// Has the vault wrap every file of the ring anew by the newest version of its key.
    Rewrap,
    /// Moves a ring that lies in clear into the vault; stop everything that uses it first.
    Wrap,
    /// Destroys a secret for good: pseudonyms of a tenant or an epoch belong to nobody from then on, what was sealed to a key opens no
    /// more, and an old version of the store's keys opens no object.
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
    /// Makes new keys of the store's own in the folder that `lake.store_keys` names, wrapped by the vault if `lake.store_vault` names one.
    InitStore,
    /// Makes a version of the store's keys that new objects are sealed with; older objects stay readable.
    RotateStore,
    /// Has their vault wrap the store's keys anew by the newest version of each one's key there.
    RewrapStore,
    /// Moves the store's keys from their folder into the vault; stop everything that uses them first.
    WrapStore,
    /// Makes a key that producers seal the data of events to; older ones open what was sealed to them until they are destroyed.
    RotateSealing,
    /// Prints the public keys as a JSON Web Key Set: those that receipts and heads of the ledger are signed with, then those that
    /// producers seal to, the newest first.
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
        Keys::InitStore => store::init(&config)?,
        Keys::RotateStore => store::rotate(&config)?,
        Keys::RewrapStore => store::rewrap(&config)?,
        Keys::WrapStore => store::wrap(&config)?,
        Keys::RotateSealing => rotate_sealing(&config)?,
        Keys::ExportPublic => {
            let keys = setup::key_ring(&config)?.snapshot();
            let signed = SIGNED.map(|context| keys.signing_key(context).public().jwk());
            let listed: Vec<_> = signed.into_iter().chain(keys.sealing_keys().map(JwePublic::jwk)).collect();
            output::print(format_args!("{{\"keys\":[{}]}}\n", listed.join(",")))?;
        }
        Keys::Reader(args) => return reader(&config, args),
    }
    Ok(Exit::Done)
}

fn init(config: &Config) -> Result<(), Failure> {
    let ring = weir_daemon::keys::init(config).map_err(not_made)?;
    let folder = config.keys.provider.0.display();
    let by = wrapped_by(weir_daemon::keys::vault(config))?;
    output::print(format_args!("made key ring {} in {folder}{by}\n", ring.id()))?;
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

fn rotate_sealing(config: &Config) -> Result<(), Failure> {
    let ring = setup::key_ring(config)?;
    tell(config, &ring, Decision::RotateSealing)?;
    let made = ring.rotate_sealing().map_err(setup::key_failure)?;
    output::print(format_args!(
        "made key {}; every daemon of this ring opens what is sealed to it {}\n\
         give producers `weir keys export-public` after that; destroy older keys once nothing sealed to them is left in the topics\n",
        made.kid(),
        noticed(config.vault.as_ref(), "keys.vault")
    ))
}

fn rewrap(config: &Config) -> Result<(), Failure> {
    let ring = wrapped_ring(config)?;
    tell(config, &ring, Decision::RewrapRing)?;
    output::print(rewrapped(&ring.rewrap().map_err(setup::key_failure)?))
}

fn rewrapped(done: &Rewrapped) -> String {
    let Rewrapped { files, current, gone } = done;
    format!(
        "{files} files are wrapped anew, {current} were by the newest version already, the keys of {gone} are destroyed\n"
    )
}

fn wrap(config: &Config) -> Result<(), Failure> {
    let vault: Arc<dyn Wrap> = weir_daemon::keys::vault(config).map_err(setup::key_failure)?.ok_or_else(in_clear)?;
    let moved = KeyRing::wrap(&config.keys.provider.0, &vault).map_err(setup::key_failure)?;
    let ring = setup::key_ring(config)?;
    if moved.files > 0 {
        tell(config, &ring, Decision::WrapRing)?;
    }
    output::print(moved_in(&moved))
}

fn moved_in(moved: &Moved) -> String {
    let Moved { files, before } = moved;
    format!(
        "moved {files} files into the vault, {before} were there already\n\
         a copy of them from before opens everything still: destroy each, and what a disk may have kept of it\n"
    )
}

/// Opens the ring of a configuration that names a vault.
fn wrapped_ring(config: &Config) -> Result<KeyRing, Failure> {
    if config.vault.is_none() { Err(in_clear()) } else { setup::key_ring(config) }
}

fn in_clear() -> Failure {
    Failure::new(Exit::Config, anyhow!("the configuration has no `[keys.vault]`: the ring lies in clear"))
}

fn wrapped_by(vault: Result<Option<Arc<Vault>>, KeyError>) -> Result<String, Failure> {
    let vault = vault.map_err(setup::key_failure)?;
    Ok(vault.map_or_else(String::new, |vault| format!(", wrapped by {}", vault.place())))
}

/// Says that keys were not made: what may pass by itself is not what is refused.
fn not_made(why: KeyError) -> Failure {
    Failure::new(if why.may_pass() { Exit::Unavailable } else { Exit::CannotCreate }, why)
}

/// Says until when processes notice what was done to keys.
fn noticed(vault: Option<&VaultSettings>, section: &str) -> String {
    match vault {
        Some(vault) => format!("within {section}.cache_ttl ({} s)", vault.cache_ttl.as_secs()),
        None => "within an hour, or at SIGHUP".to_owned(),
    }
}

/// Tells the ledger of the lake, if there is one, what is decided about secrets.
fn tell(config: &Config, ring: &KeyRing, decision: Decision) -> Result<(), Failure> {
    if !setup::has_lake(config)? {
        return Ok(());
    }
    let told = weir_daemon::lake::ledger(config, ring).append(setup::now_ms(), Entry::Decision(decision));
    told.map(drop).map_err(|why| setup::lake_failure(why.into()))
}

/// What the ring signs, each with a key of its own.
const SIGNED: [&str; 2] = ["ledger", "receipts"];
