//! The topics that weir makes beside the inbox, and what they must be to keep what they are told.

use std::{thread, time::Duration};

use super::{PATIENCE, StateTopicPolicy, state_feed::FeedStop};
use crate::{
    admin::{Admin, TopicPlan},
    brokers::Brokers,
    cluster::{AskError, Cluster},
};

/// A topic that only weir writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnTopic {
    /// Every receipt, for ever.
    Receipts,
    /// The newest state of each person and tenant.
    State,
}

impl OwnTopic {
    /// Returns the name of the topic.
    pub(super) fn name(self, inbox: &str) -> String {
        match self {
            Self::Receipts => format!("{inbox}.receipts"),
            Self::State => format!("{inbox}.state"),
        }
    }

    /// Makes sure that the topic is there and keeps what it is told.
    pub(super) fn prepare(
        self,
        brokers: &Brokers,
        cluster: &Cluster,
        inbox: &str,
        policy: StateTopicPolicy,
    ) -> Result<(), FeedStop> {
        if policy == StateTopicPolicy::Trust {
            return Ok(());
        }
        let topic = self.name(inbox);
        let admin = Admin::connect(brokers, PATIENCE)?;
        match (cluster.partitions(&topic, PATIENCE), policy) {
            (Ok(_), _) => {}
            (Err(AskError::TopicMissing(_)), StateTopicPolicy::Create) => self.create(&admin, cluster, inbox)?,
            (Err(AskError::TopicMissing(_)), _) => return Err(FeedStop::Missing { topic, policy: self.cleanup() }),
            (Err(error), _) => return Err(error.into()),
        }
        for (option, wanted) in self.demanded() {
            let found = admin.option(&topic, option)?.unwrap_or_default();
            if found != *wanted {
                return Err(match self {
                    Self::Receipts => FeedStop::Forgets { topic, option, found, wanted },
                    Self::State => FeedStop::NotCompacted { topic, policy: found },
                });
            }
        }
        Ok(())
    }

    /// Makes the topic with as many partitions as the inbox.
    fn create(self, admin: &Admin, cluster: &Cluster, inbox: &str) -> Result<(), FeedStop> {
        let partitions = i32::try_from(cluster.partitions(inbox, PATIENCE)?.len()).unwrap_or(i32::MAX);
        let topic = self.name(inbox);
        admin.create(&TopicPlan { name: &topic, partitions, replicas: None, options: self.options() })?;
        tracing::info!(topic, partitions, "made a consent topic");
        // The brokers tell each other first; a second daemon may have made it in the same moment.
        let mut answer = cluster.partitions(&topic, PATIENCE);
        for _ in 0..CREATION_LOOKS {
            if answer.is_ok() {
                break;
            }
            thread::sleep(CREATION_WAIT);
            answer = cluster.partitions(&topic, PATIENCE);
        }
        answer.map(drop).map_err(FeedStop::from)
    }

    fn cleanup(self) -> &'static str {
        match self {
            Self::Receipts => "delete and retention.ms=-1",
            Self::State => "compact",
        }
    }

    /// Returns the options that the topic is made with.
    fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Receipts => RECEIPTS,
            // Compaction must not wait for a full segment of a topic that is small for years, and must not take a
            // tombstone away before every daemon that was off for a weekend has read it.
            Self::State => &[
                ("cleanup.policy", "compact"),
                ("delete.retention.ms", "604800000"),
                ("min.cleanable.dirty.ratio", "0.1"),
                ("segment.ms", "86400000"),
            ],
        }
    }

    /// Returns the options without which the topic would forget.
    fn demanded(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Receipts => RECEIPTS,
            Self::State => &[("cleanup.policy", "compact")],
        }
    }
}

/// A receipt is proof for as long as anybody may ask for it, which nobody can bound.
const RECEIPTS: &[(&str, &str)] = &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// A new topic is known to all brokers within a second or two.
const CREATION_LOOKS: usize = 50;
const CREATION_WAIT: Duration = Duration::from_millis(100);
