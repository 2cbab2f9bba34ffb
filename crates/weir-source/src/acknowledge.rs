//! Offsets back to Kafka, for lag tools only, and only for what the lake has made durable.

use std::time::Duration;

use rdkafka::{
    Offset,
    consumer::{CommitMode, Consumer as _},
    error::KafkaError,
};
use weir_lake::{Receipt, Span};

use crate::{
    cluster::{AskError, of_answer},
    consumer::{Consumer, of_id},
    partition::{TopicPartition, named, placed},
};

/// The brokers did not take the offsets; nothing is lost by it, the tables hold those that count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("acknowledge offsets: {0}")]
pub struct AcknowledgeError(KafkaError);

impl Consumer {
    /// Tells Kafka how far the tables are; a receipt is spent by it.
    ///
    /// Does not wait for the brokers: a restart takes its offsets from the tables.
    ///
    /// # Errors
    /// When librdkafka refuses the offsets at once.
    pub fn acknowledge(&self, receipt: Receipt) -> Result<(), AcknowledgeError> {
        self.commit(receipt.spans(), CommitMode::Async).map_err(AcknowledgeError)
    }

    /// Commits the inbox of consent, and waits for it: there the group's offsets count.
    pub(crate) fn commit_now(&self, spans: &[Span]) -> Result<(), KafkaError> {
        self.commit(spans, CommitMode::Sync)
    }

    /// Returns how far the group has committed, in the order asked.
    pub(crate) fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<i64>>, AskError> {
        let answer =
            self.client.committed_offsets(named(partitions), timeout).map_err(|error| of_answer(&error, ""))?;
        let offset = |name: &TopicPartition| match answer.find_partition(&name.topic, name.partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            Offset::Beginning | Offset::End | Offset::Invalid | Offset::Stored | Offset::OffsetTail(_) => None,
        };
        Ok(partitions.iter().map(offset).collect())
    }

    fn commit(&self, spans: &[Span], mode: CommitMode) -> Result<(), KafkaError> {
        let ends: Vec<(TopicPartition, Offset)> =
            spans.iter().map(|span| (of_id(&span.partition), Offset::Offset(span.to))).collect();
        let list = placed(ends.iter().map(|(name, offset)| (name, *offset)))?;
        if list.count() == 0 { Ok(()) } else { self.client.commit(&list, mode) }
    }
}
