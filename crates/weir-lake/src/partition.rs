//! The places that rows come from: partitions of a topic's incarnation, and stretches of their offsets.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A partition of one incarnation of a topic; for a file, the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId {
    /// What was read: `kafka:` with cluster and topic incarnation, or a file's digest. A topic made anew is another source.
    pub source: Arc<str>,
    /// The topic's name, for people; a file's name.
    pub topic: Arc<str>,
    /// The partition's number; 0 for a file.
    pub partition: i32,
}

impl PartitionId {
    /// Tells whether this is a partition of a topic, whose name stands for one incarnation only; files may share names.
    pub(crate) fn is_of_topic(&self) -> bool {
        self.source.starts_with(TOPIC_SOURCE)
    }
}

/// How the source of a topic's partition begins.
const TOPIC_SOURCE: &str = "kafka:";

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// The offsets of one partition that a batch accounts for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The partition.
    pub partition: PartitionId,
    /// The first offset.
    pub from: i64,
    /// The offset after the last one.
    pub to: i64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, {})", self.partition, self.from, self.to)
    }
}
