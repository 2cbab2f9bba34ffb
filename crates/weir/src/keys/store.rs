//! The verbs of the store's own keys: what the others do for the ring.
//!
//! The ledger is told by the ring, of which these verbs open the file that signs and no more.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use weir_daemon::Config;
use weir_keys::{KeyError, StoreKeys, Wrap};
use weir_lake::sealed_with;
use weir_ledger::Decision;

use super::tell;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

/// Makes the first version of the store's keys.
///
/// # Errors
/// When the folder is not empty, or the vault does not do what it is asked.
pub(super) fn init(config: &Config) -> Result<(), Failure> {
    let folder = folder(config)?;
    weir_daemon::keys::init_store(config, folder).map_err(super::not_made)?;
    let by = super::wrapped_by(weir_daemon::keys::store_vault(config))?;
    output::print(format_args!("made store keys in {}{by}\n", folder.display()))?;
    output::print("back them up, apart from the key ring: without them no object of the lake can be read\n")
}

/// Makes another version.
///
/// # Errors
/// When the keys cannot be opened or written.
pub(super) fn rotate(config: &Config) -> Result<(), Failure> {
    let keys = open(config)?;
    tell_of(config, Decision::RotateStore)?;
    let version = keys.rotate().map_err(super::not_made)?;
    output::print(format_args!("new objects are sealed with version {version}\n"))
}

/// Has the vault wrap every version anew.
///
/// # Errors
/// When the keys cannot be opened or written, or lie in clear.
pub(super) fn rewrap(config: &Config) -> Result<(), Failure> {
    if config.store_vault.is_none() {
        return Err(in_clear());
    }
    let keys = open(config)?;
    tell_of(config, Decision::RewrapStore)?;
    output::print(super::rewrapped(&keys.rewrap().map_err(setup::key_failure)?))
}

/// Moves keys in clear into the vault.
///
/// # Errors
/// When there is none, or it does not do what it is asked.
pub(super) fn wrap(config: &Config) -> Result<(), Failure> {
    let vault = weir_daemon::keys::store_vault(config).map_err(setup::key_failure)?.ok_or_else(in_clear)?;
    let vault: Arc<dyn Wrap> = vault;
    let moved = StoreKeys::wrap(folder(config)?, &vault).map_err(setup::key_failure)?;
    if moved.files > 0 {
        tell_of(config, Decision::WrapStore)?;
    }
    output::print(super::moved_in(&moved))
}

/// Destroys an old version that no object is sealed with.
///
/// # Errors
/// When it is the newest or there is none such, an object needs it, or it cannot be destroyed.
pub(super) fn destroy(config: &Config, version: u32, is_sure: bool) -> Result<(), Failure> {
    let keys = open(config)?;
    if keys.standing().map_err(setup::key_failure)?.newest == version {
        return Err(setup::key_failure(KeyError::NewestVersion { version }));
    }
    let root = weir_daemon::lake::root(config);
    // A folder shows what is being written, a bucket does not.
    if root.bucket().is_some() && is_young(&keys)? {
        let why = anyhow!(
            "an object that was begun with version {version} may still be under way to the bucket: try again an hour after `weir keys rotate-store`"
        );
        return Err(Failure::new(Exit::NotAllowed, why));
    }
    let objects = sealed_with(&root, version).map_err(setup::lake_failure)?;
    if objects > 0 {
        let why = anyhow!(
            "{objects} objects are sealed with version {version}, or are just being written: run `weir lake reseal`, and try again"
        );
        return Err(Failure::new(Exit::NotAllowed, why));
    }
    if !is_sure && !output::is_meant("destroy that version for good, so that no copy of an object opens by it")? {
        output::remark("nothing was destroyed");
        return Ok(());
    }
    tell_of(config, Decision::DestroySecret { secret: format!("store-{version}") })?;
    if !keys.destroy(version).map_err(setup::key_failure)? {
        let why = anyhow!("the store's keys have no version {version} that is not destroyed");
        return Err(why).or_exit(Exit::NoInput);
    }
    let until = super::noticed(config.store_vault.as_ref(), "lake.store_vault");
    output::print(format_args!("version {version} is destroyed; every process that has it open notices {until}\n"))
}

/// Tells whether the newest version is younger than an object can take to its place; also where a clock was set back.
fn is_young(keys: &StoreKeys) -> Result<bool, Failure> {
    let since_ms = keys.newest_since_ms().map_err(setup::key_failure)?;
    Ok(setup::now_ms().saturating_sub(since_ms) < UPLOAD_MAX_MS)
}

/// Returns the folder of the store's keys.
///
/// # Errors
/// When the configuration names none.
pub(super) fn folder(config: &Config) -> Result<&Path, Failure> {
    let none = || Failure::new(Exit::Config, anyhow!("no store keys: the configuration has no lake.store_keys"));
    config.lake.store_keys.as_ref().map(|folder| folder.0.as_path()).ok_or_else(none)
}

fn open(config: &Config) -> Result<StoreKeys, Failure> {
    weir_daemon::keys::open_store(config, folder(config)?).map_err(setup::key_failure)
}

fn in_clear() -> Failure {
    let why = anyhow!("the configuration has no `[lake.store_vault]`: the store's keys lie in clear");
    Failure::new(Exit::Config, why)
}

/// Tells the ledger of the lake, if there is one.
fn tell_of(config: &Config, decision: Decision) -> Result<(), Failure> {
    if !setup::has_lake(config)? {
        return Ok(());
    }
    let ring = weir_daemon::keys::open_own(config).map_err(setup::key_failure)?;
    tell(config, &ring, decision)
}

/// Far longer than an upload: each request of one ends with `lake.s3.timeout`, and is asked again for half a minute.
const UPLOAD_MAX_MS: i64 = 3_600_000;
