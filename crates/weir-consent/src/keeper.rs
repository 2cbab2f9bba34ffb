//! The keeper: from what services say to what counts.
//!
//! It takes the inbox message by message and says what to do with each; the caller does it. The rules of the two topics need this order:
//!
//! 1. Before the first message of a partition, read the state topic to its end into the store: the former owner may have published.
//! 2. [`Keeper::take`] each message; produce what it returns, a write-back to the inbox, the rest to the state topic.
//! 3. When all replicas have acknowledged all of it: [`Keeper::acknowledged`], then commit the inbox offsets.
//! 4. When something was not acknowledged: [`Keeper::abandoned`], and take the inbox again from the last committed offsets.
//!
//! A message taken twice changes nothing. All messages of a person are in one partition, because their key is the person in
//! canonical form; a message under another spelling goes back to the inbox under that key, and so to the partition's owner.

use std::{collections::HashMap, sync::Arc};

use weir_keys::KeySet;

use crate::{
    inbox::{InboxFault, InboxRecord},
    state::{StateKey, StateRecord},
    store::ConsentStore,
};

/// Orders and checks the inbox; pure but for what it remembers as under way.
#[expect(missing_debug_implementations, reason = "names people")]
pub struct Keeper {
    keys: Arc<KeySet>,
    /// Published, not acknowledged yet: a second message about the same must be ordered against it.
    under_way: HashMap<StateKey, StateRecord>,
}

/// What to do with a message of the inbox.
#[expect(missing_debug_implementations, reason = "holds a person's name in clear")]
pub enum Verdict {
    /// Nothing: it is known, or something later or stricter is.
    Known,
    /// Produce to the state topic.
    Publish(Message),
    /// Nothing but count it.
    Refused(InboxFault),
    /// Produce to the inbox: the same record under the key of the canonical spelling.
    WriteBack(Message),
}

/// A message to produce.
#[expect(missing_debug_implementations, reason = "may hold a person's name in clear")]
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Key of the message.
    pub key: Vec<u8>,
    /// Value of the message.
    pub value: Vec<u8>,
}

impl Keeper {
    /// Makes a keeper; of the keys it needs the consent domain only, which never changes.
    pub fn new(keys: Arc<KeySet>) -> Self {
        Self { keys, under_way: HashMap::new() }
    }

    /// Takes one message of the inbox.
    pub fn take(&mut self, store: &ConsentStore, key: &[u8], value: Option<&[u8]>, now_ms: i64) -> Verdict {
        let record = match InboxRecord::parse(value.unwrap_or_default(), now_ms) {
            Ok(record) => record,
            Err(fault) => return Verdict::Refused(fault),
        };
        if key == record.key().as_bytes() {
            return self.order(store, record.state(&self.keys));
        }
        if record.is_spelled_by(key) {
            return Verdict::WriteBack(record.message());
        }
        Verdict::Refused(InboxFault::Key)
    }

    /// Notes that everything published so far is durable, and lets it count here.
    pub fn acknowledged(&mut self, store: &ConsentStore) {
        store.apply_all(self.under_way.drain().map(|(_, record)| record));
    }

    /// Forgets what was published and not acknowledged.
    pub fn abandoned(&mut self) {
        self.under_way.clear();
    }

    /// Publishes what counts of the record and all that is known, if that is news.
    fn order(&mut self, store: &ConsentStore, record: StateRecord) -> Verdict {
        let key = record.key();
        let known =
            [self.under_way.get(&key).cloned(), store.current(&key)].into_iter().flatten().reduce(StateRecord::merge);
        let counts = match known.clone() {
            Some(known) => known.merge(record),
            None => record,
        };
        if known.as_ref() == Some(&counts) {
            return Verdict::Known;
        }
        let Some(value) = counts.encode() else { return Verdict::Known };
        let message = Message { key: key.encode(), value };
        self.under_way.insert(key, counts);
        Verdict::Publish(message)
    }
}
