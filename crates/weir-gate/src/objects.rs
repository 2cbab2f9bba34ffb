//! The lake's folder as objects: the one place where a file of it is opened, measured and read.
//!
//! Folders are walked name by name from the region's, and neither they nor the file may be a symbolic link, a pipe or
//! anything else: whoever can make such a thing in the lake still makes nobody read anything outside. What is not there, or is
//! not what it should be, is absent. In a sealed lake an object is opened for its place, piece by piece; one that is in clear, or was sealed
//! for another place, is a fault; and so is a sealed one in a lake that is not.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, open, openat};
use rustix::io::{Errno, pread};
use weir_keys::{SealedObject, StoreKeys};

use crate::key::Key;

/// The folder of a region, and what its objects are sealed with.
#[derive(Clone)]
pub(crate) struct Objects {
    folder: PathBuf,
    region: String,
    keys: Option<Arc<StoreKeys>>,
}

/// A folder that is open.
pub(crate) struct Folder {
    handle: OwnedFd,
    /// Its path below the lake's root, which objects are sealed for, with a `/` at its end.
    place: String,
    keys: Option<Arc<StoreKeys>>,
}

/// An object that is open.
pub(crate) struct Input {
    file: File,
    sealed: Option<SealedObject>,
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
    /// Names the folder of a region in the lake's; nothing is read yet.
    pub(crate) fn new(root: &Path, region: &str, keys: Option<Arc<StoreKeys>>) -> Self {
        Self { folder: root.join(region), region: region.to_owned(), keys }
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
        let place = [&self.region].into_iter().chain(names).flat_map(|name| [name, "/"]).collect();
        Ok(Some(Folder { handle: folder, place, keys: self.keys.clone() }))
    }
}

impl Folder {
    /// Lists what is in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            // A name that is no UTF-8 is none of weir's.
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// Measures a file in it; none if it is not there.
    pub(crate) fn measure(&self, name: &str) -> io::Result<Option<Mark>> {
        let Some((_, bytes, mut mark)) = self.file(name)? else { return Ok(None) };
        if self.keys.is_some() {
            mark.len = SealedObject::text_bytes(bytes).unwrap_or_default();
        }
        Ok(Some(mark))
    }

    /// Opens a file in it; none if it is not there.
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<Input>> {
        let Some((file, bytes, mut mark)) = self.file(name)? else { return Ok(None) };
        let head = read(&file, SealedObject::head(bytes))?;
        let sealed = match &self.keys {
            None if head.starts_with(SealedObject::MAGIC) => return Err(io::ErrorKind::InvalidData.into()),
            None => None,
            Some(keys) => Some(keys.open_object(&format!("{}{name}", self.place), &head, bytes)?),
        };
        mark.len = sealed.as_ref().map_or(bytes, SealedObject::len);
        Ok(Some(Input { file, sealed, mark }))
    }

    fn file(&self, name: &str) -> io::Result<Option<(File, u64, Mark)>> {
        let Some(file) = present(openat(&self.handle, name, FILE, Mode::empty()))? else { return Ok(None) };
        let found = fstat(&file)?;
        if !FileType::from_raw_mode(found.st_mode).is_file() {
            return Ok(None);
        }
        let modified_ns = i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec);
        let bytes = u64::try_from(found.st_size).unwrap_or(0);
        Ok(Some((File::from(file), bytes, Mark { len: bytes, modified_ns })))
    }
}

impl Input {
    /// Reads `len` bytes from `at` on.
    ///
    /// # Errors
    /// When they cannot be read, the object ends before, or they are not what was sealed there.
    pub(crate) fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let part = at..at + u64::try_from(len).map_err(io::Error::other)?;
        let Some(sealed) = &self.sealed else { return read(&self.file, part) };
        let bytes = sealed.read(part, |chunks| read(&self.file, chunks))?;
        if bytes.len() == len { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Reads a part of a file, all of it.
fn read(file: &File, part: Range<u64>) -> io::Result<Vec<u8>> {
    let len = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let from = part.start + u64::try_from(bytes.len()).map_err(io::Error::other)?;
        match pread(file, spare_capacity(&mut bytes), from) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A vector may have more room than was asked for.
    bytes.truncate(len);
    Ok(bytes)
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
