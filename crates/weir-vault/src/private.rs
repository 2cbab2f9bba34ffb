//! Files with a login in them: closed to others, and read again each time.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

/// Reads a short text that only its owner may read; says what is wrong with the file.
///
/// Links are followed: what mounts secrets puts links in their place.
pub(crate) fn closed(path: &Path) -> Result<Zeroizing<String>, String> {
    let file = open(path)?;
    let mode = file.metadata().map_err(|error| unreadable(path, &error))?.permissions().mode() & 0o7777;
    if mode & !PRIVATE_MODE != 0 {
        let path = path.display();
        return Err(format!("{path} has mode {mode:04o}, so that others may log in with it: run `chmod 600 {path}`"));
    }
    text(path, file)
}

/// The same, of a file that others may read.
pub(crate) fn open_to_others(path: &Path) -> Result<Zeroizing<String>, String> {
    text(path, open(path)?)
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| unreadable(path, &error))
}

fn text(path: &Path, file: File) -> Result<Zeroizing<String>, String> {
    // Sized once: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
    let length = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
    file.take(length).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    let inner = text.trim();
    if inner.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(Zeroizing::new(inner.to_owned()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read ({})", path.display(), error.kind())
}

/// As for the files of the key ring.
const PRIVATE_MODE: u32 = 0o600;
/// A chain of certificates is the longest of these; more is something else.
const FILE_BYTES_MAX: usize = 64 << 10;
