//! The inbox and the state topic: from what a service writes to what every daemon knows.

use std::{
    collections::HashSet,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    producer::Producer as _,
};
use weir_consent::{ConsentStore, InboxFault, InboxRecord, Message, Standing, StateKey, StateRecord, Status};
use weir_keys::{KeyRing, KeySet};
use weir_policy::PurposeId;
use weir_source::{
    AskError, Clocks, ConsentStop, ConsentTopics, ConsentTopicsSettings, FeedStop, Outgoing, Problem, Producer,
    Snapshot, SnapshotRefusal, SnapshotSettings, StateTopicPolicy, TopicPartition, Turned,
};

use crate::support::{PATIENCE, address, admin, brokers, create, unique};
use crate::topics::{transaction, transactional};

const PURPOSE: PurposeId = PurposeId::Reliability;
const DAY_MS: i64 = 86_400_000;

/// One inbox, and what its daemons share: the key ring.
struct Scene {
    inbox: String,
    group: String,
    keys: Arc<KeySet>,
    producer: Producer,
    snapshot: Option<SnapshotSettings>,
}

/// One daemon.
struct Daemon {
    topics: ConsentTopics,
    store: Arc<ConsentStore>,
    total: Turned,
    loaded: Option<Result<Snapshot, SnapshotRefusal>>,
}

impl Scene {
    fn set(name: &str, partitions: i32) -> Self {
        let inbox = unique(name);
        create(&inbox, partitions, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let ring = KeyRing::init(&folder.path().join("keys")).expect("a new ring");
        let producer = Producer::connect(&brokers()).expect("a producer");
        Self { group: inbox.clone(), inbox, keys: ring.snapshot(), producer, snapshot: None }
    }

    fn settings(&self) -> ConsentTopicsSettings {
        ConsentTopicsSettings {
            inbox: self.inbox.clone(),
            group: self.group.clone(),
            creates: StateTopicPolicy::Create,
            ask_every: Duration::from_millis(100),
            snapshot: self.snapshot.clone(),
        }
    }

    fn open(&self) -> Result<Daemon, ConsentStop> {
        let store = Arc::new(ConsentStore::new());
        let keys = Arc::clone(&self.keys);
        let (topics, loaded) = ConsentTopics::open(&brokers(), self.settings(), Arc::clone(&store), keys, wall_ms())?;
        Ok(Daemon { topics, store, total: Turned::default(), loaded })
    }

    /// Opens the topics as the consent worker does: again, when no broker answered in time.
    fn daemon(&self) -> Daemon {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let away = match self.open() {
                Ok(daemon) => return daemon,
                Err(ConsentStop::Ask(ask) | ConsentStop::Feed(FeedStop::Ask(ask))) => ask,
                Err(stop) => panic!("{stop}"),
            };
            assert!(away == AskError::BrokersAway && Instant::now() < deadline, "{away}");
        }
    }

    fn say(&self, subject: &str, status: Status, at_ms: i64) {
        let standing = Standing::new(status, at_ms, None).expect("a sound standing");
        let record = InboxRecord::choice("acme", "user", subject, PURPOSE, standing).expect("a sound record");
        self.write(record.key().as_bytes(), record.value().as_bytes());
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        let outgoing = Outgoing { topic: &self.inbox, key: Some(key), value: Some(value), ..Outgoing::default() };
        self.producer.send(&outgoing).expect("the record fits");
        self.producer.flush(PATIENCE).expect("the broker takes the record");
    }

    fn drop_inbox_before(&self, offset: i64) {
        let name = TopicPartition::new(self.inbox.as_str(), 0);
        admin().delete_records(&name, offset).expect("the broker deletes records");
    }

    /// Makes the brokers forget how far the inbox was taken, once the last member is gone.
    fn forget_offsets(&self) {
        let client: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", address()).create().expect("a client without options");
        let group = self.keeper_group();
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let forgotten = client.delete_groups(&[&group], &AdminOptions::new());
            let forgotten = futures::executor::block_on(forgotten).expect("the broker answers");
            match &forgotten[..] {
                [Ok(_)] => return,
                other => assert!(Instant::now() < deadline, "the group is still there: {other:?}"),
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Says for the group that the inbox was taken up to here, as an operator does.
    fn set_offsets(&self, offset: i64) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address()).set("group.id", self.keeper_group());
        let client: BaseConsumer = config.create().expect("a consumer without options");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.inbox, 0, Offset::Offset(offset)).expect("an offset");
        client.commit(&list, CommitMode::Sync).expect("the broker takes the offset");
    }

    fn keeper_group(&self) -> String {
        format!("{}.consent", self.settings().group)
    }

    fn key(&self, subject: &str) -> StateKey {
        StateKey::Choice { person: self.keys.person_key("acme", "user", subject), purpose: PURPOSE }
    }
}

