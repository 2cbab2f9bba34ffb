//! The batch that is being filled, and when it is closed.
//!
//! It joins what each poll brought: rows, counts and, for each partition, one stretch of offsets without a gap. The first
//! limit that is reached closes it; the limits are looked at between polls, so a batch ends where a poll ended.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use weir_filter::{Filtered, Origin};
use weir_lake::Span;
use weir_policy::Policy;

use crate::clock::millis;
use crate::config::Lake;
use crate::metrics::labels::Closing;

/// Rows and stretches since the last batch was closed.
pub(crate) struct Open {
    /// What the filter adds to.
    pub(crate) filtered: Filtered,
    /// The policy that all of its rows were made under.
    pub(crate) policy: Arc<Policy>,
    spans: BTreeMap<Origin, Span>,
    bytes: u64,
    opened_ms: Option<i64>,
}

/// A batch that takes no more rows; the commit worker's from here on.
pub(crate) struct Closed {
    /// Rows, counts and coordinates.
    pub(crate) filtered: Filtered,
    /// One stretch of offsets for each partition that was read.
    pub(crate) spans: BTreeMap<Origin, Span>,
    /// The policy that all of its rows were made under.
    pub(crate) policy: Arc<Policy>,
    /// When its first record was read, on the monotonic clock.
    pub(crate) opened_ms: i64,
}

/// When a batch is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    interval_ms: i64,
    bytes: u64,
    rows: usize,
    memory: usize,
}

impl BatchLimits {
    /// Takes the limits of the configuration; one of two batches may have half of the memory.
    pub(crate) fn of(lake: &Lake) -> Self {
        Self {
            interval_ms: millis(lake.commit_interval),
            bytes: lake.commit_bytes.0,
            rows: lake.commit_rows.as_usize(),
            memory: lake.memory.as_usize() / BATCHES_MAX,
        }
    }
}

impl Open {
    /// Starts a batch under `policy`.
    pub(crate) fn new(policy: Arc<Policy>) -> Self {
        Self { filtered: Filtered::default(), policy, spans: BTreeMap::new(), bytes: 0, opened_ms: None }
    }

    /// Tells whether nothing was read yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns when the first record was read, on the monotonic clock.
    pub(crate) fn opened_ms(&self) -> Option<i64> {
        self.opened_ms
    }

    /// Accounts for the stretches and bytes of one poll.
    ///
    /// # Panics
    /// When a stretch does not begin where the one before it ended: offsets would be lost or counted twice.
    pub(crate) fn cover(&mut self, spans: &[(Origin, Span)], bytes: usize, now_ms: i64) {
        for (origin, span) in spans {
            match self.spans.entry(*origin) {
                Entry::Vacant(place) => {
                    place.insert(span.clone());
                }
                Entry::Occupied(mut place) => {
                    let known = place.get_mut();
                    assert!(
                        known.partition == span.partition && known.to == span.from,
                        "stretches of a partition join"
                    );
                    known.to = span.to;
                }
            }
        }
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.opened_ms.get_or_insert(now_ms);
    }

    /// Returns the first limit that is reached, if any.
    pub(crate) fn full(&self, limits: &BatchLimits, now_ms: i64) -> Option<Closing> {
        let opened_ms = self.opened_ms?;
        if self.filtered.memory() >= limits.memory {
            Some(Closing::Memory)
        } else if self.filtered.rows() >= limits.rows {
            Some(Closing::Rows)
        } else if self.bytes >= limits.bytes {
            Some(Closing::Bytes)
        } else if now_ms - opened_ms >= limits.interval_ms {
            Some(Closing::Interval)
        } else {
            None
        }
    }

    /// Closes the batch and starts the next one, under `policy`; `None` when nothing was read.
    pub(crate) fn close(&mut self, policy: Arc<Policy>) -> Option<Closed> {
        let Self { filtered, policy, spans, opened_ms, .. } = std::mem::replace(self, Self::new(policy));
        Some(Closed { filtered, spans, policy, opened_ms: opened_ms? })
    }
}

/// One batch that is filled and one that is committed.
const BATCHES_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use weir_lake::PartitionId;
    use weir_policy::diagnostic::Faults;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits { interval_ms: 300_000, bytes: 1_000, rows: 100, memory: 1 << 20 };

    fn nothing_declared() -> Arc<Policy> {
        let (policy, _) = Policy::parse(&[], None, Faults::default()).expect("no contract has no fault");
        Arc::new(policy)
    }

    fn open() -> Open {
        Open::new(nothing_declared())
    }

    fn span(from: i64, to: i64) -> (Origin, Span) {
        let partition = PartitionId { source: "cluster".into(), topic: "telemetry".into(), partition: 0 };
        (Origin(0), Span { partition, from, to })
    }

    #[test]
    fn batch_is_full_at_the_first_limit() {
        let mut batch = open();
        assert_eq!(batch.full(&LIMITS, 1_000_000), None, "an empty batch never is");
        batch.cover(&[span(0, 10)], 999, 5_000);
        assert_eq!(batch.full(&LIMITS, 304_999), None);
        assert_eq!(batch.full(&LIMITS, 305_000), Some(Closing::Interval));
        batch.cover(&[span(10, 11)], 1, 5_001);
        assert_eq!(batch.full(&LIMITS, 5_001), Some(Closing::Bytes));
    }

    #[test]
    fn stretches_join_into_one_for_each_partition() {
        let mut batch = open();
        batch.cover(&[span(0, 10)], 1, 0);
        batch.cover(&[span(10, 25)], 1, 1);
        let closed = batch.close(nothing_declared()).unwrap();
        assert_eq!(closed.spans.into_values().collect::<Vec<_>>(), [span(0, 25).1]);
        assert!(batch.is_empty() && batch.close(nothing_declared()).is_none());
    }

    /// Offsets between two stretches would be lost without a trace.
    #[test]
    fn gap_between_stretches_is_a_bug() {
        let mut batch = open();
        batch.cover(&[span(0, 10)], 1, 0);
        let joined = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| batch.cover(&[span(11, 12)], 1, 1)));
        assert!(joined.is_err());
    }
}
