//! Which lake a configuration means: where it lies, whose it is, and the key that seals its logs.
//!
//! The daemon and every verb that opens the lake ask here: with another key or group it would be another lake.

use std::sync::Arc;
use std::time::Duration;

use weir_bucket::{Bucket, Credentials, Root, Settings};
use weir_keys::{KeyError, KeyRing, LakeKey, StoreKeys};
use weir_lake::{DataFiles, Lake, LakeConfig, LakeError};
use weir_ledger::Ledger;

use crate::config::{Config, Files, LakeUrl};
use crate::keys;

/// Opens the lake that a configuration names; an absent folder is made.
///
/// # Errors
/// When the folder cannot be used, or belongs to another key ring or group.
pub fn open(config: &Config, ring: &KeyRing) -> Result<Lake, LakeError> {
    Lake::open(settings(config, ring)?, &key(ring), ledger(config, ring))
}

/// Opens the lake once more, with the store's keys of a process that has it open.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_beside(config: &Config, ring: &KeyRing, lake: &Lake) -> Result<Lake, LakeError> {
    Lake::open(with_keys(config, ring, lake.store_keys().cloned()), &key(ring), ledger(config, ring))
}

/// Returns what a configuration says about the lake, with the keys of its files.
///
/// # Errors
/// When the store's keys cannot be read.
pub fn settings(config: &Config, ring: &KeyRing) -> Result<LakeConfig, LakeError> {
    Ok(with_keys(config, ring, store_keys(config)?))
}

fn with_keys(config: &Config, ring: &KeyRing, store_keys: Option<Arc<StoreKeys>>) -> LakeConfig {
    let skip = config.lake.skip.iter().cloned().collect();
    let files = match config.lake.files {
        Files::Clear => DataFiles::Clear,
        Files::Encrypted => DataFiles::Encrypted(ring.live()),
    };
    LakeConfig { skip, store_keys, files, ..place(config) }
}

/// Opens the keys that the lake's objects are sealed with, if they are.
///
/// # Errors
/// When they cannot be read, or their vault does not open them.
pub fn store_keys(config: &Config) -> Result<Option<Arc<StoreKeys>>, KeyError> {
    let keys = config.lake.store_keys.as_ref().map(|folder| keys::open_store(config, &folder.0)).transpose()?;
    Ok(keys.map(Arc::new))
}

fn place(config: &Config) -> LakeConfig {
    let group = config.kafka.as_ref().map_or(FILES_GROUP, |kafka| &kafka.group);
    LakeConfig::new(root(config), &config.general.region, group)
}

/// Returns where the lake of a configuration lies; nothing is asked of a store yet.
pub fn root(config: &Config) -> Root {
    let (bucket, prefix) = match &config.lake.root {
        LakeUrl::Folder(folder) => return folder.into(),
        LakeUrl::Bucket { bucket, prefix } => (bucket.clone(), prefix.clone()),
    };
    let s3 = config.s3.as_ref();
    let rules = s3.map(|s3| &s3.rules);
    Root::Bucket(Bucket::new(Settings {
        bucket,
        prefix,
        endpoint: s3.and_then(|s3| s3.endpoint.clone()),
        region: rules.map_or_else(|| REGION.to_owned(), |rules| rules.region.clone()),
        credentials: s3.map_or(Credentials::Environment, |s3| s3.credentials.clone()),
        ca: rules.and_then(|rules| rules.ca.clone()),
        timeout: rules.map_or(TIMEOUT, |rules| rules.timeout),
        kms_key: rules.and_then(|rules| rules.kms_key.clone()),
    }))
}

/// Returns the key that seals the logs of every lake of a ring.
pub fn key(ring: &KeyRing) -> LakeKey {
    ring.snapshot().lake_key(KEY_CONTEXT)
}

/// Returns the ledger of the lake that a configuration names.
pub fn ledger(config: &Config, ring: &KeyRing) -> Ledger {
    let key = ring.snapshot().signing_key(LEDGER_CONTEXT);
    place(config).ledger(key, ring.head_file(&config.general.region))
}

/// What `[lake.s3]` has where it says nothing.
const REGION: &str = "us-east-1";
const TIMEOUT: Duration = Duration::from_secs(20);
/// The group of a lake that is filled from files only; the default file names the same.
const FILES_GROUP: &str = "weir";
/// The lake's keys are its own; another use of the ring must take another word.
const KEY_CONTEXT: &str = "lake";
/// Heads of the ledger are signed with a key of their own.
const LEDGER_CONTEXT: &str = "ledger";
