//! The keys that producers seal to: made, listed and destroyed one by one.

use std::{path::PathBuf, sync::Arc};

use super::KeyRing;
use crate::{
    error::KeyError,
    jwe::{JweKey, JwePublic},
    key_file::Holds,
    storage,
};

impl KeyRing {
    /// Makes a key that producers seal to from now on; the older ones open what was sealed to them until they are destroyed.
    ///
    /// # Errors
    ///
    /// The ring cannot be written.
    pub fn rotate_sealing(&self) -> Result<JwePublic, KeyError> {
        let _changing = self.changing.lock();
        storage::make_folder(&self.folder.join(FOLDER))?;
        // The numbers of keys that were destroyed are not used again.
        let numbers = self.sealing_files()?.into_iter().filter_map(|path| number(path.file_name()?.to_str()?));
        let next = numbers.max().unwrap_or(0).saturating_add(1);
        let path = self.sealing_path(next);
        let damaged = || KeyError::Damaged { path: path.clone() };
        let secret = self.put(&path, Holds::Sealing, &next.to_string())?.ok_or_else(damaged)?;
        let key = Arc::new(JweKey::of_secret(&secret).ok_or_else(damaged)?);
        Arc::make_mut(&mut self.live.0.lock()).sealing.insert(next, Arc::clone(&key));
        Ok(key.public().clone())
    }

    /// Destroys a key for good: what was sealed to it can be opened by nobody; tells whether the ring had it.
    ///
    /// # Errors
    ///
    /// The ring cannot be written.
    pub fn destroy_sealing(&self, kid: &str) -> Result<bool, KeyError> {
        let _changing = self.changing.lock();
        let found =
            self.snapshot().sealing.iter().find(|(_, key)| key.public().kid() == kid).map(|(number, _)| *number);
        let Some(number) = found else { return Ok(false) };
        let destroyed = self.destroy(&self.sealing_path(number), Holds::Sealing)?;
        Arc::make_mut(&mut self.live.0.lock()).sealing.remove(&number);
        Ok(destroyed)
    }

    pub(super) fn sealing_path(&self, number: u32) -> PathBuf {
        self.folder.join(FOLDER).join(number.to_string())
    }

    /// Returns the files of these keys; an older ring has no folder of them.
    pub(super) fn sealing_files(&self) -> Result<Vec<PathBuf>, KeyError> {
        if self.folder.join(FOLDER).exists() { self.files(FOLDER) } else { Ok(Vec::new()) }
    }
}

/// Reads the number that is the name of a key's file.
pub(super) fn number(name: &str) -> Option<u32> {
    name.parse().ok().filter(|number: &u32| number.to_string() == name)
}

const FOLDER: &str = "sealing";
