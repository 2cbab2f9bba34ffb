//! The store that the kernel puts log entries and checkpoints to, sealed as all objects of the lake are.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use weir_keys::{SealedObject, StoreKeys};

use super::Objects;

/// A store whose objects are sealed for their place; the one below it sees no text.
#[derive(Debug)]
pub(crate) struct SealedStore {
    below: Arc<dyn ObjectStore>,
    objects: Objects,
    keys: Arc<StoreKeys>,
}

impl SealedStore {
    /// Seals what goes to `below`, if the lake has store keys.
    pub(crate) fn over(below: Arc<dyn ObjectStore>, objects: &Objects) -> Arc<dyn ObjectStore> {
        match objects.keys() {
            None => below,
            Some(keys) => Arc::new(Self { below, objects: objects.clone(), keys: keys.clone() }),
        }
    }

    /// The kernel names objects by their path from the root of the file system.
    fn place(&self, location: &Path) -> Result<String> {
        self.objects.place(&path::Path::new("/").join(location.as_ref())).map_err(|source| failed(Box::new(source)))
    }

    fn seal(&self, location: &Path, payload: PutPayload) -> Result<PutPayload> {
        let seal = |place: &str| {
            let mut sealing = self.keys.seal(place, Vec::new())?;
            for part in payload {
                io::Write::write_all(&mut sealing, &part)?;
            }
            sealing.finish()
        };
        Ok(PutPayload::from(seal(&self.place(location)?).map_err(|source| failed(Box::new(source)))?))
    }

    async fn head_of(&self, meta: &ObjectMeta) -> Result<SealedObject> {
        let head = self.below.get_range(&meta.location, SealedObject::head(meta.size)).await?;
        let opened = self.keys.open_object(&self.place(&meta.location)?, &head, meta.size);
        opened.map_err(|source| failed(Box::new(source)))
    }

    async fn part(&self, location: &Path, object: &SealedObject, part: Range<u64>) -> Result<Bytes> {
        let chunks = object.chunks(part);
        let sealed = self.below.get_range(location, chunks.bytes.clone()).await?;
        let text = object.open(&chunks, sealed.into()).map_err(|source| failed(Box::new(source)))?;
        Ok(text.into())
    }
}

/// Says the size that readers of the text know.
fn told(meta: ObjectMeta) -> ObjectMeta {
    ObjectMeta { size: SealedObject::text_bytes(meta.size).unwrap_or_default(), ..meta }
}

fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Generic { store: "sealed", source }
}

impl fmt::Display for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed objects in {}", self.below)
    }
}

#[async_trait]
impl ObjectStore for SealedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.below.put_opts(location, self.seal(location, payload)?, options).await
    }

    /// Refused: parts would be sealed apart, and weir and the kernel put whole objects.
    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(failed("a sealed object is put whole".into()))
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        let (range, is_head) = (options.range.take(), options.head);
        options.head = true;
        let found = self.below.get_opts(location, options).await?;
        let object = self.head_of(&found.meta).await?;
        let range = match range {
            Some(range) => range.as_range(object.len()).map_err(|source| failed(Box::new(source)))?,
            None => 0..object.len(),
        };
        let text = if is_head { Bytes::new() } else { self.part(location, &object, range.clone()).await? };
        let payload = GetResultPayload::Stream(stream::once(async { Ok(text) }).boxed());
        Ok(GetResult { payload, range, meta: told(found.meta), ..found })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.below.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.below.list(prefix).map(|meta| meta.map(told)).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.below.list_with_offset(prefix, offset).map(|meta| meta.map(told)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let found = self.below.list_with_delimiter(prefix).await?;
        Ok(ListResult { objects: found.objects.into_iter().map(told).collect(), ..found })
    }

    /// Refused: an object opens in its own place only.
    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(failed("a sealed object belongs to one place".into()))
    }
}
