//! Signals of the operating system, as events for the supervisor.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::pipeline::RunError;
use crate::pipeline::workers::Event;

/// Forwards SIGTERM and SIGINT as [`Event::Stop`] and SIGHUP as [`Event::Reload`], from now on.
///
/// # Errors
/// When the process cannot watch its signals.
pub(crate) fn forward(events: &SyncSender<Event>) -> Result<(), RunError> {
    let failed = |source: io::Error| RunError::Thread { worker: "signals", source };
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let guard = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    drop(guard);
    let events = events.clone();
    let watch = async move {
        loop {
            let event = tokio::select! {
                _ = terminate.recv() => Event::Stop,
                _ = interrupt.recv() => Event::Stop,
                _ = hangup.recv() => Event::Reload,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    };
    let spawned = thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(watch));
    spawned.map(drop).map_err(failed)
}
