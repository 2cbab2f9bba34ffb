//! The threads of the pipeline, watched: none of them ends unnoticed.
//!
//! A worker that returns an error or panics is an event like a signal is, and the supervisor ends the process with the
//! worker's name. A process that lives on without one of its stages would look healthy and do nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;
use std::thread;

use crate::pipeline::RunError;

/// What the supervisor waits for.
#[derive(Debug)]
pub(crate) enum Event {
    /// A worker ended: because its work is done, because it failed, or (`None`) because it panicked.
    Ended(&'static str, Option<Result<(), RunError>>),
    /// Somebody asked for new contracts and purposes (SIGHUP).
    Reload,
    /// Somebody asked the daemon to end (SIGTERM, SIGINT).
    Stop,
}

/// Starts a worker on a thread of its own; its end arrives at `events`.
///
/// # Errors
/// When the machine has no thread left.
pub(crate) fn spawn<W>(name: &'static str, events: &SyncSender<Event>, work: W) -> Result<(), RunError>
where
    W: FnOnce() -> Result<(), RunError> + Send + 'static,
{
    let events = events.clone();
    let watched = move || {
        // A worker that panicked is never run again, so nobody sees what it left half done.
        let ended = catch_unwind(AssertUnwindSafe(work)).ok();
        // With the supervisor gone the process is ending anyway.
        drop(events.send(Event::Ended(name, ended)));
    };
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(watched);
    spawned.map(drop).map_err(|source| RunError::Thread { worker: name, source })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn worker_that_panics_is_named() {
        let (events, ended) = mpsc::sync_channel(1);
        spawn("source", &events, || panic!("on purpose")).unwrap();
        assert!(matches!(ended.recv().unwrap(), Event::Ended("source", None)));
    }

    #[test]
    fn worker_that_is_done_says_so() {
        let (events, ended) = mpsc::sync_channel(1);
        spawn("commit", &events, || Ok(())).unwrap();
        assert!(matches!(ended.recv().unwrap(), Event::Ended("commit", Some(Ok(())))));
    }
}
