//! When a run that ends by itself has caught up.
//!
//! It ends when what was there at its start is committed, by whomever. All partitions of the topics count, not only those
//! that this daemon has: a member that just left keeps its own until its session ends, and what it left behind comes here
//! only then. Of partitions that others have, the lake says how far they are.

use std::collections::BTreeMap;

use tracing::debug;
use weir_lake::PartitionId;
use weir_source::{Bounds, Consumer, FirstOffset, Position, Tail, TopicPartition};

use super::{Intake, LAG_PATIENCE, MARKERS_MAX};
use crate::health::Obstacle;
use crate::pipeline::Until;

/// Where every partition ended at the start of the run.
#[derive(Debug, Default)]
pub(super) struct Goal {
    /// Nothing before the brokers have answered.
    bounds: Option<BTreeMap<PartitionId, Bounds>>,
    /// When brokers or lake were asked last, on the monotonic clock.
    asked_ms: Option<i64>,
}

impl Goal {
    /// Returns the end that a partition must reach; one that was not there at the start need not reach any.
    fn end(&self, partition: &PartitionId) -> i64 {
        let bounds = self.bounds.as_ref().and_then(|bounds| bounds.get(partition));
        bounds.map_or(i64::MIN, |bounds| bounds.end)
    }
}

impl Intake {
    /// Asks the brokers where the partitions end, until they have answered once.
    pub(super) fn set_goal(&mut self, consumer: &Consumer) {
        if self.until == Until::Stopped || self.goal.bounds.is_some() || !self.may_ask() {
            return;
        }
        match consumer.whole(LAG_PATIENCE) {
            Ok(bounds) => {
                self.goal = Goal { bounds: Some(bounds.into_iter().collect()), asked_ms: None };
                self.shared.health.clear(Obstacle::Kafka);
            }
            Err(error) => drop(self.shared.health.raise(Obstacle::Kafka, error)),
        }
    }

    /// Tells whether this daemon has read what it must, and has not committed all of it.
    pub(super) fn holds_the_rest(&self, consumer: &Consumer) -> bool {
        let is_read = |position: &Position| position.next >= self.goal.end(&position.partition);
        let positions = consumer.positions();
        self.goal.bounds.is_some() && positions.iter().all(is_read) && !positions.iter().all(|it| self.is_committed(it))
    }

    /// Tells whether everything up to the goal is committed.
    pub(super) fn has_caught_up(&mut self, consumer: &Consumer) -> bool {
        let Some(bounds) = &self.goal.bounds else { return false };
        let positions = consumer.positions();
        if !self.session.recovering.is_empty() || !positions.iter().all(|it| self.is_committed(it)) {
            return false;
        }
        let is_own = |id: &PartitionId| positions.iter().any(|position| position.partition == *id);
        let others: BTreeMap<_, _> =
            bounds.iter().filter(|(id, _)| !is_own(id)).map(|(id, bounds)| (id.clone(), *bounds)).collect();
        others.is_empty() || self.may_ask() && self.have_caught_up(others)
    }

    fn is_committed(&self, position: &Position) -> bool {
        let watermark = self.session.watermarks.get(&position.partition);
        watermark.is_some_and(|watermark| *watermark >= self.goal.end(&position.partition))
    }

    /// Tells whether the lake has what lies in partitions that this daemon does not have.
    fn have_caught_up(&self, others: BTreeMap<PartitionId, Bounds>) -> bool {
        let (ids, bounds): (Vec<_>, Vec<_>) = others.into_iter().unzip();
        let watermarks = match self.shared.lake.watermarks(&ids) {
            Ok(watermarks) => watermarks,
            Err(error) => {
                self.shared.lake_fails(&error);
                return false;
            }
        };
        self.shared.lake_answers();
        // Whoever gets a partition that starts at its end tells the lake where that is.
        let start = |bounds: &Bounds| match self.membership.start {
            FirstOffset::Earliest => Some(bounds.start),
            FirstOffset::Latest => None,
        };
        let is_done = |((id, bounds), watermark): ((PartitionId, Bounds), Option<i64>)| {
            watermark.or_else(|| start(&bounds)).is_some_and(|from| self.is_over(&id, from, bounds.end))
        };
        ids.into_iter().zip(bounds).zip(watermarks).all(is_done)
    }

    /// Tells whether no record lies between two offsets; a transaction's markers may.
    fn is_over(&self, partition: &PartitionId, from: i64, end: i64) -> bool {
        if from >= end || end - from > MARKERS_MAX {
            return from >= end;
        }
        let name = TopicPartition::new(partition.topic.clone(), partition.partition);
        let tail = Tail::connect(&self.brokers, &self.membership.group);
        tail.and_then(|mut tail| tail.is_empty(&name, from, end, LAG_PATIENCE)).unwrap_or_else(|error| {
            debug!(%error, "could not look at the end of a partition");
            false
        })
    }

    /// Tells whether it is time to ask again, and takes it as asked.
    fn may_ask(&mut self) -> bool {
        let now_ms = self.shared.clock.elapsed_ms();
        let may = self.goal.asked_ms.is_none_or(|asked| now_ms - asked >= ASK_EVERY_MS);
        if may {
            self.goal.asked_ms = Some(now_ms);
        }
        may
    }
}

/// What others do takes seconds: a session ends, a batch is committed.
const ASK_EVERY_MS: i64 = 1_000;
