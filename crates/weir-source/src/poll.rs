//! One turn of the loop: what the brokers have for us now.
//!
//! Records are lent, not copied: they stay in librdkafka's memory until the batch of this poll is dropped. What leaves is
//! the value and the headers of CloudEvents' binary mode; key, timestamp and every other header of a record are never
//! looked at. Rebalances and problems come out of the same door, in the order in which they happened, so that the caller
//! needs one loop and no callback.

use std::{
    hint::black_box,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rdkafka::{
    TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _, Message},
};
use weir_filter::{Headers, Origin, Record, TopicRules};
use weir_lake::{PartitionId, Span};

use crate::{
    cluster::AskError,
    consumer::{Assigned, Consumer, PATIENCE, Revoked, of_id},
    context::{Move, gain, give_up},
    coverage::Position,
    foreign,
    partition::TopicPartition,
    problem::{Problem, is_damage},
    tail::Tail,
};

/// What one poll brought.
#[expect(missing_debug_implementations, reason = "it may hold records")]
#[must_use = "the group waits for an answer to some of these"]
pub enum Polled<'c> {
    /// The group gave partitions to this member: answer with [`Consumer::start`].
    Assigned(Assigned),
    /// Nothing came in time.
    Idle,
    /// The group took partitions away without waiting: drop what is open of them, then [`Consumer::release`].
    Lost(Revoked),
    /// Something keeps records from coming.
    Problem(Problem),
    /// Records, in the order of their partitions.
    Records(Records<'c>),
    /// The group takes partitions away: commit or drop what is open of them, then [`Consumer::release`].
    Revoked(Revoked),
}

/// How much one poll may bring, and how long it may wait for the first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollLimits {
    /// Most records of one poll.
    pub records: usize,
    /// Bytes of values after which a poll ends.
    pub bytes: usize,
    /// Longest wait for the first record.
    pub wait: Duration,
}

impl Default for PollLimits {
    /// Enough records to make the filter's fixed costs small, and few enough that they are still in a core's second cache when they
    /// are filtered, and when librdkafka frees what it made of each.
    fn default() -> Self {
        Self { records: 512, bytes: 4 << 20, wait: Duration::from_millis(100) }
    }
}

/// The records of one poll, still in librdkafka's memory.
#[expect(missing_debug_implementations, reason = "records are raw input and must not be printable")]
pub struct Records<'c> {
    messages: Vec<(Origin, BorrowedMessage<'c>)>,
    spans: Vec<(Origin, Span)>,
    bytes: usize,
    rules: &'c [(String, TopicRules)],
}

