//! The source worker: Kafka, the filter and the open batch on one thread.
//!
//! Records are lent by librdkafka, judged where they lie and never copied. The worker fills at most one batch while the
//! commit worker holds another; when both are full it stops polling, and after a while pauses the partitions, so that the
//! brokers are the only buffer. Partitions are given up only after what is open of them was committed or dropped as a
//! whole; an offset is acknowledged only with the receipt of the commit that accounts for it.

mod assign;
mod caught_up;
mod gauges;
pub(crate) mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::{debug, info, warn};
use weir_filter::{Origin, Record};
use weir_lake::{PartitionId, Span};
use weir_source::{Brokers, Consumer, Lag, Membership, PollLimits, Polled, Problem, RawLife, Reach, Tail};

use crate::health::{Heart, Obstacle};
use crate::logging::Throttle;
use crate::metrics::labels::{Closing, ClosingLabels, QueueLabels, QueueName, Word, Words};
use crate::pipeline::batch::{BatchLimits, Closed};
use crate::pipeline::commit::Outcome;
use crate::pipeline::fill::Filling;
use crate::pipeline::line::Line;
use crate::pipeline::shared::Shared;
use crate::pipeline::{RunError, Until};
use caught_up::Goal;
use retention::Retention;

/// The source worker.
pub(crate) struct Intake {
    shared: Arc<Shared>,
    heart: Heart,
    line: Arc<Line>,
    /// The number of the line that the membership has, and its brokers.
    number: u64,
    brokers: Brokers,
    membership: Membership,
    retention: Retention,
    /// Who is asked about it: made once for each line.
    raw_life: Option<RawLife>,
    /// When it was looked at last, on the monotonic clock.
    retention_asked_ms: i64,
    until: Until,
    limits: BatchLimits,
    filling: Filling,
    closed: SyncSender<Closed>,
    outcomes: Receiver<Outcome>,
    in_flight: Option<InFlight>,
    goal: Goal,
    session: Session,
    /// Where partitions that the lake does not know were read first, if that was their end: until their first batch is committed
    /// they would start at another end each time.
    first: BTreeMap<PartitionId, i64>,
    problems: Throttle,
}

/// The batch that the commit worker has.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    opened_ms: i64,
    is_recovery: bool,
    begins: bool,
}

/// What is known as long as this daemon is a member of the group without a break.
#[derive(Debug, Default)]
struct Session {
    /// The offset up to which the lake accounts for a partition.
    watermarks: BTreeMap<PartitionId, i64>,
    /// Interrupted batches that must be finished first, all other partitions standing still.
    recovering: Vec<Recovery>,
    /// Partitions that stand still until the interrupted batches are finished.
    held: Vec<Origin>,
    /// Where partitions begin that the lake does not know yet, at no record in particular.
    unbegun: Vec<(Origin, Span)>,
    /// The open batch, or the one in flight, tells the lake where partitions begin; nothing is read before it knows.
    begins: bool,
    /// Since when no record can be taken, on the monotonic clock.
    blocked_ms: Option<i64>,
    is_paused: bool,
    /// When to take the partitions anew, which stand still until then; on the monotonic clock.
    retake_ms: Option<i64>,
    /// The watermarks of partitions that stand still.
    standing: BTreeMap<PartitionId, i64>,
    lag_asked_ms: Option<i64>,
    /// The brokers said that a topic is missing or not ours to read, and gave no partition since: they say it rarely.
    lacks_topic: bool,
}

/// A partition's part of an interrupted batch.
#[derive(Debug)]
struct Recovery {
    origin: Origin,
    /// The offset after its last one.
    end: i64,
    /// Offsets whose coordinates are in quarantine already: what became of them is decided.
    quarantined: Arc<BTreeSet<i64>>,
}

/// What comes after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The next one.
    Again,
    /// Nothing: everything that was asked for is committed.
    Done,
    /// A new membership, from the watermarks: what was open is dropped.
    Rejoin,
    /// The same membership, from the watermarks: what was open is dropped.
    Retake,
}

impl Recovery {
    /// Tells whether the interrupted batch has the record's coordinates.
    fn has_decided(&self, record: &Record<'_>) -> bool {
        record.origin() == self.origin && self.quarantined.contains(&record.position())
    }
}

