//! The state topic, read whole and followed.
//!
//! All partitions, by every daemon, from their first record or from what its snapshot of the store lacks. The topic is the only
//! memory of what people want, so weir reads it only where it can be trusted to hold everything: compacted, never cut, never made anew.

use std::{collections::HashSet, sync::Arc, time::Duration};

use rdkafka::{
    Message as _, Offset,
    consumer::{BaseConsumer, Consumer as _},
    error::RDKafkaErrorCode,
    message::BorrowedMessage,
};
use weir_consent::{Applied, ConsentStore, StateKey, StateRecord};

use super::{
    Halt, PATIENCE, Turned, is_at_end,
    snapshot::{Reached, Snapshot},
};
use crate::{
    admin::Admin,
    brokers::Brokers,
    cluster::{AskError, Bounds, Cluster, of_client},
    context::Context,
    partition::{TopicPartition, placed},
    problem::{Problem, is_damage},
    tail::Tail,
};

/// Why the state topic cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedStop {
    /// The brokers gave no answer when it was opened.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The receipts topic drops records by age or size, or keeps only the newest.
    #[error("the receipts topic {topic} has {option}={found}, which forgets what people decided; set it to {wanted}")]
    Forgets {
        /// Name of the topic.
        topic: String,
        /// The option.
        option: &'static str,
        /// Its value.
        found: String,
        /// The value that keeps everything.
        wanted: &'static str,
    },
    /// It was deleted and made anew.
    #[error(
        "the state topic {topic} was made anew: what people want is not in it; stop every weir, and publish it again"
    )]
    MadeAnew {
        /// Name of the topic.
        topic: String,
    },
    /// It is missing, and weir was told not to make it.
    #[error("topic {topic} does not exist; make it with cleanup.policy={policy}")]
    Missing {
        /// Name of the topic.
        topic: String,
        /// The policy that it must have.
        policy: &'static str,
    },
    /// It forgets records by age or size.
    #[error("the state topic {topic} has cleanup.policy={policy}, which forgets what people want; set it to compact")]
    NotCompacted {
        /// Name of the topic.
        topic: String,
        /// Its policy.
        policy: String,
    },
    /// It got partitions: keys moved to others.
    #[error("the state topic {topic} has another number of partitions than when weir started; start weir again")]
    Repartitioned {
        /// Name of the topic.
        topic: String,
    },
    /// Records that compaction would have kept are gone.
    #[error("the state topic lost records of {partition}: what people want may be missing; publish it again")]
    Shrank {
        /// The partition.
        partition: TopicPartition,
    },
}

/// The reader of the state topic.
pub(super) struct StateFeed {
    client: BaseConsumer<Context>,
    topic: Arc<str>,
    incarnation: Arc<str>,
    partitions: Vec<Followed>,
    /// Keys whose last record is none of ours, or of a newer weir: until another replaces it, nobody knows what it says.
    unreadable: HashSet<Vec<u8>>,
}

/// One partition, and how far it was read.
struct Followed {
    name: TopicPartition,
    next: i64,
    end: i64,
}

/// Returns how long the topic keeps a tombstone that compaction could take away, in milliseconds; none if the brokers cannot tell.
pub(super) fn tombstones_stay_ms(brokers: &Brokers, topic: &str) -> Result<Option<i64>, AskError> {
    let answer = Admin::connect(brokers, PATIENCE)?.option(topic, "delete.retention.ms")?;
    Ok(answer.and_then(|stay| stay.parse().ok()))
}

impl StateFeed {
    /// Finds the topic; nothing is read before it is [begun](Self::begin). `group` names no group that it joins.
    pub(super) fn open(brokers: &Brokers, cluster: &Cluster, topic: &str, group: &str) -> Result<Self, FeedStop> {
        let incarnation = cluster.incarnation(topic, PATIENCE)?;
        let names = cluster.partitions(topic, PATIENCE)?;
        let bounds = cluster.bounds(&names, PATIENCE)?;
        let partitions: Vec<Followed> =
            names.into_iter().zip(&bounds).map(|(name, bounds)| Followed { name, next: 0, end: bounds.end }).collect();
        for (followed, bounds) in partitions.iter().zip(&bounds) {
            followed.check(*bounds)?;
        }
        let client: BaseConsumer<Context> =
            brokers.reader(group).create_with_context(Context::default()).map_err(|error| of_client(&error))?;
        Ok(Self { client, topic: topic.into(), incarnation, partitions, unreadable: HashSet::new() })
    }

    /// Starts to read all partitions: from their first record, or from what is new to the store's snapshot.
    pub(super) fn begin(&mut self, snapshot: Option<&Snapshot>) -> Result<(), FeedStop> {
        for (followed, next) in self.partitions.iter_mut().zip(snapshot.map_or(&[][..], Snapshot::next)) {
            followed.next = *next;
        }
        Ok(self.fetch()?)
    }

    /// Fetches from where each partition stands.
    fn fetch(&self) -> Result<(), AskError> {
        let starts = placed(self.partitions.iter().map(|followed| (&followed.name, Offset::Offset(followed.next))));
        starts.and_then(|list| self.client.assign(&list)).map_err(|error| of_client(&error))
    }

