//! The objects of a lake, as they lie in its folder or bucket: in clear, or sealed with the store's keys, each for its place.
//!
//! In a sealed lake nothing is read that is in clear, and in one without store keys nothing that is sealed.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use weir_bucket::{Bucket, Mark, Root, Upload};
use weir_keys::{SealedObject, Sealing, StoreKeys};

use super::{StoreError, remove_file};

/// How objects are written and read.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    root: Root,
    keys: Option<Arc<StoreKeys>>,
}

impl Objects {
    /// `root` is the lake's folder or bucket: a place is a path below it.
    pub(crate) const fn new(root: Root, keys: Option<Arc<StoreKeys>>) -> Self {
        Self { root, keys }
    }

    pub(crate) const fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the bucket, if the lake lies in one.
    pub(crate) const fn bucket(&self) -> Option<&Bucket> {
        self.root.bucket()
    }

    /// Says what failed, and on what, as people name it.
    pub(crate) fn failed(&self, doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        move |source| StoreError::Io { doing, path: self.root.shown(path), source }
    }

    /// Writes a path as people name it.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        self.root.shown(path).into()
    }

    /// Starts a new file, which will be read under the name of `named`. In a bucket it has that name from its start, and is not there
    /// before its end.
    pub(crate) fn create(&self, path: &Path, named: &Path) -> Result<Output, StoreError> {
        let file = match &self.root {
            Root::Folder(_) => {
                File::create_new(path).map(|file| Sink::File(BufWriter::with_capacity(WRITE_BYTES, file)))
            }
            Root::Bucket(bucket) => bucket.create(named).map(Sink::Object),
        };
        let file = file.map_err(self.failed("create", path))?;
        Ok(match &self.keys {
            None => Output::Clear(file),
            Some(keys) => Output::Sealed(keys.seal(&self.place(named)?, file).map_err(self.failed("seal", path))?),
        })
    }

    /// Writes a whole file, which will be read under the name of `named`; it is not synced.
    pub(crate) fn write(&self, path: &Path, named: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if self.bucket().is_none() {
            // What is left of an earlier try goes: an index may be written twice.
            remove_file(path)?;
        }
        let mut output = self.create(path, named)?;
        output.write_all(bytes).and_then(|()| output.finish()).map(drop).map_err(self.failed("write", path))
    }

    /// Opens a file to be read from anywhere.
    pub(crate) fn open(&self, path: &Path) -> Result<Input, StoreError> {
        let open = || {
            let source = match &self.root {
                Root::Folder(_) => Source::File(File::open(path)?),
                Root::Bucket(bucket) => Source::Object(bucket.clone(), path.to_owned(), bucket.mark(path)?),
            };
            let bytes = source.bytes()?;
            let Some(keys) = &self.keys else { return Ok(Input::of(source, bytes, None)) };
            let head = source.part(SealedObject::head(bytes))?;
            let place = self.place(path).map_err(io::Error::other)?;
            let sealed = keys.open_object(&place, &head, bytes)?;
            Ok(Input::of(source, sealed.len(), Some(sealed)))
        };
        open().map_err(self.failed("open", path))
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let bytes = match &self.root {
            Root::Folder(_) => {
                let input = self.open(path)?;
                input.read(0..input.bytes).map_err(self.failed("read", path))?
            }
            // In one request.
            Root::Bucket(bucket) => {
                let bytes = bucket.read(path).map_err(self.failed("read", path))?;
                self.opened(path, bytes)?
            }
        };
        if self.keys.is_none() && bytes.starts_with(SealedObject::MAGIC) {
            return Err(StoreError::Sealed { path: self.root.shown(path) });
        }
        Ok(bytes)
    }

    /// Opens an object that was read whole.
    fn opened(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let Some(keys) = &self.keys else { return Ok(bytes) };
        let place = self.place(path)?;
        let open = || {
            let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
            let held = |part: Range<u64>| {
                let (start, end) = (usize::try_from(part.start), usize::try_from(part.end));
                let part = start.ok().zip(end.ok()).and_then(|(start, end)| bytes.get(start..end));
                part.map(<[u8]>::to_vec).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
            };
            let sealed = keys.open_object(&place, &held(SealedObject::head(length))?, length)?;
            sealed.read(0..sealed.len(), held)
        };
        open().map_err(self.failed("open", path))
    }

    /// Removes a file; absent is fine.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match &self.root {
            Root::Folder(_) => remove_file(path),
            Root::Bucket(bucket) => bucket.remove(path).map_err(self.failed("remove", path)),
        }
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
        let below = path.strip_prefix(self.root.path()).ok().and_then(Path::to_str);
        below.map(str::to_owned).ok_or_else(|| StoreError::NoUrl { path: self.root.shown(path) })
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
    Clear(Sink),
    Sealed(Sealing<Sink>),
}

