//! Time as a parameter.
//!
//! Nothing in the daemon asks the system for the time; it is handed a [`Clock`]. Consent expiry, retention and
//! staleness can so be tested by moving a hand, and one poll batch is judged at one instant.
#![expect(clippy::disallowed_methods, reason = "this is the clock")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A source of time: the wall for rules about people, a monotonic count for everything that measures.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Returns milliseconds since the epoch, UTC.
    fn now_ms(&self) -> i64;

    /// Returns milliseconds since an arbitrary start; never goes back, and goes on while the machine is suspended.
    fn elapsed_ms(&self) -> i64;
}

/// A clock that every worker may hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Duration,
}

impl SystemClock {
    /// Starts the monotonic count at zero.
    pub fn start() -> SharedClock {
        Arc::new(Self { started: since_boot() })
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        // A clock before 1970 is a broken machine; zero makes every event lie in the future, and so denied.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
    }

    fn elapsed_ms(&self) -> i64 {
        millis(since_boot().saturating_sub(self.started))
    }
}

/// What `Instant` tells stands still while the machine is suspended, and then consent of hours ago would be a moment old.
fn since_boot() -> Duration {
    let since = clock_gettime(ClockId::Boottime);
    Duration::new(since.tv_sec.unsigned_abs(), u32::try_from(since.tv_nsec).unwrap_or(0))
}

/// A clock that stands until a test moves it.
#[derive(Debug)]
pub struct HandClock {
    wall_ms: AtomicI64,
    elapsed_ms: AtomicI64,
}

impl HandClock {
    /// Stands at `wall_ms`.
    pub fn at(wall_ms: i64) -> Arc<Self> {
        Arc::new(Self { wall_ms: AtomicI64::new(wall_ms), elapsed_ms: AtomicI64::new(0) })
    }

    /// Moves both hands forward.
    pub fn advance(&self, by: Duration) {
        self.wall_ms.fetch_add(millis(by), Ordering::SeqCst);
        self.elapsed_ms.fetch_add(millis(by), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn elapsed_ms(&self) -> i64 {
        self.elapsed_ms.load(Ordering::SeqCst)
    }
}

/// Returns whole milliseconds, saturating: no configured span comes near the limit.
pub(crate) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_clock_moves_only_by_hand() {
        let clock = HandClock::at(1_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!((clock.now_ms(), clock.elapsed_ms()), (3_000, 2_000));
    }
}
