//! The consent file, followed: what is appended to it while the daemon runs counts within a second.
//!
//! A line that is changed or taken away has counted already. What the store should say without it only a new store would know, so
//! nobody vouches for the one that is there until the file is what it was, or the daemon is started anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use tracing::{error, info};
use weir_consent::{ConsentStore, LoadError};
use weir_keys::KeySet;
use weir_ledger::sha256_hex;

use crate::health::{Heart, Obstacle};
use crate::pipeline::shared::{Shared, chain};

/// How much of the file was read, and what that was.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    bytes: usize,
    sha256: String,
}

impl Read {
    fn of(text: &[u8]) -> Self {
        Self { bytes: text.len(), sha256: sha256_hex(text) }
    }
}

/// Reads the file as it is now.
pub(crate) fn load(path: &Path, keys: &KeySet, now_ms: i64) -> Result<(ConsentStore, Read), LoadError> {
    let text = fs::read(path)?;
    Ok((ConsentStore::read_ndjson(&text[..], keys, now_ms)?, Read::of(&text)))
}

/// Follows the file until the run is over.
pub(crate) struct FileFollower {
    shared: Arc<Shared>,
    heart: Heart,
    path: PathBuf,
    read: Read,
    /// When the file was changed last, and how long it was, when it was looked at last.
    looked: Option<(SystemTime, u64)>,
}

/// Why the file says nothing that can be relied on.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// It was edited.
    #[error("lines of the consent file were changed that counted already: start weir anew")]
    Changed,
    /// It cannot be read, or a new line is no record.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl FileFollower {
    /// Prepares the worker; `read` is what the store was made of.
    pub(crate) fn new(shared: &Arc<Shared>, path: PathBuf, read: Read) -> Self {
        let heart = shared.heart("consent", STILL_MAX);
        Self { shared: Arc::clone(shared), heart, path, read, looked: None }
    }

    /// Looks again and again.
    pub(crate) fn run(mut self) {
        while !self.shared.is_over() {
            self.heart.beat(self.shared.clock.elapsed_ms());
            match self.look() {
                Ok(()) => {
                    if self.shared.health.clear(Obstacle::ConsentTopic) {
                        self.shared.consent.mark_current(i64::MAX);
                        info!("the consent file is read to its end");
                    }
                }
                Err(fault) => {
                    // Looked at again, however still it lies.
                    self.looked = None;
                    self.shared.consent.mark_unknown();
                    if self.shared.health.raise(Obstacle::ConsentTopic, chain(&fault)) {
                        error!(error = chain(&fault), "the consent file cannot be followed: the flow stops");
                    }
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Takes the lines that are new.
    fn look(&mut self) -> Result<(), Fault> {
        let file = fs::metadata(&self.path).map_err(LoadError::from)?;
        let now = Some((file.modified().map_err(LoadError::from)?, file.len()));
        let is_still = std::mem::replace(&mut self.looked, now) == now;
        if is_still && file.len() == u64::try_from(self.read.bytes).unwrap_or(u64::MAX) {
            return Ok(());
        }
        let text = fs::read(&self.path).map_err(LoadError::from)?;
        let (old, new) = text.split_at_checked(self.read.bytes).ok_or(Fault::Changed)?;
        if sha256_hex(old) != self.read.sha256 {
            return Err(Fault::Changed);
        }
        // A line without an end may still be under way, unless nobody wrote since the last look.
        let end = if is_still { new.len() } else { new.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
        if end > 0 {
            let shared = &self.shared;
            shared.consent.add_ndjson(&new[..end], &shared.rules.keys(), shared.clock.now_ms())?;
            self.read = Read::of(&text[..old.len() + end]);
            shared.consent_news.send_replace(());
            shared.metrics.consent_people.set(i64::try_from(shared.consent.people()).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

/// Within the second that the topics take as well.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A look at a file is over in milliseconds.
const STILL_MAX: Duration = Duration::from_mins(1);
