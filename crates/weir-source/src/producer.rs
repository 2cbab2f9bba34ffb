//! Records out: for the state topic, for consent verbs, for the demo and for tests.
//!
//! Idempotent, acknowledged by all replicas, partitioned like Java's clients do, so that a record written back to the
//! inbox lands where its key always lands.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};
use weir_consent::Message;

use crate::{
    brokers::Brokers,
    cluster::{AskError, of_client},
};

/// Writes records, and knows whether the brokers have them.
#[expect(missing_debug_implementations, reason = "it holds records that were not sent yet")]
pub struct Producer {
    client: BaseProducer<Deliveries>,
}

/// A record to be written.
#[expect(missing_debug_implementations, reason = "it is raw input and must not be printable")]
#[derive(Clone, Copy, Default)]
pub struct Outgoing<'r> {
    /// Name of the topic.
    pub topic: &'r str,
    /// The partition; by the key without one.
    pub partition: Option<i32>,
    /// The key, which decides the partition, and what compaction keeps one record of.
    pub key: Option<&'r [u8]>,
    /// The value; none is a tombstone.
    pub value: Option<&'r [u8]>,
    /// Names and values of headers.
    pub headers: &'r [(&'r str, &'r [u8])],
}

impl<'r> Outgoing<'r> {
    /// Addresses a message to a topic; its key decides the partition.
    pub fn of(topic: &'r str, message: &'r Message) -> Self {
        Self { topic, key: Some(&message.key), value: Some(&message.value), ..Self::default() }
    }
}

/// Why records are not with the brokers, or perhaps not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The brokers refused some records.
    #[error("the brokers did not take {count} records: {code}")]
    Refused {
        /// How many.
        count: u64,
        /// Why the last of them was refused.
        code: RDKafkaErrorCode,
    },
    /// The brokers did not answer in time.
    #[error("the brokers did not take the records in time")]
    TimedOut,
}

impl Producer {
    /// Makes the client; connects with the first record.
    ///
    /// # Errors
    /// [`AskError::Client`] when librdkafka cannot be set up with these options.
    pub fn connect(brokers: &Brokers) -> Result<Self, AskError> {
        let client = brokers.producer().create_with_context(Deliveries::default());
        Ok(Self { client: client.map_err(|error| of_client(&error))? })
    }

    /// Queues a record; waits while the queue is full.
    ///
    /// # Errors
    /// When the record is refused at once, as too large for example.
    pub fn send(&self, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let mut record = outgoing.record();
        loop {
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.client.poll(FULL_QUEUE_WAIT);
                }
                Err((error, _)) => {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                    return Err(SendError::Refused { count: 1, code });
                }
            }
        }
    }

    /// Waits until the brokers have every record that was queued.
    ///
    /// # Errors
    /// When some of them were refused since the last flush, or not taken in time: those may arrive yet, or not.
    pub fn flush(&self, timeout: Duration) -> Result<(), SendError> {
        let flushed = self.client.flush(timeout);
        let deliveries = self.client.context();
        let count = deliveries.refused.swap(0, Ordering::SeqCst);
        if count > 0 {
            return Err(SendError::Refused { count, code: *deliveries.code.lock() });
        }
        flushed.map_err(|error| match error.rdkafka_error_code() {
            None | Some(RDKafkaErrorCode::OperationTimedOut) => SendError::TimedOut,
            Some(code) => SendError::Refused { count: 0, code },
        })
    }
}

impl<'r> Outgoing<'r> {
    fn record(&self) -> BaseRecord<'r, [u8], [u8]> {
        let mut record = BaseRecord::to(self.topic);
        record.partition = self.partition;
        record.key = self.key;
        record.payload = self.value;
        if !self.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(self.headers.len());
            let add =
                |list: OwnedHeaders, &(key, value): &(&str, &[u8])| list.insert(Header { key, value: Some(value) });
            record.headers = Some(self.headers.iter().fold(headers, add));
        }
        record
    }
}

/// Counts what the brokers refused; what they took needs no memory.
struct Deliveries {
    refused: AtomicU64,
    code: Mutex<RDKafkaErrorCode>,
}

impl Default for Deliveries {
    fn default() -> Self {
        Self { refused: AtomicU64::new(0), code: Mutex::new(RDKafkaErrorCode::NoError) }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            *self.code.lock() = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka reported an error");
    }
}

/// How long one look at a full queue lasts; the queue drains in milliseconds when the brokers are there.
const FULL_QUEUE_WAIT: Duration = Duration::from_millis(20);
