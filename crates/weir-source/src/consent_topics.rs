//! The topics of consent: choices in, states and receipts out, and the store kept current.
//!
//! One value does it all, one turn after the other, on one thread: it reads the state topic into the store, takes the inbox
//! as a member of a group, publishes what counts, and vouches for the store when nothing that was said is missing from it.
//! It stands beside the path of events, which asks the store and stops when nobody vouches for it.
//!
//! The store is current as of an instant when, asked after it,
//! 1. the group has processed every partition of the inbox to its end, whoever's member owns it: the group's committed
//!    offsets say so, and they are committed only after all replicas have what the records led to;
//! 2. the state topic was read to its end, asked for after the first question.
//!
//! So what a person said before that instant is in the store, through whichever daemon it went. What is said after it does not
//! matter: the ends that were asked for are waited for, however much comes behind them.
#![expect(clippy::disallowed_methods, reason = "how long a broker takes is real time, and nothing is judged by it")]

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use weir_consent::{ConsentStore, InboxFault, Message, StateKey};
use weir_keys::KeySet;

use crate::{
    brokers::Brokers,
    cluster::{AskError, Bounds, Cluster, has_topic_id},
    partition::TopicPartition,
    poll::of_question,
    problem::Problem,
    producer::{Outgoing, Producer, SendError},
    tail::Tail,
};

mod inbox_keeper;
mod own_topic;
mod reading;
mod snapshot;
mod state_feed;

use inbox_keeper::{InboxKeeper, Taken};
use own_topic::OwnTopic;
pub use reading::{States, Unread, read_receipts};
pub use snapshot::{Snapshot, SnapshotRefusal, SnapshotSettings};
use snapshot::{Snapshots, Topic};
pub use state_feed::FeedStop;
use state_feed::StateFeed;

/// Which topics hold consent, and how often their ends are asked for.
#[derive(Clone, Debug)]
pub struct ConsentTopicsSettings {
    /// Name of the inbox; the state topic is `<inbox>.state`.
    pub inbox: String,
    /// Name of the daemons' group; the keeper's is `<group>.consent`.
    pub group: String,
    /// Whether to make the state topic where it is missing.
    pub creates: StateTopicPolicy,
    /// How often the ends are asked for: at least every second, or `max_staleness` would mean nothing.
    pub ask_every: Duration,
    /// Where the store is kept from one start to the next, if it is.
    pub snapshot: Option<SnapshotSettings>,
}

/// What to do about a state topic that is missing or that the brokers cannot describe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateTopicPolicy {
    /// Make it, compacted, with one copy for each that the brokers make by default.
    #[default]
    Create,
    /// Say that it is missing.
    Require,
    /// Take it as it is: the broker inside the process can neither describe a topic nor compact it.
    Trust,
}

/// The two topics, and the store that they fill.
#[expect(missing_debug_implementations, reason = "it holds records that name people")]
pub struct ConsentTopics {
    settings: ConsentTopicsSettings,
    brokers: Brokers,
    cluster: Cluster,
    tail: Tail,
    store: Arc<ConsentStore>,
    feed: StateFeed,
    keeper: InboxKeeper,
    producer: Producer,
    clerk: Option<Box<dyn Clerk>>,
    asked: Option<Instant>,
    open: Option<Question>,
    /// Keys under which the state topic ends with something older than what counts.
    late: HashSet<StateKey>,
    snapshots: Option<Snapshots>,
}

/// Where the topics ended when it was asked; once all of that is read, the store is current as of then.
struct Question {
    as_of_ms: i64,
    inbox: Vec<(TopicPartition, Bounds)>,
    /// Asked for when the inbox was done.
    state: Option<Vec<Bounds>>,
}

/// Who issues the receipts of states, before these are published.
pub trait Clerk: Send {
    /// Returns the receipts of states that are about to be published, as messages for the receipts topic.
    ///
    /// Whatever else must be durable before the states are, such as the ledger, is so when this returns.
    ///
    /// # Errors
    /// In words, why not; the states are not published then, and their inbox records are taken again.
    fn issue(&mut self, states: &[Message]) -> Result<Vec<Message>, String>;
}

/// The two clocks of a turn; they are parameters so that tests can move them.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Milliseconds since 1970: what a record's `at` is compared with.
    pub wall_ms: i64,
    /// Milliseconds of a clock that never goes back: what the store is vouched for on.
    pub monotonic_ms: i64,
}