impl Daemon {
    fn turn(&mut self) -> Result<Turned, ConsentStop> {
        let turned = self.topics.turn(clocks(), Duration::from_millis(20))?;
        self.total.applied += turned.applied;
        self.total.published += turned.published;
        self.total.receipts += turned.receipts;
        self.total.written_back += turned.written_back;
        for (fault, count) in &turned.refused {
            *self.total.refused.entry(*fault).or_default() += count;
        }
        Ok(turned)
    }

    /// Takes turns until the store is vouched for, by a question asked after this call.
    fn catch_up(&mut self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut problems = Vec::new();
        loop {
            assert!(Instant::now() < deadline, "the store did not become current: {problems:?}");
            let turned = self.turn().unwrap_or_else(|stop| panic!("{stop}"));
            problems.extend(turned.problems);
            if turned.current {
                return;
            }
        }
    }

    /// Takes turns for a while, in which nobody may vouch for the store as of now or later.
    fn is_not_current_for(&mut self, time: Duration, why: &str) {
        let (now_ms, deadline) = (clocks().monotonic_ms, Instant::now() + time);
        while Instant::now() < deadline {
            self.turn().unwrap_or_else(|stop| panic!("{stop}"));
            let at_ms = clocks().monotonic_ms;
            let is_older = |age_ms| at_ms - age_ms <= now_ms;
            assert!(self.store.age_ms(at_ms).is_none_or(is_older), "somebody vouches for the store, and {why}");
        }
    }

    fn until_it_stops(&mut self) -> ConsentStop {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            assert!(Instant::now() < deadline, "the loss was not noticed");
            if let Err(stop) = self.turn() {
                return stop;
            }
        }
    }

    fn status(&self, key: &StateKey) -> Option<Status> {
        match self.store.current(key)? {
            StateRecord::Choice { standing, .. } => Some(standing.status()),
            StateRecord::Agreement { .. } | StateRecord::Erasure { .. } | StateRecord::Tombstone(_) => None,
        }
    }
}

fn wall_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(now.as_millis()).expect("the clock is before the year 292,278,994")
}

fn clocks() -> Clocks {
    Clocks { wall_ms: wall_ms(), monotonic_ms: wall_ms() }
}

/// Goal: once a daemon says that it is current, it knows what was said before, through whichever daemon it went.
#[test]
fn every_daemon_knows_what_was_said_before_it_is_current() {
    let scene = Scene::set("consent", 3);
    let (mut one, mut two) = (scene.daemon(), scene.daemon());
    let subjects: Vec<String> = (0..60).map(|number| format!("user-{number}")).collect();
    for subject in &subjects {
        scene.say(subject, Status::Given, DAY_MS);
    }
    thread::scope(|scope| {
        scope.spawn(|| one.catch_up());
        scope.spawn(|| two.catch_up());
    });
    for subject in &subjects {
        assert_eq!(one.status(&scene.key(subject)), Some(Status::Given));
        assert_eq!(two.status(&scene.key(subject)), Some(Status::Given));
    }
    scene.say("user-7", Status::Withdrawn, 2 * DAY_MS);
    thread::scope(|scope| {
        scope.spawn(|| one.catch_up());
        scope.spawn(|| two.catch_up());
    });
    assert_eq!(one.status(&scene.key("user-7")), Some(Status::Withdrawn));
    assert_eq!(two.status(&scene.key("user-7")), Some(Status::Withdrawn));
    assert_eq!(one.total.published + two.total.published, 61, "each record was published once");
}

#[test]
fn foreign_spelling_is_written_back_and_what_is_no_record_is_counted() {
    let scene = Scene::set("spelling", 3);
    let mut daemon = scene.daemon();
    let upper = r#"{"tenant":"acme","kind":"user","subject":"6F9619FF-8B86-D011-B42D-00CF4FC964FF","purpose":"reliability","status":"given","at":"1970-01-02T00:00:00Z"}"#;
    scene.write(b"acme/user/6F9619FF-8B86-D011-B42D-00CF4FC964FF", upper.as_bytes());
    scene.write(b"acme/user/u-1", b"{");
    daemon.catch_up();
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("6f9619ff-8b86-d011-b42d-00cf4fc964ff")), Some(Status::Given));
    assert_eq!((daemon.total.written_back, daemon.total.published), (1, 1));
    assert_eq!(daemon.total.refused, [(InboxFault::Json, 1)].into());
}

