//! Names in a folder, or in what stands for one in a bucket.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use weir_bucket::{Mark, Root};

use super::{FoundFile, Objects, StoreError, io_error};

/// A name in a folder.
pub(super) enum Entry {
    File(fs::DirEntry),
    /// An object, or what several have in common; none for that.
    Object(PathBuf, Option<Mark>),
}

impl Entry {
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(entry) => entry.file_name().to_string_lossy().into_owned(),
            Self::Object(path, _) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(entry) => entry.path(),
            Self::Object(path, _) => path.clone(),
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        match self {
            Self::File(entry) => entry.path().is_dir(),
            Self::Object(_, mark) => mark.is_none(),
        }
    }
}

impl Objects {
    /// Lists a folder; one that is absent holds nothing.
    pub(super) fn entries(&self, folder: &Path) -> Result<Vec<Entry>, StoreError> {
        match self.root() {
            Root::Folder(_) => Ok(entries(folder)?.into_iter().map(Entry::File).collect()),
            Root::Bucket(bucket) => {
                let listed = bucket.list(folder).map_err(self.failed("list", folder))?;
                Ok(listed.into_iter().map(|entry| Entry::Object(folder.join(entry.name), entry.object)).collect())
            }
        }
    }

    /// Lists all objects below a folder of a bucket, by their paths below it, in one request for each thousand.
    pub(super) fn all(&self, folder: &Path) -> Result<Vec<FoundFile>, StoreError> {
        let Some(bucket) = self.bucket() else { return Ok(Vec::new()) };
        let listed = bucket.list_all(folder).map_err(self.failed("list", folder))?;
        let found = |(path, mark): (PathBuf, Mark)| {
            let path = path.strip_prefix(folder).ok()?.to_str()?.to_owned();
            Some(self.found_object(path, &mark))
        };
        Ok(listed.into_iter().filter_map(found).collect())
    }

    /// Says of an entry that is no folder how large and how old it is.
    pub(super) fn found(&self, entry: &Entry, path: String) -> Result<FoundFile, StoreError> {
        match entry {
            Entry::File(entry) => self.found_file(entry, path),
            Entry::Object(_, mark) => {
                let none = Mark { bytes: 0, modified_ms: i64::MAX, tag: None };
                Ok(self.found_object(path, mark.as_ref().unwrap_or(&none)))
            }
        }
    }

    fn found_object(&self, path: String, mark: &Mark) -> FoundFile {
        FoundFile { path, bytes: self.text_bytes(mark.bytes), modified_ms: mark.modified_ms }
    }

    fn found_file(&self, entry: &fs::DirEntry, path: String) -> Result<FoundFile, StoreError> {
        let metadata = entry.metadata().map_err(io_error("read the size of", &entry.path()))?;
        let modified = metadata.modified().map_err(io_error("read the time of", &entry.path()))?;
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Ok(FoundFile { path, bytes: self.text_bytes(metadata.len()), modified_ms })
    }
}

pub(super) fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(io_error("list", folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error("list", folder)(error)),
    }
}