/// What one turn did.
#[derive(Debug, Default)]
pub struct Turned {
    /// Records of the state topic that changed the store.
    pub applied: u64,
    /// Records of the inbox that led to a new state.
    pub published: u64,
    /// Receipts of these states.
    pub receipts: u64,
    /// Records of the inbox that went back under their canonical key.
    pub written_back: u64,
    /// Records of the inbox that say nothing new.
    pub known: u64,
    /// Records of the inbox that were refused, by why.
    pub refused: HashMap<InboxFault, u64>,
    /// What keeps the store from being current, in words.
    pub problems: Vec<Problem>,
    /// Whether the store was vouched for in this turn.
    pub current: bool,
    /// How the writing of a snapshot ended, if one did.
    pub saved: Option<io::Result<()>>,
}

/// Why consent can no longer be followed; weir stops and waits for a person.
#[derive(Debug, thiserror::Error)]
pub enum ConsentStop {
    /// The brokers gave no answer when the topics were opened.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The state topic is not what it was, or not what it must be.
    #[error(transparent)]
    Feed(#[from] FeedStop),
    /// The inbox dropped records before the keeper had read them.
    #[error("{0}")]
    Inbox(Problem),
    /// The inbox dropped records, and the brokers forgot how far the keeper had read.
    #[error(
        "the inbox dropped the records of {partition} before {first}, and its group no longer says whether they were taken: what          people decided may be missing; have all choices written again, then set the group's offsets to the earliest"
    )]
    InboxForgotten {
        /// The partition.
        partition: TopicPartition,
        /// The first offset that it still has.
        first: i64,
    },
    /// The state topic is empty or another one than before, and the inbox no longer has all that it was made from.
    #[error(
        "the state topic {topic} was made anew or is empty, and the inbox dropped the records of {partition} before {first} that it was made from; \
         have all choices written again, then set the offsets of the inbox's group to the earliest"
    )]
    StatesLost {
        /// Name of the state topic.
        topic: String,
        /// A partition of the inbox.
        partition: TopicPartition,
        /// The first offset that it still has.
        first: i64,
    },
}

impl ConsentTopics {
    /// Opens both topics; makes the state topic if it is missing and that is allowed. An empty store is filled from its
    /// snapshot, which is told beside: without one, or with one that does not fit, the whole state topic is read.
    ///
    /// # Errors
    /// When the brokers do not answer, or the state topic is not fit to be trusted.
    pub fn open(
        brokers: &Brokers,
        settings: ConsentTopicsSettings,
        store: Arc<ConsentStore>,
        keys: Arc<KeySet>,
        wall_ms: i64,
    ) -> Result<(Self, Option<Result<Snapshot, SnapshotRefusal>>), ConsentStop> {
        let cluster = Cluster::connect_to_written(brokers)?;
        OwnTopic::State.prepare(brokers, &cluster, &settings.inbox, settings.creates)?;
        let state = settings.state_topic();
        let mut feed = StateFeed::open(brokers, &cluster, &state, &settings.group)?;
        let (snapshots, loaded) = open_snapshots(brokers, &settings, &feed, &store, &keys, wall_ms)?;
        feed.begin(loaded.as_ref().and_then(|loaded| loaded.as_ref().ok()))?;
        let keeper = InboxKeeper::join(brokers, &settings.inbox, &settings.keeper_group(), keys)?;
        let tail = Tail::connect(brokers, &settings.group)?;
        let producer = Producer::connect(brokers)?;
        let (brokers, clerk, asked, open, late) = (brokers.clone(), None, None, None, HashSet::new());
        let topics = Self {
            settings,
            brokers,
            cluster,
            tail,
            store,
            feed,
            keeper,
            producer,
            clerk,
            asked,
            open,
            late,
            snapshots,
        };
        Ok((topics, loaded))
    }

    /// Publishes receipts too, to `<inbox>.receipts`; makes that topic if it is missing and that is allowed.
    ///
    /// # Errors
    /// When the brokers do not answer, or the topic would forget receipts.
    pub fn with_receipts(self, clerk: Box<dyn Clerk>) -> Result<Self, ConsentStop> {
        OwnTopic::Receipts.prepare(&self.brokers, &self.cluster, &self.settings.inbox, self.settings.creates)?;
        Ok(Self { clerk: Some(clerk), ..self })
    }

