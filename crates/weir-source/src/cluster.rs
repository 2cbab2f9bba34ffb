//! What the brokers say about themselves: which cluster, which topics, where their partitions start and end.
//!
//! A client of its own that reads no record, so that asking never waits behind records and may be done from another
//! thread than polling. Ends are mostly those of committed records: an open transaction ends a partition before its first record.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext, Offset,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    brokers::Brokers,
    partition::{TopicPartition, placed},
};

/// A line to the brokers for questions.
pub struct Cluster {
    client: BaseConsumer<Listener>,
    id: Mutex<Option<Arc<str>>>,
}

/// Where a partition starts and ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that the broker still has.
    pub start: i64,
    /// The offset after the last record, mostly the last committed one.
    pub end: i64,
}

/// Why the brokers gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No broker answered in time.
    #[error("no broker answered in time")]
    BrokersAway,
    /// The client could not be made.
    #[error("could not make a client: {0}")]
    Client(&'static str),
    /// The brokers refuse the question.
    #[error("the brokers refuse: {0}")]
    Refused(RDKafkaErrorCode),
    /// There is no such topic.
    #[error("topic does not exist: {0}")]
    TopicMissing(String),
}

impl Cluster {
    /// Makes the client; connects when first asked.
    ///
    /// # Errors
    /// [`AskError::Client`] when librdkafka cannot be set up with these options.
    pub fn connect(brokers: &Brokers) -> Result<Self, AskError> {
        Self::with(brokers.observer())
    }

    /// The same, but ends are those of everything written: behind an open transaction lie records that the brokers have taken, and show
    /// to nobody yet.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) fn connect_to_written(brokers: &Brokers) -> Result<Self, AskError> {
        let mut config = brokers.observer();
        config.set("isolation.level", "read_uncommitted");
        Self::with(config)
    }

    fn with(mut config: ClientConfig) -> Result<Self, AskError> {
        // The only place where librdkafka tells a topic's id is its debug log, see `Listener`.
        config.set("debug", "topic").set_log_level(RDKafkaLogLevel::Debug);
        let client = config.create_with_context(Listener::default()).map_err(|error| of_client(&error))?;
        Ok(Self { client, id: Mutex::new(None) })
    }

    /// Returns the cluster's own name for itself, given to it when it was made.
    ///
    /// # Errors
    /// [`AskError::BrokersAway`] when no broker answered in time.
    pub fn id(&self, timeout: Duration) -> Result<Arc<str>, AskError> {
        if let Some(id) = self.id.lock().clone() {
            return Ok(id);
        }
        let id: Arc<str> = self.client.client().fetch_cluster_id(timeout).ok_or(AskError::BrokersAway)?.into();
        *self.id.lock() = Some(Arc::clone(&id));
        Ok(id)
    }

    /// Returns the partitions of a topic.
    ///
    /// # Errors
    /// [`AskError::TopicMissing`] when the brokers do not know the topic.
    pub fn partitions(&self, topic: &str, timeout: Duration) -> Result<Vec<TopicPartition>, AskError> {
        let metadata = self.client.fetch_metadata(Some(topic), timeout).map_err(|error| of_answer(&error, topic))?;
        self.hear_log();
        let described = metadata.topics().iter().find(|described| described.name() == topic);
        let described = described.ok_or_else(|| AskError::TopicMissing(topic.to_owned()))?;
        if let Some(error) = described.error() {
            return Err(of_answer(&KafkaError::MetadataFetch(error.into()), topic));
        }
        let name: Arc<str> = topic.into();
        let mut partitions: Vec<_> =
            described.partitions().iter().map(|found| TopicPartition::new(Arc::clone(&name), found.id())).collect();
        partitions.sort();
        Ok(partitions)
    }

    /// Returns what tells this topic from another of the same name: cluster id and topic id.
    ///
    /// Brokers before Kafka 2.8 give topics no id; the cluster's id stands alone then, and a topic made anew shows only
    /// by its offsets.
    ///
    /// # Errors
    /// As [`id`](Self::id) and [`partitions`](Self::partitions).
    pub fn incarnation(&self, topic: &str, timeout: Duration) -> Result<Arc<str>, AskError> {
        let cluster = self.id(timeout)?;
        self.partitions(topic, timeout)?;
        let ids = self.client.context().topic_ids.lock();
        match ids.get(topic) {
            Some(id) => Ok(format!("kafka:{cluster}/{id}").into()),
            None if ids.is_empty() => Ok(format!("kafka:{cluster}").into()),
            // These brokers give topics ids: the line about this one was not heard yet, and without it the topic would be another.
            None => Err(AskError::BrokersAway),
        }
    }

    /// Returns where partitions start and end, in the order asked.
    ///
    /// # Errors
    /// [`AskError::BrokersAway`] when a leader did not answer in time.
    pub fn bounds(&self, partitions: &[TopicPartition], timeout: Duration) -> Result<Vec<Bounds>, AskError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let starts = self.offsets(partitions, Offset::Beginning, timeout)?;
        let ends = self.offsets(partitions, Offset::End, timeout)?;
        Ok(starts.into_iter().zip(ends).map(|(start, end)| Bounds { start, end }).collect())
    }

    /// Returns where partitions end, in the order asked: half the questions of [`bounds`](Self::bounds).
    ///
    /// # Errors
    /// As [`bounds`](Self::bounds).
    pub fn ends(&self, partitions: &[TopicPartition], timeout: Duration) -> Result<Vec<i64>, AskError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        self.offsets(partitions, Offset::End, timeout)
    }

    /// Asks for many partitions at once: the protocol takes "start" and "end" where a time could stand.
    fn offsets(&self, partitions: &[TopicPartition], at: Offset, timeout: Duration) -> Result<Vec<i64>, AskError> {
        let topic = partitions.first().map_or("", |partition| &partition.topic);
        let asked = placed(partitions.iter().map(|partition| (partition, at))).map_err(|e| of_answer(&e, topic))?;
        let answer = self.client.offsets_for_times(asked, timeout).map_err(|error| of_answer(&error, topic))?;
        self.hear_log();
        partitions
            .iter()
            .map(|partition| {
                let missing = || AskError::TopicMissing(partition.topic.to_string());
                let found = answer.find_partition(&partition.topic, partition.partition).ok_or_else(missing)?;
                found.error().map_err(|error| of_answer(&error, &partition.topic))?;
                match found.offset() {
                    Offset::Offset(offset) => Ok(offset),
                    // librdkafka reads the answer "no offset" as one of its own marks.
                    Offset::Beginning | Offset::End | Offset::Invalid | Offset::Stored | Offset::OffsetTail(_) => {
                        Err(AskError::BrokersAway)
                    }
                }
            })
            .collect()
    }

    /// Serves the log lines that came with an answer, and nothing else: this client has no partitions. A poll serves one, and does not
    /// say so; a topic of many partitions has several for each.
    fn hear_log(&self) {
        let heard = || self.client.context().heard.load(Ordering::Relaxed);
        let mut quiet = 0;
        while quiet < QUIET_POLLS {
            let before = heard();
            if self.client.poll(Duration::ZERO).is_some() {
                tracing::debug!("a client without partitions got an event");
            }
            quiet = if heard() == before { quiet + 1 } else { 0 };
        }
    }
}

