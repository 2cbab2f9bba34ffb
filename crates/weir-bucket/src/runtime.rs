//! The runtime that requests go out on; it lives as long as the process, and so do its connections.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use tokio::runtime::{Builder, Runtime};

/// Returns the runtime, made when it is first needed: a daemon confines itself before it starts threads.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("bucket").enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Waits for a request, from any thread: also from one of another runtime, which `block_on` would refuse.
pub(crate) fn wait<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let (sender, receiver) = sync_channel(1);
    runtime()?.spawn(async move { drop(sender.send(request.await)) });
    receiver.recv().map_err(|_ended| io::Error::other("the request was dropped"))
}

/// Requests mostly wait; TLS and signatures are what they work at.
const WORKERS: usize = 2;