/// Goal: a daemon that starts on a compacted topic knows the same as one that read every record. Method: many records of few
/// people, compaction, a fresh store.
#[test]
fn compacted_state_topic_tells_the_same() {
    let scene = Scene::set("compaction", 1);
    let state = scene.settings().state_topic();
    let quick = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "500"),
    ];
    create(&state, 1, &quick);
    let mut daemon = scene.daemon();
    for round in 1..=20 {
        for subject in ["a", "b", "c"] {
            scene.say(subject, if round % 2 == 0 { Status::Given } else { Status::Withdrawn }, round * DAY_MS);
        }
        daemon.catch_up();
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut round = 21;
    // A record now and then rolls the segment, which lets the cleaner at the older ones.
    while records(&state) > 20 {
        assert!(Instant::now() < deadline, "the broker did not compact");
        thread::sleep(Duration::from_millis(700));
        scene.say("roll", Status::Given, round * DAY_MS);
        round += 1;
        daemon.catch_up();
    }
    let mut fresh = scene.daemon();
    fresh.catch_up();
    for subject in ["a", "b", "c"] {
        let key = scene.key(subject);
        assert_eq!(fresh.status(&key), Some(Status::Given));
        assert!(fresh.store.current(&key) == daemon.store.current(&key), "compaction changed what is known");
    }
}

/// Counts the records that a topic of one partition still has.
fn records(topic: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address())
        .set("group.id", topic)
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assigned");
    let mut offsets = HashSet::new();
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => drop(offsets.insert(message.offset())),
            Some(Err(_)) | None => return offsets.len(),
        }
    }
}

/// Refuses once, as a ledger on a full disk does.
struct Clerk {
    refused: bool,
}

impl weir_source::Clerk for Clerk {
    fn issue(&mut self, states: &[Message]) -> Result<Vec<Message>, String> {
        if !std::mem::replace(&mut self.refused, true) {
            return Err("no room".to_owned());
        }
        Ok(states.iter().map(|state| Message { key: state.key.clone(), value: b"receipt".to_vec() }).collect())
    }
}

/// Goal: no state without its receipt. Method: a clerk that refuses first; nothing may be published then, and all of it
/// later. A topic that would forget receipts is refused.
#[test]
fn state_waits_for_its_receipt() {
    let scene = Scene::set("receipts", 1);
    let Daemon { topics, store, total, loaded } = scene.daemon();
    let topics = topics.with_receipts(Box::new(Clerk { refused: false }));
    let mut daemon = Daemon { topics: topics.unwrap_or_else(|stop| panic!("{stop}")), store, total, loaded };
    scene.say("u-1", Status::Given, DAY_MS);
    let deadline = Instant::now() + Duration::from_mins(1);
    let refused = Problem::NoReceipts { why: "no room".to_owned() };
    while !daemon.turn().unwrap_or_else(|stop| panic!("{stop}")).problems.contains(&refused) {
        assert!(Instant::now() < deadline, "the clerk was not asked");
    }
    let (state, receipts) = (scene.settings().state_topic(), format!("{}.receipts", scene.inbox));
    assert_eq!((records(&state), records(&receipts)), (0, 0));
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("u-1")), Some(Status::Given));
    assert_eq!((records(&state), records(&receipts), daemon.total.receipts), (1, 1, 1));

    let forgetful = Scene::set("forgetful", 1);
    create(&format!("{}.receipts", forgetful.inbox), 1, &[("retention.ms", "604800000")]);
    let stop = forgetful.daemon().topics.with_receipts(Box::new(Clerk { refused: false })).err();
    assert!(matches!(stop, Some(ConsentStop::Feed(FeedStop::Forgets { option: "retention.ms", .. }))));
}

/// Goal: what one daemon published and another has not read cannot be undone by the other. Method: a late writer puts an
/// older state on top; the daemons put the right one back, so that compaction keeps it.
#[test]
fn older_state_of_a_late_writer_is_put_right() {
    let scene = Scene::set("late", 1);
    let state = scene.settings().state_topic();
    let mut daemon = scene.daemon();
    scene.say("a", Status::Given, DAY_MS);
    daemon.catch_up();
    let older = daemon.store.current(&scene.key("a")).expect("it is known");
    scene.say("a", Status::Withdrawn, 2 * DAY_MS);
    daemon.catch_up();
    let (key, value) = (older.key().encode(), older.encode());
    let outgoing = Outgoing { topic: &state, key: Some(&key), value: value.as_deref(), ..Outgoing::default() };
    scene.producer.send(&outgoing).expect("the record fits");
    scene.producer.flush(PATIENCE).expect("the broker takes the record");
    daemon.catch_up();
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("a")), Some(Status::Withdrawn));
    assert_eq!(records(&state), 4, "given, withdrawn, the late one, withdrawn again");
}

