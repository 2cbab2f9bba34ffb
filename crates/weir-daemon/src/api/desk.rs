//! Decisions: one at a time about a person, and answered when they count.
//!
//! 1. The store must be current, or nobody knows what a decision would change.
//! 2. What an earlier request sent about the same person and did not see arrive is sent again and waited for: a withdrawal must not
//!    find "nothing to change" while a grant is still on its way.
//! 3. The state machine is asked, for all purposes before anything is sent.
//! 4. The records go to the inbox, and the answer is given when the store covers them: the keeper fills it from what
//!    all replicas have acknowledged, or the state topic does where another daemon keeps the partition.
//!
//! Two decisions about one person that go through two daemons at once are ordered by the keeper, by their instants.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Mutex as Turn, watch};
use weir_consent::{ConsentStore, Message, StateKey, StateRecord, Status, instant_text, status_now};
use weir_keys::KeySet;
use weir_policy::PurposeId;

use crate::Health;
use crate::api::problem::{Code, Problem};
use crate::api::request::{self, About, Order};
use crate::clock::{SharedClock, millis};

/// Messages for the inbox, those of one decision together.
pub(crate) type Batch = Vec<Message>;

/// What the API knows of the rest of the daemon.
pub(crate) struct Ground {
    pub(crate) store: Arc<ConsentStore>,
    /// Changes whenever the store does.
    pub(crate) news: watch::Receiver<()>,
    /// Of the keys it needs the consent domain only, which never changes.
    pub(crate) keys: Arc<KeySet>,
    pub(crate) clock: SharedClock,
    pub(crate) health: Health,
    pub(crate) max_staleness: Duration,
}

/// Takes decisions.
pub(crate) struct Desk {
    ground: Ground,
    inbox: SyncSender<Batch>,
    deadline: Duration,
    turns: Vec<Turn<()>>,
    shards: RandomState,
    under_way: Mutex<HashMap<StateKey, Sent>>,
}

/// A record that was sent, and was not seen to arrive.
struct Sent {
    record: StateRecord,
    message: Message,
    at_ms: i64,
}

/// What a decision sends, and under which keys; a retry sends the same.
pub(crate) type Plan = Vec<(StateRecord, Message)>;

/// A purpose and the record that counts for it.
type Counts = (PurposeId, Option<StateRecord>);

impl Desk {
    /// Opens the desk; what it sends comes out of the other end of `inbox`.
    pub(crate) fn new(ground: Ground, inbox: SyncSender<Batch>, deadline: Duration) -> Self {
        let turns = (0..TURNS).map(|_| Turn::new(())).collect();
        let under_way = Mutex::new(HashMap::new());
        Self { ground, inbox, deadline, turns, shards: RandomState::new(), under_way }
    }

    /// Returns the keys that people are found by.
    pub(crate) fn keys(&self) -> &KeySet {
        &self.ground.keys
    }

    /// Sees that the daemon is not on its way out.
    pub(crate) fn be_open(&self) -> Result<(), Problem> {
        if self.ground.health.ended() { Err(Code::Ending.into()) } else { Ok(()) }
    }

    /// Returns what counts now, for all purposes.
    pub(crate) fn look_up(&self, about: &About) -> Result<String, Problem> {
        self.be_current()?;
        Ok(self.show(self.counts(about, PurposeId::ALL.into_iter())))
    }

    /// Decides, or sends again what an earlier request decided; returns what counts then.
    pub(crate) async fn decide(&self, order: &Order, plan: &mut Option<Arc<Plan>>) -> Result<String, Problem> {
        let decided = tokio::time::timeout(self.deadline, self.decide_in_turn(order, plan));
        decided.await.unwrap_or(Err(Code::Unconfirmed.into()))
    }

    async fn decide_in_turn(&self, order: &Order, plan: &mut Option<Arc<Plan>>) -> Result<String, Problem> {
        let keys: Vec<_> = order.purposes.iter().map(|purpose| order.about.key(*purpose)).collect();
        let shard = self.shards.hash_one(order.about.whom()) % TURNS;
        let _turn = self.turns[usize::try_from(shard).expect("fewer turns than 2³²")].lock().await;
        self.be_open()?;
        self.be_current()?;
        self.send_again(&keys)?;
        self.arrival(&keys).await;
        let plan = match plan {
            Some(plan) => plan,
            None => plan.insert(Arc::new(self.plan(order)?)),
        };
        self.send(plan)?;
        self.arrival(&keys).await;
        Ok(self.show(self.counts(&order.about, order.purposes.iter().copied())))
    }

    /// Asks the state machine for all purposes.
    fn plan(&self, order: &Order) -> Result<Plan, Problem> {
        let now_ms = self.ground.clock.now_ms();
        let mut plan = Plan::new();
        for purpose in &order.purposes {
            let known = self.ground.store.current(&order.about.key(*purpose));
            let stands = known.as_ref().and_then(StateRecord::standing);
            let taken = order.decision.take(stands, now_ms, order.valid_until_ms).map_err(Problem::of_step)?;
            let Some(standing) = taken else { continue };
            let record = request::record(order, *purpose, standing, known.as_ref())?;
            plan.push((record.state(&self.ground.keys), record.message()));
        }
        Ok(plan)
    }

