//! Offsets back to Kafka, for lag tools only, and only for what the lake has made durable.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult},
};
use weir_lake::{Receipt, Span};

use crate::{
    cluster::{AskError, of_answer},
    consumer::{Consumer, of_id},
    foreign,
    partition::{TopicPartition, named, names, placed},
};

/// The brokers did not take the offsets; nothing is lost by it, the tables hold those that count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("acknowledge offsets: {0}")]
pub struct AcknowledgeError(KafkaError);

/// How far a group has come in a partition, and what the member that said so noted beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) next: i64,
    pub(crate) note: String,
}

impl Consumer {
    /// Tells Kafka how far the tables are; a receipt is spent by it.
    ///
    /// Does not wait for the brokers: a restart takes its offsets from the tables.
    ///
    /// # Errors
    /// When librdkafka refuses the offsets at once.
    pub fn acknowledge(&self, receipt: Receipt) -> Result<(), AcknowledgeError> {
        ends(receipt.spans()).and_then(|list| self.commit(&list, CommitMode::Async)).map_err(AcknowledgeError)
    }

    /// Commits the inbox of consent with a note for each partition, and waits for it: there the group's offsets count.
    pub(crate) fn commit_now(
        &self,
        spans: &[Span],
        note: impl Fn(&TopicPartition) -> String,
    ) -> Result<(), KafkaError> {
        let list = ends(spans)?;
        for name in names(&list) {
            if let Some(mut element) = list.find_partition(&name.topic, name.partition) {
                element.set_metadata(note(&name));
            }
        }
        self.commit(&list, CommitMode::Sync)
    }

    /// Returns how far the group has committed, in the order asked.
    pub(crate) fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Option<Committed>>, AskError> {
        let answer =
            self.client.committed_offsets(named(partitions), timeout).map_err(|error| of_answer(&error, ""))?;
        let committed = |name: &TopicPartition| {
            let found = answer.find_partition(&name.topic, name.partition)?;
            match found.offset() {
                Offset::Offset(next) => {
                    // The binding panics on metadata that is not UTF-8, and then it is no note of ours.
                    let note = foreign::read(|| found.metadata().to_owned()).unwrap_or_default();
                    Some(Committed { next, note })
                }
                Offset::Beginning | Offset::End | Offset::Invalid | Offset::Stored | Offset::OffsetTail(_) => None,
            }
        };
        Ok(partitions.iter().map(committed).collect())
    }

    fn commit(&self, list: &TopicPartitionList, mode: CommitMode) -> Result<(), KafkaError> {
        if list.count() == 0 { Ok(()) } else { self.client.commit(list, mode) }
    }
}

/// Lists where spans end.
fn ends(spans: &[Span]) -> KafkaResult<TopicPartitionList> {
    let ends: Vec<(TopicPartition, Offset)> =
        spans.iter().map(|span| (of_id(&span.partition), Offset::Offset(span.to))).collect();
    placed(ends.iter().map(|(name, offset)| (name, *offset)))
}
