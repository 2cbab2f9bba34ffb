//! One member of a consumer group: records out, offsets in.
//!
//! The lake decides where to read, not Kafka: a partition that the group gives to this member is announced, the caller
//! answers with the watermark that it read from the tables, and reading starts there. A partition that the group takes
//! away is announced too, and stays this member's until the caller has committed or dropped what it holds of it.
//!
//! Partitions move one by one by default (`cooperative-sticky`): those that stay are not interrupted, so that a member
//! that joins does not cut every batch of the others short. The eager protocol works as well, for old groups.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    Offset,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
};
use weir_filter::{Origin, TopicRules};
use weir_lake::PartitionId;

use crate::{
    brokers::Brokers,
    cluster::{AskError, Bounds, Cluster, of_client},
    context::{Context, gain, give_up},
    coverage::{Coverage, Position},
    partition::{TopicPartition, named, names, placed},
    problem::Problem,
};

/// Which topics to read, and with whom.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Names of the topics.
    pub topics: Vec<String>,
    /// What some of them demand of their events.
    pub rules: Vec<(String, TopicRules)>,
    /// Name of the consumer group.
    pub group: String,
    /// A name of this member that survives a restart: its partitions wait for it (Kafka's static membership).
    pub instance: Option<String>,
    /// Where to start a partition that the tables know nothing of.
    pub start: FirstOffset,
}

/// Where a partition starts that was never read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstOffset {
    /// At the first record that the broker has.
    #[default]
    Earliest,
    /// After the last record that the broker has.
    Latest,
}

/// A member of a consumer group.
#[expect(missing_debug_implementations, reason = "it holds records that were not handed out yet")]
pub struct Consumer {
    pub(crate) client: BaseConsumer<Context>,
    pub(crate) cluster: Cluster,
    pub(crate) coverage: Mutex<Coverage>,
    /// Problems that wait for the next poll.
    pub(crate) problems: Mutex<Vec<Problem>>,
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) rules: Vec<(String, TopicRules)>,
    /// librdkafka stopped a partition and does not say which: all have to be looked at.
    pub(crate) doubtful: AtomicBool,
    /// librdkafka left a batch out that is not as it was written, and does not say of which partition.
    pub(crate) misses: AtomicBool,
    pub(crate) brokers: Brokers,
    pub(crate) group: String,
    first: FirstOffset,
}

/// Partitions that the group gave to this member; they are read once [`Consumer::start`] has the answer.
#[derive(Debug)]
#[must_use = "the group waits for Consumer::start"]
pub struct Assigned {
    pub(crate) partitions: Vec<PartitionId>,
}

/// Partitions that this member has to give up; they go with [`Consumer::release`].
#[derive(Debug)]
#[must_use = "the group waits for Consumer::release"]
pub struct Revoked {
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) origins: Vec<Origin>,
}

/// Where to start a partition, as the tables say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The offset after the last one that coverage accounts for; none for a partition never read.
    pub watermark: Option<i64>,
    /// The end of an interrupted batch: reading stops there until [`Consumer::lift`].
    pub fence: Option<i64>,
}

/// What became of an answer: for each partition its origin, or why it stopped.
#[derive(Debug)]
pub struct Started {
    /// Partitions that are read now.
    pub running: Vec<Position>,
    /// Partitions that cannot be read.
    pub problems: Vec<Problem>,
}

/// Where partitions start.
struct Plan {
    started: Started,
    /// For each partition, in the order asked.
    offsets: Vec<Offset>,
    /// Partitions that are not to be fetched yet, or not at all.
    still: Vec<TopicPartition>,
}