    /// Returns the newest snapshot that is on the disk.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshots.as_ref()?.newest()
    }

    /// Lets go of the topics; what the store learned since its newest snapshot goes into a last one. Tells how that ended.
    pub fn close(self, clocks: Clocks) -> Option<io::Result<()>> {
        // What a record says that cannot be read, no snapshot can hold.
        let snapshots = self.snapshots.filter(|_| self.feed.unreadable() == 0)?;
        snapshots.close(self.feed.reached(), clocks)
    }

    /// Does what there is to do, waiting at most `wait` for it.
    ///
    /// # Errors
    /// When consent can no longer be followed; the store is not current from then on.
    pub fn turn(&mut self, clocks: Clocks, wait: Duration) -> Result<Turned, ConsentStop> {
        let mut turned = Turned::default();
        let result = self.try_turn(clocks, wait, &mut turned);
        match result {
            Ok(()) => Ok(turned),
            // The brokers may come back; until then nobody vouches for the store, and it grows stale by itself.
            Err(Halt::Passing(problem)) => {
                turned.problems.push(problem);
                Ok(turned)
            }
            Err(Halt::Stop(stop)) => {
                self.store.mark_unknown();
                Err(stop)
            }
        }
    }

    fn try_turn(&mut self, clocks: Clocks, wait: Duration, turned: &mut Turned) -> Result<(), Halt> {
        self.feed.read(&self.store, wait, turned, &mut self.late)?;
        self.repair()?;
        self.keeper.answer(&self.cluster, &mut self.feed, &mut self.tail, turned)?;
        self.keep(clocks, turned)?;
        self.keeper.settle(&self.feed, turned);
        if self.asked.is_none_or(|asked| asked.elapsed() >= self.settings.ask_every) {
            self.asked = Some(Instant::now());
            self.ask(clocks)?;
        }
        if let Some(as_of_ms) = self.current_as_of(turned)? {
            self.store.mark_current(as_of_ms);
            turned.current = true;
            // Only now: a current store has no record that cannot be read, which no snapshot could hold.
            turned.saved = self.snapshots.as_mut().and_then(|saved| saved.tend(self.feed.reached(), clocks));
        }
        Ok(())
    }

    /// Takes what the inbox has; nothing is committed before all replicas have what it led to.
    fn keep(&mut self, clocks: Clocks, turned: &mut Turned) -> Result<(), Halt> {
        let Some(taken) = self.keeper.take(&self.store, clocks.wall_ms, turned)? else { return Ok(()) };
        let receipts = match self.clerk.as_mut().map(|clerk| clerk.issue(&taken.published)).transpose() {
            Ok(receipts) => receipts.unwrap_or_default(),
            Err(why) => return Err(self.start_over(Problem::NoReceipts { why })),
        };
        match self.publish(&taken, &receipts) {
            Ok(()) => {
                turned.receipts += u64::try_from(receipts.len()).unwrap_or(u64::MAX);
                self.keeper.acknowledged(&self.store, taken);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "could not publish consent; the inbox is taken again");
                Err(self.start_over(Problem::BrokersAway))
            }
        }
    }

    /// Sends all that a turn's records led to, and waits until all replicas have it.
    ///
    /// Receipts first: were a state there without its receipt, its record would be known when it is taken again, and the
    /// receipt never issued. The other way round a crash leaves a receipt twice.
    fn publish(&self, taken: &Taken, receipts: &[Message]) -> Result<(), SendError> {
        if !receipts.is_empty() {
            self.send(&OwnTopic::Receipts.name(&self.settings.inbox), receipts)?;
            self.producer.flush(FLUSH_PATIENCE)?;
        }
        self.send(&self.settings.state_topic(), &taken.published)?;
        self.send(&self.settings.inbox, &taken.written_back)?;
        self.producer.flush(FLUSH_PATIENCE)
    }

    fn send(&self, topic: &str, messages: &[Message]) -> Result<(), SendError> {
        messages.iter().try_for_each(|message| self.producer.send(&Outgoing::of(topic, message)))
    }

    /// Goes back to what is committed: some of what was sent may have arrived, and taking a record twice changes nothing.
    fn start_over(&mut self, problem: Problem) -> Halt {
        let fresh = Producer::connect(&self.brokers).map(|producer| self.producer = producer);
        match fresh.and_then(|()| self.keeper.rejoin(&self.brokers)) {
            Ok(()) => Halt::Passing(problem),
            Err(error) => Halt::Passing(of_question(error)),
        }
    }

    /// Publishes again what counts where a late writer put something older on top: compaction keeps the last record.
    fn repair(&mut self) -> Result<(), Halt> {
        if self.late.is_empty() {
            return Ok(());
        }
        let topic = self.settings.state_topic();
        for record in self.late.iter().filter_map(|key| self.store.current(key)) {
            let (key, value) = (record.key().encode(), record.encode());
            let outgoing = Outgoing { topic: &topic, key: Some(&key), value: value.as_deref(), ..Outgoing::default() };
            self.producer.send(&outgoing).map_err(unsent)?;
        }
        self.producer.flush(FLUSH_PATIENCE).map_err(unsent)?;
        self.late.clear();
        Ok(())
    }

    /// Asks where the topics end; while a question is open, only whether the state topic is still what it was.
    fn ask(&mut self, clocks: Clocks) -> Result<(), Halt> {
        // An inbox that was made anew never gets to its old end.
        let is_old = |question: &Question| clocks.monotonic_ms.saturating_sub(question.as_of_ms) > QUESTION_MS_MAX;
        if self.open.as_ref().is_some_and(|question| !is_old(question)) {
            return self.feed.look(&self.cluster).map(drop);
        }
        let inbox = self.keeper.ends(&self.cluster)?;
        self.open = Some(Question { as_of_ms: clocks.monotonic_ms, inbox, state: None });
        Ok(())
    }

    /// Returns the instant before which nothing that was said is missing from the store, when that is known. The order of the
    /// questions matters.
    fn current_as_of(&mut self, turned: &mut Turned) -> Result<Option<i64>, Halt> {
        let Some(question) = &mut self.open else { return Ok(None) };
        let state = match &mut question.state {
            Some(state) => state,
            None if !self.keeper.is_done(&question.inbox, &self.feed, &mut self.tail)? => return Ok(None),
            None => question.state.insert(self.feed.look(&self.cluster)?),
        };
        if !self.feed.is_at(state, &mut self.tail)? {
            return Ok(None);
        }
        let as_of_ms = question.as_of_ms;
        self.open = None;
        if self.feed.unreadable() > 0 {
            turned.problems.push(Problem::ForeignRecords { topic: self.settings.state_topic() });
            return Ok(None);
        }
        Ok(Some(as_of_ms))
    }
}

