//! Whether the end of a partition holds any record at all.
//!
//! A transaction ends with a marker, and markers take offsets: a partition can end at 101 while its last record is 99.
//! The consumer is never told of offset 100, so it would stay one offset behind for ever. A second reader that starts where
//! the first one stands and reaches the end without a record proves that there is none. librdkafka's end-of-partition event
//! proves it, but names the partition only by number: a reader of a single partition is never in doubt which one it means.
#![expect(clippy::disallowed_methods, reason = "how long a broker takes is real time, and nothing is judged by it")]

use std::{
    collections::HashMap,
    ops::Range,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
};

use crate::{
    brokers::Brokers,
    cluster::{AskError, of_answer, of_client},
    partition::{TopicPartition, placed},
    problem::is_damage,
};

/// A reader that looks at the ends of partitions, one at a time.
#[expect(missing_debug_implementations, reason = "it may hold records that it came across")]
pub struct Tail {
    client: BaseConsumer<Quiet>,
    /// Stretches that were found to be empty: a quiet partition is looked at once.
    empty: HashMap<TopicPartition, Range<i64>>,
}

impl Tail {
    /// Makes the client; connects when first asked. `group` names no group that it joins.
    ///
    /// # Errors
    /// [`AskError::Client`] when librdkafka cannot be set up with these options.
    pub fn connect(brokers: &Brokers, group: &str) -> Result<Self, AskError> {
        let mut config = brokers.reader(group);
        config.set("enable.partition.eof", "true");
        let client = config.create_with_context(Quiet).map_err(|error| of_client(&error))?;
        Ok(Self { client, empty: HashMap::new() })
    }

    /// Tells whether no committed record lies from `from` up to `end`, an end that the brokers named before. What lies behind an open
    /// transaction is none that could be seen, so it is not told.
    ///
    /// # Errors
    /// [`AskError::BrokersAway`] when the end was not reached in time.
    pub fn is_empty(&mut self, at: &TopicPartition, from: i64, end: i64, timeout: Duration) -> Result<bool, AskError> {
        if from >= end || self.empty.get(at).is_some_and(|known| known.start <= from && end <= known.end) {
            return Ok(true);
        }
        let stable = self.client.fetch_watermarks(&at.topic, at.partition, timeout);
        let (_, stable_end) = stable.map_err(|error| of_answer(&error, &at.topic))?;
        if stable_end < end {
            return Ok(false);
        }
        match self.next(at, from, timeout)? {
            // At least the end that was asked for, because it was reached later.
            Next::End => {
                self.empty.insert(at.clone(), from..end);
                Ok(true)
            }
            Next::Record => Ok(false),
            Next::Damaged => Err(AskError::BrokersAway),
        }
    }

    /// Tells whether what comes next at an offset is a batch that is not as it was written.
    ///
    /// # Errors
    /// [`AskError::BrokersAway`] when nothing came in time.
    pub(crate) fn is_damaged(&self, at: &TopicPartition, from: i64, timeout: Duration) -> Result<bool, AskError> {
        self.next(at, from, timeout).map(|next| next == Next::Damaged)
    }

    fn next(&self, at: &TopicPartition, from: i64, timeout: Duration) -> Result<Next, AskError> {
        let list = placed([(at, Offset::Offset(from))]).map_err(|error| of_client(&error))?;
        self.client.assign(&list).map_err(|error| of_client(&error))?;
        let next = self.look(timeout);
        if let Err(error) = self.client.unassign() {
            tracing::debug!(%error, "could not let go of a partition");
        }
        next
    }

    /// Waits for a record, the end, or a batch that is not as it was written.
    fn look(&self, timeout: Duration) -> Result<Next, AskError> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            match self.client.poll(TURN) {
                Some(Ok(_)) => return Ok(Next::Record),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Next::End),
                Some(Err(error)) if is_damage(&error) => return Ok(Next::Damaged),
                Some(Err(_)) | None => {}
            }
        }
        Err(AskError::BrokersAway)
    }
}

/// What comes next of a partition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Damaged,
    End,
    Record,
}

/// Hears nothing.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka reported an error");
    }
}

impl ConsumerContext for Quiet {}

const TURN: Duration = Duration::from_millis(100);