impl Records<'_> {
    /// Returns the stretches that this poll accounts for; some of their offsets may hold no record.
    pub fn spans(&self) -> &[(Origin, Span)] {
        &self.spans
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Tells whether there are only stretches, without a record.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Returns the bytes of all values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns where each record comes from.
    pub fn places(&self) -> impl Iterator<Item = (Origin, i64)> {
        self.messages.iter().map(|(origin, message)| (*origin, message.offset()))
    }

    /// Returns the messages whole, for the inbox of consent, whose keys mean something.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &BorrowedMessage<'_>> {
        self.messages.iter().map(|(_, message)| message)
    }

    /// Lends the records, in the form that the filter takes.
    pub fn lend<T>(&self, take: impl FnOnce(&[Record<'_>]) -> T) -> T {
        let mut pairs = Vec::with_capacity(self.messages.len());
        let ends: Vec<usize> = self
            .messages
            .iter()
            .enumerate()
            .map(|(at, (_, message))| {
                if let Some((_, later)) = self.messages.get(at + NEAR) {
                    bring_near(later);
                }
                attributes(message, &mut pairs);
                pairs.len()
            })
            .collect();
        let mut start = 0;
        let mut records = Vec::with_capacity(self.messages.len());
        for ((origin, message), end) in self.messages.iter().zip(ends) {
            let headers = Headers::new(&pairs[start..end]);
            let record = Record::new(*origin, message.offset(), message.payload(), headers);
            // Mostly no topic has any, and then nobody looks at names.
            let rules = self.rules.iter().find(|(topic, _)| topic == message.topic());
            records.push(match rules {
                Some((_, rules)) => record.under(rules),
                None => record,
            });
            start = end;
        }
        take(&records)
    }
}

impl Consumer {
    /// Takes what the brokers have: a change of partitions, a problem, or records up to the limits.
    ///
    /// Must be called at least every few minutes, or the group takes this member for dead.
    pub fn poll(&self, limits: &PollLimits) -> Polled<'_> {
        self.settle_doubt();
        if let Some(polled) = self.waiting() {
            return polled;
        }
        let drained = self.drain(limits);
        let mut coverage = self.coverage.lock();
        let (mut messages, mut bytes) = (Vec::with_capacity(drained.len()), 0);
        for message in drained {
            if let Some(origin) = coverage.take(message.topic(), message.partition(), message.offset()) {
                bytes += message.payload_len();
                messages.push((origin, message));
            }
        }
        let (spans, fenced) = coverage.spans();
        drop(coverage);
        self.hold(&fenced);
        if spans.is_empty() {
            return self.waiting().unwrap_or(Polled::Idle);
        }
        Polled::Records(Records { messages, spans, bytes, rules: &self.rules })
    }

    /// Polls librdkafka until it has nothing at hand or the limits are reached.
    fn drain(&self, limits: &PollLimits) -> Vec<BorrowedMessage<'_>> {
        let (mut messages, mut bytes) = (Vec::with_capacity(limits.records), 0);
        let mut wait = limits.wait;
        while messages.len() < limits.records && bytes < limits.bytes {
            match self.client.poll(wait) {
                Some(Ok(message)) => {
                    bytes += message.payload_len();
                    messages.push(message);
                }
                Some(Err(error)) => {
                    self.note(&error);
                    break;
                }
                // Nothing, or a rebalance, which was queued.
                None => break,
            }
            wait = Duration::ZERO;
        }
        messages
    }

    /// Returns a problem or a change of partitions that waits for the caller.
    fn waiting(&self) -> Option<Polled<'static>> {
        if let Some(problem) = self.problems.lock().pop() {
            return Some(Polled::Problem(problem));
        }
        match self.client.context().next_move()? {
            Move::Gain(partitions) if partitions.is_empty() => {
                self.nothing_moves(gain(&self.client, &TopicPartitionList::new()))
            }
            Move::Gain(partitions) => Some(self.announce(partitions)),
            Move::Give(partitions) if partitions.is_empty() => self.nothing_moves(give_up(&self.client, &[])),
            Move::Give(partitions) => Some(Polled::Revoked(self.revoked(partitions))),
            Move::Lose(partitions) => Some(Polled::Lost(self.revoked(partitions))),
        }
    }

    /// Answers a rebalance that moves no partition; the caller need not know.
    fn nothing_moves(&self, answer: Result<(), KafkaError>) -> Option<Polled<'static>> {
        self.client.context().answered();
        if let Err(error) = answer {
            tracing::debug!(%error, "could not answer an empty rebalance");
        }
        None
    }

    /// Finds out which incarnations the assigned partitions belong to; keeps the assignment for later if that fails.
    fn announce(&self, partitions: Vec<TopicPartition>) -> Polled<'static> {
        match self.identify(&partitions) {
            Ok(partitions) => Polled::Assigned(Assigned { partitions }),
            Err(error) => {
                self.client.context().put_back(Move::Gain(partitions));
                Polled::Problem(of_question(error))
            }
        }
    }

    /// Finds out which incarnations partitions belong to.
    pub(crate) fn identify(&self, partitions: &[TopicPartition]) -> Result<Vec<PartitionId>, AskError> {
        let mut ids: Vec<PartitionId> = Vec::with_capacity(partitions.len());
        for TopicPartition { topic, partition } in partitions {
            let source = match ids.last().filter(|latest| latest.topic == *topic) {
                Some(latest) => latest.source.clone(),
                None => self.cluster.incarnation(topic, PATIENCE)?,
            };
            ids.push(PartitionId { source, topic: topic.clone(), partition: *partition });
        }
        Ok(ids)
    }

    fn revoked(&self, partitions: Vec<TopicPartition>) -> Revoked {
        let coverage = self.coverage.lock();
        let origins = partitions.iter().filter_map(|name| coverage.origin(&name.topic, name.partition)).collect();
        Revoked { partitions, origins }
    }

    /// Finds the partitions that librdkafka stopped, or of which it left a batch out; the others go on from where each stands.
    fn settle_doubt(&self) {
        if !self.doubtful.load(Ordering::SeqCst) {
            return;
        }
        match self.lag(PATIENCE).and_then(|_| self.find_damage()) {
            Ok(()) if self.seek_all() => self.doubtful.store(false, Ordering::SeqCst),
            Ok(()) => self.problems.lock().push(Problem::BrokersAway),
            Err(error) => self.problems.lock().push(of_question(error)),
        }
    }

    /// Stops the partitions whose next batch is not as it was written: what comes behind it would pass it over.
    fn find_damage(&self) -> Result<(), AskError> {
        if !self.misses.load(Ordering::SeqCst) {
            return Ok(());
        }
        let tail = Tail::connect(&self.brokers, &self.group)?;
        for Position { origin, partition, next } in self.running() {
            if tail.is_damaged(&of_id(&partition), next, PATIENCE)? {
                self.coverage.lock().halt(origin);
                self.problems.lock().push(Problem::Damaged { partition: of_id(&partition), wanted: next });
            }
        }
        self.misses.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Keeps a problem for the next poll; one that names no partition is traced to those that it stopped.
    fn note(&self, error: &KafkaError) {
        let is_miss = is_damage(error);
        if is_miss || error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
            self.misses.fetch_or(is_miss, Ordering::SeqCst);
            self.doubtful.store(true, Ordering::SeqCst);
            return;
        }
        match Problem::of(error) {
            Some(Problem::TopicMissing { .. }) => {
                let is_missing = |topic: &&Arc<str>| {
                    matches!(self.cluster.partitions(topic, PATIENCE), Err(AskError::TopicMissing(_)))
                };
                let topics = self.topics.iter().filter(is_missing).map(ToString::to_string).collect();
                self.problems.lock().push(Problem::TopicMissing { topics });
            }
            Some(problem) => self.problems.lock().push(problem),
            None => {}
        }
    }
}

