//! The lake's folder as objects: the one place where a file of it is opened, measured and read.
//!
//! Folders are walked name by name from the region's, and neither they nor the file may be a symbolic link, a pipe or
//! anything else: whoever can make such a thing in the lake still makes nobody read anything outside. What is not there, or is
//! not what it should be, is absent.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::buffer::spare_capacity;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, open, openat};
use rustix::io::{Errno, pread};

use crate::key::Key;

/// The folder of a region.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    folder: PathBuf,
}

/// A folder that is open.
pub(crate) struct Folder(OwnedFd);

/// An object that is open.
#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    pub(crate) mark: Mark,
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Bytes that can be read.
    pub(crate) len: u64,
    /// When it was written, in nanoseconds since 1970.
    pub(crate) modified_ns: i128,
}

impl Objects {
    /// Names the folder of a region; nothing is read yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Opens an object; none if it is not there.
    pub(crate) fn open(&self, key: &Key) -> io::Result<Option<Input>> {
        let (folder, name) = key.place();
        match self.folder(&folder)? {
            Some(folder) => folder.open(&name),
            None => Ok(None),
        }
    }

    /// Opens a folder by its names below the region's; none if it is not there.
    pub(crate) fn folder(&self, names: &[String]) -> io::Result<Option<Folder>> {
        // The lake itself may lie behind a link: where it is is the operator's word.
        let Some(mut folder) = present(open(&self.folder, FOLDER, Mode::empty()))? else { return Ok(None) };
        for name in names {
            let Some(inner) = present(openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()))? else {
                return Ok(None);
            };
            folder = inner;
        }
        Ok(Some(Folder(folder)))
    }
}

impl Folder {
    /// Lists what is in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            // A name that is no UTF-8 is none of weir's.
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// Opens a file in it; none if it is not there.
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<Input>> {
        let Some(file) = present(openat(&self.0, name, FILE, Mode::empty()))? else { return Ok(None) };
        let found = fstat(&file)?;
        if !FileType::from_raw_mode(found.st_mode).is_file() {
            return Ok(None);
        }
        let modified_ns = i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec);
        let mark = Mark { len: u64::try_from(found.st_size).unwrap_or(0), modified_ns };
        Ok(Some(Input { file: File::from(file), mark }))
    }
}

impl Input {
    /// Reads `len` bytes from `at` on.
    ///
    /// # Errors
    /// When they cannot be read, or the file ends before.
    pub(crate) fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let from = at + u64::try_from(bytes.len()).map_err(io::Error::other)?;
            // A vector may have more room than was asked for.
            match pread(&self.file, spare_capacity(&mut bytes), from) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }
}

/// What is not there, or is a link or no folder, is absent; anything else that fails is a fault.
fn present(opened: rustix::io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK | Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Without waiting: opening a pipe would wait for a writer.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
