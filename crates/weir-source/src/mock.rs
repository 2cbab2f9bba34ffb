//! A broker inside the process, for `weir demo` and quick tests: librdkafka's mock cluster.
//!
//! It speaks the real protocol over a local socket, so the real consumer and producer are used. It keeps the newest
//! 5 MB or 100,000 records of a partition, hands out records of aborted transactions, never compacts, and cannot describe
//! or make topics on request: offsets, restarts and compaction are proved on a real Kafka.

use std::collections::BTreeMap;

use rdkafka::{
    error::KafkaError,
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::brokers::Brokers;

/// A broker that lives as long as this value, on the thread that made it.
pub struct MockBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

/// The broker inside the process could not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker inside the process: {0}")]
pub struct MockError(KafkaError);

impl MockBroker {
    /// Starts a broker on a free local port.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn start() -> Result<Self, MockError> {
        MockCluster::new(1).map(|cluster| Self { cluster }).map_err(MockError)
    }

    /// Returns what a client needs to reach the broker.
    ///
    /// # Panics
    /// Never: no option is set, so none can be refused.
    pub fn brokers(&self) -> Brokers {
        Brokers::new(self.cluster.bootstrap_servers(), BTreeMap::new()).expect("no option is set")
    }

    /// Returns the broker's address, as `[source.kafka] brokers` wants it.
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// When it exists already.
    pub fn create(&self, topic: &str, partitions: i32) -> Result<(), MockError> {
        self.cluster.create_topic(topic, partitions, 1).map_err(MockError)
    }

    /// Cuts every connection and refuses new ones.
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn go_away(&self) -> Result<(), MockError> {
        self.cluster.broker_down(EVERY_BROKER).map_err(MockError)
    }

    /// Takes connections again.
    ///
    /// # Errors
    /// When librdkafka refuses.
    pub fn come_back(&self) -> Result<(), MockError> {
        self.cluster.broker_up(EVERY_BROKER).map_err(MockError)
    }

    /// Refuses the next offsets that groups commit, as a broker does while partitions move between members.
    pub fn refuse_commits(&self, times: usize) {
        let errors = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS; times];
        self.cluster.request_errors(RDKafkaApiKey::OffsetCommit, &errors);
    }
}

impl std::fmt::Debug for MockBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockBroker").field("address", &self.address()).finish()
    }
}

const EVERY_BROKER: i32 = -1;
