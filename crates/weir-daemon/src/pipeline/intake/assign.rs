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
use weir_lake::{PartitionId, Position, Span};
use weir_source::{Assigned, Consumer, FirstOffset, Revoked, Start, Started};

use super::{Intake, REJOIN_WAIT, Recovery, Session, Turn, WAIT};
use crate::clock::millis;
use crate::health::Obstacle;
use crate::metrics::labels::Closing;
use crate::pipeline::RunError;

impl Intake {
    /// Starts the partitions that the group gave to this daemon, where the lake says.
    pub(super) fn start(&mut self, consumer: &Consumer, assigned: Assigned) -> Result<Turn, RunError> {
        let partitions = assigned.partitions().to_vec();
        if !self.keeps_retention() {
            return Ok(Turn::Rejoin);
        }
        let Some(states) = self.positions(&partitions) else { return Ok(Turn::Rejoin) };
        let has_others = !self.session.watermarks.is_empty();
        let starts = self.starts_of(&states);
        let Some(started) = self.start_at(consumer, assigned, &starts) else { return Ok(Turn::Rejoin) };
        let turn = self.note_started(consumer, &states, started)?;
        // What is open of other partitions would end with the interrupted batch, however long that takes: all begin anew, together.
        Ok(if has_others && !self.session.recovering.is_empty() { Turn::Retake } else { turn })
    }

    /// Drops what is open and lets the partitions stand still, in the group, until it is time to take them anew.
    pub(super) fn step_back(&mut self, consumer: &Consumer) {
        self.abandon();
        consumer.stand_still();
        let standing = std::mem::take(&mut self.session.watermarks);
        self.session = Session { retake_ms: Some(self.in_a_while()), standing, ..Session::default() };
    }

    /// Takes the partitions anew, from where the lake ends; as long as it does not say, the group is answered meanwhile.
    pub(super) fn retake(&mut self, consumer: &Consumer) -> Result<Turn, RunError> {
        self.session.retake_ms = Some(self.in_a_while());
        let standing = match consumer.standing() {
            Ok(standing) => standing,
            Err(error) => {
                self.shared.health.raise(Obstacle::Kafka, error);
                return Ok(Turn::Again);
            }
        };
        let states = match self.shared.lake.positions(&standing, self.shared.clock.now_ms()) {
            Ok(states) => states,
            Err(error) => {
                self.shared.lake_fails(&error);
                return Ok(Turn::Again);
            }
        };
        self.shared.lake_answers();
        let Ok(started) = consumer.start_again(&standing, &self.starts_of(&states)) else { return Ok(Turn::Rejoin) };
        self.session.retake_ms = None;
        self.note_started(consumer, &states, started)
    }

    fn in_a_while(&self) -> i64 {
        self.shared.clock.elapsed_ms() + millis(REJOIN_WAIT)
    }

    /// Remembers where partitions are read from, and what is to be finished first.
    fn note_started(&mut self, consumer: &Consumer, states: &[Position], started: Started) -> Result<Turn, RunError> {
        let recovers = is_interrupted(states);
        let states: BTreeMap<&PartitionId, &Position> = states.iter().map(|state| (&state.partition, state)).collect();
        for position in &started.running {
            self.session.watermarks.insert(position.partition.clone(), position.next);
            let state = states.get(&position.partition);
            if self.membership.start == FirstOffset::Latest && state.is_some_and(|state| state.watermark.is_none()) {
                self.first.entry(position.partition.clone()).or_insert(position.next);
                let (partition, at) = (position.partition.clone(), position.next);
                self.session.unbegun.push((position.origin, Span { partition, from: at, to: at }));
            }
            match state.and_then(|state| state.interrupted.as_ref()) {
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
        info!(partitions = started.running.len(), recovers, "partitions are read");
        for problem in started.problems {
            self.report(problem)?;
        }
        // Where no interrupted batch can be read, nobody waits for one.
        Ok(if self.session.recovering.is_empty() { self.end_recovery(consumer) } else { Turn::Again })
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
        self.session.unbegun.retain(|(origin, _)| !revoked.origins().contains(origin));
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

    /// Tells whether a partition stopped whose interrupted batch is to be finished.
    pub(super) fn is_recovery_lost(&self, consumer: &Consumer) -> bool {
        let positions = consumer.positions();
        let is_read = |batch: &Recovery| positions.iter().any(|position| position.origin == batch.origin);
        !self.session.recovering.iter().all(is_read)
    }

    /// Lets all partitions go on that waited for interrupted batches.
    pub(super) fn end_recovery(&mut self, consumer: &Consumer) -> Turn {
        if !self.session.unbegun.is_empty() {
            // Or the next start would begin at a later end, and what came between would be nobody's.
            let unbegun = std::mem::take(&mut self.session.unbegun);
            self.filling.open.cover(&unbegun, 0, self.shared.clock.elapsed_ms());
            self.session.begins = true;
        }
        let recovered = std::mem::take(&mut self.session.recovering);
        let waited = recovered.into_iter().map(|batch| batch.origin).chain(self.session.held.drain(..));
        for origin in waited {
            if let Err(error) = consumer.lift(origin) {
                warn!(%error, "a partition cannot go on from where its batch ended");
                return Turn::Rejoin;
            }
        }
        Turn::Again
    }

    /// A partition that is not part of an interrupted batch stands still, at its start, while others are.
    fn starts_of(&self, states: &[Position]) -> Vec<Start> {
        let recovers = is_interrupted(states);
        let start = |state: &Position| {
            let known = state.watermark.or(state.interrupted.as_ref().map(|batch| batch.start));
            let watermark = known.or_else(|| self.first.get(&state.partition).copied());
            let still = recovers.then(|| watermark.unwrap_or(0));
            let end = state.interrupted.as_ref().map(|batch| batch.end);
            Start { watermark, fence: end.or(still) }
        };
        states.iter().map(start).collect()
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
                let recovers = !self.session.recovering.is_empty();
                self.close(if recovers { Closing::Recovery } else { Closing::Rebalance });
            }
            self.heart.beat(self.shared.clock.elapsed_ms());
            if self.wait_for_outcome(consumer) != Turn::Again {
                return false;
            }
        }
        false
    }

    /// Waits before another attempt; `None` when the daemon is asked to end.
    pub(super) fn rest(&self) -> Option<()> {
        self.heart.beat(self.shared.clock.elapsed_ms());
        thread::sleep(WAIT * 10);
        (!self.shared.stops()).then_some(())
    }
}

fn is_interrupted(states: &[Position]) -> bool {
    states.iter().any(|state| state.interrupted.is_some())
}

/// Times [`WAIT`]: half a minute, well before the group takes this member for dead.
const GIVE_UP_WAITS_MAX: u32 = 600;
