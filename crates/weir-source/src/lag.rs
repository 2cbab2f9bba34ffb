//! How far behind a consumer is, and whether its topics are still the ones that it started on.
//!
//! Both come from the same questions: where do the partitions start and end, and what is the topic's id? A position
//! outside of its partition, or another id, stops the partition before a record of a foreign topic reaches a table.

use std::time::Duration;

use weir_lake::PartitionId;

use crate::{
    cluster::{AskError, Bounds},
    consumer::{Consumer, of_id, within},
    coverage::Position,
    partition::TopicPartition,
    problem::Problem,
    tail::Tail,
};

/// How far one partition was read, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The partition, and the offset that comes next.
    pub position: Position,
    /// The first offset that the broker still has.
    pub start: i64,
    /// The offset after the last committed record.
    pub end: i64,
}

impl Lag {
    /// Returns the number of offsets to go; some of them may hold no record.
    pub fn offsets(&self) -> i64 {
        (self.end - self.position.next).max(0)
    }
}

impl Consumer {
    /// Asks the brokers how far each partition is from its end.
    ///
    /// Stops partitions whose position the broker cannot serve, or whose topic was made anew; the next polls report them.
    ///
    /// # Errors
    /// When the brokers did not answer in time.
    pub fn lag(&self, timeout: Duration) -> Result<Vec<Lag>, AskError> {
        let positions = self.positions();
        let names: Vec<TopicPartition> = positions.iter().map(|position| of_id(&position.partition)).collect();
        let bounds = self.cluster.bounds(&names, timeout)?;
        let ids = self.identify(&names)?;
        let mut lags = Vec::with_capacity(positions.len());
        for ((position, bounds), id) in positions.into_iter().zip(bounds).zip(ids) {
            match doubt(&position, bounds, &id) {
                None => lags.push(Lag { position, start: bounds.start, end: bounds.end }),
                Some(problem) => {
                    self.coverage.lock().halt(position.origin);
                    self.problems.lock().push(problem);
                }
            }
        }
        Ok(lags)
    }

    /// Returns every partition of the topics, whoever has it, and where it starts and ends now.
    ///
    /// # Errors
    /// When a topic is missing, or the brokers did not answer in time.
    pub fn whole(&self, timeout: Duration) -> Result<Vec<(PartitionId, Bounds)>, AskError> {
        let mut names = Vec::new();
        for topic in &self.topics {
            names.extend(self.cluster.partitions(topic, timeout)?);
        }
        let ids = self.identify(&names)?;
        let bounds = self.cluster.bounds(&names, timeout)?;
        Ok(ids.into_iter().zip(bounds).collect())
    }

    /// Moves partitions to their ends whose last offsets hold no record; the next poll accounts for them.
    ///
    /// For partitions that seem one or two offsets short of their end, when that end is waited for.
    ///
    /// # Errors
    /// When the brokers did not answer in time.
    pub fn settle(&self, tail: &mut Tail, lags: &[Lag], timeout: Duration) -> Result<(), AskError> {
        for lag in lags.iter().filter(|lag| lag.offsets() > 0) {
            let Position { origin, partition, next } = &lag.position;
            if tail.is_empty(&of_id(partition), *next, lag.end, timeout)? {
                self.coverage.lock().skip(*origin, *next, lag.end);
            }
        }
        Ok(())
    }
}

/// Tells why a partition must not be read on that is this one now.
fn doubt(position: &Position, bounds: Bounds, now: &PartitionId) -> Option<Problem> {
    let Position { partition: id, next, .. } = position;
    if now.source != id.source {
        return Some(Problem::MadeAnew { partition: of_id(id), wanted: *next, end: bounds.end });
    }
    within(id, *next, bounds)
}