/// Where its bytes go.
pub(crate) enum Sink {
    File(BufWriter<File>),
    Object(Upload),
}

/// A file that was written.
pub(crate) enum Written {
    File(File),
    /// Durable as soon as it is there.
    Object,
}

impl Output {
    /// Writes what is still held back; the file is not synced yet.
    pub(crate) fn finish(self) -> io::Result<Written> {
        let sink = match self {
            Self::Clear(sink) => sink,
            Self::Sealed(sealing) => sealing.finish()?,
        };
        match sink {
            Sink::File(file) => file.into_inner().map(Written::File).map_err(io::IntoInnerError::into_error),
            Sink::Object(upload) => upload.finish().map(|()| Written::Object),
        }
    }
}

impl Written {
    /// Waits until a crash of the machine cannot take it any more.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        match self {
            Self::File(file) => file.sync_all(),
            Self::Object => Ok(()),
        }
    }

    /// Gives a file another age; an object keeps its own.
    pub(crate) fn set_modified(&self, modified: SystemTime) -> io::Result<()> {
        match self {
            Self::File(file) => file.set_modified(modified),
            Self::Object => Ok(()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Object(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Object(upload) => upload.flush(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(sink) => sink.write(bytes),
            Self::Sealed(sealing) => sealing.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(sink) => sink.flush(),
            Self::Sealed(sealing) => sealing.flush(),
        }
    }
}

/// A file that is read, from anywhere.
#[derive(Clone)]
pub(crate) struct Input {
    source: Arc<Source>,
    bytes: u64,
    sealed: Option<Arc<SealedObject>>,
    /// Why the store did not give a part: those that read Parquet take any failure for damage.
    trouble: Arc<OnceLock<io::ErrorKind>>,
}

enum Source {
    File(File),
    /// The very object that was there when it was opened.
    Object(Bucket, PathBuf, Mark),
}

impl Source {
    fn bytes(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Object(_, _, mark) => Ok(mark.bytes),
        }
    }

    fn part(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => part(file, range),
            Self::Object(bucket, path, mark) => bucket.part(path, mark, range),
        }
    }
}

impl Input {
    fn of(source: Source, bytes: u64, sealed: Option<SealedObject>) -> Self {
        Self { source: Arc::new(source), bytes, sealed: sealed.map(Arc::new), trouble: Arc::default() }
    }

    /// Reads a part; less where the file ends before it.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let read = match &self.sealed {
            Some(sealed) => sealed.read(range, |chunks| self.source.part(chunks)),
            None => self.source.part(range.start.min(self.bytes)..range.end.min(self.bytes)),
        };
        if let Err(error) = &read {
            self.trouble.get_or_init(|| error.kind());
        }
        read
    }

    /// Returns why a bucket did not give a part of the object, if it was not for what the object is.
    pub(crate) fn trouble(&self) -> Option<io::ErrorKind> {
        let is_damage =
            |kind: &io::ErrorKind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
        match &*self.source {
            Source::File(_) => None,
            Source::Object(..) => self.trouble.get().copied().filter(|kind| !is_damage(kind)),
        }
    }

    /// Returns how many bytes are worth asking for at once: a request costs more than a call of the system.
    pub(crate) fn step(&self) -> u64 {
        match &*self.source {
            Source::File(_) => READ_BYTES,
            Source::Object(..) => REQUEST_BYTES,
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
        let step = self.input.step();
        let part = self.input.read(self.at..self.at.saturating_add(step))?;
        self.at = self.at.saturating_add(step);
        self.held = io::Cursor::new(part);
        self.held.read(out)
    }
}

const WRITE_BYTES: usize = 1 << 18;
const READ_BYTES: u64 = 1 << 18;
const REQUEST_BYTES: u64 = 1 << 22;