impl Intake {
    /// Prepares the worker; nothing is read before [`Self::run`].
    pub(crate) fn new(
        shared: &Arc<Shared>,
        (line, membership, retention): (Arc<Line>, Membership, Retention),
        until: Until,
        closed: SyncSender<Closed>,
        outcomes: Receiver<Outcome>,
    ) -> Self {
        let (number, brokers) = line.current();
        Self {
            heart: shared.heart("source", STILL_MAX),
            line,
            number,
            brokers,
            membership,
            retention,
            raw_life: None,
            retention_asked_ms: 0,
            until,
            limits: BatchLimits::of(&shared.config.lake),
            filling: Filling::new(shared),
            closed,
            outcomes,
            in_flight: None,
            goal: Goal::default(),
            session: Session::default(),
            first: BTreeMap::new(),
            problems: Throttle::new(REPEAT_MIN),
            shared: Arc::clone(shared),
        }
    }

    /// Reads until everything that was asked for is committed.
    ///
    /// # Errors
    /// When this daemon cannot be a member of the group any more.
    pub(crate) fn run(mut self) -> Result<(), RunError> {
        loop {
            self.session = Session::default();
            if self.has_other_line() {
                (self.number, self.brokers) = self.line.current();
                self.raw_life = None;
            }
            if !self.await_retention()? {
                return Ok(());
            }
            let consumer = Consumer::join(&self.brokers, &self.membership).map_err(RunError::Kafka)?;
            let stayed = self.stay(&consumer);
            self.shared.health.raise(Obstacle::Assignment, "the group is left");
            if matches!(stayed, Ok(Turn::Rejoin)) {
                self.abandon();
            }
            leave(consumer);
            if stayed? == Turn::Done {
                return Ok(());
            }
            thread::sleep(REJOIN_WAIT);
        }
    }

    /// Takes turn after turn as one member of the group; returns what comes after.
    fn stay(&mut self, consumer: &Consumer) -> Result<Turn, RunError> {
        loop {
            match self.turn(consumer)? {
                Turn::Again => {}
                Turn::Retake => self.step_back(consumer),
                turn @ (Turn::Done | Turn::Rejoin) => return Ok(turn),
            }
        }
    }

    /// Takes one turn: receipts back, a full batch on, and what the brokers have for us.
    fn turn(&mut self, consumer: &Consumer) -> Result<Turn, RunError> {
        self.heart.beat(self.shared.clock.elapsed_ms());
        if let Ok(outcome) = self.outcomes.try_recv() {
            let turn = self.settle(consumer, outcome);
            if turn != Turn::Again {
                return Ok(turn);
            }
        }
        if !self.still_keeps_retention() {
            return Ok(Turn::Rejoin);
        }
        if self.session.retake_ms.is_some_and(|due| self.shared.clock.elapsed_ms() >= due) {
            return self.retake(consumer);
        }
        if let Some(by) = self.closing(consumer) {
            self.close(by);
        }
        self.set_goal(consumer);
        if self.is_done(consumer) {
            return Ok(Turn::Done);
        }
        if self.has_other_line() && self.is_at_rest() {
            info!("the group is joined anew, with other certificates or secrets");
            return Ok(Turn::Rejoin);
        }
        self.show(consumer);
        if !self.is_blocked() {
            self.end_pause(consumer);
        } else if !self.has_waited_long(consumer) {
            return Ok(self.wait_for_outcome(consumer));
        }
        match consumer.poll(&PollLimits::default()) {
            Polled::Assigned(assigned) => self.start(consumer, assigned),
            Polled::Idle => Ok(Turn::Again),
            Polled::Lost(_) => Ok(Self::lost()),
            Polled::Problem(problem) => {
                let turn = self.report(problem)?;
                // The interrupted batch of a partition that stopped cannot be read to its end: the others go on without it.
                Ok(if self.is_recovery_lost(consumer) { Turn::Retake } else { turn })
            }
            Polled::Records(records) => {
                self.shared.health.clear(Obstacle::Kafka);
                let recovering = &self.session.recovering;
                let is_decided = |record: &Record<'_>| recovering.iter().any(|batch| batch.has_decided(record));
                let judged = self.filling.take(&records, &self.shared, &self.heart, is_decided);
                Ok(if judged.is_ok() { Turn::Again } else { Turn::Retake })
            }
            Polled::Revoked(revoked) => Ok(self.give_up(consumer, revoked)),
        }
    }

    /// Returns what closes the open batch now, if anything does.
    fn closing(&self, consumer: &Consumer) -> Option<Closing> {
        if self.in_flight.is_some() || self.filling.open.is_empty() {
            return None;
        }
        if !self.session.recovering.is_empty() {
            // An interrupted batch ends where it ended, whatever the limits say: some of its tables have it already.
            return self.has_recovered(consumer).then_some(Closing::Recovery);
        }
        if self.shared.stops() {
            Some(Closing::Shutdown)
        } else if self.filling.is_outdated(&self.shared) || self.has_other_line() {
            Some(Closing::Reload)
        } else if self.session.begins {
            Some(Closing::Rebalance)
        } else if self.holds_the_rest(consumer) {
            Some(Closing::CaughtUp)
        } else {
            self.filling.open.full(&self.limits, self.shared.clock.elapsed_ms())
        }
    }