/// Fills the store from its snapshot; a topic without a name of its own, or that forgets when it likes, backs none.
#[expect(clippy::type_complexity, reason = "the snapshots to come, and what became of the one that was there")]
fn open_snapshots(
    brokers: &Brokers,
    settings: &ConsentTopicsSettings,
    feed: &StateFeed,
    store: &Arc<ConsentStore>,
    keys: &Arc<KeySet>,
    wall_ms: i64,
) -> Result<(Option<Snapshots>, Option<Result<Snapshot, SnapshotRefusal>>), ConsentStop> {
    let Some(wanted) = settings.snapshot.clone() else { return Ok((None, None)) };
    let incarnation = feed.incarnation();
    let stay_ms = match settings.creates {
        StateTopicPolicy::Trust => None,
        StateTopicPolicy::Create | StateTopicPolicy::Require => {
            state_feed::tombstones_stay_ms(brokers, &settings.state_topic())?
        }
    };
    let Some(stay_ms) = stay_ms.filter(|_| has_topic_id(&incarnation)) else {
        return Ok((None, Some(Err(SnapshotRefusal::Indistinct))));
    };
    let topic = Topic { incarnation, reached: feed.reached(), age_max_ms: stay_ms / 2 };
    let (snapshots, loaded) = Snapshots::open(wanted, Arc::clone(keys), Arc::clone(store), topic, wall_ms);
    Ok((Some(snapshots), Some(loaded)))
}

impl ConsentTopicsSettings {
    /// Returns the name of the state topic.
    pub fn state_topic(&self) -> String {
        OwnTopic::State.name(&self.inbox)
    }

    fn keeper_group(&self) -> String {
        format!("{}.consent", self.group)
    }
}

/// Why a turn ended early.
enum Halt {
    Passing(Problem),
    Stop(ConsentStop),
}

impl From<AskError> for Halt {
    fn from(error: AskError) -> Self {
        Self::Passing(of_question(error))
    }
}

impl From<FeedStop> for Halt {
    fn from(stop: FeedStop) -> Self {
        Self::Stop(stop.into())
    }
}

fn unsent(error: SendError) -> Halt {
    tracing::warn!(%error, "could not publish consent again");
    Halt::Passing(Problem::BrokersAway)
}

/// Tells whether a partition holds no record from `next` on that lies before `end`.
fn is_at_end(tail: &mut Tail, at: &TopicPartition, next: i64, end: i64) -> Result<bool, AskError> {
    if end - next > MARKERS_MAX {
        return Ok(false); // Records are on their way; looking at them twice would help nobody.
    }
    tail.is_empty(at, next, end, PATIENCE)
}

/// More offsets than this without a record are not worth looking for: the next record moves the position anyway.
const MARKERS_MAX: i64 = 64;

/// An answer that old would be of no use.
const QUESTION_MS_MAX: i64 = 30_000;

/// How long a question may hold a turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// A little longer than a producer tries (`message.timeout.ms`), so that its own verdict comes first.
const FLUSH_PATIENCE: Duration = Duration::from_secs(35);
