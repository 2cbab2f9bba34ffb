//! The source on the broker inside the process: the turns of the loop, and a broker that goes away and comes back.
#![expect(clippy::disallowed_methods, reason = "a broker on threads of its own takes real time")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use weir_consent::{ConsentStore, InboxRecord, Standing, StateKey, Status};
use weir_filter::Origin;
use weir_keys::{KeyRing, KeySet};
use weir_policy::PurposeId;
use weir_source::{
    Clocks, ConsentStop, ConsentTopics, ConsentTopicsSettings, Consumer, FirstOffset, Membership, MockBroker, Outgoing,
    PollLimits, Polled, Problem, Producer, Reach, Start, StateTopicPolicy,
};

#[path = "mock/raw.rs"]
mod raw;

const TOPIC: &str = "telemetry";

fn membership(start: FirstOffset) -> Membership {
    Membership { topics: vec![TOPIC.into()], rules: vec![], group: "weir".into(), instance: None, start }
}

fn send(broker: &MockBroker, count: usize, headers: &[(&str, &[u8])]) {
    let producer = Producer::connect(&broker.brokers()).expect("a producer without options");
    for number in 0..count {
        let value = format!("{{\"n\":{number}}}");
        let value = if number % 10 == 9 { None } else { Some(value.as_bytes()) };
        producer
            .send(&Outgoing { topic: TOPIC, partition: Some(0), key: Some(b"key"), value, headers })
            .expect("the record fits");
    }
    producer.flush(Duration::from_secs(10)).expect("the broker takes the records");
}

/// Polls until `done`, answering every change of partitions with `start`; returns the places of the records.
fn read(consumer: &Consumer, start: Start, count: usize) -> Vec<(Origin, i64)> {
    let (mut places, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(20));
    while places.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} records came", places.len());
        match consumer.poll(&PollLimits::default()) {
            Polled::Records(records) => {
                assert_eq!(records.lend(|lent| lent.len()), records.len());
                places.extend(records.places());
            }
            Polled::Assigned(assigned) => {
                let starts = vec![start; assigned.partitions().len()];
                let started =
                    consumer.start(assigned, &starts).map_err(|(_, error)| error).expect("the broker answers");
                assert_eq!(started.problems, []);
            }
            Polled::Revoked(revoked) | Polled::Lost(revoked) => consumer.release(revoked),
            Polled::Idle | Polled::Problem(_) => {}
        }
    }
    places
}

#[test]
fn records_and_tombstones_come_in_order_from_the_watermark() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    send(&broker, 100, &[("ce_id", b"1"), ("other", b"2")]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Latest)).expect("a consumer");
    let places = read(&consumer, Start { watermark: Some(40), fence: None }, 60);
    assert_eq!(places, (40..100).map(|offset| (Origin(0), offset)).collect::<Vec<_>>());
    assert_eq!(consumer.positions()[0].next, 100);
}

#[test]
fn interrupted_batch_is_read_to_its_end_and_no_further_before_it_is_lifted() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    send(&broker, 50, &[]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Earliest)).expect("a consumer");
    let places = read(&consumer, Start { watermark: Some(10), fence: Some(20) }, 10);
    assert_eq!(places.last(), Some(&(Origin(0), 19)));
    for _ in 0..5 {
        assert!(matches!(consumer.poll(&PollLimits::default()), Polled::Idle));
    }
    consumer.lift(Origin(0)).expect("librdkafka goes back to the fence");
    let places = read(&consumer, Start::default(), 30);
    assert_eq!(places, (20..50).map(|offset| (Origin(0), offset)).collect::<Vec<_>>());
}

/// Goal: a partition can be held back from its start, while another one's interrupted batch is finished.
#[test]
fn partition_fenced_at_its_start_stands_still_until_it_is_lifted() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    send(&broker, 20, &[]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Earliest)).expect("a consumer");
    let deadline = Instant::now() + Duration::from_secs(20);
    while consumer.positions().is_empty() {
        assert!(Instant::now() < deadline, "no partition came");
        if let Polled::Assigned(assigned) = consumer.poll(&PollLimits::default()) {
            let start = Start { watermark: Some(10), fence: Some(10) };
            assert!(consumer.start(assigned, &[start]).is_ok());
        }
    }
    for _ in 0..5 {
        assert!(matches!(consumer.poll(&PollLimits::default()), Polled::Idle));
    }
    consumer.lift(Origin(0)).expect("librdkafka goes back to the fence");
    assert_eq!(read(&consumer, Start::default(), 10).first(), Some(&(Origin(0), 10)));
}

