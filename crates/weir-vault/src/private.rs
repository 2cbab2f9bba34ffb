//! Files with a login in them: closed to others, and read again each time.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use weir_keys::{NotPrivate, open_private};
use zeroize::Zeroizing;

/// Reads a short text that only its owner may read; says what is wrong with the file.
///
/// Links are followed: what mounts secrets puts links in their place.
pub(crate) fn closed(path: &Path) -> Result<Zeroizing<String>, String> {
    match open_private(path) {
        Ok(file) => text(path, file),
        Err(NotPrivate::Io(error)) => Err(unreadable(path, &error)),
        Err(NotPrivate::Open { mode }) => {
            let path = path.display();
            Err(format!("{path} has mode {mode:04o}, so that others may log in with it: run `chmod 600 {path}`"))
        }
    }
}

/// The same, of a file that others may read.
pub(crate) fn open_to_others(path: &Path) -> Result<Zeroizing<String>, String> {
    text(path, File::open(path).map_err(|error| unreadable(path, &error))?)
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

/// A chain of certificates is the longest of these; more is something else.
const FILE_BYTES_MAX: usize = 64 << 10;
