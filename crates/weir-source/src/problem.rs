//! What can go wrong between the brokers and weir, in words that an operator can act on.

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::partition::TopicPartition;

/// Something that keeps records from coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No broker can be reached; librdkafka keeps trying.
    BrokersAway,
    /// A batch of records is not as it was written.
    Damaged {
        /// The partition that stopped.
        partition: TopicPartition,
        /// The offset that comes next.
        wanted: i64,
    },
    /// Another consumer runs under the same `instance_id`, or the brokers took this one for dead.
    Fenced,
    /// A topic that only weir writes holds records that weir cannot read.
    ForeignRecords {
        /// Name of the topic.
        topic: String,
    },
    /// Records that were not read yet are gone from the broker.
    Gap {
        /// The partition that stopped.
        partition: TopicPartition,
        /// The offset that comes next.
        wanted: i64,
        /// The first offset that the broker still has.
        first: i64,
    },
    /// The topic was deleted and made anew: its offsets mean other records now.
    MadeAnew {
        /// The partition that stopped.
        partition: TopicPartition,
        /// The offset that comes next.
        wanted: i64,
        /// The offset after the last record that the broker has.
        end: i64,
    },
    /// Receipts cannot be issued, and no state is published without its receipt.
    NoReceipts {
        /// Why, in words.
        why: String,
    },
    /// The brokers do not let this client read.
    NotAuthorized,
    /// Anything else that librdkafka reports, by its own words.
    Other(RDKafkaErrorCode),
    /// Topics that do not exist; librdkafka looks again every half minute.
    TopicMissing {
        /// Their names, as far as the brokers could be asked.
        topics: Vec<String>,
    },
}

/// How far a problem reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One partition stopped; the others go on.
    Partition,
    /// It may pass by itself.
    Passing,
    /// This consumer will not read again: the process has to be started anew.
    Process,
}

impl Problem {
    /// Returns the code that metrics and `/readyz` use.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BrokersAway => "brokers_away",
            Self::Damaged { .. } => "damaged",
            Self::Fenced => "fenced",
            Self::ForeignRecords { .. } => "foreign_records",
            Self::Gap { .. } => "gap",
            Self::MadeAnew { .. } => "made_anew",
            Self::NoReceipts { .. } => "no_receipts",
            Self::NotAuthorized => "not_authorized",
            Self::Other(_) => "other",
            Self::TopicMissing { .. } => "topic_missing",
        }
    }

    /// Returns how far the problem reaches.
    pub fn reach(&self) -> Reach {
        match self {
            Self::Damaged { .. } | Self::Gap { .. } | Self::MadeAnew { .. } => Reach::Partition,
            Self::BrokersAway
            | Self::ForeignRecords { .. }
            | Self::NoReceipts { .. }
            | Self::NotAuthorized
            | Self::Other(_)
            | Self::TopicMissing { .. } => Reach::Passing,
            Self::Fenced => Reach::Process,
        }
    }

    /// Translates an error; none for those that need no words because librdkafka recovers from them unseen.
    pub(crate) fn of(error: &KafkaError) -> Option<Self> {
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Some(Self::Fenced);
        }
        let code = error.rdkafka_error_code()?;
        if AWAY.contains(&code) {
            Some(Self::BrokersAway)
        } else if REFUSED.contains(&code) {
            Some(Self::NotAuthorized)
        } else if MISSING.contains(&code) {
            Some(Self::TopicMissing { topics: Vec::new() })
        } else if MOVING.contains(&code) || code == RDKafkaErrorCode::PartitionEOF {
            None // The rebalance that follows says it better; ends of partitions are asked for.
        } else {
            Some(Self::Other(code))
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrokersAway => write!(f, "no broker can be reached; weir keeps trying"),
            Self::Damaged { partition, wanted } => write!(
                f,
                "{partition} stopped: the batch at {wanted} is not as it was written (its checksum, or its format); if the \
                 broker cannot mend it, delete the records up to its end (`kafka-delete-records`), start weir again, and \
                 accept the gap that it names"
            ),
            Self::Fenced => {
                write!(f, "another consumer runs under the same `instance_id`, or the group dropped this one")
            }
            Self::ForeignRecords { topic } => write!(
                f,
                "{topic} holds records that this weir cannot read, so nobody knows what they say; run the newest weir, or \
                 put a tombstone on the keys that weir did not write"
            ),
            Self::Gap { partition, wanted, first } => write!(
                f,
                "{partition} stopped: the next record to read is {wanted}, and the broker's first is {first}; \
                 `weir lake accept-gap {} {} --to {first}` records the loss, and the next start goes on",
                partition.topic, partition.partition
            ),
            Self::MadeAnew { partition, wanted, end } => write!(
                f,
                "{partition} stopped: the next record to read is {wanted}, and the broker ends at {end}; the topic was \
                 made anew, and its records are not those that the tables know; give it another name"
            ),
            Self::NoReceipts { why } => write!(f, "no receipt can be issued, so no consent is published: {why}"),
            Self::NotAuthorized => write!(f, "the brokers refuse access to the topics or the group"),
            Self::Other(code) => write!(f, "{code}"),
            Self::TopicMissing { topics } if topics.is_empty() => write!(f, "a topic does not exist"),
            Self::TopicMissing { topics } => write!(f, "topic does not exist: {}", topics.join(", ")),
        }
    }
}

/// Tells whether librdkafka gave a batch up because it is not as it was written. It reads on behind it as if there were none, or somewhere
/// in it.
pub(crate) fn is_damage(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| DAMAGE.contains(&code))
}

const DAMAGE: &[RDKafkaErrorCode] = &[RDKafkaErrorCode::BadMessage, RDKafkaErrorCode::NotImplemented];

const AWAY: &[RDKafkaErrorCode] = &[
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::RequestTimedOut,
    RDKafkaErrorCode::Resolve,
    RDKafkaErrorCode::WaitingForCoordinator,
];

const MOVING: &[RDKafkaErrorCode] = &[
    RDKafkaErrorCode::FencedMemberEpoch,
    RDKafkaErrorCode::IllegalGeneration,
    RDKafkaErrorCode::PollExceeded,
    RDKafkaErrorCode::RebalanceInProgress,
    RDKafkaErrorCode::StaleMemberEpoch,
    RDKafkaErrorCode::UnknownMemberId,
];

const REFUSED: &[RDKafkaErrorCode] = &[
    RDKafkaErrorCode::Authentication,
    RDKafkaErrorCode::ClusterAuthorizationFailed,
    RDKafkaErrorCode::GroupAuthorizationFailed,
    RDKafkaErrorCode::SaslAuthenticationFailed,
    RDKafkaErrorCode::SSL,
    RDKafkaErrorCode::TopicAuthorizationFailed,
];

const MISSING: &[RDKafkaErrorCode] = &[
    RDKafkaErrorCode::UnknownPartition,
    RDKafkaErrorCode::UnknownTopic,
    RDKafkaErrorCode::UnknownTopicId,
    RDKafkaErrorCode::UnknownTopicOrPartition,
];