    /// Hands the open batch to the commit worker, which has none now.
    fn close(&mut self, by: Closing) {
        let Some(closed) = self.filling.close(&self.shared) else { return };
        let metrics = &self.shared.metrics;
        metrics.batches.get_or_create_owned(&ClosingLabels { by: Word(by) }).inc();
        metrics.in_flight_bytes.set(i64::try_from(closed.filtered.memory()).unwrap_or(i64::MAX));
        metrics.queue_depth.get_or_create_owned(&QueueLabels { queue: Word(QueueName::Closed) }).inc();
        info!(by = by.word(), rows = closed.filtered.rows(), partitions = closed.spans.len(), "batch is closed");
        let (is_recovery, begins) = (by == Closing::Recovery, self.session.begins);
        self.in_flight = Some(InFlight { opened_ms: closed.opened_ms, is_recovery, begins });
        // The commit worker ends after this one only; if it panicked, the supervisor ends the process.
        if self.closed.send(closed).is_err() {
            warn!("the commit worker is gone");
        }
    }

    /// Takes note of what became of the batch in flight.
    fn settle(&mut self, consumer: &Consumer, outcome: Outcome) -> Turn {
        let in_flight = self.take_back();
        let receipt = match outcome {
            Outcome::Committed(receipt) => receipt,
            Outcome::Dropped => return Turn::Retake,
            // Another daemon has a partition of it: the group has to say who owns what.
            Outcome::Fenced => return Turn::Rejoin,
        };
        for span in receipt.spans() {
            self.session.watermarks.insert(span.partition.clone(), span.to);
        }
        if let Err(error) = consumer.acknowledge(receipt) {
            warn!(%error, "the brokers did not take the offsets; the lake has them");
        }
        self.session.begins &= !in_flight.is_some_and(|batch| batch.begins);
        if in_flight.is_some_and(|batch| batch.is_recovery) { self.end_recovery(consumer) } else { Turn::Again }
    }

    /// Takes what became of the batch in flight out of the queue.
    fn take_back(&mut self) -> Option<InFlight> {
        let metrics = &self.shared.metrics;
        metrics.queue_depth.get_or_create_owned(&QueueLabels { queue: Word(QueueName::Receipts) }).dec();
        metrics.in_flight_bytes.set(0);
        self.in_flight.take()
    }

    /// Tells whether everything that was asked for is committed.
    fn is_done(&mut self, consumer: &Consumer) -> bool {
        let has_caught_up = |this: &mut Self| !this.session.begins && this.has_caught_up(consumer);
        self.in_flight.is_none() && (self.shared.stops() && self.is_at_rest() || has_caught_up(self))
    }

    /// Tells whether nothing is held that could be committed.
    fn is_at_rest(&self) -> bool {
        // What is open of an interrupted batch cannot be committed before its end is read; the next member reads it.
        self.in_flight.is_none() && (self.filling.open.is_empty() || !self.session.recovering.is_empty())
    }

    /// Tells whether the brokers are to be reached in another way than they are.
    fn has_other_line(&self) -> bool {
        self.number != self.line.number()
    }

    /// Tells whether no further record may be taken now.
    fn is_blocked(&mut self) -> bool {
        let now_ms = self.shared.clock.elapsed_ms();
        let must_close = self.filling.open.full(&self.limits, now_ms).is_some()
            || self.filling.is_outdated(&self.shared)
            || self.has_other_line();
        let is_full = must_close && self.in_flight.is_some();
        let is_blocked = is_full
            || self.session.begins
            || self.shared.stops()
            || !self.shared.consent_is_current()
            || !self.shared.keys_are_current()
            || [Obstacle::Keys, Obstacle::StoreKeys].into_iter().any(|obstacle| self.shared.health.stands(obstacle));
        if is_blocked {
            // Secrets that lapsed are to leave memory, and what was derived from them.
            self.filling.renew_keys(&self.shared);
            self.session.blocked_ms.get_or_insert(now_ms);
        } else {
            self.session.blocked_ms = None;
        }
        is_blocked
    }

    /// Pauses the partitions once the wait is long, so that polling can go on.
    fn has_waited_long(&mut self, consumer: &Consumer) -> bool {
        let now_ms = self.shared.clock.elapsed_ms();
        let is_long = self.session.blocked_ms.is_some_and(|since| now_ms - since >= PAUSE_AFTER_MS);
        if is_long && !self.session.is_paused {
            consumer.pause();
            self.session.is_paused = true;
        }
        is_long
    }

