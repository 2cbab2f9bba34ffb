//! Offsets back to Kafka, for lag tools only, and only for what the lake has made durable.

use rdkafka::{
    Offset,
    consumer::{CommitMode, Consumer as _},
    error::KafkaError,
};
use weir_lake::{Receipt, Span};

use crate::{
    consumer::{Consumer, of_id},
    partition::{TopicPartition, placed},
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
        self.commit(receipt.spans()).map_err(AcknowledgeError)
    }

    fn commit(&self, spans: &[Span]) -> Result<(), KafkaError> {
        let ends: Vec<(TopicPartition, Offset)> =
            spans.iter().map(|span| (of_id(&span.partition), Offset::Offset(span.to))).collect();
        let list = placed(ends.iter().map(|(name, offset)| (name, *offset)))?;
        if list.count() == 0 { Ok(()) } else { self.client.commit(&list, CommitMode::Async) }
    }
}