    /// Sends what is not there yet, and notes that it is under way.
    fn send(&self, plan: &Plan) -> Result<(), Problem> {
        let missing: Vec<_> = plan.iter().filter(|(record, _)| !self.ground.store.covers(record)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut under_way = self.under_way.lock();
        if under_way.len() + missing.len() > UNDER_WAY_MAX {
            under_way.retain(|_, sent| !self.is_settled(sent));
            if under_way.len() + missing.len() > UNDER_WAY_MAX {
                return Err(Code::Overloaded.into());
            }
        }
        self.queue(missing.iter().map(|(_, message)| message.clone()).collect())?;
        let at_ms = self.ground.clock.elapsed_ms();
        for (record, message) in missing {
            let sent = Sent { record: record.clone(), message: message.clone(), at_ms };
            under_way.insert(record.key(), sent);
        }
        Ok(())
    }

    /// Sends again what an earlier request did not see arrive; taken twice, it changes nothing.
    fn send_again(&self, keys: &[StateKey]) -> Result<(), Problem> {
        let mut under_way = self.under_way.lock();
        under_way.retain(|key, sent| !keys.contains(key) || !self.is_settled(sent));
        let mut again = Batch::new();
        for key in keys {
            if let Some(sent) = under_way.get_mut(key) {
                sent.at_ms = self.ground.clock.elapsed_ms();
                again.push(sent.message.clone());
            }
        }
        if again.is_empty() { Ok(()) } else { self.queue(again) }
    }

    fn queue(&self, batch: Batch) -> Result<(), Problem> {
        self.inbox.try_send(batch).map_err(|_full| Code::Overloaded.into())
    }

    /// Waits until nothing about these keys is under way.
    async fn arrival(&self, keys: &[StateKey]) {
        let mut news = self.ground.news.clone();
        loop {
            news.borrow_and_update();
            if self.have_arrived(keys) {
                return;
            }
            if news.changed().await.is_err() {
                // The daemon ends and nobody fills the store any more; the deadline answers.
                std::future::pending::<()>().await;
            }
        }
    }

    fn have_arrived(&self, keys: &[StateKey]) -> bool {
        let mut under_way = self.under_way.lock();
        keys.iter().all(|key| match under_way.get(key) {
            Some(sent) if self.is_settled(sent) => under_way.remove(key).is_some(),
            Some(_) => false,
            None => true,
        })
    }

    /// Tells whether a record has arrived, or never will: all was read after the last attempt to send it had ended.
    fn is_settled(&self, sent: &Sent) -> bool {
        let now_ms = self.ground.clock.elapsed_ms();
        let current_as_of_ms = self.ground.store.age_ms(now_ms).map(|age_ms| now_ms - age_ms);
        self.ground.store.covers(&sent.record) || current_as_of_ms.is_some_and(|as_of| as_of > sent.at_ms + GIVEN_UP_MS)
    }

    fn be_current(&self) -> Result<(), Problem> {
        let age_ms = self.ground.store.age_ms(self.ground.clock.elapsed_ms());
        let is_current = age_ms.is_some_and(|age_ms| age_ms <= millis(self.ground.max_staleness));
        if is_current { Ok(()) } else { Err(Code::Stale.into()) }
    }

    fn counts(&self, about: &About, purposes: impl Iterator<Item = PurposeId>) -> Vec<Counts> {
        purposes.map(|purpose| (purpose, self.ground.store.current(&about.key(purpose)))).collect()
    }

    /// Writes down what counts: the state now, since when and until when it holds.
    fn show(&self, counts: Vec<Counts>) -> String {
        let now_ms = self.ground.clock.now_ms();
        let shown = counts.iter().map(|(purpose, record)| show(*purpose, record.as_ref(), now_ms));
        json!({ "purposes": shown.collect::<Value>() }).to_string()
    }
}

fn show(purpose: PurposeId, record: Option<&StateRecord>, now_ms: i64) -> Value {
    let standing = record.and_then(StateRecord::standing);
    let status = status_now(standing, now_ms);
    let mut shown = json!({ "purpose": purpose.name(), "status": status.name() });
    if let Some(standing) = standing {
        let end = standing.valid_until_ms();
        let (since, until) = match end {
            Some(end) if status == Status::Expired => (end, None),
            _ => (standing.at_ms(), end),
        };
        shown["since"] = instant_text(since).into();
        if let Some(until) = until {
            shown["until"] = instant_text(until).into();
        }
    }
    if let Some(StateRecord::Agreement { agreement, .. }) = record
        && let Some(regions) = &agreement.regions
    {
        shown["regions"] = regions.iter().map(ToString::to_string).collect();
    }
    shown
}

/// So many that two of the decisions under way rarely share one.
const TURNS: u64 = 1_024;
/// Each has a record, about 10 MB with the longest evidence; they leave when they arrive.
const UNDER_WAY_MAX: usize = 4_096;
/// Twice what a producer tries (`message.timeout.ms`), and more.
const GIVEN_UP_MS: i64 = 90_000;
