//! What librdkafka calls back: rebalances are queued here and answered later, from the poll loop.
//!
//! A rebalance must not be answered inside the callback: the start offsets come from the lake's tables, and partitions
//! are given up only after their open batch is committed or dropped. Until the answer librdkafka holds the rebalance
//! open and hands out no records of these partitions.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};

use crate::partition::{TopicPartition, named, names};

/// The callbacks of a group's member.
#[derive(Default)]
pub(crate) struct Context {
    moves: Mutex<VecDeque<Move>>,
    /// What librdkafka still waits for; it opens no other rebalance before.
    open: Mutex<Option<Question>>,
    closing: AtomicBool,
}

/// A rebalance without an answer.
enum Question {
    Gain,
    Give(Vec<TopicPartition>),
}

/// A change of the partitions that this member has.
pub(crate) enum Move {
    Gain(Vec<TopicPartition>),
    Give(Vec<TopicPartition>),
    Lose(Vec<TopicPartition>),
}

impl Context {
    pub(crate) fn next_move(&self) -> Option<Move> {
        self.moves.lock().pop_front()
    }

    /// Puts a change back that could not be shown to the caller yet.
    pub(crate) fn put_back(&self, change: Move) {
        self.moves.lock().push_front(change);
    }

    /// Notes that the open rebalance has its answer.
    pub(crate) fn answered(&self) {
        *self.open.lock() = None;
    }

    /// Answers the open rebalance, and every later one at once: closing a consumer waits for the answers.
    pub(crate) fn close(&self, consumer: &BaseConsumer<Self>) {
        self.closing.store(true, Ordering::SeqCst);
        let result = match self.open.lock().take() {
            Some(Question::Give(partitions)) => give_up(consumer, &partitions),
            Some(Question::Gain) => gain(consumer, &TopicPartitionList::new()),
            None => Ok(()),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "could not answer a rebalance while closing");
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = names(list);
        if self.closing.load(Ordering::SeqCst) {
            if let Err(error) = give_up(consumer, &partitions) {
                tracing::debug!(%error, "could not give up partitions while closing");
            }
            return;
        }
        let gains = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        *self.open.lock() = Some(if gains { Question::Gain } else { Question::Give(partitions.clone()) });
        let change = if gains {
            Move::Gain(partitions)
        } else if consumer.assignment_lost() {
            Move::Lose(partitions)
        } else {
            Move::Give(partitions)
        };
        self.moves.lock().push_back(change);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        // Kafka's own offsets are for lag tools only; the tables hold the ones that count.
        if let Err(error) = result {
            tracing::debug!(%error, "could not acknowledge offsets");
        }
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        // The same error comes out of the poll as a problem, where it is counted and shown.
        tracing::debug!(%error, reason, "librdkafka reported an error");
    }
}

/// Answers an assignment.
pub(crate) fn gain(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list),
    }
}

/// Answers a revocation; the eager protocol takes all partitions away at once.
pub(crate) fn give_up(consumer: &BaseConsumer<Context>, partitions: &[TopicPartition]) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(&named(partitions)),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}
