//! The consent topics read for who asks once: a verb, not a daemon. Nothing is published and no group is joined.
#![expect(clippy::disallowed_methods, reason = "how long a broker takes is real time, and nothing is judged by it")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset,
    consumer::{BaseConsumer, Consumer as _},
};
use weir_consent::{ConsentStore, Message, StateRecord};

use super::{ConsentStop, Halt, OwnTopic, PATIENCE, StateFeed, Turned, is_at_end};
use crate::{
    brokers::Brokers,
    cluster::{Cluster, of_client},
    context::Context,
    partition::placed,
    problem::Problem,
    tail::Tail,
};

/// What the state topic of an inbox says, read to its end and followed from there.
///
/// What the inbox has and no daemon took yet is not in the store, and nobody keeps it current.
#[expect(missing_debug_implementations, reason = "it holds records that name people")]
pub struct States {
    feed: StateFeed,
    store: ConsentStore,
}

/// Why a topic of consent could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It may pass by itself.
    #[error("{0}")]
    Passing(Problem),
    /// The topic cannot be trusted.
    #[error(transparent)]
    Stop(ConsentStop),
}

impl States {
    /// Reads the state topic to its end. `group` names no group that it joins.
    ///
    /// # Errors
    /// When the brokers do not answer in time, or the topic is not fit to be trusted.
    pub fn read(brokers: &Brokers, inbox: &str, group: &str, patience: Duration) -> Result<Self, Unread> {
        let topic = OwnTopic::State.name(inbox);
        let cluster = Cluster::connect(brokers).map_err(Halt::from)?;
        let mut feed = StateFeed::open(brokers, &cluster, &topic, group).map_err(Halt::from)?;
        feed.begin(None).map_err(Halt::from)?;
        let mut tail = Tail::connect(brokers, group).map_err(Halt::from)?;
        // Where it ends now is asked once: a topic that is written to all the time is never read to its end.
        let bounds = feed.look(&cluster)?;
        let (store, started) = (ConsentStore::new(), Instant::now());
        loop {
            feed.read(&store, READ_WAIT, &mut Turned::default(), &mut HashSet::new())?;
            if feed.is_at(&bounds, &mut tail).map_err(Halt::from)? {
                break;
            }
            if started.elapsed() > patience {
                return Err(Unread::Passing(Problem::BrokersAway));
            }
        }
        if feed.unreadable() > 0 {
            return Err(Unread::Passing(Problem::ForeignRecords { topic }));
        }
        Ok(Self { feed, store })
    }

    /// Returns what was read so far.
    pub fn store(&self) -> &ConsentStore {
        &self.store
    }

    /// Returns what was read, and reads no more.
    pub fn into_store(self) -> ConsentStore {
        self.store
    }

    /// Reads on until these records count, or others that count over them; tells whether that came in time.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn follow_until(&mut self, records: &[StateRecord], patience: Duration) -> Result<bool, Unread> {
        let started = Instant::now();
        while !records.iter().all(|record| self.store.covers(record)) {
            if started.elapsed() > patience {
                return Ok(false);
            }
            self.feed.read(&self.store, READ_WAIT, &mut Turned::default(), &mut HashSet::new())?;
        }
        Ok(true)
    }
}

/// Reads the receipts under some keys of the state topic, in the order in which they were published for each.
///
/// All partitions are read whole: a topic that got partitions has a key's older records in another one.
///
/// # Errors
/// When the brokers do not answer in time.
pub fn read_receipts(
    brokers: &Brokers,
    inbox: &str,
    group: &str,
    keys: &[Vec<u8>],
    patience: Duration,
) -> Result<Vec<Message>, Unread> {
    let cluster = Cluster::connect(brokers).map_err(Halt::from)?;
    let names = cluster.partitions(&OwnTopic::Receipts.name(inbox), PATIENCE).map_err(Halt::from)?;
    let bounds = cluster.bounds(&names, PATIENCE).map_err(Halt::from)?;
    let mut tail = Tail::connect(brokers, group).map_err(Halt::from)?;
    let client: BaseConsumer<Context> =
        brokers.reader(group).create_with_context(Context::default()).map_err(|error| Halt::from(of_client(&error)))?;
    let starts = placed(names.iter().zip(&bounds).map(|(name, bounds)| (name, Offset::Offset(bounds.start))));
    starts.and_then(|list| client.assign(&list)).map_err(|error| Halt::from(of_client(&error)))?;
    let mut nexts: Vec<i64> = bounds.iter().map(|bounds| bounds.start).collect();
    let (mut found, mut heard) = (Vec::new(), Instant::now());
    loop {
        match client.poll(READ_WAIT) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let place = usize::try_from(message.partition()).unwrap_or(usize::MAX);
                if let Some(next) = nexts.get_mut(place) {
                    *next = message.offset() + 1;
                }
                if let (Some(key), Some(value)) = (message.key(), message.payload())
                    && keys.iter().any(|asked| asked == key)
                {
                    found.push(Message { key: key.to_vec(), value: value.to_vec() });
                }
                continue;
            }
            Some(Err(error)) => tracing::debug!(%error, "librdkafka reported an error"),
            None => {}
        }
        let mut is_read = true;
        for ((name, next), bounds) in names.iter().zip(&nexts).zip(&bounds) {
            is_read = is_read && is_at_end(&mut tail, name, *next, bounds.end).map_err(Halt::from)?;
        }
        if is_read {
            return Ok(found);
        }
        if heard.elapsed() > patience {
            return Err(Unread::Passing(Problem::BrokersAway));
        }
    }
}

impl From<Halt> for Unread {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Passing(problem) => Self::Passing(problem),
            Halt::Stop(stop) => Self::Stop(stop),
        }
    }
}

/// How long a reader that asks once waits for the next record before it looks whether there is one.
const READ_WAIT: Duration = Duration::from_millis(100);
