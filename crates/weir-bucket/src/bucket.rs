//! A bucket, as the lake uses it: paths below its root, from `/` on, are keys.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures::StreamExt as _;
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetRange, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion,
};

use crate::client::client;
use crate::failure;
use crate::runtime::wait;
use crate::settings::{Settings, is_key};
use crate::upload::Upload;

/// A bucket of an object store. Cheap to share; nothing is asked of the store before it is needed.
#[derive(Clone)]
pub struct Bucket {
    shared: Arc<Shared>,
    root: PathBuf,
}

struct Shared {
    settings: Settings,
    store: OnceLock<Arc<dyn ObjectStore>>,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Which of the objects of this name it is.
    pub tag: Option<String>,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last part of its path.
    pub name: String,
    /// The object; none for a folder.
    pub object: Option<Mark>,
}

impl Bucket {
    /// Names a bucket.
    pub fn new(settings: Settings) -> Self {
        let root = Path::new("/").join(&settings.prefix);
        Self { shared: Arc::new(Shared { settings, store: OnceLock::new() }), root }
    }

    /// Names a folder in it, which is spoken to by the same client.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), root: self.root.join(name) }
    }

    /// Returns the path that the lake is below: `/` and the prefix.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a path as readers name it: `s3://bucket/…`.
    pub fn shown(&self, path: &Path) -> String {
        format!("s3://{}{}", self.shared.settings.bucket, path.display()).trim_end_matches('/').to_owned()
    }

    /// Returns the bucket as the kernel uses it.
    ///
    /// # Errors
    ///
    /// The client cannot be made: a certificate is missing.
    pub fn store(&self) -> io::Result<Arc<dyn ObjectStore>> {
        if let Some(store) = self.shared.store.get() {
            return Ok(Arc::clone(store));
        }
        let made = client(&self.shared.settings)?;
        Ok(Arc::clone(self.shared.store.get_or_init(|| made)))
    }

    /// Tells whether the store lets an object be put only where none is, which all commits rest on.
    ///
    /// # Errors
    ///
    /// The store does not answer, or may not be written to.
    pub fn puts_if_absent(&self, probe: &Path) -> io::Result<bool> {
        let put = |text: &'static [u8]| self.put(probe, text.to_vec(), PutMode::Create);
        put(b"one")?;
        let again = put(b"two");
        let read = self.read(probe);
        self.remove(probe)?;
        match again {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read? == b"one"),
            Err(error) => Err(error),
            Ok(()) => Ok(false),
        }
    }

    /// Tells whether the store replaces an object only where it is the one that was looked at.
    ///
    /// # Errors
    ///
    /// The store does not answer, or may not be written to.
    pub fn replaces_what_was_read(&self, probe: &Path) -> io::Result<bool> {
        self.put(probe, b"one".to_vec(), PutMode::Create)?;
        let tried = self.mark(probe).and_then(|mark| {
            let (first, late) =
                (self.replace(probe, &mark, b"two".to_vec())?, self.replace(probe, &mark, b"three".to_vec())?);
            Ok(first && !late)
        });
        self.remove(probe)?;
        tried
    }

    /// Reads a whole object.
    ///
    /// # Errors
    ///
    /// It is not there, or the store does not give it.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (store, key) = (self.store()?, key(path)?);
        let read = wait(async move { store.get(&key).await?.bytes().await })?;
        read.map(Vec::from).map_err(|error| failure::io(&error))
    }

    /// Reads a part of the very object that was looked at before; less where it ends before.
    ///
    /// # Errors
    ///
    /// The object is not there, is another one by now, or the store does not give it.
    pub fn part(&self, path: &Path, mark: &Mark, part: Range<u64>) -> io::Result<Vec<u8>> {
        let part = part.start.min(mark.bytes)..part.end.min(mark.bytes);
        if part.is_empty() {
            return Ok(Vec::new());
        }
        let (store, key) = (self.store()?, key(path)?);
        let options = GetOptions {
            range: Some(GetRange::Bounded(part.clone())),
            if_match: mark.tag.clone(),
            ..GetOptions::new()
        };
        let read = wait(async move { store.get_opts(&key, options).await?.bytes().await })?;
        let bytes = read.map_err(|error| failure::io(&error))?;
        if u64::try_from(bytes.len()).ok() != Some(part.end - part.start) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the store gave less of an object than it has"));
        }
        Ok(bytes.into())
    }

    /// Looks at an object.
    ///
    /// # Errors
    ///
    /// It is not there, or the store does not tell.
    pub fn mark(&self, path: &Path) -> io::Result<Mark> {
        let (store, key) = (self.store()?, key(path)?);
        let found = wait(async move { store.head(&key).await })?;
        found.map(Mark::of).map_err(|error| failure::io(&error))
    }

    /// Tells whether there is an object of this name.
    ///
    /// # Errors
    ///
    /// The store does not tell.
    pub fn has(&self, path: &Path) -> io::Result<bool> {
        match self.mark(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells whether there is anything below a folder.
    ///
    /// # Errors
    ///
    /// The store does not tell.
    pub fn holds(&self, folder: &Path) -> io::Result<bool> {
        let (store, prefix) = (self.store()?, prefix(folder)?);
        let first = wait(async move { store.list(prefix.as_ref()).next().await })?;
        first.transpose().map(|first| first.is_some()).map_err(|error| failure::io(&error))
    }

    /// Lists a folder, in the order of the names; one that holds nothing is not there, and so is empty.
    ///
    /// # Errors
    ///
    /// The store does not tell.
    pub fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let (store, prefix) = (self.store()?, prefix(folder)?);
        let listed = wait(async move { store.list_with_delimiter(prefix.as_ref()).await })?;
        let ListResult { common_prefixes, objects, .. } = listed.map_err(|error| failure::io(&error))?;
        let name = |key: &Key| key.filename().map(str::to_owned);
        let folders = common_prefixes.iter().filter_map(|key| Some(Entry { name: name(key)?, object: None }));
        let objects = objects.into_iter().filter_map(|found| {
            let name = name(&found.location)?;
            Some(Entry { name, object: Some(Mark::of(found)) })
        });
        let mut entries: Vec<_> = folders.chain(objects).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Lists all objects below a folder, with their paths.
    ///
    /// # Errors
    ///
    /// The store does not tell.
    pub fn list_all(&self, folder: &Path) -> io::Result<Vec<(PathBuf, Mark)>> {
        let (store, prefix) = (self.store()?, prefix(folder)?);
        let listed = wait(async move { store.list(prefix.as_ref()).collect::<Vec<_>>().await })?;
        let found = |found: object_store::Result<ObjectMeta>| {
            let found = found.map_err(|error| failure::io(&error))?;
            Ok((Path::new("/").join(found.location.as_ref()), Mark::of(found)))
        };
        listed.into_iter().map(found).collect()
    }

    /// Begins a new object, or one in the place of another.
    ///
    /// # Errors
    ///
    /// The client cannot be made, or the name cannot be a key.
    pub fn create(&self, path: &Path) -> io::Result<Upload> {
        Ok(Upload::new(self.store()?, key(path)?))
    }

    /// Puts an object where none is; tells whether this call did.
    ///
    /// # Errors
    ///
    /// The store did not take it, or does not tell.
    pub fn put_if_absent(&self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        match self.put(path, bytes.to_vec(), PutMode::Create) {
            Ok(()) => Ok(true),
            // The first try of a request may have succeeded and its answer been lost; then what is there is ours.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(self.read(path)? == bytes),
            Err(error) => Err(error),
        }
    }

    /// Puts an object in the place of the very one that was looked at before; tells whether it was still there.
    ///
    /// # Errors
    ///
    /// The store did not take it, or has no tags.
    pub fn replace(&self, path: &Path, mark: &Mark, bytes: Vec<u8>) -> io::Result<bool> {
        let version = UpdateVersion { e_tag: mark.tag.clone(), version: None };
        match self.put(path, bytes, PutMode::Update(version)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; absent is fine.
    ///
    /// # Errors
    ///
    /// The store did not.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let (store, key) = (self.store()?, key(path)?);
        match wait(async move { store.delete(&key).await })? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure::io(&error)),
        }
    }

    fn put(&self, path: &Path, bytes: Vec<u8>, mode: PutMode) -> io::Result<()> {
        let (store, key) = (self.store()?, key(path)?);
        let put = wait(async move { store.put_opts(&key, PutPayload::from(bytes), mode.into()).await })?;
        put.map(drop).map_err(|error| failure::io(&error))
    }
}

impl Mark {
    fn of(found: ObjectMeta) -> Self {
        Self { bytes: found.size, modified_ms: found.last_modified.timestamp_millis(), tag: found.e_tag }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.shown(self.root()))
    }
}

/// Returns the key of a path.
fn key(path: &Path) -> io::Result<Key> {
    let text = path.to_str().and_then(|path| path.strip_prefix('/')).filter(|key| is_key(key));
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "the name cannot be an object's");
    Key::parse(text.ok_or_else(wrong)?).map_err(|_odd| wrong())
}

/// Returns the prefix of all keys below a folder; none for all of a bucket.
fn prefix(folder: &Path) -> io::Result<Option<Key>> {
    if folder == Path::new("/") { Ok(None) } else { key(folder).map(Some) }
}
