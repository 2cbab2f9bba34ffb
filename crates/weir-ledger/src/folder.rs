//! The folder of the ledger: the only file of this crate that touches the file system, or the bucket.
//!
//! An entry is complete and durable before it has its name, and of two writers exactly one gets the name: it is a hard link,
//! as the commits of the tables are. In a bucket it is a put where nothing is, as they are there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use weir_bucket::Root;

use crate::ledger::LedgerError;

/// The folder of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) Root);

impl Folder {
    /// Reads an entry's file; `None` if it is not there.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        let path = self.0.path().join(path);
        let read = match &self.0 {
            Root::Folder(_) => fs::read(&path),
            Root::Bucket(bucket) => bucket.read(&path),
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &path, error)),
        }
    }

    /// Puts an entry's file where nothing is, durably; tells whether this call did.
    pub(crate) fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<bool, LedgerError> {
        let path = self.0.path().join(path);
        match &self.0 {
            Root::Folder(root) => link(root, &path, bytes),
            Root::Bucket(bucket) => {
                bucket.put_if_absent(&path, bytes).map_err(|error| self.failed("create", &path, error))
            }
        }
    }

    /// Lists the files of the folder and of those in it, but those that start with a dot: writes under way.
    pub(crate) fn list(&self) -> Result<Vec<String>, LedgerError> {
        let mut found = match &self.0 {
            Root::Folder(root) => files(root)?,
            Root::Bucket(bucket) => {
                let listed = bucket.list_all(bucket.root());
                let listed = listed.map_err(|error| self.failed("list", bucket.root(), error))?;
                let below = |path: &Path| Some(path.strip_prefix(bucket.root()).ok()?.to_str()?.to_owned());
                listed.iter().filter_map(|(path, _)| below(path)).collect()
            }
        };
        found.retain(|path| !path.rsplit('/').next().unwrap_or(path).starts_with('.'));
        found.sort();
        Ok(found)
    }

    fn failed(&self, doing: &'static str, path: &Path, source: io::Error) -> LedgerError {
        LedgerError::Io { doing, path: self.0.shown(path), source }
    }
}

fn files(root: &Path) -> Result<Vec<String>, LedgerError> {
    let mut found = Vec::new();
    for (name, path) in entries(root)? {
        if path.is_dir() {
            found.extend(entries(&path)?.into_iter().map(|(inner, _)| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    Ok(found)
}

/// Puts a file where nothing is; tells whether this call did.
fn link(root: &Path, path: &Path, bytes: &[u8]) -> Result<bool, LedgerError> {
    let folder = path.parent().unwrap_or(root);
    make_folder(folder)?;
    let staged = stage(root, bytes)?;
    let linked = fs::hard_link(&staged, path);
    fs::remove_file(&staged).map_err(|error| io_error("remove", &staged, error))?;
    match linked {
        Ok(()) => sync_folder(folder).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io_error("create", path, error)),
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, LedgerError> {
    let named = |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
    match fs::read_dir(folder) {
        Ok(entries) => {
            let entries: io::Result<Vec<_>> = entries.map(|entry| entry.map(named)).collect();
            entries.map_err(|error| io_error("list", folder, error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error("list", folder, error)),
    }
}

/// Writes bytes under a dot name, durably.
fn stage(folder: &Path, bytes: &[u8]) -> Result<PathBuf, LedgerError> {
    let mut random = [0; 8];
    let staged = folder.join(".new");
    getrandom::fill(&mut random).map_err(|error| io_error("name", &staged, error.into()))?;
    let staged = folder.join(format!(".new-{:016x}", u64::from_le_bytes(random)));
    let written = File::create_new(&staged).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // Best effort: the first error is the one to report, and a dot file is never read.
        drop(fs::remove_file(&staged));
        return Err(io_error("write", &staged, error));
    }
    Ok(staged)
}

/// Makes a folder and those above it; each new name is synced into the folder that holds it.
fn make_folder(path: &Path) -> Result<(), LedgerError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io_error("create", path, error)),
        Ok(()) | Err(_) => {}
    }
    parent.map_or(Ok(()), sync_folder)
}

fn sync_folder(path: &Path) -> Result<(), LedgerError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| io_error("sync", path, error))
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io { doing, path: path.display().to_string(), source }
}
