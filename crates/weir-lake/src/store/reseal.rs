//! Objects sealed anew, when the store's keys have a newer version than theirs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;
use weir_keys::SealedObject;

use super::objects::part;
use super::{LEDGER, Objects, RegionFolder, StoreError, entries, io_error, is_dot, remove};

impl RegionFolder {
    /// Seals every object anew that an older version of the store's keys sealed; returns how many.
    ///
    /// Readers and writers may go on: an object changes at once, to the same text. One that is written meanwhile
    /// may have been begun with an older version.
    pub(crate) fn reseal(&self) -> Result<u64, StoreError> {
        let (mut folders, mut resealed) = (vec![self.path.clone()], 0);
        while let Some(folder) = folders.pop() {
            for entry in entries(&folder)? {
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = entry.path();
                if path.is_dir() {
                    // The ledger is signed and for others to check, so it is in clear.
                    folders.extend((name != LEDGER).then_some(path));
                } else if !is_dot(&name) && self.objects.reseal(&path)? {
                    resealed += 1;
                }
            }
        }
        Ok(resealed)
    }
}

/// Counts the objects below a lake's folder that a version of the store's keys seals, and those that do not tell yet, as they are just
/// being written.
pub(crate) fn sealed_with(root: &Path, version: u32) -> Result<u64, StoreError> {
    let (mut folders, mut count) = (vec![root.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            let path = entry.path();
            if path.is_dir() {
                folders.extend((entry.file_name() != LEDGER).then_some(path));
            } else if let Some(head) = head(&path)? {
                let is_begun =
                    head.len() < SealedObject::HEAD_BYTES && head.iter().zip(SealedObject::MAGIC).all(|(a, b)| a == b);
                count += u64::from(is_begun || SealedObject::version(&head) == Some(version));
            }
        }
    }
    Ok(count)
}

/// Reads the head of an object; none if it was removed since it was listed.
fn head(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let read = File::open(path).and_then(|file| part(&file, SealedObject::head(file.metadata()?.len())));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(io_error("read", path)),
    }
}

impl Objects {
    /// Seals an object anew if it has an older version; tells whether it did.
    fn reseal(&self, path: &Path) -> Result<bool, StoreError> {
        let Some(keys) = self.keys() else { return Ok(false) };
        let Some(head) = head(path)? else { return Ok(false) };
        if keys.is_newest(&head).map_err(io_error("reseal", path))? {
            return Ok(false);
        }
        let staged = path.with_file_name(format!(".{}.reseal", Uuid::new_v4()));
        let resealed = self.copy(path, &staged).and_then(|()| exchange(&staged, path));
        // Whichever of the two bears this name now: what was staged and is not needed, or what was there before.
        remove(&staged)?;
        resealed
    }

    fn copy(&self, path: &Path, staged: &Path) -> Result<(), StoreError> {
        let input = self.open(path)?;
        let mut output = self.create(staged, path)?;
        let mut copy = || {
            let mut at = 0;
            loop {
                let part = input.read(at..at.saturating_add(COPY_BYTES))?;
                if part.is_empty() {
                    return Ok(());
                }
                output.write_all(&part)?;
                at = at.saturating_add(COPY_BYTES);
            }
        };
        copy().map_err(io_error("read", path))?;
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        let finish = |modified| {
            let file = output.finish()?;
            // Its age is what vacuum goes by.
            file.set_modified(modified)?;
            file.sync_all()
        };
        modified.and_then(finish).map_err(io_error("write", staged))
    }
}

/// Puts one file in the place of another that is still there; tells whether it was.
fn exchange(staged: &Path, path: &Path) -> Result<bool, StoreError> {
    match renameat_with(CWD, staged, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(io_error("exchange", path)(error.into())),
    }
}

const COPY_BYTES: u64 = 1 << 20;
