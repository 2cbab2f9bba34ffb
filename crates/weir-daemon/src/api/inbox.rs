//! From the API to the inbox topic.
//!
//! librdkafka waits where it must, so it has a thread of its own and the listener's never does. Nobody is told here that a
//! record was taken: an answer waits for the store, which has what all replicas acknowledged.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tracing::warn;
use weir_source::{AskError, Outgoing, Producer, SendError};

use crate::api::desk::Batch;
use crate::health::Heart;
use crate::logging::Throttle;
use crate::pipeline::line::Line;
use crate::pipeline::shared::Shared;

/// Sends what comes until the run is over.
pub(crate) struct Sender {
    shared: Arc<Shared>,
    heart: Heart,
    line: Arc<Line>,
    /// The number of the producer's line.
    number: u64,
    topic: String,
    batches: Receiver<Batch>,
    producer: Producer,
    repeats: Throttle,
}

impl Sender {
    /// Prepares the worker.
    ///
    /// # Errors
    /// When librdkafka cannot be set up with these options.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        line: Arc<Line>,
        topic: String,
        batches: Receiver<Batch>,
    ) -> Result<Self, AskError> {
        let (heart, repeats) = (shared.heart("inbox", STILL_MAX), Throttle::new(REPEAT_MIN));
        let (number, brokers) = line.current();
        let producer = Producer::connect(&brokers)?;
        Ok(Self { shared: Arc::clone(shared), heart, line, number, topic, batches, producer, repeats })
    }

    /// Sends batch after batch, those that wait together.
    pub(crate) fn run(mut self) {
        while !self.shared.is_over() {
            self.heart.beat(self.shared.clock.elapsed_ms());
            match self.batches.recv_timeout(TURN) {
                Ok(batch) => self.send(batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn send(&mut self, first: Batch) {
        if self.number != self.line.number() {
            self.connect();
        }
        let mut messages = std::iter::once(first).chain(self.batches.try_iter()).flatten();
        let sent = messages.try_for_each(|message| self.producer.send(&Outgoing::of(&self.topic, &message)));
        if let Err(error) = sent.and_then(|()| self.producer.flush(FLUSH_PATIENCE)) {
            self.start_over(error);
        }
    }

    /// Some of it may have arrived; who asks again sends the rest again.
    fn start_over(&mut self, error: SendError) {
        if let Some(num_suppressed) = self.repeats.admit(self.shared.clock.elapsed_ms()) {
            warn!(%error, num_suppressed, "decisions do not reach the inbox");
        }
        self.connect();
    }

    fn connect(&mut self) {
        let (number, brokers) = self.line.current();
        match Producer::connect(&brokers) {
            Ok(producer) => (self.number, self.producer) = (number, producer),
            Err(error) => warn!(%error, "the client of the inbox cannot be made anew"),
        }
    }
}

const TURN: Duration = Duration::from_millis(200);
/// A little longer than a producer tries, so that its own verdict comes first.
const FLUSH_PATIENCE: Duration = Duration::from_secs(35);
const STILL_MAX: Duration = Duration::from_mins(2);
const REPEAT_MIN: Duration = Duration::from_secs(30);