#[test]
fn paused_consumer_gets_nothing_and_loses_nothing() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    send(&broker, 10, &[]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Earliest)).expect("a consumer");
    read(&consumer, Start::default(), 10);
    consumer.pause();
    send(&broker, 10, &[]);
    for _ in 0..5 {
        assert!(matches!(consumer.poll(&PollLimits::default()), Polled::Idle));
    }
    consumer.resume();
    assert_eq!(read(&consumer, Start::default(), 10).first(), Some(&(Origin(0), 10)));
}

/// Goal: an outage is told and survived without a restart.
#[test]
fn broker_that_goes_away_is_a_problem_and_comes_back_by_itself() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    send(&broker, 10, &[]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Earliest)).expect("a consumer");
    read(&consumer, Start::default(), 10);
    broker.go_away().expect("a mock broker can go away");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "the outage was not told");
        if let Polled::Problem(problem) = consumer.poll(&PollLimits::default()) {
            assert_eq!(problem.code(), "brokers_away", "{problem}");
            break;
        }
    }
    broker.come_back().expect("a mock broker can come back");
    send(&broker, 10, &[]);
    assert_eq!(read(&consumer, Start::default(), 10).last(), Some(&(Origin(0), 19)));
}

/// Goal: a batch that is not as it was written is no stretch of offsets without a record, which is how librdkafka goes past it.
#[test]
fn damaged_batch_stops_its_partition() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    send(&broker, 10, &[]);
    raw::produce_damaged(&broker.address(), TOPIC);
    send(&broker, 10, &[]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Earliest)).expect("a consumer");
    assert_eq!(read(&consumer, Start::default(), 10).last(), Some(&(Origin(0), 9)));
    let deadline = Instant::now() + Duration::from_secs(20);
    let problem = loop {
        assert!(Instant::now() < deadline, "the damage was not told");
        match consumer.poll(&PollLimits::default()) {
            Polled::Problem(problem) if problem.code() == "damaged" => break problem,
            Polled::Records(records) => panic!("{:?} went past it", records.spans()),
            Polled::Assigned(_) | Polled::Idle | Polled::Lost(_) | Polled::Problem(_) | Polled::Revoked(_) => {}
        }
    };
    assert!(problem.to_string().contains("the batch at 10"), "{problem}");
    for _ in 0..5 {
        assert!(matches!(consumer.poll(&PollLimits::default()), Polled::Idle));
    }
    assert_eq!((problem.reach(), consumer.positions()), (Reach::Partition, Vec::new()));
}

/// Goal: no producer can end the process. Method: a header whose name is not UTF-8, at which the binding panics.
#[test]
fn header_of_any_name_is_a_record_like_another() {
    let broker = MockBroker::start().expect("a local socket");
    broker.create(TOPIC, 1).expect("a new topic");
    raw::produce(&broker.address(), TOPIC, b"{}", (b"ce_\xff", b"1"));
    send(&broker, 1, &[("ce_id", b"1")]);
    let consumer = Consumer::join(&broker.brokers(), &membership(FirstOffset::Earliest)).expect("a consumer");
    assert_eq!(read(&consumer, Start::default(), 2), [(Origin(0), 0), (Origin(0), 1)]);
}

/// Two topics on the broker inside the process, and what fills and follows them.
struct Inbox {
    broker: MockBroker,
    producer: Producer,
    keys: Arc<KeySet>,
    store: Arc<ConsentStore>,
    topics: ConsentTopics,
}

impl Inbox {
    fn set() -> Self {
        let broker = MockBroker::start().expect("a local socket");
        let settings = ConsentTopicsSettings {
            inbox: "consent".into(),
            group: "weir".into(),
            creates: StateTopicPolicy::Trust,
            ask_every: Duration::from_millis(100),
            snapshot: None,
        };
        broker.create(&settings.inbox, 2).expect("a new topic");
        broker.create(&settings.state_topic(), 2).expect("a new topic");
        let folder = tempfile::tempdir().expect("a folder");
        let keys = KeyRing::init(&folder.path().join("keys")).expect("a new ring").snapshot();
        let producer = Producer::connect(&broker.brokers()).expect("a producer");
        let store = Arc::new(ConsentStore::new());
        let opened = ConsentTopics::open(&broker.brokers(), settings, Arc::clone(&store), Arc::clone(&keys), 0);
        let (topics, _) = opened.expect("both topics");
        Self { broker, producer, keys, store, topics }
    }

