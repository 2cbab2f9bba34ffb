//! The lake's folder or bucket as objects: the one place where a file of it is opened, measured and read.
//!
//! Folders are walked name by name from the region's, and neither they nor the file may be a symbolic link, a pipe or
//! anything else: whoever can make such a thing in the lake still makes nobody read anything outside. What is not there, or is
//! not what it should be, is absent. In a sealed lake an object is opened for its place, piece by piece; one that is in clear, or was sealed
//! for another place, is a fault; and so is a sealed one in a lake that is not.
//!
//! In a bucket the same names are parts of keys. A body is read from the very object that was looked at: one that is exchanged meanwhile
//! ends it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::buffer::spare_capacity;
use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, open, openat};
use rustix::io::{Errno, pread};
use weir_bucket::{Bucket, Entry, Mark as Found, Root};
use weir_keys::{SealedObject, StoreKeys};

use crate::key::Key;

/// The folder of a region, and what its objects are sealed with.
#[derive(Clone)]
pub(crate) struct Objects {
    root: Root,
    region: String,
    keys: Option<Arc<StoreKeys>>,
}

/// A folder that is open.
pub(crate) struct Folder {
    handle: Handle,
    /// Its path below the lake's root, which objects are sealed for, with a `/` at its end.
    place: String,
    keys: Option<Arc<StoreKeys>>,
}

enum Handle {
    Folder(OwnedFd),
    Bucket {
        bucket: Bucket,
        path: PathBuf,
        /// What is in it, once that was asked.
        listed: OnceLock<Vec<Entry>>,
    },
}

/// An object that is open.
pub(crate) struct Input {
    source: Source,
    sealed: Option<SealedObject>,
    pub(crate) mark: Mark,
}

enum Source {
    File(File),
    Object(Bucket, PathBuf, Found),
}

impl Source {
    /// Reads a part, all of it.
    fn read(&self, part: Range<u64>) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => read(file, part),
            Self::Object(_, _, found) if part.end > found.bytes => Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Object(bucket, path, found) => bucket.part(path, found, part),
        }
    }
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
    pub(crate) fn new(root: Root, region: &str, keys: Option<Arc<StoreKeys>>) -> Self {
        Self { root: root.below(region), region: region.to_owned(), keys }
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
        let handle = match &self.root {
            Root::Folder(folder) => {
                // The lake itself may lie behind a link: where it is is the operator's word.
                let Some(mut folder) = present(open(folder, FOLDER, Mode::empty()))? else { return Ok(None) };
                for name in names {
                    let Some(inner) = present(openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()))? else {
                        return Ok(None);
                    };
                    folder = inner;
                }
                Handle::Folder(folder)
            }
            Root::Bucket(bucket) => {
                let mut path = bucket.root().to_owned();
                path.extend(names);
                Handle::Bucket { bucket: bucket.clone(), path, listed: OnceLock::new() }
            }
        };
        let place = [&self.region].into_iter().chain(names).flat_map(|name| [name, "/"]).collect();
        Ok(Some(Folder { handle, place, keys: self.keys.clone() }))
    }
}

impl Folder {
    /// Lists what is in it, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let handle = match &self.handle {
            Handle::Folder(handle) => handle,
            Handle::Bucket { bucket, path, listed } => {
                let entries = entries(bucket, path, listed)?;
                return Ok(entries.iter().map(|entry| entry.name.clone()).collect());
            }
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(handle)? {
            // A name that is no UTF-8 is none of weir's.
            names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// Measures a file in it; none if it is not there.
    pub(crate) fn measure(&self, name: &str) -> io::Result<Option<Mark>> {
        let found = match &self.handle {
            Handle::Folder(handle) => file(handle, name)?.map(|(_, mark)| mark),
            Handle::Bucket { bucket, path, listed } => {
                let named = |entry: &&Entry| entry.name == name;
                entries(bucket, path, listed)?.iter().find(named).and_then(|entry| entry.object.as_ref().map(mark_of))
            }
        };
        let Some(mut mark) = found else { return Ok(None) };
        let bytes = mark.len;
        if self.keys.is_some() {
            mark.len = SealedObject::text_bytes(bytes).unwrap_or_default();
        }
        Ok(Some(mark))
    }

    /// Opens a file in it; none if it is not there.
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<Input>> {
        let found = match &self.handle {
            Handle::Folder(handle) => file(handle, name)?.map(|(file, mark)| (Source::File(file), mark)),
            Handle::Bucket { bucket, path, .. } => {
                let path = path.join(name);
                let found = match bucket.mark(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    found => Some(found?),
                };
                found
                    .map(|found| (mark_of(&found), found))
                    .map(|(mark, found)| (Source::Object(bucket.clone(), path, found), mark))
            }
        };
        let Some((source, mut mark)) = found else { return Ok(None) };
        let bytes = mark.len;
        let head = source.read(SealedObject::head(bytes))?;
        let sealed = match &self.keys {
            None if head.starts_with(SealedObject::MAGIC) => return Err(io::ErrorKind::InvalidData.into()),
            None => None,
            Some(keys) => Some(keys.open_object(&format!("{}{name}", self.place), &head, bytes)?),
        };
        mark.len = sealed.as_ref().map_or(bytes, SealedObject::len);
        Ok(Some(Input { source, sealed, mark }))
    }
}

fn entries<'l>(bucket: &Bucket, path: &Path, listed: &'l OnceLock<Vec<Entry>>) -> io::Result<&'l [Entry]> {
    if let Some(entries) = listed.get() {
        return Ok(entries);
    }
    let entries = bucket.list(path)?;
    Ok(listed.get_or_init(|| entries))
}

fn mark_of(found: &Found) -> Mark {
    Mark { len: found.bytes, modified_ns: i128::from(found.modified_ms) * 1_000_000 }
}

fn file(folder: &OwnedFd, name: &str) -> io::Result<Option<(File, Mark)>> {
    let Some(file) = present(openat(folder, name, FILE, Mode::empty()))? else { return Ok(None) };
    let found = fstat(&file)?;
    if !FileType::from_raw_mode(found.st_mode).is_file() {
        return Ok(None);
    }
    let modified_ns = i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec);
    Ok(Some((File::from(file), Mark { len: u64::try_from(found.st_size).unwrap_or(0), modified_ns })))
}

impl Input {
    /// Reads `len` bytes from `at` on.
    ///
    /// # Errors
    /// When they cannot be read, the object ends before, or they are not what was sealed there.
    pub(crate) fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let part = at..at + u64::try_from(len).map_err(io::Error::other)?;
        let Some(sealed) = &self.sealed else { return self.source.read(part) };
        let bytes = sealed.read(part, |chunks| self.source.read(chunks))?;
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
