//! What lies in a folder.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns the secrets that lie in clear in a folder's files, as a key file of version 1 has them before its checksum.
pub(crate) fn secrets_in_clear(folder: &Path) -> Vec<Vec<u8>> {
    let read = files(folder).into_iter().map(|path| fs::read(path).unwrap());
    let clear = read.filter(|bytes| bytes.starts_with(b"weirkey\x01") && bytes[9] == 1);
    clear.map(|bytes| bytes[bytes.len() - 48..bytes.len() - 16].to_vec()).collect()
}