    /// Lets the partitions go on after a long wait.
    fn end_pause(&mut self, consumer: &Consumer) {
        if std::mem::take(&mut self.session.is_paused) {
            consumer.resume();
        }
    }

    fn wait_for_outcome(&mut self, consumer: &Consumer) -> Turn {
        match self.outcomes.recv_timeout(WAIT) {
            Ok(outcome) => self.settle(consumer, outcome),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Turn::Again,
        }
    }

    /// Drops what is open and waits until the commit worker has let go of its batch.
    fn abandon(&mut self) {
        self.filling.drop_open(&self.shared);
        self.shared.abandon(true);
        while self.in_flight.is_some() {
            self.heart.beat(self.shared.clock.elapsed_ms());
            match self.outcomes.recv_timeout(WAIT) {
                Ok(_) => drop(self.take_back()),
                Err(RecvTimeoutError::Disconnected) => self.in_flight = None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.shared.abandon(false);
    }

    fn lost() -> Turn {
        warn!("the group took the partitions away; what is open of them is dropped and read again by their new owner");
        Turn::Rejoin
    }

    /// Says what keeps records from coming; a problem that no waiting mends ends the worker.
    fn report(&mut self, problem: Problem) -> Result<Turn, RunError> {
        let obstacle = match &problem {
            Problem::Damaged { .. } => Obstacle::DamagedRecords,
            Problem::Gap { .. } => Obstacle::Gap,
            Problem::MadeAnew { .. } => Obstacle::TopicMadeAnew,
            Problem::BrokersAway
            | Problem::Fenced
            | Problem::ForeignRecords { .. }
            | Problem::NoReceipts { .. }
            | Problem::NotAuthorized
            | Problem::Other(_)
            | Problem::TopicMissing { .. } => Obstacle::Kafka,
        };
        self.shared.health.raise(obstacle, &problem);
        self.session.lacks_topic |= matches!(problem, Problem::NotAuthorized | Problem::TopicMissing { .. });
        if let Some(num_suppressed) = self.problems.admit(self.shared.clock.elapsed_ms()) {
            warn!(code = problem.code(), %problem, num_suppressed, "records do not come");
        }
        let is_final =
            problem.reach() == Reach::Process || problem.reach() == Reach::Partition && self.until == Until::CaughtUp;
        if is_final { Err(RunError::Source(problem)) } else { Ok(Turn::Again) }
    }

    /// Moves partitions to ends that hold only markers of transactions, where this run ends there.
    fn pass_markers(&self, consumer: &Consumer, lags: &[Lag]) {
        let few: Vec<_> = lags.iter().filter(|lag| lag.offsets() <= MARKERS_MAX).cloned().collect();
        if self.until == Until::Stopped || few.is_empty() {
            return;
        }
        let settled = Tail::connect(&self.brokers, &self.membership.group)
            .and_then(|mut tail| consumer.settle(&mut tail, &few, LAG_PATIENCE));
        if let Err(error) = settled {
            debug!(%error, "could not look at the ends of the partitions");
        }
    }
}

/// Leaves the group, and waits for that only so long.
///
/// A rebalance that crosses with the end of a membership can make librdkafka (2.12) drop its own question to the group and wait
/// for the answer for ever. The brokers miss a member that did not say goodbye once its session is over.
fn leave(consumer: Consumer) {
    let (done, is_done) = sync_channel(1);
    let leaving = thread::Builder::new().name("leave".to_owned()).spawn(move || {
        drop(consumer);
        if done.send(()).is_err() {
            info!("the group is left, late");
        }
    });
    if leaving.is_ok() && is_done.recv_timeout(LEAVE_MAX).is_err() {
        warn!("the group could not be left in time; its partitions wait for the end of the session");
    }
}

/// A consumer says goodbye in a round trip or two.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// A poll, a rebalance and a question to the brokers are each over in seconds.
const STILL_MAX: Duration = Duration::from_mins(2);
/// Shorter waits are bridged by not polling: a pause throws away what was fetched.
const PAUSE_AFTER_MS: i64 = 5_000;
/// How long one turn waits for a receipt.
const WAIT: Duration = Duration::from_millis(50);
/// The same trouble is logged this often.
const REPEAT_MIN: Duration = Duration::from_secs(30);
/// What made the last membership or batch end may still be there; group and lake are not asked again at once.
const REJOIN_WAIT: Duration = Duration::from_secs(1);
/// A transaction ends with one marker a partition; more offsets than this are records on their way.
const MARKERS_MAX: i64 = 64;
/// Ends move all the time; graphs are drawn from scrapes every ten seconds or more.
const LAG_EVERY_MS: i64 = 5_000;
const LAG_PATIENCE: Duration = Duration::from_secs(2);
