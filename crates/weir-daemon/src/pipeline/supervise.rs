//! The supervisor: the thread that waits, for signals and for workers that end.
//!
//! It does no work of its own but what is done at a signal. The process ends when the source worker has
//! ended, whatever the others do, and it ends with an error when any worker ended that should not have.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tracing::{error, info, warn};
use weir_lake::{Lake, LakeError};

use crate::api::Api;
use crate::clock::millis;
use crate::config::{Config, LakeUrl};
use crate::custody::Layer;
use crate::health::Health;
use crate::lake;
use crate::pipeline::line::Line;
use crate::pipeline::shared::{OF_THE_LAKE, Shared, chain, obstacle_of};
use crate::pipeline::workers::{self, Event};
use crate::pipeline::{RunError, Setup};

/// Waits for signals and for workers that end.
#[derive(Debug)]
pub(crate) struct Supervisor {
    events: SyncSender<Event>,
    inbox: Receiver<Event>,
    /// When the workers must be done, once the daemon was asked to end.
    stop_by_ms: Cell<Option<i64>>,
}

impl Supervisor {
    /// Takes both ends of the queue of events.
    pub(crate) fn new(events: SyncSender<Event>, inbox: Receiver<Event>) -> Self {
        Self { events, inbox, stop_by_ms: Cell::new(None) }
    }

    /// Starts a worker whose end will be noticed.
    pub(crate) fn spawn<W>(&self, name: &'static str, work: W) -> Result<(), RunError>
    where
        W: FnOnce() -> Result<(), RunError> + Send + 'static,
    {
        workers::spawn(name, &self.events, work)
    }

    /// Opens the lake, for as long as it takes; `None` when the daemon is asked to end meanwhile.
    pub(crate) fn open_lake(&self, setup: &Setup, health: &Health) -> Result<Option<Lake>, RunError> {
        loop {
            let opened = lake::open(&setup.config, &setup.ring);
            match opened.and_then(|lake| lake.ledger().check().map(|_| lake).map_err(LakeError::Ledger)) {
                Ok(lake) => {
                    for obstacle in OF_THE_LAKE {
                        health.clear(obstacle);
                    }
                    return Ok(Some(lake));
                }
                Err(LakeError::Ledger(error)) if error.is_refusal() => return Err(RunError::Ledger(error)),
                Err(error) if is_worth_waiting(&setup.config, &error) => {
                    if health.raise(obstacle_of(&error), chain(&error)) {
                        warn!(error = chain(&error), "the lake cannot be opened yet");
                    }
                }
                Err(error) => return Err(RunError::Lake(error)),
            }
            if let Ok(Event::Stop) = self.inbox.recv_timeout(LAKE_RETRY) {
                return Ok(None);
            }
        }
    }

    /// Waits until the consent worker has left its group, so that its successor need not wait for a time-out, and has kept its store.
    pub(crate) fn see_off(&self, shared: &Shared) {
        let longest = shared.clock.elapsed_ms() + millis(SEE_OFF_MAX);
        let until_ms = self.stop_by_ms.get().map_or(longest, |stop_by| longest.min(stop_by + millis(SEE_OFF_LAST)));
        while shared.clock.elapsed_ms() < until_ms {
            if let Ok(Event::Ended("consent", _)) = self.inbox.recv_timeout(TURN) {
                return;
            }
        }
    }

    /// Starts the workers that tend the secrets: a vault may take its time, and neither signals nor the other vault wait for it.
    pub(crate) fn keep_secrets(&self, shared: &Arc<Shared>) -> Result<(), RunError> {
        let store = shared.lake.store_keys().map(|_| (Layer::Store, "store keys"));
        for (layer, name) in [(Layer::Ring, "keys")].into_iter().chain(store) {
            let (shared, heart) = (Arc::clone(shared), shared.heart(name, KEYS_STILL_MAX));
            self.spawn(name, move || {
                shared.keep_secrets(layer, &heart, TURN);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Watches until the source worker is done.
    pub(crate) fn watch(&self, shared: &Shared, line: &Line, api: Option<&Api>) -> Result<(), RunError> {
        loop {
            let now_ms = shared.clock.elapsed_ms();
            // Nobody else may look for a while: secrets that lapsed are forgotten all the same.
            shared.keys_are_current();
            if self.stop_by_ms.get().is_some_and(|stop_by| now_ms >= stop_by) {
                return Err(RunError::Late(STOP_MAX));
            }
            match self.inbox.recv_timeout(TURN) {
                Ok(Event::Ended("source", Some(Ok(())))) => return Ok(()),
                Ok(Event::Ended(worker, Some(Ok(())))) => info!(worker, "worker is done"),
                Ok(Event::Ended(worker, Some(Err(failure)))) => {
                    error!(worker, error = chain(&failure), "worker failed");
                    return Err(failure);
                }
                Ok(Event::Ended(worker, None)) => return Err(RunError::Panicked { worker }),
                Ok(Event::Reload) => {
                    shared.reload();
                    line.reload();
                    reload(api);
                    shared.custody.hurry();
                    shared.store_custody.hurry();
                }
                Ok(Event::Stop) => {
                    info!("asked to end: what is held is committed first");
                    self.stop_by_ms.set(self.stop_by_ms.get().or(Some(now_ms + millis(STOP_MAX))));
                    shared.stop.store(true, Ordering::Relaxed);
                    shared.health.end();
                }
                // This end holds a sender itself, so the queue is never disconnected.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }
}

/// Tells whether a lake that cannot be opened may be there later: a bucket can go away between any two questions.
fn is_worth_waiting(config: &Config, error: &LakeError) -> bool {
    let is_bucket = matches!(config.lake.root, LakeUrl::Bucket { .. });
    match error {
        LakeError::Ledger(_) | LakeError::Store(_) => true,
        LakeError::Table { .. } => is_bucket && error.may_pass(),
        LakeError::Encrypted
        | LakeError::Kernel(_)
        | LakeError::KeysLapsed
        | LakeError::MadeAnew { .. }
        | LakeError::NoCoverage
        | LakeError::OpenBatch { .. }
        | LakeError::OtherGroup { .. }
        | LakeError::StoreKeys(_) => false,
    }
}

/// Reads tokens and certificates anew; those in force stay where the new ones have faults.
fn reload(api: Option<&Api>) {
    match api.map(Api::reload) {
        Some(Err(fault)) => error!(error = chain(&fault), "new files of the api are refused, the old ones stay"),
        Some(Ok(())) => info!("files of the api are in force"),
        None => {}
    }
}

/// Service managers kill after 30 s or more; the rest is for the process to end.
const STOP_MAX: Duration = Duration::from_secs(28);
const TURN: Duration = Duration::from_millis(200);
/// A healthy broker needs a tenth of a second to let the worker go; the snapshot of ten million people takes a few. One that is
/// cut short leaves the one before in its place.
const SEE_OFF_MAX: Duration = Duration::from_secs(10);
/// What is left of the 30 s when a commit took all the time there is.
const SEE_OFF_LAST: Duration = Duration::from_secs(2);
/// A vault that answers each of thousands of questions late.
const KEYS_STILL_MAX: Duration = Duration::from_mins(10);
const LAKE_RETRY: Duration = Duration::from_secs(2);
