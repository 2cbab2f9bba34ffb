//! A new object, written from its start to its end.

use std::io::{self, Write};
use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, Result};
use tokio::task::JoinHandle;

use crate::failure;
use crate::runtime::{runtime, wait};

/// A new object. It appears when it is [finished](Self::finish), and not before: what is dropped never was.
///
/// A small one is put at once, a large one in parts, of which one travels while the next is filled.
#[expect(missing_debug_implementations, reason = "holds rows")]
pub struct Upload {
    store: Arc<dyn ObjectStore>,
    location: Path,
    held: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
    travelling: Option<JoinHandle<Result<()>>>,
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, location: Path) -> Self {
        Self { store, location, held: Vec::new(), parts: None, travelling: None }
    }

    /// Writes what is still held back, and makes the object appear.
    ///
    /// # Errors
    ///
    /// The store did not take it; then there is none.
    pub fn finish(mut self) -> io::Result<()> {
        if self.parts.is_none() {
            let (store, location) = (Arc::clone(&self.store), self.location.clone());
            let payload = PutPayload::from(std::mem::take(&mut self.held));
            // Nobody else writes to this name, so what a lost answer leaves open is done again.
            let put = wait(async move { store.put_opts(&location, payload, PutOptions::default()).await })?;
            return put.map(drop).map_err(|error| failure::io(&error));
        }
        if !self.held.is_empty() {
            self.send()?;
        }
        self.arrived()?;
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        let completed = wait(async move {
            let completed = parts.complete().await;
            if completed.is_err() {
                // Best effort: the first error is the one to report.
                drop(parts.abort().await);
            }
            completed
        })?;
        completed.map(drop).map_err(|error| failure::io(&error))
    }

    /// Sends what is held as a part, after the one before has arrived.
    fn send(&mut self) -> io::Result<()> {
        self.arrived()?;
        if self.parts.is_none() {
            let (store, location) = (Arc::clone(&self.store), self.location.clone());
            let begun = wait(async move { store.put_multipart_opts(&location, PutMultipartOptions::default()).await })?;
            self.parts = Some(begun.map_err(|error| failure::io(&error))?);
        }
        let part = PutPayload::from(std::mem::replace(&mut self.held, Vec::with_capacity(PART_BYTES)));
        let sending = self.parts.as_mut().map(|parts| parts.put_part(part));
        self.travelling = sending.map(|sending| Ok::<_, io::Error>(runtime()?.spawn(sending))).transpose()?;
        Ok(())
    }

    fn arrived(&mut self) -> io::Result<()> {
        let Some(travelling) = self.travelling.take() else { return Ok(()) };
        let arrived = wait(travelling)?.map_err(|_panicked| io::Error::other("a part was dropped"))?;
        arrived.map_err(|error| failure::io(&error))
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART_BYTES.saturating_sub(self.held.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.held.extend_from_slice(taken);
        if self.held.len() >= PART_BYTES {
            self.send()?;
        }
        Ok(taken.len())
    }

    /// Nothing goes before a part is full: stores take no small ones.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(mut parts), Ok(runtime)) = (self.parts.take(), runtime()) {
            let travelling = self.travelling.take();
            runtime.spawn(async move {
                if let Some(travelling) = travelling {
                    drop(travelling.await);
                }
                // Best effort: what is left is no object, and the bucket's own rules clear it away.
                drop(parts.abort().await);
            });
        }
    }
}

/// The least that stores take as a part that is not the last. Each open file holds two of them in memory.
const PART_BYTES: usize = 5 << 20;