impl Consumer {
    /// Makes a consumer and asks to join the group; the partitions come by polling.
    ///
    /// # Errors
    /// [`AskError::Client`] when librdkafka cannot be set up with these options.
    pub fn join(brokers: &Brokers, membership: &Membership) -> Result<Self, AskError> {
        let config = brokers.member(&membership.group, membership.instance.as_deref());
        let client: BaseConsumer<Context> =
            config.create_with_context(Context::default()).map_err(|error| of_client(&error))?;
        let topics: Vec<&str> = membership.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(|error| of_client(&error))?;
        Ok(Self {
            client,
            cluster: Cluster::connect(brokers)?,
            coverage: Mutex::default(),
            problems: Mutex::default(),
            topics: topics.into_iter().map(Arc::from).collect(),
            rules: membership.rules.clone(),
            doubtful: AtomicBool::new(false),
            misses: AtomicBool::new(false),
            brokers: brokers.clone(),
            group: membership.group.clone(),
            first: membership.start,
        })
    }

    /// Starts to read assigned partitions; `starts` has one answer for each, in their order.
    ///
    /// A partition whose watermark the broker cannot serve is kept but not read, and reported.
    ///
    /// # Errors
    /// Gives the partitions back when the brokers could not be asked where they start and end; try again.
    ///
    /// # Panics
    /// When `starts` has another length than the partitions.
    pub fn start(&self, assigned: Assigned, starts: &[Start]) -> Result<Started, (Assigned, AskError)> {
        assert_eq!(assigned.partitions.len(), starts.len(), "every partition has its answer");
        let names: Vec<TopicPartition> = assigned.partitions.iter().map(of_id).collect();
        let bounds = match self.cluster.bounds(&names, PATIENCE) {
            Ok(bounds) => bounds,
            Err(error) => return Err((assigned, error)),
        };
        let plan = self.open(&assigned.partitions, starts, &bounds);
        note(self.take_over(&names, &plan), "start the assigned partitions");
        Ok(plan.started)
    }

    /// Stops all partitions without giving them up; what was handed out of them is forgotten.
    ///
    /// Nothing of them comes any more, until [`start_again`](Self::start_again).
    pub fn stand_still(&self) {
        *self.coverage.lock() = Coverage::default();
        note(self.client.assignment().and_then(|held| self.client.pause(&held)), "stand still");
    }

    /// Returns the partitions that this member has and does not read since [`stand_still`](Self::stand_still).
    ///
    /// # Errors
    /// When the brokers could not be asked which incarnations they belong to.
    pub fn standing(&self) -> Result<Vec<PartitionId>, AskError> {
        let mut held = names(&self.client.assignment().map_err(|error| of_client(&error))?);
        let coverage = self.coverage.lock();
        // Those that came since are read already.
        held.retain(|name| coverage.origin(&name.topic, name.partition).is_none());
        drop(coverage);
        self.identify(&held)
    }

