//! The inbox, taken as a member of the keepers' group.
//!
//! The members of the group share the partitions of the inbox; a person's records are all in one partition, so one member
//! orders them. A member starts a partition only when it has read the state topic up to where it ended after the partition
//! came: what the former owner published is in the store by then. Here the group's committed offsets count: there is
//! no table that could hold them, and taking a record twice changes nothing. Brokers forget them when the group was empty for long:
//! then nobody knows whether records went from the inbox that were never taken, and consent stops unless none ever went.
//!
//! An offset says what was taken; what it led to is in the state topic, which may have been lost since and made anew. So a note beside
//! each offset names the very topic, and says whether anything of the partition is in it yet: nothing is while all records so far were
//! refused. An offset for another topic does not count. One without a note, as operators set them, is believed.

use std::{sync::Arc, time::Duration};

use rdkafka::Message as _;
use weir_consent::{ConsentStore, Keeper, Message, Verdict};
use weir_keys::KeySet;
use weir_lake::Span;

use super::{ConsentStop, Halt, PATIENCE, Turned, is_at_end, state_feed::StateFeed};
use crate::{
    acknowledge::Committed,
    brokers::Brokers,
    cluster::{AskError, Bounds, Cluster, has_topic_id},
    consumer::{Assigned, Consumer, FirstOffset, Membership, Start, of_id},
    coverage::Position,
    partition::TopicPartition,
    poll::{PollLimits, Polled, Records},
    problem::{Problem, Reach},
    tail::Tail,
};

/// The keeper and its place in the group.
pub(super) struct InboxKeeper {
    consumer: Consumer,
    keeper: Keeper,
    membership: Membership,
    /// Partitions that wait until the state topic is read.
    waiting: Option<Assigned>,
    /// What is published and the group has not taken yet: it takes no offsets while partitions move.
    owed: Vec<Span>,
    /// Partitions that were taken from their beginnings for an empty state topic, and led to nothing yet.
    fruitless: Vec<TopicPartition>,
}

/// What a turn's records led to.
pub(super) struct Taken {
    pub(super) published: Vec<Message>,
    pub(super) written_back: Vec<Message>,
    pub(super) spans: Vec<Span>,
}

impl InboxKeeper {
    pub(super) fn join(brokers: &Brokers, inbox: &str, group: &str, keys: Arc<KeySet>) -> Result<Self, AskError> {
        let (topics, group) = (vec![inbox.to_owned()], group.to_owned());
        let membership = Membership { topics, rules: Vec::new(), group, instance: None, start: FirstOffset::Earliest };
        let consumer = Consumer::join(brokers, &membership)?;
        Ok(Self {
            consumer,
            keeper: Keeper::new(keys),
            membership,
            waiting: None,
            owed: Vec::new(),
            fruitless: Vec::new(),
        })
    }

    /// Forgets what is under way and joins anew, to take the inbox again from the committed offsets.
    pub(super) fn rejoin(&mut self, brokers: &Brokers) -> Result<(), AskError> {
        self.keeper.abandoned();
        self.waiting = None;
        self.owed.clear();
        self.fruitless.clear();
        self.consumer = Consumer::join(brokers, &self.membership)?;
        Ok(())
    }

    /// Starts partitions that wait, once the state topic is read as far as it goes now.
    pub(super) fn answer(
        &mut self,
        cluster: &Cluster,
        feed: &mut StateFeed,
        tail: &mut Tail,
        turned: &mut Turned,
    ) -> Result<(), Halt> {
        let Some(assigned) = self.waiting.take() else { return Ok(()) };
        let ready = feed.is_read(cluster, tail).and_then(|is_read| {
            let names: Vec<TopicPartition> = assigned.partitions().iter().map(of_id).collect();
            Ok(if is_read { Some(self.watermarks(cluster, feed, &names)?) } else { None })
        });
        let watermarks = match ready {
            Ok(Some(watermarks)) => watermarks,
            Ok(None) => {
                self.waiting = Some(assigned);
                return Ok(());
            }
            Err(halt) => {
                self.waiting = Some(assigned);
                return Err(halt);
            }
        };
        let starts: Vec<_> = watermarks.into_iter().map(|watermark| Start { watermark, fence: None }).collect();
        match self.consumer.start(assigned, &starts) {
            Ok(started) => {
                // From here on the group knows where each begins, also one that gets no record for long.
                for Position { partition, next, .. } in started.running {
                    if !feed.has_states() {
                        self.fruitless.push(of_id(&partition));
                    }
                    self.owed.push(Span { partition, from: next, to: next });
                }
                weigh(started.problems, turned)
            }
            Err((assigned, error)) => {
                self.waiting = Some(assigned);
                Err(error.into())
            }
        }
    }