/// Looks at the end of a value, behind which the headers lie: another core wrote them, and nobody waits for this look.
fn bring_near(message: &BorrowedMessage<'_>) {
    black_box(message.payload().and_then(<[u8]>::last).copied());
}

/// So many messages are read while one comes from another core's cache.
const NEAR: usize = 8;

/// Collects the attributes of CloudEvents' binary mode.
fn attributes<'m>(message: &'m BorrowedMessage<'_>, pairs: &mut Vec<(&'m str, &'m [u8])>) {
    let Some(headers) = message.headers() else { return };
    let before = pairs.len();
    // The binding panics on a header whose name is not UTF-8.
    let read = foreign::read(|| {
        let named = headers.iter().filter(|header| is_attribute(header.key));
        pairs.extend(named.filter_map(|header| header.value.map(|value| (header.key, value))));
    });
    if read.is_none() {
        pairs.truncate(before);
        pairs.push(UNREADABLE);
    }
}

fn is_attribute(name: &str) -> bool {
    name.get(..3).is_some_and(|prefix| prefix.eq_ignore_ascii_case("ce_")) || name.eq_ignore_ascii_case("content-type")
}

/// Stands for headers that cannot be read: no CloudEvents envelope has it, so the record is malformed.
const UNREADABLE: (&str, &[u8]) = ("ce_specversion", b"\xff");

pub(crate) fn of_question(error: AskError) -> Problem {
    match error {
        AskError::BrokersAway | AskError::Client(_) => Problem::BrokersAway,
        AskError::Refused(_) => Problem::NotAuthorized,
        AskError::TopicMissing(topic) => Problem::TopicMissing { topics: vec![topic] },
    }
}