#[test]
fn tombstone_does_not_end_a_withdrawal() {
    let scene = Scene::set("tombstone", 1);
    let mut daemon = scene.daemon();
    scene.say("a", Status::Withdrawn, DAY_MS);
    daemon.catch_up();
    let (state, key) = (scene.settings().state_topic(), scene.key("a").encode());
    let outgoing = Outgoing { topic: &state, key: Some(&key), ..Outgoing::default() };
    scene.producer.send(&outgoing).expect("the record fits");
    scene.producer.flush(PATIENCE).expect("the broker takes the record");
    daemon.catch_up();
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("a")), Some(Status::Withdrawn));
    assert_eq!(records(&state), 3, "compaction would have taken the withdrawal away");
}

#[test]
fn state_topic_that_forgets_is_refused() {
    let scene = Scene::set("forgets", 1);
    create(&scene.settings().state_topic(), 1, &[("cleanup.policy", "delete")]);
    let Err(ConsentStop::Feed(FeedStop::NotCompacted { policy, .. })) = scene.open() else {
        panic!("a state topic with retention was accepted")
    };
    assert_eq!(policy, "delete");
}

#[test]
fn state_topic_made_anew_stops_the_flow() {
    let scene = Scene::set("state-anew", 1);
    let state = scene.settings().state_topic();
    let mut daemon = scene.daemon();
    scene.say("a", Status::Withdrawn, DAY_MS);
    daemon.catch_up();
    admin().delete(&state).expect("the broker deletes the topic");
    let stop = daemon.until_it_stops();
    assert!(matches!(stop, ConsentStop::Feed(FeedStop::MadeAnew { .. })), "{stop}");
    assert_eq!(daemon.store.age_ms(0), None, "nobody vouches for the store");
}

/// Goal: a decision that went from the inbox untaken is missed. Method: brokers forget the offsets of a group that was away for long, which
/// is as if it never had any; what was said meanwhile is gone by then.
#[test]
fn inbox_that_dropped_records_while_its_group_was_forgotten_stops_the_flow() {
    let scene = Scene::set("forgotten", 1);
    let mut daemon = scene.daemon();
    scene.say("a", Status::Given, DAY_MS);
    daemon.catch_up();
    drop(daemon);
    scene.forget_offsets();
    // As long as nothing went, it is taken again from its beginning.
    let mut daemon = scene.daemon();
    daemon.catch_up();
    drop(daemon);

    scene.say("a", Status::Withdrawn, 2 * DAY_MS);
    scene.drop_inbox_before(2);
    scene.forget_offsets();
    let mut daemon = scene.daemon();
    let stop = daemon.until_it_stops();
    assert!(matches!(stop, ConsentStop::InboxForgotten { first: 2, .. }), "{stop}");
    assert_eq!(daemon.store.age_ms(0), None, "nobody vouches for the store");
    drop(daemon);

    // The way out: all choices once more, and offsets that say where they begin.
    scene.say("a", Status::Withdrawn, 2 * DAY_MS);
    scene.set_offsets(2);
    let mut daemon = scene.daemon();
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("a")), Some(Status::Withdrawn));
}

/// Goal: a state topic that was lost while no daemon ran is missed. Method: made anew it is empty, and the inbox was taken.
#[test]
fn lost_state_topic_is_made_from_a_whole_inbox_and_from_no_other() {
    let scene = Scene::set("states-lost", 1);
    let lose_states = || {
        admin().delete(&scene.settings().state_topic()).expect("the broker deletes the topic");
    };
    let mut daemon = scene.daemon();
    scene.say("a", Status::Withdrawn, DAY_MS);
    daemon.catch_up();
    drop(daemon);
    lose_states();
    let mut daemon = scene.daemon();
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("a")), Some(Status::Withdrawn));
    scene.say("b", Status::Withdrawn, DAY_MS);
    daemon.catch_up();
    drop(daemon);

    lose_states();
    scene.drop_inbox_before(1);
    let mut daemon = scene.daemon();
    let stop = daemon.until_it_stops();
    assert!(matches!(stop, ConsentStop::StatesLost { first: 1, .. }), "{stop}");
    assert_eq!(daemon.store.age_ms(0), None, "nobody vouches for the store");
    drop(daemon);

    // Nor where the inbox has dropped all that was taken, with the offsets or without.
    scene.drop_inbox_before(2);
    let stop = scene.daemon().until_it_stops();
    assert!(matches!(stop, ConsentStop::StatesLost { first: 2, .. }), "{stop}");
    scene.forget_offsets();
    let stop = scene.daemon().until_it_stops();
    assert!(matches!(stop, ConsentStop::InboxForgotten { first: 2, .. }), "{stop}");
}