    /// Returns where partitions are taken from: where the group says, or where they begin as long as nothing was ever taken.
    ///
    /// Stops where records may have gone that nobody took, and where they went and what they led to is gone as well.
    fn watermarks(
        &self,
        cluster: &Cluster,
        feed: &StateFeed,
        names: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, Halt> {
        let bounds = cluster.bounds(names, PATIENCE)?;
        let committed = self.consumer.committed(names, PATIENCE)?;
        let watermark = |((name, Bounds { start, .. }), committed): ((&TopicPartition, &Bounds), Option<Committed>)| {
            match committed {
                None if *start > 0 => {
                    Err(Halt::Stop(ConsentStop::InboxForgotten { partition: name.clone(), first: *start }))
                }
                Some(committed) if counts(&committed, *start, feed) => Ok(Some(committed.next)),
                Some(_) if *start > 0 => Err(Halt::Stop(ConsentStop::StatesLost {
                    topic: feed.topic().to_owned(),
                    partition: name.clone(),
                    first: *start,
                })),
                // All that was ever said is there to be taken, again or for the first time.
                Some(_) | None => Ok(None),
            }
        };
        names.iter().zip(&bounds).zip(committed).map(watermark).collect()
    }

    /// Takes what the inbox has; none if there is nothing.
    pub(super) fn take(
        &mut self,
        store: &ConsentStore,
        wall_ms: i64,
        turned: &mut Turned,
    ) -> Result<Option<Taken>, Halt> {
        match self.consumer.poll(&LIMITS) {
            Polled::Records(records) => Ok(Some(judge(&mut self.keeper, &records, store, wall_ms, turned))),
            Polled::Assigned(assigned) => {
                self.waiting = Some(assigned);
                Ok(None)
            }
            Polled::Revoked(revoked) | Polled::Lost(revoked) => {
                // Every turn ends with its records published and committed, so nothing is open.
                self.waiting = None;
                // Their next owner takes what is owed again, which changes nothing.
                self.owed.retain(|span| !revoked.partitions.contains(&of_id(&span.partition)));
                self.fruitless.retain(|name| !revoked.partitions.contains(name));
                self.consumer.release(revoked);
                Ok(None)
            }
            Polled::Problem(problem) => weigh(vec![problem], turned).map(|()| None),
            Polled::Idle => Ok(None),
        }
    }

    /// Lets what was published count; the group is told by [`settle`](Self::settle).
    pub(super) fn acknowledged(&mut self, store: &ConsentStore, taken: Taken) {
        let Taken { published, spans, .. } = taken;
        // What is written back goes to the inbox, and comes again.
        if !published.is_empty() {
            self.fruitless.clear();
        }
        self.keeper.acknowledged(store);
        self.owed.retain(|owed| spans.iter().all(|span| span.partition != owed.partition));
        self.owed.extend(spans);
    }

    /// Tells the group how far the inbox is published, and once more what it did not take before: every daemon waits for its
    /// offsets, and a partition that stays here may get no other record that would move them.
    pub(super) fn settle(&mut self, feed: &StateFeed, turned: &mut Turned) {
        let notes = Notes::of(feed);
        let note = |name: &TopicPartition| {
            let Some(Notes { fruitful, fruitless }) = &notes else { return String::new() };
            if self.fruitless.contains(name) { fruitless.clone() } else { fruitful.clone() }
        };
        match self.consumer.commit_now(&self.owed, note) {
            Ok(()) => self.owed.clear(),
            Err(error) => {
                tracing::debug!(%error, "could not commit the inbox, it is tried again");
                turned.problems.extend(Problem::of(&error));
            }
        }
    }

    /// Returns where the partitions of the inbox end now.
    pub(super) fn ends(&self, cluster: &Cluster) -> Result<Vec<(TopicPartition, Bounds)>, Halt> {
        let names = cluster.partitions(&self.membership.topics[0], PATIENCE)?;
        let bounds = cluster.bounds(&names, PATIENCE)?;
        Ok(names.into_iter().zip(bounds).collect())
    }

    /// Tells whether the group has processed everything before these ends.
    pub(super) fn is_done(
        &self,
        ends: &[(TopicPartition, Bounds)],
        feed: &StateFeed,
        tail: &mut Tail,
    ) -> Result<bool, Halt> {
        // What is to be taken again counts as taken until the group knows better.
        if !self.owed.is_empty() || self.waiting.is_some() {
            return Ok(false);
        }
        let names: Vec<_> = ends.iter().map(|(name, _)| name.clone()).collect();
        let committed = self.consumer.committed(&names, PATIENCE)?;
        for ((name, bounds), committed) in ends.iter().zip(committed) {
            let is_lost = committed.as_ref().is_some_and(|committed| !counts(committed, bounds.start, feed));
            // Who took it knows better also where brokers give topics no ids, and notes say nothing.
            if is_lost && !self.fruitless.contains(name) {
                return Ok(false);
            }
            // Records may have gone before the group said how far it was.
            let next = committed.map(|committed| committed.next).or((bounds.start == 0).then_some(0));
            // Nor has the group taken what went before it came to it.
            let Some(next) = next.filter(|next| *next >= bounds.start) else { return Ok(false) };
            if !is_at_end(tail, name, next, bounds.end)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Tells whether what was taken of a partition that begins at `start` led to what the state topic holds now.
fn counts(committed: &Committed, start: i64, feed: &StateFeed) -> bool {
    match Notes::of(feed) {
        Some(Notes { fruitful, .. }) if committed.note == fruitful => feed.has_states(),
        Some(Notes { fruitless, .. }) if committed.note == fruitless => true,
        Some(_) if !committed.note.is_empty() => false,
        // Nobody says for which topic: nothing can have been taken for an empty one, but what is gone.
        Some(_) | None => feed.has_states() || committed.next <= start,
    }
}

/// What is noted beside offsets.
struct Notes {
    /// What was taken is in the state topic, as far as it counted.
    fruitful: String,
    /// Nothing of it counted yet.
    fruitless: String,
}

impl Notes {
    /// Returns the notes that name the state topic; none where a topic made anew could not be told from it.
    fn of(feed: &StateFeed) -> Option<Self> {
        let incarnation = feed.incarnation();
        has_topic_id(&incarnation).then(|| Self {
            fruitful: format!("for {incarnation}"),
            fruitless: format!("nothing yet for {incarnation}"),
        })
    }
}

/// Passes on what may pass, and stops for the rest.
fn weigh(problems: Vec<Problem>, turned: &mut Turned) -> Result<(), Halt> {
    for problem in problems {
        if problem.reach() != Reach::Passing {
            return Err(Halt::Stop(ConsentStop::Inbox(problem)));
        }
        turned.problems.push(problem);
    }
    Ok(())
}

/// Judges each record of a poll.
fn judge(keeper: &mut Keeper, records: &Records<'_>, store: &ConsentStore, wall_ms: i64, turned: &mut Turned) -> Taken {
    let spans = records.spans().iter().map(|(_, span)| span.clone()).collect();
    let mut taken = Taken { published: Vec::new(), written_back: Vec::new(), spans };
    for message in records.messages() {
        match keeper.take(store, message.key().unwrap_or_default(), message.payload(), wall_ms) {
            Verdict::Known => turned.known += 1,
            Verdict::Publish(message) => taken.published.push(message),
            Verdict::Refused(fault) => *turned.refused.entry(fault).or_default() += 1,
            Verdict::WriteBack(message) => taken.written_back.push(message),
        }
    }
    turned.published += u64::try_from(taken.published.len()).unwrap_or(u64::MAX);
    turned.written_back += u64::try_from(taken.written_back.len()).unwrap_or(u64::MAX);
    taken
}

/// Few enough records that their publication ends well before the group takes this member for dead. The inbox does not
/// wait: the state topic's reader has waited already in the same turn.
const LIMITS: PollLimits = PollLimits { records: 2048, bytes: 1 << 20, wait: Duration::ZERO };
