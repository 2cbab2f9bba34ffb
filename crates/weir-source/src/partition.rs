//! The name of one partition, and how it crosses into librdkafka's lists.

use std::sync::Arc;

use rdkafka::{Offset, TopicPartitionList, error::KafkaResult};

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Lists partitions without offsets, for calls that only name them.
pub(crate) fn named<'p>(partitions: impl IntoIterator<Item = &'p TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for name in partitions {
        list.add_partition(&name.topic, name.partition);
    }
    list
}

/// Lists partitions with an offset each.
pub(crate) fn placed<'p>(
    partitions: impl IntoIterator<Item = (&'p TopicPartition, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (name, offset) in partitions {
        list.add_partition_offset(&name.topic, name.partition, offset)?;
    }
    Ok(list)
}

/// Reads the names back from one of librdkafka's lists.
pub(crate) fn names(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements().iter().map(|element| TopicPartition::new(element.topic(), element.partition())).collect()
}