    fn say(&self, subject: &str) {
        let standing = Standing::new(Status::Given, 86_400_000, None).expect("a sound standing");
        let record = InboxRecord::choice("acme", "user", subject, PurposeId::Reliability, standing).expect("sound");
        let (key, value) = (record.key(), record.value());
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        self.producer.send(&Outgoing { topic: "consent", key, value, ..Outgoing::default() }).expect("it fits");
        self.producer.flush(Duration::from_secs(10)).expect("the broker takes the record");
    }

    /// Turns once; tells whether the store is current as of an instant after `since_ms`.
    fn is_current(&mut self, monotonic_ms: i64, since_ms: i64) -> bool {
        let clocks = Clocks { wall_ms: 2 * 86_400_000, monotonic_ms };
        let turned = self.topics.turn(clocks, Duration::from_millis(20)).expect("the broker answers");
        turned.current && self.store.age_ms(monotonic_ms).is_some_and(|age_ms| age_ms < monotonic_ms - since_ms)
    }

    #[track_caller]
    fn until_current(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.is_current(1, 0) {
            assert!(Instant::now() < deadline, "the store did not become current");
        }
    }

    fn knows(&self, subject: &str) -> bool {
        let person = self.keys.person_key("acme", "user", subject);
        self.store.current(&StateKey::Choice { person, purpose: PurposeId::Reliability }).is_some()
    }
}

/// Goal: `weir demo` has consent without a real Kafka.
#[test]
fn consent_is_kept_on_the_broker_inside_the_process() {
    let mut inbox = Inbox::set();
    for subject in ["a", "b", "c"] {
        inbox.say(subject);
    }
    inbox.until_current();
    // One more choice before each turn, so that the topics never stand still: what was said before is known all the same.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut turn = 2;
    while !inbox.is_current(turn, 1) {
        assert!(Instant::now() < deadline, "the store is not current while choices come");
        inbox.say(&format!("n{turn}"));
        turn += 1;
    }
    assert!(["a", "b", "c"].iter().all(|subject| inbox.knows(subject)), "a choice is missing");
}

/// Goal: partitions that move cost seconds, not an outage: every daemon waits for the offsets of the inbox's group, which takes
/// none meanwhile, and no other record may come that would carry them.
#[test]
fn offsets_that_the_group_refused_are_committed_once_it_takes_them() {
    let mut inbox = Inbox::set();
    inbox.until_current();
    inbox.broker.refuse_commits(3);
    inbox.say("a");
    let (deadline, mut turn) = (Instant::now() + Duration::from_secs(30), 2);
    while !(inbox.is_current(turn, 1) && inbox.knows("a")) {
        assert!(Instant::now() < deadline, "the store is not current any more");
        turn += 1;
    }
}

/// Goal: what people want is not known while a batch of the inbox cannot be read.
#[test]
fn damaged_batch_of_the_inbox_stops_the_flow() {
    let mut inbox = Inbox::set();
    inbox.until_current();
    raw::produce_damaged(&inbox.broker.address(), "consent");
    for subject in ["a", "b", "c", "d"] {
        inbox.say(subject);
    }
    let (until, mut turn) = (Instant::now() + Duration::from_secs(30), 10);
    let stop = loop {
        assert!(Instant::now() < until, "the damage was not told");
        turn += 1;
        let clocks = Clocks { wall_ms: 2 * 86_400_000, monotonic_ms: turn };
        match inbox.topics.turn(clocks, Duration::from_millis(20)) {
            Ok(_) => {}
            Err(stop) => break stop,
        }
        assert!(inbox.store.age_ms(turn).is_none_or(|age_ms| age_ms >= turn - 10), "the inbox is taken for read");
    };
    assert!(matches!(stop, ConsentStop::Inbox(Problem::Damaged { .. })), "{stop}");
    assert_eq!(inbox.store.age_ms(turn), None);
}
