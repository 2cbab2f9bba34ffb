//! The few file operations of the ring: private, put if absent, replaced whole, synced to disk.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::error::KeyError;

/// Widest mode of a file with a secret in it.
const FILE_MODE: u32 = 0o600;
/// Widest mode of a folder of such files.
const FOLDER_MODE: u32 = 0o700;
/// A key file is a few hundred bytes; more than this is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file is not opened that only its owner should be able to read.
#[derive(Debug, thiserror::Error)]
pub enum NotPrivate {
    /// It cannot be opened.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Others than its owner may read or write it.
    #[error("it has mode {mode:04o}, so that others may use it")]
    Open {
        /// Its mode.
        mode: u32,
    },
}

/// Opens a file that only its owner may read; what mounts secrets puts links in their place, so links are followed.
///
/// # Errors
///
/// When it cannot be opened, or others may read it too.
pub fn open_private(path: &Path) -> Result<File, NotPrivate> {
    let file = File::open(path)?;
    let mode = mode_of(&file.metadata()?);
    if is_within(mode, FILE_MODE) { Ok(file) } else { Err(NotPrivate::Open { mode }) }
}

/// Makes a private folder; an existing one is fine.
pub(crate) fn make_folder(path: &Path) -> Result<(), KeyError> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => sync_folder(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(KeyError::io("make the folder", path, error)),
    }
}

/// Refuses a folder that others may enter.
pub(crate) fn check_folder(path: &Path) -> Result<(), KeyError> {
    let metadata = fs::metadata(path).map_err(|error| KeyError::io("look at", path, error))?;
    if !metadata.is_dir() {
        return Err(KeyError::NotAFolder { path: path.to_owned() });
    }
    check_mode(path, mode_of(&metadata), FOLDER_MODE)
}

/// Tells whether nothing at all is in the folder.
pub(crate) fn is_empty(folder: &Path) -> Result<bool, KeyError> {
    let mut entries = fs::read_dir(folder).map_err(|error| KeyError::io("list", folder, error))?;
    Ok(entries.next().is_none())
}

/// Returns the names of the folder's files, but those that start with a dot: writes under way.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |error| KeyError::io("list", folder, error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads a private file whole; none when it is absent.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let failed = |error| KeyError::io("read", path, error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
        // A link could lead to a file that somebody else keeps.
        Ok(metadata) if !metadata.is_file() => return Err(KeyError::Damaged { path: path.to_owned() }),
        Ok(_) => {}
    }
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check_mode(path, mode_of(&metadata), FILE_MODE)?;
    let length = usize::try_from(metadata.len().min(FILE_BYTES_MAX)).unwrap_or(0);
    // Sized once: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(vec![0; length]);
    file.read_exact(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Writes a file that is not there yet and makes it durable; tells whether this call made it.
///
/// The bytes are complete before the name appears, and of two writers exactly one succeeds: the name is a hard link.
pub(crate) fn put_if_absent(path: &Path, bytes: &[u8]) -> Result<bool, KeyError> {
    let staged = stage(path, bytes)?;
    let linked = fs::hard_link(&staged, path);
    fs::remove_file(&staged).map_err(|error| KeyError::io("remove", &staged, error))?;
    match linked {
        Ok(()) => sync_folder_of(path).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(KeyError::io("create", path, error)),
    }
}

/// Puts a file in place of whatever is there, at once; its bytes are durable, that it has replaced the former is not yet.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let staged = stage(path, bytes)?;
    fs::rename(&staged, path).map_err(|error| KeyError::io("replace", path, error))
}

/// Waits until nobody else replaces files of a ring; that ends when what is returned is dropped.
pub(crate) fn alone(ring: &Path) -> Result<File, KeyError> {
    let folder = File::open(ring).map_err(|error| KeyError::io("open", ring, error))?;
    folder.lock().map_err(|error| KeyError::io("lock", ring, error))?;
    Ok(folder)
}

/// Replaces a file that still holds what it did; tells whether it does.
pub(crate) fn replace_same(ring: &Path, path: &Path, before: &[u8], after: &[u8]) -> Result<bool, KeyError> {
    let _alone = alone(ring)?;
    let is_same = read(path)?.is_some_and(|found| *found == before);
    if is_same {
        replace(path, after)?;
    }
    Ok(is_same)
}

/// Replaces a file at once and durably, then overwrites what it held.
///
/// The overwriting is a courtesy to disks that write in place; a journal, a snapshot or a flash disk may keep the old bytes.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let mut old = OpenOptions::new().write(true).open(path).map_err(|error| KeyError::io("open", path, error))?;
    let staged = stage(path, bytes)?;
    fs::rename(&staged, path).map_err(|error| KeyError::io("replace", path, error))?;
    sync_folder_of(path)?;
    overwrite(&mut old).map_err(|error| KeyError::io("overwrite", path, error))
}

fn overwrite(old: &mut File) -> io::Result<()> {
    let length = usize::try_from(old.metadata()?.len().min(FILE_BYTES_MAX)).unwrap_or(0);
    old.seek(SeekFrom::Start(0))?;
    old.write_all(&vec![0; length])?;
    old.sync_all()
}

/// Writes the bytes under a dot name beside `path`, durably.
fn stage(path: &Path, bytes: &[u8]) -> Result<PathBuf, KeyError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(KeyError::Random)?;
    let staged = path.with_file_name(format!(".new-{:016x}", u64::from_le_bytes(random)));
    let written = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&staged).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(staged),
        Err(error) => {
            // Best effort: the first error is the one to report, and a dot file is never read.
            drop(fs::remove_file(&staged));
            Err(KeyError::io("write", &staged, error))
        }
    }
}

fn sync_folder_of(path: &Path) -> Result<(), KeyError> {
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn sync_folder(folder: &Path) -> Result<(), KeyError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| KeyError::io("sync", folder, error))
}

fn check_mode(path: &Path, mode: u32, widest: u32) -> Result<(), KeyError> {
    if is_within(mode, widest) { Ok(()) } else { Err(KeyError::ModeTooWide { path: path.to_owned(), mode, widest }) }
}

fn is_within(mode: u32, widest: u32) -> bool {
    mode | widest == widest
}

fn mode_of(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}
