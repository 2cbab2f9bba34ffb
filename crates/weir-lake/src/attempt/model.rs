//! A withdrawal against the filter, the seal and the commit, in every order in which their threads can meet.
//!
//! What runs is the real thing: the store, the keeper, the filter, the rows, [`put_permitted`] and the accounting. The model checker
//! has the store's lock and number, the clock, and the answer to the person in its hands, and goes on from each of their uses in
//! every way there is. Made up are the topic, which takes what it is given, and the table, whose first put somebody else forestalls.
//!
//! Two people said yes, and an event of each is on its way; one of them takes it back. Each run checks that
//! 1. no event that is judged, and no put that begins, after the withdrawal was acknowledged has that person in it;
//! 2. neither has a put under a store that is vouched for as of an instant at which the withdrawal had been said, which a store that
//!    may not be stale at all is once the clock stands there;
//! 3. rows written and denied add up to the events read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64 as PlainI64, Ordering};

use loom::sync::atomic::{AtomicBool, AtomicI64};
use loom::thread;
use weir_consent::{ConsentStore, InboxRecord, Keeper, Standing, StateRecord, Status, Verdict};
use weir_filter::{Fate, Filter, Filtered, Headers, Limits, Origin, Record};
use weir_keys::KeySet;
use weir_policy::{Policy, PurposeId};

use super::{Target, ask_again, put_permitted};
use crate::accounts::Accounts;
use crate::columns::Schemas;
use crate::commit::{CommitError, Recheck};
use crate::table_log::Attempt;
use crate::work::{Removals, Shared, Work, by_table};

/// How a table's rows are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committer {
    /// Broken: the answers from before the table was read on are held over.
    AsksTooEarly,
    /// As it is.
    AsBuilt,
    /// Broken: an attempt that starts over counts on the answers of the first.
    AsksOnce,
}

/// How a withdrawal comes into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learner {
    /// Broken: the person is answered before it counts here.
    AnswersFirst,
    /// As it is, by the daemon that follows the state topic.
    Feed,
    /// As it is, by the daemon that takes the inbox.
    Keeper,
    /// Broken: the store is vouched for before the withdrawal is in it.
    VouchesFirst,
}

/// What one order of steps came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Both people's rows were put.
    Both,
    /// The withdrawal was there before the event was judged.
    DeniedAtOnce,
    /// The person's row left before the put.
    LeftBeforePut,
    /// Nobody vouched for the store: nothing was put.
    Stale,
}

/// What all runs share: the world outside of the store.
#[expect(missing_debug_implementations, reason = "holds keys")]
pub struct Ground {
    /// One contract, for reliability.
    pub policy: Arc<Policy>,
    /// Keys with the tenant `acme`.
    pub keys: Arc<KeySet>,
    /// One event each of the users `u0` and `u1`.
    pub events: [String; 2],
    /// The time on the wall; the events are a little older.
    pub now_ms: i64,
}

/// Takes one of the orders in which the threads can meet; the checker calls it until it has seen them all.
///
/// # Panics
///
/// A promise is broken in this order.
pub fn explore(ground: &Arc<Ground>, committer: Committer, learner: Learner, max_staleness_ms: i64) -> End {
    let world = Arc::new(World::new(ground, max_staleness_ms));
    let (for_lake, for_consent) = (Arc::clone(&world), Arc::clone(&world));
    let lake = thread::Builder::new().stack_size(STACK_WORDS).spawn(move || for_lake.filter_and_commit(committer));
    let consent = thread::Builder::new().stack_size(STACK_WORDS).spawn(move || for_consent.withdraw(learner));
    let (lake, consent) = (lake.expect("memory for a thread"), consent.expect("memory for a thread"));
    consent.join().expect("a panic ends the model");
    lake.join().expect("a panic ends the model")
}

/// What the threads of one run share.
struct World {
    ground: Arc<Ground>,
    store: ConsentStore,
    max_staleness_ms: i64,
    /// The clock that never goes back.
    elapsed_ms: AtomicI64,
    /// Whether the person was told that the withdrawal counts.
    is_told: AtomicBool,
}

