//! Partitions come and go.
//!
//! The lake says where a partition starts. If a predecessor's batch was interrupted between its tables, exactly that batch
//! is finished first: its partitions are read up to its end and no further, and the others that came with them stand
//! still meanwhile, so that the batch needs no more memory than it did before. A partition goes only after what is open of
//! it was committed; where that takes too long, everything that is open is dropped and read again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use tracing::{info, warn};
use weir_lake::{PartitionId, Position};
use weir_source::{Assigned, Consumer, Revoked, Start, Started};

use super::{Intake, Recovery, Turn, WAIT};
use crate::health::Obstacle;
use crate::metrics::labels::Closing;
use crate::pipeline::RunError;

impl Intake {
    /// Starts the partitions that the group gave to this daemon, where the lake says.
    pub(super) fn start(&mut self, consumer: &Consumer, assigned: Assigned) -> Result<Turn, RunError> {
        let partitions = assigned.partitions().to_vec();
        let Some(states) = self.positions(&partitions) else { return Ok(Turn::Rejoin) };
        let recovers = states.iter().any(|state| state.interrupted.is_some());
        let starts: Vec<Start> = states.iter().map(|state| start_of(state, recovers)).collect();
        let Some(started) = self.start_at(consumer, assigned, &starts) else { return Ok(Turn::Rejoin) };
        let states: BTreeMap<&PartitionId, &Position> = partitions.iter().zip(&states).collect();
        for position in &started.running {
            self.session.watermarks.insert(position.partition.clone(), position.next);
            match states.get(&position.partition).and_then(|state| state.interrupted.as_ref()) {
                Some(batch) => self.session.recovering.push(Recovery {
                    origin: position.origin,
                    end: batch.end,
                    quarantined: Arc::clone(&batch.quarantined),
                }),
                None if recovers => self.session.held.push(position.origin),
                None => {}
            }
        }
        if self.session.is_paused {
            // The new ones wait like the others.
            consumer.pause();
        }
        self.session.lag_asked_ms = None;
        self.shared.health.clear(Obstacle::Assignment);
        info!(partitions = started.running.len(), recovers, "partitions are assigned");
        for problem in started.problems {
            self.report(problem)?;
        }
        Ok(Turn::Again)
    }

    /// Gives up partitions after committing what is open of them; starts anew where that takes too long.
    pub(super) fn give_up(&mut self, consumer: &Consumer, revoked: Revoked) -> Turn {
        let is_half_recovered = !self.session.recovering.is_empty() && !self.has_recovered(consumer);
        if is_half_recovered || !self.commit_open(consumer) {
            warn!("partitions are taken away before what is open of them could be committed: it is dropped");
            return Turn::Rejoin;
        }
        info!(partitions = revoked.origins().len(), "partitions are given up");
        self.session.held.retain(|origin| !revoked.origins().contains(origin));
        let is_given = |origin| revoked.origins().contains(&origin);
        let positions = consumer.positions().into_iter();
        let (given, kept): (Vec<_>, Vec<_>) = positions.partition(|position| is_given(position.origin));
        self.shared.lake.release(&given.into_iter().map(|position| position.partition).collect::<Vec<_>>());
        consumer.release(revoked);
        let kept: Vec<_> = kept.into_iter().map(|position| position.partition).collect();
        self.session.watermarks.retain(|partition, _| kept.contains(partition));
        Turn::Again
    }

    /// Tells whether every interrupted batch was read to its end.
    pub(super) fn has_recovered(&self, consumer: &Consumer) -> bool {
        let positions = consumer.positions();
        let is_at_end = |batch: &Recovery| {
            positions.iter().any(|position| position.origin == batch.origin && position.next >= batch.end)
        };
        self.session.recovering.iter().all(is_at_end)
    }

    /// Lets all partitions go on: the interrupted batches are finished.
    pub(super) fn end_recovery(&mut self, consumer: &Consumer) {
        let recovered = std::mem::take(&mut self.session.recovering);
        let origins = recovered.into_iter().map(|batch| batch.origin).chain(self.session.held.drain(..));
        let count = origins.map(|origin| consumer.lift(origin)).count();
        info!(partitions = count, "interrupted batches are finished");
    }

    /// Asks the lake where the partitions start, for as long as it takes; `None` when the daemon is asked to end.
    fn positions(&mut self, partitions: &[PartitionId]) -> Option<Vec<Position>> {
        loop {
            match self.shared.lake.positions(partitions, self.shared.clock.now_ms()) {
                Ok(states) => {
                    self.shared.lake_answers();
                    return Some(states);
                }
                Err(error) => self.shared.lake_fails(&error),
            }
            self.rest()?;
        }
    }

    /// Answers the group; `None` when the daemon is asked to end before the brokers could be asked.
    fn start_at(&mut self, consumer: &Consumer, mut assigned: Assigned, starts: &[Start]) -> Option<Started> {
        loop {
            match consumer.start(assigned, starts) {
                Ok(started) => return Some(started),
                Err((again, error)) => {
                    self.shared.health.raise(Obstacle::Kafka, &error);
                    assigned = again;
                }
            }
            self.rest()?;
        }
    }

    /// Commits what is open and in flight; `false` when it took too long or was refused.
    fn commit_open(&mut self, consumer: &Consumer) -> bool {
        for _ in 0..GIVE_UP_WAITS_MAX {
            if self.in_flight.is_none() {
                if self.filling.open.is_empty() {
                    return true;
                }
                self.close(Closing::Rebalance);
            }
            self.heart.beat(self.shared.clock.elapsed_ms());
            if self.wait_for_outcome(consumer) == Turn::Rejoin {
                return false;
            }
        }
        false
    }

    /// Waits before another attempt; `None` when the daemon is asked to end.
    fn rest(&self) -> Option<()> {
        self.heart.beat(self.shared.clock.elapsed_ms());
        thread::sleep(WAIT * 10);
        (!self.shared.stops()).then_some(())
    }
}

/// A partition that is not part of an interrupted batch stands still, at its start, while others are.
fn start_of(state: &Position, recovers: bool) -> Start {
    let still = recovers.then(|| state.watermark.unwrap_or(0));
    let end = state.interrupted.as_ref().map(|batch| batch.end);
    Start { watermark: state.watermark, fence: end.or(still) }
}

/// Times [`WAIT`]: half a minute, well before the group takes this member for dead.
const GIVE_UP_WAITS_MAX: u32 = 600;
