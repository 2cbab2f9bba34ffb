//! Which key ring and store keys a configuration means, and who wraps them.
//!
//! The daemon and every verb that opens them ask here.

use std::path::Path;
use std::sync::Arc;

use weir_keys::{KeyError, KeyRing, StoreKeys, Wrap};
use weir_vault::Vault;

use crate::config::{self, Config};

/// Returns a client of the vault that wraps the ring; none where it lies in clear.
///
/// # Errors
/// When the machine has no thread left for it.
pub fn vault(config: &Config) -> Result<Option<Arc<Vault>>, KeyError> {
    client(config.vault.as_ref())
}

/// Returns a client of the vault that wraps the store's own keys; none where they lie in clear.
///
/// # Errors
/// As [`vault`].
pub fn store_vault(config: &Config) -> Result<Option<Arc<Vault>>, KeyError> {
    client(config.store_vault.as_ref())
}

fn client(vault: Option<&config::Vault>) -> Result<Option<Arc<Vault>>, KeyError> {
    vault.map(|vault| Vault::new(vault.settings.clone()).map(Arc::new).map_err(KeyError::Client)).transpose()
}

/// Makes the ring that a configuration names.
///
/// # Errors
/// As [`KeyRing::init_with`].
pub fn init(config: &Config) -> Result<KeyRing, KeyError> {
    KeyRing::init_with(&config.keys.provider.0, wrap(config)?)
}

/// Opens the ring that a configuration names.
///
/// # Errors
/// As [`KeyRing::open_with`].
pub fn open(config: &Config) -> Result<KeyRing, KeyError> {
    KeyRing::open_with(&config.keys.provider.0, wrap(config)?)
}

/// Makes the ring that a configuration names from a backup.
///
/// # Errors
/// As [`KeyRing::restore_with`].
pub fn restore(config: &Config, from: &Path) -> Result<KeyRing, KeyError> {
    KeyRing::restore_with(&config.keys.provider.0, from, wrap(config)?)
}

/// Opens the ring's own file alone: it signs and knows the lake, and nobody can be found with it.
///
/// # Errors
/// As [`KeyRing::open_with`].
pub fn open_own(config: &Config) -> Result<KeyRing, KeyError> {
    KeyRing::open_own_with(&config.keys.provider.0, wrap(config)?)
}

/// Makes the store's own keys in the folder that a configuration names.
///
/// # Errors
/// As [`StoreKeys::init_with`].
pub fn init_store(config: &Config, folder: &Path) -> Result<StoreKeys, KeyError> {
    StoreKeys::init_with(folder, store_wrap(config)?)
}

/// Opens the store's own keys in the folder that a configuration names.
///
/// # Errors
/// As [`StoreKeys::open_with`].
pub fn open_store(config: &Config, folder: &Path) -> Result<StoreKeys, KeyError> {
    StoreKeys::open_with(folder, store_wrap(config)?)
}

fn wrap(config: &Config) -> Result<Option<Arc<dyn Wrap>>, KeyError> {
    Ok(vault(config)?.map(|vault| -> Arc<dyn Wrap> { vault }))
}

fn store_wrap(config: &Config) -> Result<Option<Arc<dyn Wrap>>, KeyError> {
    Ok(store_vault(config)?.map(|vault| -> Arc<dyn Wrap> { vault }))
}