impl World {
    fn new(ground: &Arc<Ground>, max_staleness_ms: i64) -> Self {
        let store = ConsentStore::new();
        let standing = standing(Status::Given, ground.now_ms - DAY_MS);
        let agreement = weir_consent::Agreement { standing, regions: None };
        let agreement = StateRecord::Agreement { tenant: "acme".into(), purpose: PURPOSE, agreement };
        let people = ["u0", STAYS_NOT].map(|user| ground.keys.person_key("acme", "user", user));
        let choices = people.map(|person| StateRecord::Choice { person, purpose: PURPOSE, standing });
        store.apply_all([agreement].into_iter().chain(choices));
        store.mark_current(0);
        let (elapsed_ms, is_told) = (AtomicI64::new(0), AtomicBool::new(false));
        Self { ground: Arc::clone(ground), store, max_staleness_ms, elapsed_ms, is_told }
    }

    /// The consent worker: a withdrawal is durable on the topic, then counts here, then is acknowledged, then vouched for.
    ///
    /// The order is that of `ConsentTopics` in weir-source.
    fn withdraw(&self, learner: Learner) {
        let withdrawn = standing(Status::Withdrawn, self.ground.now_ms - 1);
        let record = InboxRecord::choice("acme", "user", STAYS_NOT, PURPOSE, withdrawn).expect("a sound record");
        let mut keeper = Keeper::new(Arc::clone(&self.ground.keys));
        let (key, value) = (record.key(), record.value());
        let verdict = keeper.take(&self.store, key.as_bytes(), Some(value.as_bytes()), self.ground.now_ms);
        let Verdict::Publish(message) = verdict else { panic!("a withdrawal is news") };
        self.elapsed_ms.store(SAID_AT_MS, Ordering::Release);
        let answer = || self.is_told.store(true, Ordering::Release);
        let vouch = || self.store.mark_current(SAID_AT_MS);
        match learner {
            Learner::AnswersFirst => {
                answer();
                keeper.acknowledged(&self.store);
                vouch();
            }
            Learner::Feed => {
                let state = StateRecord::decode(&message.key, Some(&message.value)).expect("weir wrote it");
                self.store.apply(state);
                answer();
                vouch();
            }
            Learner::Keeper => {
                keeper.acknowledged(&self.store);
                answer();
                vouch();
            }
            Learner::VouchesFirst => {
                vouch();
                keeper.acknowledged(&self.store);
                answer();
            }
        }
    }

    /// The source's thread and then the committer's: they hand a batch over and never hold it together.
    fn filter_and_commit(&self, committer: Committer) -> End {
        let Some(filtered) = self.filter() else { return End::Stale };
        let Ground { policy, now_ms, .. } = &*self.ground;
        let mut accounts = Accounts::new(&filtered.tally, policy);
        let rows = filtered.rows();
        let shared = Arc::new(Shared {
            schemas: Arc::new(Schemas::new(Arc::clone(policy))),
            region: REGION.to_owned(),
            tenants: [].into(),
            origins: vec![Origin(0)],
            spans: Vec::new(),
            now_ms: *now_ms,
        });
        let (name, mut work) = by_table(filtered, &shared).pop_first().expect("somebody stays");
        let asked_at_ms = PlainI64::new(0);
        let elapsed_ms = || {
            asked_at_ms.store(self.elapsed_ms.load(Ordering::Acquire), Ordering::Relaxed);
            asked_at_ms.load(Ordering::Relaxed)
        };
        let recheck = Recheck {
            store: &self.store,
            max_staleness_ms: self.max_staleness_ms,
            elapsed_ms: &elapsed_ms,
            now_ms: &|| *now_ms,
        };
        let mut table =
            Table { world: self, asked_at_ms: &asked_at_ms, began_after: false, puts: 0, removals: Vec::new(), put: 0 };
        match commit(committer, &recheck, &mut *work, &mut table) {
            Ok(()) => {}
            Err(CommitError::Stale(_)) => return End::Stale,
            Err(error) => panic!("{error}"),
        }
        for (origin, reason, count) in std::mem::take(&mut table.removals) {
            accounts.deny(&name, origin, reason, count);
        }
        accounts.settle().expect("the counts add up");
        let count = |is: fn(Fate) -> bool| -> u64 {
            let totals = accounts.totals();
            totals.iter().filter(|total| total.purpose == PURPOSE && is(total.fate)).map(|total| total.count).sum()
        };
        let (written, all) = (count(|fate| fate == Fate::Written), count(|_| true));
        assert!(written == table.put && all == 2, "the accounting does not add up");
        match (rows, written) {
            (2, 2) => End::Both,
            (2, _) => End::LeftBeforePut,
            _ => End::DeniedAtOnce,
        }
    }