/// Tells whether an [incarnation](Cluster::incarnation) names the topic, and not the cluster alone.
pub(crate) fn has_topic_id(incarnation: &str) -> bool {
    incarnation.contains('/')
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("id", &*self.id.lock()).finish_non_exhaustive()
    }
}

/// Picks topic ids out of librdkafka's debug log.
///
/// librdkafka asks for them, and compares them when a topic changes, but this binding has no call that returns them.
/// Were the wording to change in another version, the test `topic_made_anew_is_another_source` would fail.
#[derive(Default)]
struct Listener {
    topic_ids: Mutex<HashMap<String, String>>,
    /// Lines so far.
    heard: AtomicU64,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if let Some((topic, id)) = topic_id(line) {
            self.topic_ids.lock().insert(topic.to_owned(), id.to_owned());
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::debug!(facility, line, "librdkafka warned"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {}
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%error, reason, "librdkafka reported an error");
    }
}

impl ConsumerContext for Listener {}

/// Reads `[thrd:main]: Topic NAME changed id from ID to ID`.
fn topic_id(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("Topic ")?;
    let (topic, ids) = rest.split_once(" changed id from ")?;
    let (_, id) = ids.split_once(" to ")?;
    Some((topic, id.trim()))
}

/// Hides the text: librdkafka quotes the values of options in it.
pub(crate) fn of_client(error: &KafkaError) -> AskError {
    if matches!(error, KafkaError::ClientConfig(..)) {
        AskError::Client("an option has a value that librdkafka refuses")
    } else if matches!(error, KafkaError::ClientCreation(_)) {
        AskError::Client("the options contradict each other or name files that cannot be read")
    } else {
        AskError::Client("librdkafka gave no reason")
    }
}

/// Sorts what the brokers answered, or that they did not.
pub(crate) fn of_answer(error: &KafkaError, topic: &str) -> AskError {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId,
        ) => AskError::TopicMissing(topic.to_owned()),
        Some(
            code @ (RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::InvalidTopic),
        ) => AskError::Refused(code),
        _ => AskError::BrokersAway,
    }
}

/// So many polls that brought no line say that there is none; some serve other things. A poll that finds nothing costs less than a
/// microsecond.
const QUIET_POLLS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_id_is_read_from_librdkafkas_line() {
        let line = "[thrd:main]: Topic telemetry changed id from AAAAAAAAAAAAAAAAAAAAAA to x7rXyTkXQq6eJ-2i4mE4JA";
        assert_eq!(topic_id(line), Some(("telemetry", "x7rXyTkXQq6eJ-2i4mE4JA")));
        assert_eq!(topic_id("[thrd:main]: Topic telemetry partition count changed from 0 to 6"), None);
    }
}
