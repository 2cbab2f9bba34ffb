//! Which key ring a configuration means, and who wraps it.
//!
//! The daemon and every verb that opens the ring ask here.

use std::path::Path;
use std::sync::Arc;

use weir_keys::{KeyError, KeyRing, Wrap};
use weir_vault::Vault;

use crate::config::Config;

/// Returns a client of the vault that wraps the ring; none where it lies in clear.
///
/// # Errors
/// When the machine has no thread left for it.
pub fn vault(config: &Config) -> Result<Option<Arc<Vault>>, KeyError> {
    let Some(vault) = &config.vault else { return Ok(None) };
    Ok(Some(Arc::new(Vault::new(vault.settings.clone()).map_err(KeyError::Client)?)))
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

fn wrap(config: &Config) -> Result<Option<Arc<dyn Wrap>>, KeyError> {
    Ok(vault(config)?.map(|vault| -> Arc<dyn Wrap> { vault }))
}