    /// Returns the topic's name.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Tells whether the topic ever had a record, as far as it was read.
    pub(super) fn has_states(&self) -> bool {
        self.partitions.iter().any(|followed| followed.next > 0)
    }

    /// Returns what tells the topic from others of its name.
    pub(super) fn incarnation(&self) -> Arc<str> {
        Arc::clone(&self.incarnation)
    }

    /// Returns how far each partition was read.
    pub(super) fn reached(&self) -> Vec<Reached> {
        let reached = |followed: &Followed| Reached { next: followed.next, end: followed.end.max(followed.next) };
        self.partitions.iter().map(reached).collect()
    }

    /// Takes what has come into the store; notes the keys under which a late writer left something older, as long as nothing else did.
    pub(super) fn read(
        &mut self,
        store: &ConsentStore,
        mut wait: Duration,
        turned: &mut Turned,
        late: &mut HashSet<StateKey>,
    ) -> Result<(), Halt> {
        for _ in 0..RECORDS_PER_TURN {
            let message = match self.client.poll(wait) {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
                        return Err(FeedStop::MadeAnew { topic: self.topic.to_string() }.into());
                    }
                    turned.problems.extend(Problem::of(&error));
                    if is_damage(&error) {
                        // What comes behind it would pass it over. The topic is not read, nor the store current, before it can be.
                        self.fetch()?;
                    }
                    break;
                }
                None => break,
            };
            wait = Duration::ZERO;
            match take(&mut self.unreadable, store, &message) {
                Some((Applied::Changed, key)) => {
                    turned.applied += 1;
                    late.remove(&key);
                }
                Some((Applied::Known, key)) => drop(late.remove(&key)),
                Some((Applied::Older, key)) => drop(late.insert(key)),
                None => {}
            }
            let place = usize::try_from(message.partition()).unwrap_or(usize::MAX);
            let (next, followed) = (message.offset() + 1, self.partitions.get_mut(place));
            if let Some(followed) = followed {
                followed.next = next;
            }
        }
        Ok(())
    }

    /// Tells whether everything that the topic holds now was read.
    pub(super) fn is_read(&mut self, cluster: &Cluster, tail: &mut Tail) -> Result<bool, Halt> {
        let bounds = self.look(cluster)?;
        self.is_at(&bounds, tail).map_err(Halt::from)
    }

    /// Asks where the partitions end, and whether the topic is still the one that was opened.
    pub(super) fn look(&mut self, cluster: &Cluster) -> Result<Vec<Bounds>, Halt> {
        let topic = self.topic.to_string();
        let source = match cluster.incarnation(&topic, PATIENCE) {
            Err(AskError::TopicMissing(_)) => return Err(FeedStop::MadeAnew { topic }.into()),
            answer => answer?,
        };
        if source != self.incarnation {
            return Err(FeedStop::MadeAnew { topic }.into());
        }
        if cluster.partitions(&topic, PATIENCE)?.len() != self.partitions.len() {
            return Err(FeedStop::Repartitioned { topic }.into());
        }
        let names: Vec<_> = self.partitions.iter().map(|followed| followed.name.clone()).collect();
        let bounds = cluster.bounds(&names, PATIENCE)?;
        for (followed, bounds) in self.partitions.iter_mut().zip(&bounds) {
            followed.check(*bounds)?;
            followed.end = bounds.end;
        }
        Ok(bounds)
    }

    /// Tells whether everything before these ends was read.
    pub(super) fn is_at(&self, bounds: &[Bounds], tail: &mut Tail) -> Result<bool, AskError> {
        for (followed, bounds) in self.partitions.iter().zip(bounds) {
            if !is_at_end(tail, &followed.name, followed.next, bounds.end)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns how many keys have a last record that cannot be read.
    pub(super) fn unreadable(&self) -> usize {
        self.unreadable.len()
    }
}

impl Followed {
    /// Compaction leaves the first and the last offset where they are; anything else loses records.
    fn check(&self, bounds: Bounds) -> Result<(), FeedStop> {
        if bounds.start > 0 || bounds.end < self.end.max(self.next) {
            return Err(FeedStop::Shrank { partition: self.name.clone() });
        }
        Ok(())
    }
}

/// Takes one record into the store; none if it cannot be read.
fn take(
    unreadable: &mut HashSet<Vec<u8>>,
    store: &ConsentStore,
    message: &BorrowedMessage<'_>,
) -> Option<(Applied, StateKey)> {
    let key = message.key().unwrap_or_default();
    if let Ok(record) = StateRecord::decode(key, message.payload()) {
        unreadable.remove(key);
        let state_key = record.key();
        return Some((store.apply(record), state_key));
    }
    // A tombstone under a foreign key removes the foreign record.
    if message.payload().is_none() {
        unreadable.remove(key);
    } else {
        unreadable.insert(key.to_vec());
    }
    None
}

/// Bounds one turn, so that the inbox has its turn while a large state topic is read.
const RECORDS_PER_TURN: usize = 65_536;