/// Goal: what was taken for a state topic that was lost does not count for the one that took its place, also once that has records.
/// Method: another group fills it from the inbox, which then drops what the first group had taken.
#[test]
fn offsets_of_a_lost_state_topic_do_not_count_for_the_next_one() {
    let mut scene = Scene::set("states-anew", 1);
    scene.say("a", Status::Withdrawn, DAY_MS);
    let mut daemon = scene.daemon();
    daemon.catch_up();
    drop(daemon);
    admin().delete(&scene.settings().state_topic()).expect("the broker deletes the topic");

    let first = std::mem::replace(&mut scene.group, unique("states-anew-others"));
    let mut daemon = scene.daemon();
    daemon.catch_up();
    drop(daemon);
    assert_eq!(records(&scene.settings().state_topic()), 1);
    scene.group = first;
    scene.drop_inbox_before(1);
    let mut daemon = scene.daemon();
    let stop = daemon.until_it_stops();
    assert!(matches!(stop, ConsentStop::StatesLost { first: 1, .. }), "{stop}");
    assert_eq!(daemon.store.age_ms(0), None, "nobody vouches for the store");
}

/// Goal: where no record of the inbox ever counted, a daemon that has no partition of it is current all the same; and what another took for
/// a state topic that is gone says nothing about the one that took its place. Method: the daemon that has the partition takes no turn
/// while another starts.
#[test]
fn daemon_without_a_partition_is_current_where_nothing_counted_and_not_where_it_was_lost() {
    let scene = Scene::set("refused-only", 1);
    scene.write(b"acme/user/u-1", b"{");
    let mut owner = scene.daemon();
    owner.catch_up();
    assert_eq!(owner.total.refused, [(InboxFault::Json, 1)].into());
    let mut other = scene.daemon();
    other.catch_up();
    assert_eq!(records(&scene.settings().state_topic()), 0);
    drop(other);

    scene.say("a", Status::Withdrawn, DAY_MS);
    owner.catch_up();
    admin().delete(&scene.settings().state_topic()).expect("the broker deletes the topic");
    scene.daemon().is_not_current_for(Duration::from_secs(5), "a withdrawal is lost");
}

/// Goal: what went from the inbox untaken is missed also by a daemon that does not take it. Method: the daemon that has the partition
/// takes no turn while a withdrawal comes and goes, and another starts.
#[test]
fn daemon_without_a_partition_is_not_current_where_records_went_untaken() {
    let scene = Scene::set("went-untaken", 1);
    let mut owner = scene.daemon();
    scene.say("a", Status::Given, DAY_MS);
    owner.catch_up();
    scene.say("a", Status::Withdrawn, 2 * DAY_MS);
    scene.drop_inbox_before(2);
    scene.daemon().is_not_current_for(Duration::from_secs(5), "a withdrawal went untaken");
    let stop = owner.until_it_stops();
    assert!(matches!(stop, ConsentStop::Inbox(Problem::Gap { wanted: 1, first: 2, .. })), "{stop}");
}

/// Goal: what the brokers have taken is known before anybody vouches for the store, also behind a transaction that is open, where nobody
/// sees it.
#[test]
fn withdrawal_behind_an_open_transaction_keeps_the_store_from_being_current() {
    let scene = Scene::set("open-transaction", 1);
    let mut daemon = scene.daemon();
    scene.say("a", Status::Given, DAY_MS);
    daemon.catch_up();
    let producer = transactional(&scene.inbox);
    transaction(&producer, &scene.inbox, 1);
    scene.say("a", Status::Withdrawn, 2 * DAY_MS);
    daemon.is_not_current_for(Duration::from_secs(3), "a withdrawal is hidden");
    producer.abort_transaction(PATIENCE).expect("aborted");
    daemon.catch_up();
    daemon.catch_up();
    assert_eq!(daemon.status(&scene.key("a")), Some(Status::Withdrawn));
}

