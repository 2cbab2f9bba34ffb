//! Topics, records, and a stand-in for the lake that refuses a gap or an overlap.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use weir_filter::Origin;
use weir_lake::{PartitionId, Span};
use weir_source::{
    Admin, Brokers, Consumer, FirstOffset, Membership, Outgoing, PollLimits, Polled, Problem, Producer, Start,
    TopicPlan,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn brokers() -> Brokers {
    with_options(&[])
}

pub(crate) fn with_options(options: &[(&str, &str)]) -> Brokers {
    let options = options.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect();
    Brokers::new(address(), options).expect("the options are librdkafka's")
}

pub(crate) fn address() -> String {
    std::env::var("WEIR_TEST_KAFKA")
        .expect("WEIR_TEST_KAFKA=host:port names a Kafka to test on; `cargo xtask test` starts one and sets it")
}

/// Returns a name that no other test, and no other run, has.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis();
    format!("{name}-{now}-{}", COUNT.fetch_add(1, Ordering::SeqCst))
}

pub(crate) fn admin() -> Admin {
    Admin::connect(&brokers(), PATIENCE).expect("a client without options")
}

pub(crate) fn create(topic: &str, partitions: i32, options: &[(&str, &str)]) {
    let plan = TopicPlan { name: topic, partitions, replicas: Some(1), options };
    admin().create(&plan).expect("the broker makes the topic");
}

/// Writes `count` records to each of the partitions, the first ones.
pub(crate) fn produce(topic: &str, partitions: i32, count: usize) {
    let producer = Producer::connect(&brokers()).expect("a producer without options");
    for number in 0..count {
        let value = number.to_string();
        for partition in 0..partitions {
            let outgoing =
                Outgoing { topic, partition: Some(partition), value: Some(value.as_bytes()), ..Outgoing::default() };
            producer.send(&outgoing).expect("the record fits");
        }
    }
    producer.flush(PATIENCE).expect("the broker takes the records");
}

pub(crate) fn membership(topic: &str, group: &str) -> Membership {
    Membership {
        topics: vec![topic.into()],
        rules: vec![],
        group: group.into(),
        instance: None,
        start: FirstOffset::Earliest,
    }
}

/// The tables: watermarks, and the offsets of the records that were committed.
#[derive(Default)]
pub(crate) struct Tables(Mutex<BTreeMap<PartitionId, Table>>);

#[derive(Default)]
struct Table {
    watermark: Option<i64>,
    offsets: Vec<i64>,
}

impl Tables {
    pub(crate) fn watermark(&self, id: &PartitionId) -> Option<i64> {
        self.0.lock().get(id).and_then(|table| table.watermark)
    }

    fn commit(&self, span: &Span, offsets: &[i64]) {
        let mut tables = self.0.lock();
        let table = tables.entry(span.partition.clone()).or_default();
        let watermark = table.watermark.unwrap_or(span.from);
        assert_eq!(watermark, span.from, "{span} does not continue where the tables end");
        table.watermark = Some(span.to);
        table.offsets.extend(offsets);
    }

    pub(crate) fn rows(&self) -> usize {
        self.0.lock().values().map(|table| table.offsets.len()).sum()
    }

    /// Asserts that each of the partitions has every offset up to `count`, once.
    pub(crate) fn assert_whole(&self, partitions: usize, count: i64) {
        let tables = self.0.lock();
        assert_eq!(tables.len(), partitions);
        for (id, table) in tables.iter() {
            assert!(table.offsets.iter().copied().eq(0..count), "{id} has a loss or a double");
        }
    }
}

/// One process: a consumer, and the batch that it holds open.
pub(crate) struct Member<'t> {
    pub(crate) consumer: Consumer,
    tables: &'t Tables,
    open: HashMap<Origin, (Span, Vec<i64>)>,
    pub(crate) changes: Vec<&'static str>,
    pub(crate) problems: Vec<Problem>,
}

impl<'t> Member<'t> {
    pub(crate) fn join(brokers: &Brokers, membership: &Membership, tables: &'t Tables) -> Self {
        let consumer = Consumer::join(brokers, membership).expect("a consumer");
        Self { consumer, tables, open: HashMap::new(), changes: Vec::new(), problems: Vec::new() }
    }

    /// Takes one turn; commits what is given up, as the daemon does.
    pub(crate) fn turn(&mut self) {
        match self.consumer.poll(&PollLimits::default()) {
            Polled::Records(records) => {
                for (origin, span) in records.spans() {
                    let open = self.open.entry(*origin).or_insert_with(|| (span.clone(), Vec::new()));
                    open.0.to = span.to;
                }
                for (origin, offset) in records.places() {
                    self.open.get_mut(&origin).expect("a record lies in a span").1.push(offset);
                }
            }
            Polled::Assigned(assigned) => {
                self.changes.push("assigned");
                let start = |id| Start { watermark: self.tables.watermark(id), fence: None };
                let starts: Vec<_> = assigned.partitions().iter().map(start).collect();
                let started = self.consumer.start(assigned, &starts).map_err(|(_, error)| error);
                self.problems.extend(started.expect("the broker answers").problems);
            }
            Polled::Revoked(revoked) => {
                self.changes.push("revoked");
                for origin in revoked.origins() {
                    self.commit(*origin);
                }
                self.consumer.release(revoked);
            }
            Polled::Lost(revoked) => {
                self.changes.push("lost");
                revoked.origins().iter().for_each(|origin| drop(self.open.remove(origin)));
                self.consumer.release(revoked);
            }
            Polled::Problem(problem) => self.problems.push(problem),
            Polled::Idle => {}
        }
    }

    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !done(self) {
            assert!(Instant::now() < deadline, "waited too long for {what}; problems: {:?}", self.problems);
            self.turn();
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.open.values().map(|(_, offsets)| offsets.len()).sum()
    }

    pub(crate) fn commit_all(&mut self) {
        for origin in self.open.keys().copied().collect::<Vec<_>>() {
            self.commit(origin);
        }
    }

    fn commit(&mut self, origin: Origin) {
        if let Some((span, offsets)) = self.open.remove(&origin) {
            self.tables.commit(&span, &offsets);
        }
    }
}
