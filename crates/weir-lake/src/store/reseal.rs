//! Objects sealed anew, when the store's keys have a newer version than theirs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;
use weir_bucket::{Bucket, Mark, Root};
use weir_keys::{SealedObject, StoreKeys};

use super::objects::part;
use super::{LEDGER, Objects, RegionFolder, StoreError, entries, io_error, is_dot, remove_file};

impl RegionFolder {
    /// Seals every object anew that an older version of the store's keys sealed; returns how many.
    ///
    /// Readers and writers may go on: an object changes at once, to the same text. One that is written meanwhile
    /// may have been begun with an older version.
    pub(crate) fn reseal(&self) -> Result<u64, StoreError> {
        if let Some(bucket) = self.objects.bucket() {
            return self.objects.reseal_below(bucket, &self.path);
        }
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
pub(crate) fn sealed_with(root: &Root, version: u32) -> Result<u64, StoreError> {
    if let Root::Bucket(bucket) = root {
        return objects_sealed_with(bucket, version);
    }
    let (mut folders, mut count) = (vec![root.path().to_owned()], 0);
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

/// The same in a bucket, where an object is whole as soon as it is there.
fn objects_sealed_with(bucket: &Bucket, version: u32) -> Result<u64, StoreError> {
    let mut count = 0;
    for (path, mark) in objects(bucket, bucket.root())? {
        let head = head_of(bucket, &path, &mark)?;
        count += u64::from(head.is_some_and(|head| SealedObject::version(&head) == Some(version)));
    }
    Ok(count)
}

/// Lists the objects below a folder of a bucket, but the ledger's, which are in clear.
fn objects(bucket: &Bucket, folder: &Path) -> Result<Vec<(PathBuf, Mark)>, StoreError> {
    let mut objects = bucket.list_all(folder).map_err(io_error("list", Path::new(&bucket.shown(folder))))?;
    objects.retain(|(path, _)| !path.components().any(|part| part.as_os_str() == LEDGER));
    Ok(objects)
}

/// Reads the head of an object; none if it was removed, or replaced, since it was listed.
fn head_of(bucket: &Bucket, path: &Path, mark: &Mark) -> Result<Option<Vec<u8>>, StoreError> {
    match bucket.part(path, mark, SealedObject::head(mark.bytes)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ResourceBusy) => Ok(None),
        read => read.map(Some).map_err(io_error("read", Path::new(&bucket.shown(path)))),
    }
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
        remove_file(&staged)?;
        resealed
    }

    fn reseal_below(&self, bucket: &Bucket, folder: &Path) -> Result<u64, StoreError> {
        let Some(keys) = self.keys() else { return Ok(0) };
        let probe = folder.join(format!(".{}.probe", Uuid::new_v4()));
        if !bucket.replaces_what_was_read(&probe).map_err(self.failed("try to replace an object in", folder))? {
            let why = "the store replaces an object although it is not the one that was read (If-Match)";
            return Err(self.failed("reseal", folder)(io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        let mut resealed = 0;
        for (path, mark) in objects(bucket, folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !is_dot(&name) && self.reseal_object(bucket, keys, &path, &mark)? {
                resealed += 1;
            }
        }
        Ok(resealed)
    }

    /// Seals an object anew if it has an older version; tells whether it did. It is held in memory meanwhile: no store has a put in
    /// parts that only replaces what was read.
    fn reseal_object(
        &self,
        bucket: &Bucket,
        keys: &Arc<StoreKeys>,
        path: &Path,
        mark: &Mark,
    ) -> Result<bool, StoreError> {
        let Some(head) = head_of(bucket, path, mark)? else { return Ok(false) };
        if keys.is_newest(&head).map_err(self.failed("reseal", path))? {
            return Ok(false);
        }
        let place = self.place(path)?;
        let sealed = || {
            let object = keys.open_object(&place, &head, mark.bytes)?;
            let text = object.read(0..object.len(), |chunks| bucket.part(path, mark, chunks))?;
            let mut sealing = keys.seal(&place, Vec::with_capacity(text.len()))?;
            sealing.write_all(&text)?;
            bucket.replace(path, mark, sealing.finish()?)
        };
        match sealed() {
            // Removed, or sealed anew, by somebody else meanwhile.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ResourceBusy) => Ok(false),
            replaced => replaced.map_err(self.failed("reseal", path)),
        }
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
