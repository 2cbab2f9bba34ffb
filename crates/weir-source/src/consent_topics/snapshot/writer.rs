//! When a snapshot is written, and how it gets to the disk.
//!
//! The turn of the consent topics only notes how far the topic was read; a thread of its own copies the store, shard by shard, seals
//! and writes. So neither the store's age nor the filter waits for a disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use weir_consent::ConsentStore;
use weir_keys::KeySet;

use super::{CONTEXT, Head, Reached, Snapshot, SnapshotRefusal, SnapshotSettings, Topic, load};
use crate::consent_topics::Clocks;

/// The snapshots of one store.
pub(in crate::consent_topics) struct Snapshots {
    settings: SnapshotSettings,
    keys: Arc<KeySet>,
    store: Arc<ConsentStore>,
    incarnation: Arc<str>,
    age_max_ms: i64,
    newest: Option<Snapshot>,
    begun_ms: Option<i64>,
    under_way: Option<JoinHandle<io::Result<Snapshot>>>,
}

impl Snapshots {
    /// Fills the store from the newest snapshot, if it is empty and the topic backs the snapshot.
    pub(in crate::consent_topics) fn open(
        settings: SnapshotSettings,
        keys: Arc<KeySet>,
        store: Arc<ConsentStore>,
        topic: Topic,
        wall_ms: i64,
    ) -> (Self, Result<Snapshot, SnapshotRefusal>) {
        let loaded = load(&settings.path, &keys, &topic, &store, wall_ms);
        let Topic { incarnation, age_max_ms, .. } = topic;
        let newest = loaded.clone().ok();
        (Self { settings, keys, store, incarnation, age_max_ms, newest, begun_ms: None, under_way: None }, loaded)
    }

    /// Returns the newest snapshot that is on the disk.
    pub(in crate::consent_topics) fn newest(&self) -> Option<&Snapshot> {
        self.newest.as_ref()
    }

    /// Begins a snapshot if it is time and there is something new; returns how the one before ended.
    ///
    /// The store holds what was read of the topic, and every record of it could be read.
    pub(in crate::consent_topics) fn tend(&mut self, reached: Vec<Reached>, clocks: Clocks) -> Option<io::Result<()>> {
        if self.under_way.as_ref().is_some_and(|writer| !writer.is_finished()) {
            return None;
        }
        let ended = self.end();
        let interval_ms = i64::try_from(self.settings.interval.as_millis()).unwrap_or(i64::MAX);
        let is_time = self.begun_ms.is_none_or(|begun| clocks.monotonic_ms.saturating_sub(begun) >= interval_ms);
        if is_time && self.is_news(&reached, clocks.wall_ms) {
            self.begun_ms = Some(clocks.monotonic_ms);
            let write = self.writer(reached, clocks.wall_ms);
            match thread::Builder::new().name("snapshot".to_owned()).spawn(write) {
                Ok(writer) => self.under_way = Some(writer),
                Err(error) => return Some(Err(error)),
            }
        }
        ended
    }

    /// Writes a last snapshot if there is something new, and waits for it.
    pub(in crate::consent_topics) fn close(mut self, reached: Vec<Reached>, clocks: Clocks) -> Option<io::Result<()>> {
        let ended = self.end();
        if !self.is_news(&reached, clocks.wall_ms) {
            return ended;
        }
        Some(self.writer(reached, clocks.wall_ms)().map(drop))
    }

    /// Waits for the snapshot that is being written.
    fn end(&mut self) -> Option<io::Result<()>> {
        let ended = self.under_way.take()?.join();
        let ended = ended.unwrap_or_else(|_panic| Err(io::Error::other("the thread of the snapshot panicked")));
        Some(ended.map(|snapshot| self.newest = Some(snapshot)))
    }

    /// Tells whether more was read than the newest snapshot holds, or that one will be too old soon.
    fn is_news(&self, reached: &[Reached], wall_ms: i64) -> bool {
        let Some(newest) = &self.newest else { return true };
        let both = || newest.next.iter().zip(reached);
        let is_behind = both().any(|(then, now)| now.next < *then);
        let is_ahead = both().any(|(then, now)| now.next > *then);
        let is_old = wall_ms.saturating_sub(newest.written_ms) >= self.age_max_ms / 2;
        !is_behind && (is_ahead || is_old)
    }

    fn writer(&self, reached: Vec<Reached>, written_ms: i64) -> impl FnOnce() -> io::Result<Snapshot> + use<> {
        let (path, keys, store) = (self.settings.path.clone(), Arc::clone(&self.keys), Arc::clone(&self.store));
        let head = Head { ring: keys.id().bytes(), written_ms, topic: self.incarnation.to_string(), reached };
        move || write(&path, &keys, &head, &store)
    }
}

impl Drop for Snapshots {
    /// Two writers would use one name.
    fn drop(&mut self) {
        if let Some(Err(error)) = self.end() {
            tracing::warn!(%error, "could not write the snapshot of the consent store");
        }
    }
}

/// Writes a snapshot beside its name, makes it durable, and puts it in the place of the one before.
pub(super) fn write(path: &Path, keys: &KeySet, head: &Head, store: &ConsentStore) -> io::Result<Snapshot> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    // What a kill left behind; a link in its place is removed, not followed.
    if let Err(error) = fs::remove_file(&part)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&part)?;
    let bytes = fill(&file, keys, head, store).inspect_err(|_reported| drop(fs::remove_file(&part)))?;
    fs::rename(&part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    let next = head.reached.iter().map(|reached| reached.next).collect();
    Ok(Snapshot { written_ms: head.written_ms, bytes, next })
}

fn fill(mut file: &File, keys: &KeySet, head: &Head, store: &ConsentStore) -> io::Result<u64> {
    let mut sealing = keys.seal(CONTEXT, &head.encode()?, &mut file)?;
    store.write_snapshot(&mut sealing)?;
    sealing.finish()?.flush()?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// It is sealed, and still nobody else's.
const FILE_MODE: u32 = 0o600;
