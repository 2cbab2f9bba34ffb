//! What a ring remembers of a lake: the newest head of its ledger, outside the lake.
//!
//! A lake that was set back to an older copy is sound in itself. Only something that did not go back with it can tell, and
//! the ring has to be there whenever a lake is written. The text is a signature, not a secret; it is private all the
//! same, since whoever may replace it may hide a lake's past.

use std::path::{Path, PathBuf};

use crate::{error::KeyError, ring::KeyRing, storage};

/// The file in which the newest head of one lake's ledger is kept.
#[derive(Clone, Debug)]
pub struct HeadFile(PathBuf);

impl HeadFile {
    /// Names a file that is made, with its folder, when a head is first kept.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the head that was kept last; none if there never was one.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not text, or may be read by others.
    pub fn read(&self) -> Result<Option<String>, KeyError> {
        let Some(bytes) = storage::read(&self.0)? else { return Ok(None) };
        let damaged = || KeyError::Damaged { path: self.0.clone() };
        let text = std::str::from_utf8(&bytes).ok().ok_or_else(damaged)?;
        Ok(Some(text.trim_end().to_owned()))
    }

    /// Keeps a head in place of the one before.
    ///
    /// After a crash of the machine the file may hold the head before again, which its ledger contains as well.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn keep(&self, head: &str) -> Result<(), KeyError> {
        if let Some(folder) = self.0.parent() {
            storage::make_folder(folder)?;
        }
        storage::put(&self.0, format!("{head}\n").as_bytes())
    }
}

impl KeyRing {
    /// Returns the file for the head of a region's ledger: `<ring>/heads/<region>`.
    pub fn head_file(&self, region: &str) -> HeadFile {
        HeadFile(self.folder().join("heads").join(region))
    }
}
