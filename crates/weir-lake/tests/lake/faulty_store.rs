//! A store that fails when it is told to: before a put, after it, or with an answer that is not true.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

use crate::world::World;

/// What happens to a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: it succeeds.
    None,
    /// It fails and has done nothing.
    Before,
    /// It is done, and the answer is a failure.
    After,
    /// It is done, and the answer says that someone else's was first: what a retry inside a store leads to.
    AfterAsConflict,
}

type Hook = Box<dyn Fn(&str) -> Fault + Send + Sync>;

pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    hook: Mutex<Option<Hook>>,
}

impl FaultyStore {
    /// Stands before what a world's lake lies in.
    pub(crate) fn new(world: &World) -> Arc<Self> {
        Arc::new(Self { inner: world.objects(), hook: Mutex::new(None) })
    }

    /// Asks `hook` before every put from now on.
    pub(crate) fn set(&self, hook: impl Fn(&str) -> Fault + Send + Sync + 'static) {
        *self.hook.lock() = Some(Box::new(hook));
    }

    /// Lets the commit of this number fail; returns the count of those that were tried.
    pub(crate) fn fail_commit(&self, number: u32, fault: Fault) -> Arc<Mutex<u32>> {
        let tried = Arc::new(Mutex::new(0));
        let counted = tried.clone();
        self.set(move |path| {
            let mut tried = counted.lock();
            let is_commit = path.strip_suffix(".json").is_some();
            *tried += u32::from(is_commit);
            if *tried == number && is_commit { fault } else { Fault::None }
        });
        tried
    }

    /// Asks `hook` before the next put whose path holds `part`, and not again.
    pub(crate) fn once(&self, part: &'static str, hook: impl Fn() -> Fault + Send + Sync + 'static) {
        let done = Mutex::new(false);
        self.set(move |path| {
            let mut done = done.lock();
            if *done || !path.contains(part) {
                return Fault::None;
            }
            *done = true;
            drop(done);
            hook()
        });
    }
}

fn failure() -> Error {
    Error::Generic { store: "faulty", source: "told to fail".into() }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.hook.lock().as_ref().map_or(Fault::None, |hook| hook(location.as_ref()));
        match fault {
            Fault::None => self.inner.put_opts(location, payload, options).await,
            Fault::Before => Err(failure()),
            Fault::After => {
                self.inner.put_opts(location, payload, options).await?;
                Err(failure())
            }
            Fault::AfterAsConflict => {
                self.inner.put_opts(location, payload, options).await?;
                Err(Error::AlreadyExists { path: location.to_string(), source: "told to".into() })
            }
        }
    }

    async fn put_multipart_opts(&self, to: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