    /// Reads partitions that stood still from where the tables end now, as a member that never left its group.
    ///
    /// # Errors
    /// When the brokers did not answer, or librdkafka could not go back: only a new member can read on then.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_again(&self, standing: &[PartitionId], starts: &[Start]) -> Result<Started, AskError> {
        assert_eq!(standing.len(), starts.len(), "every partition has its answer");
        let names: Vec<TopicPartition> = standing.iter().map(of_id).collect();
        let bounds = self.cluster.bounds(&names, PATIENCE)?;
        let plan = self.open(standing, starts, &bounds);
        match self.go_back(&names, &plan) {
            Ok(()) => Ok(plan.started),
            Err(error) => {
                tracing::warn!(%error, "the consumer cannot go back");
                Err(of_client(&error))
            }
        }
    }

    /// Decides for each partition where it starts, or why it does not, and accounts for it from there.
    fn open(&self, partitions: &[PartitionId], starts: &[Start], bounds: &[Bounds]) -> Plan {
        let started = Started { running: Vec::new(), problems: Vec::new() };
        let mut plan = Plan { started, offsets: Vec::new(), still: Vec::new() };
        let mut coverage = self.coverage.lock();
        for ((id, start), bounds) in partitions.iter().zip(starts).zip(bounds) {
            match first_offset(id, *start, *bounds, self.first) {
                Ok(next) => {
                    let origin = coverage.open(id.clone(), next, start.fence);
                    if start.fence.is_some_and(|fence| fence <= next) {
                        plan.still.push(of_id(id));
                    }
                    plan.started.running.push(Position { origin, partition: id.clone(), next });
                    plan.offsets.push(Offset::Offset(next));
                }
                Err(problem) => {
                    let origin = coverage.open(id.clone(), bounds.end, None);
                    coverage.halt(origin);
                    plan.still.push(of_id(id));
                    plan.started.problems.push(problem);
                    plan.offsets.push(Offset::End);
                }
            }
        }
        plan
    }

    /// Gives up partitions; what was read of them is committed or dropped by now.
    pub fn release(&self, revoked: Revoked) {
        let mut coverage = self.coverage.lock();
        revoked.origins.iter().for_each(|origin| coverage.close(*origin));
        drop(coverage);
        note(give_up(&self.client, &revoked.partitions), "give up the revoked partitions");
        self.client.context().answered();
    }

    /// Stops fetching; polling goes on, so that the group does not take this member for dead.
    ///
    /// What was fetched and not handed out is fetched again after [`resume`](Self::resume), so pause for long waits only:
    /// a short one is bridged by not polling, and the queue of librdkafka is bounded.
    pub fn pause(&self) {
        let running = self.coverage.lock().running();
        note(self.client.pause(&named(&running.iter().map(of_id).collect::<Vec<_>>())), "pause");
    }

    /// Fetches again after [`pause`](Self::pause).
    pub fn resume(&self) {
        let running = self.coverage.lock().running();
        note(self.client.resume(&named(&running.iter().map(of_id).collect::<Vec<_>>())), "resume");
    }

    /// Lets a partition go on past its fence, whose batch is committed by now.
    ///
    /// # Errors
    /// When librdkafka could not go back to the fence: only a new member can read on then, for what comes next would leave a gap.
    pub fn lift(&self, origin: Origin) -> Result<(), AskError> {
        let mut coverage = self.coverage.lock();
        let Some(next) = coverage.lift(origin) else { return Ok(()) };
        let Some(name) = coverage.id(origin).map(of_id) else { return Ok(()) };
        drop(coverage);
        // Records past the fence were dropped when they came, so the fetch position has to go back.
        let sought = self.seek(&[(name.clone(), Offset::Offset(next))]);
        sought.and_then(|()| self.client.resume(&named([&name]))).map_err(|error| of_client(&error))
    }

    /// Returns how far each partition was read.
    pub fn positions(&self) -> Vec<Position> {
        self.coverage.lock().positions()
    }

    /// Returns the line to the brokers that this consumer asks its own questions on.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Fetches again from where each running partition stands; tells whether librdkafka could.
    pub(crate) fn seek_all(&self) -> bool {
        let places: Vec<_> = self.running().iter().map(|it| (of_id(&it.partition), Offset::Offset(it.next))).collect();
        let sought = self.seek(&places);
        let is_done = sought.is_ok();
        note(sought, "fetch again");
        is_done
    }

    /// Returns how far each partition was read that is being read.
    pub(crate) fn running(&self) -> Vec<Position> {
        let coverage = self.coverage.lock();
        let running = coverage.running();
        coverage.positions().into_iter().filter(|it| running.contains(&it.partition)).collect()
    }

    /// Moves partitions to where they are read from next; fails unless every one of them is there.
    fn seek(&self, places: &[(TopicPartition, Offset)]) -> KafkaResult<()> {
        if places.is_empty() {
            return Ok(());
        }
        let list = placed(places.iter().map(|(name, offset)| (name, *offset)))?;
        let sought = self.client.seek_partitions(list, PATIENCE)?;
        sought.elements().iter().try_for_each(rdkafka::topic_partition_list::TopicPartitionListElem::error)
    }

    /// Stops fetching partitions that reached their fence.
    pub(crate) fn hold(&self, fenced: &[Origin]) {
        let coverage = self.coverage.lock();
        let names: Vec<_> = fenced.iter().filter_map(|origin| coverage.id(*origin)).map(of_id).collect();
        drop(coverage);
        if !names.is_empty() {
            note(self.client.pause(&named(&names)), "hold at the fence");
        }
    }

    fn take_over(&self, names: &[TopicPartition], plan: &Plan) -> KafkaResult<()> {
        let list = placed(names.iter().zip(plan.offsets.iter().copied()))?;
        let answer = gain(&self.client, &list);
        self.client.context().answered();
        answer?;
        self.keep_still(plan)
    }

    /// Goes to where the plan starts; fails unless every partition is there, for what it hands out else would leave a gap.
    fn go_back(&self, names: &[TopicPartition], plan: &Plan) -> KafkaResult<()> {
        if names.is_empty() {
            return Ok(());
        }
        // In this order: resuming starts to fetch where the partition was left, and seeking drops what came of that.
        self.client.resume(&named(names))?;
        self.seek(&names.iter().cloned().zip(plan.offsets.iter().copied()).collect::<Vec<_>>())?;
        self.keep_still(plan)
    }

    fn keep_still(&self, plan: &Plan) -> KafkaResult<()> {
        if plan.still.is_empty() { Ok(()) } else { self.client.pause(&named(&plan.still)) }
    }
}

