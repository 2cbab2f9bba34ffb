//! What stands in the way, in words, and whether every worker still moves.
//!
//! Workers raise an obstacle when they meet it and clear it when it is gone; `/readyz` repeats the words. They beat
//! their heart whenever they made progress or had nothing to do; `/livez` fails when one of them stopped doing so. The
//! words name topics, tables and paths, never anything of an event.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::millis;

/// Everything that can stop the flow or keep it from starting: a closed list, the label of `weir_obstacle`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obstacle {
    /// No partition has been assigned yet.
    Assignment,
    /// A topic of the consent pair is missing, not compacted, shrank, or was made anew.
    ConsentTopic,
    /// The consent store has not been current for `consent.max_staleness`.
    ConsentStale,
    /// A batch of records is not as it was written.
    DamagedRecords,
    /// The lake's file system is full.
    DiskFull,
    /// Another daemon moved the watermark of a partition that this one held.
    Fenced,
    /// The broker no longer has offsets that the lake still expects.
    Gap,
    /// The brokers do not answer.
    Kafka,
    /// The key ring cannot be read or written.
    Keys,
    /// The lake cannot be read or written.
    Lake,
    /// The lake's ledger cannot be written, or is not what it was.
    Ledger,
    /// The brokers keep raw records for longer than they may stay.
    RawRetention,
    /// The store's own keys cannot be read, or their vault does not confirm them.
    StoreKeys,
    /// A table must not be written: another tool's, or of a newer protocol.
    TableRefused,
    /// A topic was made anew under its old name.
    TopicMadeAnew,
}

impl Obstacle {
    /// Every obstacle, in alphabetical order.
    pub const ALL: [Self; 15] = [
        Self::Assignment,
        Self::ConsentTopic,
        Self::ConsentStale,
        Self::DamagedRecords,
        Self::DiskFull,
        Self::Fenced,
        Self::Gap,
        Self::Kafka,
        Self::Keys,
        Self::Lake,
        Self::Ledger,
        Self::RawRetention,
        Self::StoreKeys,
        Self::TableRefused,
        Self::TopicMadeAnew,
    ];

    /// Returns the word in metrics, logs and `/readyz`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::ConsentTopic => "consent_topic",
            Self::ConsentStale => "consent_stale",
            Self::DamagedRecords => "damaged_records",
            Self::DiskFull => "disk_full",
            Self::Fenced => "fenced",
            Self::Gap => "gap",
            Self::Kafka => "kafka",
            Self::Keys => "keys",
            Self::Lake => "lake",
            Self::Ledger => "ledger",
            Self::RawRetention => "raw_retention",
            Self::StoreKeys => "store_keys",
            Self::TableRefused => "table_refused",
            Self::TopicMadeAnew => "topic_made_anew",
        }
    }
}

/// The state behind `/readyz` and `/livez`; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    obstacles: Mutex<BTreeMap<Obstacle, String>>,
    allowances: Mutex<Vec<String>>,
    refused_policy: Mutex<Option<String>>,
    hearts: Mutex<Vec<Arc<Pulse>>>,
    ended: AtomicBool,
}

impl Health {
    /// Notes that `obstacle` stands in the way, and why; says whether that is news.
    pub fn raise(&self, obstacle: Obstacle, why: impl fmt::Display) -> bool {
        self.state.obstacles.lock().insert(obstacle, why.to_string()).is_none()
    }

    /// Notes that `obstacle` is gone; says whether it stood.
    pub fn clear(&self, obstacle: Obstacle) -> bool {
        self.state.obstacles.lock().remove(&obstacle).is_some()
    }

    /// Tells whether `obstacle` stands.
    pub fn stands(&self, obstacle: Obstacle) -> bool {
        self.state.obstacles.lock().contains_key(&obstacle)
    }

    /// Returns what stands in the way, with the words for it; empty means ready.
    pub fn obstacles(&self) -> Vec<(Obstacle, String)> {
        self.state.obstacles.lock().iter().map(|(obstacle, why)| (*obstacle, why.clone())).collect()
    }

    /// Notes what an operator allowed that stands in no way, and everybody should know.
    pub fn allow(&self, words: Vec<String>) {
        *self.state.allowances.lock() = words;
    }

    /// Returns what an operator allowed.
    pub fn allowances(&self) -> Vec<String> {
        self.state.allowances.lock().clone()
    }

    /// Notes why the newest contracts and purposes are not in force; nothing when they are. It stands in no way: those before hold.
    pub fn refuse_policy(&self, why: Option<String>) {
        *self.state.refused_policy.lock() = why;
    }

    /// Returns why the newest contracts and purposes are not in force.
    pub fn refused_policy(&self) -> Option<String> {
        self.state.refused_policy.lock().clone()
    }

    /// Makes the heart of a worker that must beat at least once every `within`.
    pub fn heart(&self, worker: &'static str, within: Duration, now_ms: i64) -> Heart {
        let pulse = Arc::new(Pulse { worker, within_ms: millis(within), beat_ms: AtomicI64::new(now_ms) });
        self.state.hearts.lock().push(Arc::clone(&pulse));
        Heart { pulse }
    }

    /// Returns the workers that have not moved for longer than they may, with the milliseconds since they did.
    pub fn still(&self, now_ms: i64) -> Vec<(&'static str, i64)> {
        let hearts = self.state.hearts.lock();
        hearts.iter().map(|pulse| (pulse, now_ms - pulse.beat_ms.load(Ordering::Relaxed))).filter_map(stopped).collect()
    }

    /// Notes that the daemon is on its way out: not ready, though nothing is wrong.
    pub fn end(&self) {
        self.state.ended.store(true, Ordering::Relaxed);
    }

    /// Tells whether the daemon is on its way out.
    pub fn ended(&self) -> bool {
        self.state.ended.load(Ordering::Relaxed)
    }
}

fn stopped((pulse, age_ms): (&Arc<Pulse>, i64)) -> Option<(&'static str, i64)> {
    (age_ms > pulse.within_ms).then_some((pulse.worker, age_ms))
}

/// The heart of one worker; a worker that ended takes its heart with it.
#[derive(Debug)]
pub struct Heart {
    pulse: Arc<Pulse>,
}

impl Heart {
    /// Notes that the worker moved, or looked and had nothing to do.
    pub fn beat(&self, now_ms: i64) {
        self.pulse.beat_ms.store(now_ms, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Pulse {
    worker: &'static str,
    within_ms: i64,
    beat_ms: AtomicI64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obstacle_stands_until_cleared() {
        let health = Health::default();
        assert!(health.raise(Obstacle::Kafka, "no broker answers"));
        assert!(!health.raise(Obstacle::Kafka, "no broker answers at all"));
        assert_eq!(health.obstacles(), [(Obstacle::Kafka, "no broker answers at all".to_owned())]);
        assert!(health.clear(Obstacle::Kafka));
        assert!(health.obstacles().is_empty());
    }

    #[test]
    fn worker_that_stopped_is_named() {
        let health = Health::default();
        let source = health.heart("source", Duration::from_secs(10), 0);
        let _commit = health.heart("commit", Duration::from_mins(1), 0);
        source.beat(5_000);
        assert!(health.still(15_000).is_empty());
        assert_eq!(health.still(15_001), [("source", 10_001)]);
    }
}
