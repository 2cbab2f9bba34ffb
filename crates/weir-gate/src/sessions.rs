//! Sessions: an hour of one grant, from its first request that was let in. Each is counted, and told to the ledger.
//!
//! That a session began is told before anything is given: who reads the lake cannot do so without a trace, and while the ledger
//! cannot be written nobody is let in. How much it was is told once it is over, in powers of two: an account, not a record of
//! somebody's work.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::task::{spawn, spawn_blocking};
use tracing::error;
use weir_daemon::{Metrics, SharedClock};
use weir_ledger::{Entry, Ledger, Session as Told};

use crate::grants::Grant;

/// All sessions that the ledger was not told the end of.
pub(crate) struct Sessions {
    ledger: Arc<Ledger>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// Those that requests are counted in, by access key.
    by_key: HashMap<String, Arc<Session>>,
    /// Those whose hour or grant is over.
    over: Vec<Arc<Session>>,
}

/// An hour of one grant.
pub(crate) struct Session {
    pub(crate) grant: Arc<Grant>,
    ends_ms: i64,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// The ledger cannot be told, so nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untold;

impl Session {
    /// Counts bytes that were given out.
    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_under_way(&self, now_ms: i64) -> bool {
        now_ms < self.ends_ms && self.grant.stands(now_ms)
    }

    fn opened(grant: &Grant) -> Entry {
        Entry::Gate(Told::Opened { recipient: grant.recipient.clone(), purposes: grant.purpose_names() })
    }

    fn closed(&self) -> Entry {
        let about = |count: &AtomicU64| match count.load(Ordering::Relaxed) {
            0 => 0,
            count => count.checked_next_power_of_two().unwrap_or(u64::MAX),
        };
        Entry::Gate(Told::Closed {
            recipient: self.grant.recipient.clone(),
            purposes: self.grant.purpose_names(),
            requests: about(&self.requests),
            bytes: about(&self.bytes),
        })
    }
}

impl Open {
    /// Counts a request in the grant's session, if there is one and its hour is not over.
    fn count(&self, grant: &Arc<Grant>, now_ms: i64) -> Option<Arc<Session>> {
        let session = self.by_key.get(&grant.access_key)?;
        let is_its = session.is_under_way(now_ms) && Arc::ptr_eq(&session.grant, grant);
        is_its.then(|| {
            session.requests.fetch_add(1, Ordering::Relaxed);
            Arc::clone(session)
        })
    }
}

impl Sessions {
    pub(crate) fn new(ledger: Ledger, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        Self { ledger: Arc::new(ledger), clock, metrics, open: Mutex::default() }
    }

    /// Counts a request in the session of a grant; the first one of an hour begins one.
    pub(crate) async fn enter(self: &Arc<Self>, grant: &Arc<Grant>) -> Result<Arc<Session>, Untold> {
        if let Some(session) = self.open.lock().await.count(grant, self.clock.now_ms()) {
            return Ok(session);
        }
        let (sessions, grant) = (Arc::clone(self), Arc::clone(grant));
        // A task of its own: whoever hangs up meanwhile leaves no session whose beginning was told and whose end will not be.
        spawn(async move { sessions.begin(&grant).await }).await.unwrap_or(Err(Untold))
    }

    async fn begin(&self, grant: &Arc<Grant>) -> Result<Arc<Session>, Untold> {
        let now_ms = self.clock.now_ms();
        let mut open = self.open.lock().await;
        // Another request of the grant may have begun one since.
        if let Some(session) = open.count(grant, now_ms) {
            return Ok(session);
        }
        self.tell(Session::opened(grant)).await?;
        self.metrics.gate_sessions.inc();
        let ends_ms = now_ms.saturating_add(HOUR_MS);
        let session = Session { grant: Arc::clone(grant), ends_ms, requests: 1.into(), bytes: 0.into() };
        let session = Arc::new(session);
        let before = open.by_key.insert(grant.access_key.clone(), Arc::clone(&session));
        open.over.extend(before);
        Ok(session)
    }

    /// Tells of sessions whose hour, or whose grant, is over, as soon as nobody reads on in them. What the ledger does not take now is
    /// told again at the next call.
    pub(crate) async fn close_over(&self) {
        let now_ms = self.clock.now_ms();
        self.close(|session| session.is_under_way(now_ms), |session| Arc::strong_count(session) == 1).await;
    }

    /// Tells of all sessions, at the end of the process.
    pub(crate) async fn close_all(&self) {
        self.close(|_| false, |_| true).await;
    }

    async fn close(&self, is_under_way: impl Fn(&Session) -> bool, is_left: impl Fn(&Arc<Session>) -> bool) {
        let mut open = self.open.lock().await;
        let Open { by_key, over } = &mut *open;
        over.extend(by_key.extract_if(|_, session| !is_under_way(session)).map(|(_, session)| session));
        for session in std::mem::take(over) {
            if !is_left(&session) || self.tell(session.closed()).await.is_err() {
                over.push(session);
            }
        }
    }

    async fn tell(&self, entry: Entry) -> Result<(), Untold> {
        let (ledger, now_ms) = (Arc::clone(&self.ledger), self.clock.now_ms());
        match spawn_blocking(move || ledger.append(now_ms, entry)).await {
            Ok(Ok(_head)) => Ok(()),
            Ok(Err(why)) => {
                error!(%why, "the ledger cannot be told of a session");
                Err(Untold)
            }
            Err(why) => {
                error!(%why, "the ledger was not told of a session");
                Err(Untold)
            }
        }
    }
}

const HOUR_MS: i64 = 3_600_000;