impl Drop for Consumer {
    /// Answers what is still open: librdkafka waits for it before it lets go of the group.
    fn drop(&mut self) {
        self.client.context().close(&self.client);
    }
}

impl Assigned {
    /// Returns the partitions, in the order in which [`Consumer::start`] wants its answers.
    pub fn partitions(&self) -> &[PartitionId] {
        &self.partitions
    }
}

impl Revoked {
    /// Returns the places of the partitions in the open batch; some may have been stopped before.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }
}

/// Decides where a partition starts, or why it cannot.
fn first_offset(id: &PartitionId, start: Start, bounds: Bounds, first: FirstOffset) -> Result<i64, Problem> {
    match (start.watermark, first) {
        (Some(wanted), _) => within(id, wanted, bounds).map_or(Ok(wanted), Err),
        (None, FirstOffset::Earliest) => Ok(bounds.start),
        (None, FirstOffset::Latest) => Ok(bounds.end),
    }
}

/// Tells what is wrong with a position that the broker cannot serve.
pub(crate) fn within(id: &PartitionId, wanted: i64, bounds: Bounds) -> Option<Problem> {
    if wanted < bounds.start {
        Some(Problem::Gap { partition: of_id(id), wanted, first: bounds.start })
    } else if wanted > bounds.end {
        Some(Problem::MadeAnew { partition: of_id(id), wanted, end: bounds.end })
    } else {
        None
    }
}

/// Logs a call that librdkafka refused: only a consumer that is closing or was fenced does, and the next poll says so.
fn note(result: Result<(), KafkaError>, what: &'static str) {
    if let Err(error) = result {
        tracing::warn!(%error, what, "the consumer refused");
    }
}

pub(crate) fn of_id(id: &PartitionId) -> TopicPartition {
    TopicPartition::new(Arc::clone(&id.topic), id.partition)
}

/// How long a question may hold the poll loop; the group waits for a poll much longer (`max.poll.interval.ms`).
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: no start ever skips or repeats a record that the tables know of.
    #[test]
    fn start_is_the_watermark_or_a_problem() {
        let id = PartitionId { source: "c".into(), topic: "t".into(), partition: 0 };
        let bounds = Bounds { start: 10, end: 20 };
        let start = |watermark, first| first_offset(&id, Start { watermark, fence: None }, bounds, first);
        for wanted in [10, 15, 20] {
            assert_eq!(start(Some(wanted), FirstOffset::Latest), Ok(wanted));
        }
        assert_eq!(start(None, FirstOffset::Earliest), Ok(10));
        assert_eq!(start(None, FirstOffset::Latest), Ok(20));
        let partition = of_id(&id);
        let gap = Problem::Gap { partition: partition.clone(), wanted: 9, first: 10 };
        assert_eq!(start(Some(9), FirstOffset::Latest), Err(gap));
        let anew = Problem::MadeAnew { partition, wanted: 21, end: 20 };
        assert_eq!(start(Some(21), FirstOffset::Earliest), Err(anew));
    }
}