    fn filter(&self) -> Option<Filtered> {
        let began_after = self.is_told.load(Ordering::Acquire);
        let Ground { policy, keys, events, now_ms } = &*self.ground;
        let mut filter = Filter::new(Arc::clone(policy), Arc::clone(keys), Limits::default(), REGION.to_owned());
        let mut filtered = Filtered::default();
        let records: Vec<_> = (0..)
            .zip(events)
            .map(|(position, event)| Record::new(Origin(0), position, Some(event.as_bytes()), Headers::NONE))
            .collect();
        let view = self.store.view(self.elapsed_ms.load(Ordering::Acquire), self.max_staleness_ms).ok()?;
        filter.apply(&records, &view, *now_ms, &mut filtered);
        assert!(!began_after || filtered.rows() == 1, "judged after the withdrawal was acknowledged, and permitted");
        Some(filtered)
    }
}

/// The order as it is, or one of the broken ones that must be noticed.
fn commit(
    committer: Committer,
    recheck: &Recheck<'_>,
    work: &mut dyn Work,
    table: &mut Table<'_>,
) -> Result<(), CommitError> {
    if committer == Committer::AsBuilt {
        return put_permitted(recheck, work, table);
    }
    let mut removals = ask_again(recheck, work)?;
    loop {
        table.read_on()?;
        if committer == Committer::AsksOnce && table.puts == 0 {
            removals.extend(ask_again(recheck, work)?);
        }
        if table.put(work, std::mem::take(&mut removals))? == Attempt::Done {
            return Ok(());
        }
        if committer == Committer::AsksTooEarly {
            removals = ask_again(recheck, work)?;
        }
    }
}

/// A table whose first put comes too late.
struct Table<'w> {
    world: &'w World,
    asked_at_ms: &'w PlainI64,
    /// Whether the attempt began after the person was told.
    began_after: bool,
    puts: u64,
    removals: Removals,
    /// Rows that are in the table.
    put: u64,
}

impl Target for Table<'_> {
    fn read_on(&mut self) -> Result<Attempt, CommitError> {
        self.began_after = self.world.is_told.load(Ordering::Acquire);
        Ok(Attempt::Done)
    }

    fn put(&mut self, work: &mut dyn Work, removals: Removals) -> Result<Attempt, CommitError> {
        self.removals.extend(removals);
        let people = work.people();
        let has_person = people == 2;
        assert!(!(self.began_after && has_person), "put after the withdrawal was acknowledged");
        let vouched_for = self.world.max_staleness_ms == 0 && self.asked_at_ms.load(Ordering::Relaxed) >= SAID_AT_MS;
        assert!(!(vouched_for && has_person), "put under a store that was vouched for without the withdrawal");
        self.puts += 1;
        if self.puts == 1 {
            return Ok(Attempt::Lost);
        }
        self.put = u64::try_from(people).expect("two people");
        Ok(Attempt::Done)
    }
}

fn standing(status: Status, at_ms: i64) -> Standing {
    Standing::new(status, at_ms, None).expect("an instant after 1970")
}

const PURPOSE: PurposeId = PurposeId::Reliability;
const REGION: &str = "eu";
/// The person who takes it back.
const STAYS_NOT: &str = "u1";
const DAY_MS: i64 = 86_400_000;
/// When the withdrawal is durable on the topic, on the clock that never goes back; the run begins at 0.
const SAID_AT_MS: i64 = 1;
/// The filter needs more than the checker gives a thread: 1 MiB.
const STACK_WORDS: usize = 1 << 17;
