//! The objects of a lake, as they lie in its folder: in clear, or sealed with the store's keys, each for its place.
//!
//! In a sealed lake nothing is read that is in clear, and in one without store keys nothing that is sealed.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use weir_keys::{SealedObject, Sealing, StoreKeys};

use super::{StoreError, io_error, remove};

/// How objects are written and read.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    root: PathBuf,
    keys: Option<Arc<StoreKeys>>,
}

impl Objects {
    /// `root` is the lake's folder: a place is a path below it.
    pub(crate) const fn new(root: PathBuf, keys: Option<Arc<StoreKeys>>) -> Self {
        Self { root, keys }
    }

    /// Starts a new file, which will be read under the name of `named`.
    pub(crate) fn create(&self, path: &Path, named: &Path) -> Result<Output, StoreError> {
        let file = File::create_new(path).map_err(io_error("create", path))?;
        let file = BufWriter::with_capacity(WRITE_BYTES, file);
        Ok(match &self.keys {
            None => Output::Clear(file),
            Some(keys) => Output::Sealed(keys.seal(&self.place(named)?, file).map_err(io_error("seal", path))?),
        })
    }

    /// Writes a whole file, which will be read under the name of `named`; it is not synced.
    pub(crate) fn write(&self, path: &Path, named: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        // What is left of an earlier try goes: an index may be written twice.
        remove(path)?;
        let mut output = self.create(path, named)?;
        output.write_all(bytes).and_then(|()| output.finish()).map(drop).map_err(io_error("write", path))
    }

    /// Opens a file to be read from anywhere.
    pub(crate) fn open(&self, path: &Path) -> Result<Input, StoreError> {
        let open = || {
            let file = File::open(path)?;
            let bytes = file.metadata()?.len();
            let Some(keys) = &self.keys else { return Ok(Input { file: Arc::new(file), bytes, sealed: None }) };
            let head = part(&file, SealedObject::head(bytes))?;
            let place = self.place(path).map_err(io::Error::other)?;
            let sealed = keys.open_object(&place, &head, bytes)?;
            Ok(Input { file: Arc::new(file), bytes: sealed.len(), sealed: Some(Arc::new(sealed)) })
        };
        open().map_err(io_error("open", path))
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let input = self.open(path)?;
        let bytes = input.read(0..input.bytes).map_err(io_error("read", path))?;
        if self.keys.is_none() && bytes.starts_with(SealedObject::MAGIC) {
            return Err(StoreError::Sealed { path: path.display().to_string() });
        }
        Ok(bytes)
    }

    /// Returns how many bytes a reader gets of a file that takes so many.
    pub(crate) fn text_bytes(&self, bytes: u64) -> u64 {
        if self.keys.is_some() { SealedObject::text_bytes(bytes).unwrap_or_default() } else { bytes }
    }

    /// Returns the keys, if the lake is sealed.
    pub(crate) const fn keys(&self) -> Option<&Arc<StoreKeys>> {
        self.keys.as_ref()
    }

    /// Returns the path below the root, which an object is sealed for.
    pub(crate) fn place(&self, path: &Path) -> Result<String, StoreError> {
        let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
        below.map(str::to_owned).ok_or_else(|| StoreError::NoUrl { path: path.display().to_string() })
    }
}

/// Reads a part of a file as it lies there.
pub(super) fn part(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

/// A file that is being written.
pub(crate) enum Output {
    Clear(BufWriter<File>),
    Sealed(Sealing<BufWriter<File>>),
}

impl Output {
    /// Writes what is still held back; the file is not synced yet.
    pub(crate) fn finish(self) -> io::Result<File> {
        let file = match self {
            Self::Clear(file) => file,
            Self::Sealed(sealing) => sealing.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(file) => file.write(bytes),
            Self::Sealed(sealing) => sealing.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(file) => file.flush(),
            Self::Sealed(sealing) => sealing.flush(),
        }
    }
}

/// A file that is read, from anywhere.
#[derive(Clone)]
pub(crate) struct Input {
    file: Arc<File>,
    bytes: u64,
    sealed: Option<Arc<SealedObject>>,
}

impl Input {
    /// Reads a part; less where the file ends before it.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        match &self.sealed {
            Some(sealed) => sealed.read(range, |chunks| part(&self.file, chunks)),
            None => part(&self.file, range.start.min(self.bytes)..range.end.min(self.bytes)),
        }
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Input {
    type T = Reading;

    fn get_read(&self, start: u64) -> Result<Reading, ParquetError> {
        Ok(Reading { input: self.clone(), at: start, held: io::Cursor::default() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = u64::try_from(length).ok().and_then(|length| start.checked_add(length));
        let bytes = self.read(start..end.unwrap_or(u64::MAX))?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("the file ends before".into()));
        }
        Ok(bytes.into())
    }
}

/// A file that is read from a place on.
pub(crate) struct Reading {
    input: Input,
    at: u64,
    held: io::Cursor<Vec<u8>>,
}

impl Read for Reading {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.held.read(out)?;
        if read > 0 || self.at >= self.input.bytes {
            return Ok(read);
        }
        let part = self.input.read(self.at..self.at.saturating_add(READ_BYTES))?;
        self.at = self.at.saturating_add(READ_BYTES);
        self.held = io::Cursor::new(part);
        self.held.read(out)
    }
}

const WRITE_BYTES: usize = 1 << 18;
const READ_BYTES: u64 = 1 << 18;
