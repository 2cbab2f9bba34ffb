//! The store with errors that quote nothing, and with nothing in it that was not confirmed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tracing::warn;

use crate::failure::{is_unconfirmed, told};

/// A store below which nothing is quoted.
pub(crate) struct Guarded {
    below: Arc<dyn ObjectStore>,
}

impl Guarded {
    pub(crate) fn over(below: Arc<dyn ObjectStore>) -> Self {
        Self { below }
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bucket")
    }
}

/// Removes what was written and not confirmed, and says what happened.
async fn refused(store: &Arc<dyn ObjectStore>, location: &Path, error: object_store::Error) -> object_store::Error {
    if is_unconfirmed(&error) {
        let removed = store.delete(location).await.is_ok();
        warn!(removed, "an object that the store did not confirm to encrypt was taken back");
    }
    told(error)
}

#[async_trait]
impl ObjectStore for Guarded {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.below.put_opts(location, payload, options).await {
            Ok(put) => Ok(put),
            Err(error) => Err(refused(&self.below, location, error).await),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let below = self.below.put_multipart_opts(location, options).await.map_err(told)?;
        Ok(Box::new(GuardedUpload { below, store: Arc::clone(&self.below), location: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.below.get_opts(location, options).await.map_err(told)?;
        if let GetResultPayload::Stream(stream) = found.payload {
            found.payload = GetResultPayload::Stream(stream.map(|part| part.map_err(told)).boxed());
        }
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.below.delete_stream(locations).map(|removed| removed.map_err(told)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.below.list(prefix).map(|found| found.map_err(told)).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.below.list_with_offset(prefix, offset).map(|found| found.map_err(told)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.below.list_with_delimiter(prefix).await.map_err(told)
    }

    /// Refused: a copy would not be demanded to be encrypted, and nothing needs one.
    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(object_store::Error::NotSupported { source: "objects of a lake are not copied".into() })
    }
}

#[derive(Debug)]
struct GuardedUpload {
    below: Box<dyn MultipartUpload>,
    store: Arc<dyn ObjectStore>,
    location: Path,
}

#[async_trait]
impl MultipartUpload for GuardedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.below.put_part(data);
        Box::pin(async { part.await.map_err(told) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        match self.below.complete().await {
            Ok(put) => Ok(put),
            Err(error) => Err(refused(&self.store, &self.location, error).await),
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.below.abort().await.map_err(told)
    }
}