/// Goal: what cannot be read is not passed over. Method: a foreign record stops the vouching, its tombstone brings it back.
#[test]
fn foreign_record_on_the_state_topic_keeps_the_store_from_being_current() {
    let scene = Scene::set("foreign", 1);
    let mut daemon = scene.daemon();
    daemon.catch_up();
    let state = scene.settings().state_topic();
    let send = |value: Option<&[u8]>| {
        let outgoing = Outgoing { topic: &state, key: Some(b"foreign"), value, ..Outgoing::default() };
        scene.producer.send(&outgoing).expect("the record fits");
        scene.producer.flush(PATIENCE).expect("the broker takes the record");
    };
    send(Some(b"foreign"));
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        assert!(Instant::now() < deadline, "the foreign record was not told");
        let turned = daemon.turn().unwrap_or_else(|stop| panic!("{stop}"));
        if turned.problems.iter().any(|problem| matches!(problem, Problem::ForeignRecords { .. })) {
            assert!(!turned.current);
            break;
        }
    }
    send(None);
    daemon.catch_up();
}

/// Goal: a restart from a snapshot ends in the store that reading everything gives, and what was said while the daemon was down is
/// in it before it is current. Method: a daemon keeps a snapshot, another goes on without it, and the store of a third that starts
/// from the snapshot is compared with that of a fourth that reads everything.
#[test]
fn restart_from_a_snapshot_knows_what_was_said_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scene = Scene::set("snapshot", 2);
    let subjects: Vec<String> = (0..40).map(|number| format!("user-{number}")).collect();
    for subject in &subjects {
        scene.say(subject, Status::Given, DAY_MS);
    }
    scene.snapshot =
        Some(SnapshotSettings { path: folder.path().join("consent.snapshot"), interval: Duration::from_hours(1) });
    let mut first = scene.daemon();
    assert_eq!(first.loaded, Some(Err(SnapshotRefusal::Absent)));
    first.catch_up();
    first.topics.close(clocks()).into_iter().for_each(|saved| saved.expect("the disk takes the snapshot"));

    let with_snapshot = scene.snapshot.take();
    let mut meanwhile = scene.daemon();
    meanwhile.catch_up();
    scene.say("user-7", Status::Withdrawn, 2 * DAY_MS);
    meanwhile.catch_up();
    drop(meanwhile);

    scene.snapshot = with_snapshot;
    let mut again = scene.daemon();
    assert!(matches!(again.loaded, Some(Ok(_))), "{:?}", again.loaded);
    assert_eq!(again.status(&scene.key("user-7")), Some(Status::Given), "the snapshot is from before");
    assert_eq!(again.store.age_ms(0), None, "and makes nothing current");
    again.catch_up();
    assert_eq!(again.status(&scene.key("user-7")), Some(Status::Withdrawn));
    assert_eq!(again.total.applied, 1, "only what the snapshot lacks was read");
    again.topics.close(clocks()).into_iter().for_each(|saved| saved.expect("the disk takes the snapshot"));

    scene.snapshot = None;
    let mut whole = scene.daemon();
    whole.catch_up();
    for subject in &subjects {
        assert!(again.store.current(&scene.key(subject)) == whole.store.current(&scene.key(subject)));
    }
}

/// Goal: a snapshot of a topic that is gone is not trusted. Method: the state topic made anew between two starts.
#[test]
fn snapshot_of_a_state_topic_that_was_made_anew_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scene = Scene::set("snapshot-anew", 1);
    scene.snapshot =
        Some(SnapshotSettings { path: folder.path().join("consent.snapshot"), interval: Duration::from_hours(1) });
    scene.say("a", Status::Given, DAY_MS);
    let mut first = scene.daemon();
    first.catch_up();
    first.topics.close(clocks()).into_iter().for_each(|saved| saved.expect("the disk takes the snapshot"));
    let state = scene.settings().state_topic();
    admin().delete(&state).expect("the broker deletes the topic");
    let deadline = Instant::now() + Duration::from_mins(1);
    let again = loop {
        assert!(Instant::now() < deadline, "the topic was not made anew");
        // The broker may still be deleting, or may not know the new topic yet.
        if let Ok(again) = scene.open() {
            break again;
        }
    };
    assert_eq!(again.loaded, Some(Err(SnapshotRefusal::OtherTopic)));
    assert!(again.store.current(&scene.key("a")).is_none(), "nothing of the old topic is known");
}
