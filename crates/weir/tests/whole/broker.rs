//! The broker: topics of a test's own, records in, and what weir itself wrote to a topic out.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use weir_consent::ConsentStore;
use weir_source::{Admin, Brokers, Outgoing, Producer, States, TopicPartition, TopicPlan};
use weir_testkit::corpus::Produced;

use crate::world::Settings;

/// A broker and how to reach it.
pub(crate) struct Broker {
    pub(crate) address: String,
    brokers: Brokers,
}

impl Broker {
    /// Returns the broker that `cargo xtask test` started.
    pub(crate) fn given() -> Self {
        let address =
            std::env::var("WEIR_TEST_KAFKA").expect("WEIR_TEST_KAFKA names a broker; `cargo xtask test` sets it");
        Self::at(&address, BTreeMap::new())
    }

    fn at(address: &str, mut options: BTreeMap<String, String>) -> Self {
        // Tests also send what weir must find too large.
        options.insert("message.max.bytes".to_owned(), (16 << 20).to_string());
        let brokers = Brokers::new(address, options).unwrap();
        Self { address: address.to_owned(), brokers }
    }

    /// Makes the topics that these settings name: telemetry with `partitions`, the consent inbox and its state.
    pub(crate) fn create_topics(&self, settings: &Settings, partitions: i32) {
        self.create(&settings.kafka.as_ref().unwrap().topic, partitions, &[]);
        self.create_consent_topics(settings, 2);
    }

    /// Makes the consent inbox and its state topic only.
    pub(crate) fn create_consent_topics(&self, settings: &Settings, partitions: i32) {
        let inbox = settings.consent_topic.as_ref().unwrap();
        self.create(inbox, partitions, &[]);
        self.create(&format!("{inbox}.state"), partitions, &[("cleanup.policy", "compact")]);
    }

    /// Makes a topic.
    pub(crate) fn create(&self, name: &str, partitions: i32, options: &[(&str, &str)]) {
        let admin = Admin::connect(&self.brokers, PATIENCE).unwrap();
        admin.create(&TopicPlan { name, partitions, replicas: Some(1), options }).unwrap();
    }

    /// Changes an option of a topic.
    pub(crate) fn alter(&self, topic: &str, option: &str, value: &str) {
        let client: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap();
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(option, value);
        let altered = futures::executor::block_on(client.alter_configs(&[change], &AdminOptions::new())).unwrap();
        assert!(altered.iter().all(Result::is_ok), "{altered:?}");
    }

    /// Forgets the records of partition 0 before an offset, as retention does.
    pub(crate) fn lose(&self, topic: &str, before: u64) {
        let admin = Admin::connect(&self.brokers, PATIENCE).unwrap();
        admin.delete_records(&TopicPartition::new(topic, 0), before.try_into().unwrap()).unwrap();
    }

    /// Writes records, the n-th to partition n modulo `partitions`, and waits until the broker has them.
    pub(crate) fn produce(&self, topic: &str, partitions: i32, records: impl Iterator<Item = Produced>) {
        let producer = Producer::connect(&self.brokers).unwrap();
        for (record, partition) in records.zip((0..partitions).cycle()) {
            let headers: Vec<_> =
                record.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            let (key, value) = (Some(record.key.as_slice()), record.value.as_deref());
            producer.send(&Outgoing { topic, partition: Some(partition), key, value, headers: &headers }).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Writes records that say themselves when they were made; without partitions to choose from, their keys choose.
    pub(crate) fn produce_at(
        &self,
        topic: &str,
        partitions: Option<i32>,
        records: impl Iterator<Item = Produced>,
        made_ms: i64,
    ) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("message.max.bytes", (16 << 20).to_string());
        config.set("partitioner", "murmur2_random");
        let producer: BaseProducer = config.create().unwrap();
        let mut turn = (0..partitions.unwrap_or(1)).cycle();
        for record in records {
            let mut message = BaseRecord::to(topic).key(&record.key).timestamp(made_ms);
            let mut headers = OwnedHeaders::new();
            for (name, value) in &record.headers {
                headers = headers.insert(Header { key: name, value: Some(value) });
            }
            message = message.headers(headers);
            message.payload = record.value.as_deref();
            message.partition = partitions.and(turn.next());
            producer.send(message).map_err(|(why, _)| why).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Writes consents to the inbox; those of a person go to one partition, as their keys say.
    pub(crate) fn consent(&self, settings: &Settings, records: impl Iterator<Item = Produced>) {
        let speaker = self.speaker(settings);
        speaker.say(records);
        speaker.flush();
    }

    /// Returns who writes to the inbox again and again.
    pub(crate) fn speaker(&self, settings: &Settings) -> Speaker {
        let inbox = settings.consent_topic.clone().unwrap();
        Speaker { producer: Producer::connect(&self.brokers).unwrap(), inbox }
    }

    /// Returns the ids that the broker gave to the members of a group; a member that leaves and comes again gets another.
    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap();
        let groups = consumer.fetch_group_list(Some(group), PATIENCE).unwrap();
        groups
            .groups()
            .iter()
            .flat_map(rdkafka::groups::GroupInfo::members)
            .map(|member| member.id().to_owned())
            .collect()
    }

    /// Returns every byte of a topic's records: keys, values, names and values of headers, and the time of each in milliseconds.
    pub(crate) fn bytes_of(&self, topic: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.read(topic, |message| {
            bytes.extend_from_slice(message.key().unwrap_or_default());
            bytes.push(b'\n');
            bytes.extend_from_slice(message.payload().unwrap_or_default());
            bytes.push(b'\n');
            bytes.extend_from_slice(format!("{:?}\n", message.timestamp().to_millis()).as_bytes());
            for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
                bytes.extend_from_slice(header.key.as_bytes());
                bytes.extend_from_slice(header.value.unwrap_or_default());
            }
        });
        bytes
    }

    /// Returns how many records a topic has, and how many it was given.
    pub(crate) fn count(&self, topic: &str) -> (u64, u64) {
        let mut records = 0;
        let offsets = self.read(topic, |_| records += 1);
        (records, offsets)
    }

    /// Returns what the state topic says now.
    pub(crate) fn states(&self, settings: &Settings) -> ConsentStore {
        let inbox = settings.consent_topic.as_ref().unwrap();
        // What lets tests send large records has no place in a consumer.
        let brokers = Brokers::new(&self.address, BTreeMap::new()).unwrap();
        States::read(&brokers, inbox, "none", PATIENCE).unwrap_or_else(|why| panic!("{why}")).into_store()
    }

    /// Reads a topic to its end; returns how many offsets it has.
    pub(crate) fn read(&self, topic: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) -> u64 {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", "none").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
        for partition in metadata.topics()[0].partitions() {
            let (start, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).unwrap();
            if end > start {
                list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
                ends.insert(partition.id(), end);
            }
        }
        let mut left = ends.len();
        consumer.assign(&list).unwrap();
        let asked = Instant::now();
        while left > 0 && asked.elapsed() < PATIENCE {
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
                // Compaction may have taken the last offsets: a partition is read when its position is at its end.
                left = list.elements().iter().filter(|at| !is_read(&consumer, &ends, topic, at.partition())).count();
                continue;
            };
            each(&message);
        }
        assert_eq!(left, 0, "{topic} was not read to its end");
        ends.values().map(|end| end.unsigned_abs()).sum()
    }
}

/// A service that writes what people say to the inbox.
pub(crate) struct Speaker {
    producer: Producer,
    inbox: String,
}

impl Speaker {
    /// Writes consents, soon.
    pub(crate) fn say(&self, records: impl Iterator<Item = Produced>) {
        for record in records {
            let (key, value) = (Some(record.key.as_slice()), record.value.as_deref());
            self.producer.send(&Outgoing { topic: &self.inbox, partition: None, key, value, headers: &[] }).unwrap();
        }
    }

    /// Waits until the broker has all of it.
    pub(crate) fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}

fn is_read(consumer: &BaseConsumer, ends: &BTreeMap<i32, i64>, topic: &str, partition: i32) -> bool {
    let positions = consumer.position().unwrap();
    let at = positions.find_partition(topic, partition).map(|element| element.offset());
    matches!(at, Some(Offset::Offset(at)) if at >= ends[&partition])
}

/// A broker of a test's own, which may be killed and come back under its old address, with its old data.
pub(crate) struct OwnBroker {
    folder: std::path::PathBuf,
    port: u16,
    process: Child,
}

impl OwnBroker {
    /// Starts a broker with its data in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, None)
    }

    /// Starts a broker that takes TLS only, with the certificates in a folder.
    pub(crate) fn start_with_tls(folder: &Path, pems: &Path) -> Self {
        Self::start_with(folder, Some(pems))
    }

    fn start_with(folder: &Path, pems: Option<&Path>) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { folder: folder.to_owned(), port, process: spawn(folder, port, pems) };
        broker.until_up();
        broker
    }

    /// Returns the way to it.
    pub(crate) fn broker(&self) -> Broker {
        Broker::at(&format!("127.0.0.1:{}", self.port), BTreeMap::new())
    }

    /// Returns the way to it by TLS.
    pub(crate) fn closed(&self, options: BTreeMap<String, String>) -> Broker {
        Broker::at(&format!("localhost:{}", self.port), options)
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        // Its guard sees that we are gone and kills the server.
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let asked = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(asked.elapsed() < PATIENCE, "the broker does not end");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.folder, self.port, None);
        self.until_up();
    }

    /// Waits for the line that says where it is.
    fn until_up(&mut self) {
        let mut line = String::new();
        BufReader::new(self.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.trim().ends_with(&self.port.to_string()), "xtask up says {line:?}");
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn spawn(folder: &Path, port: u16, pems: Option<&Path>) -> Child {
    let xtask = std::env::var("WEIR_TEST_XTASK").expect("WEIR_TEST_XTASK names xtask; `cargo xtask test` sets it");
    let mut command = Command::new(xtask);
    command.args(["up", "--port", &port.to_string(), "--data"]).arg(folder);
    if let Some(pems) = pems {
        command.arg("--tls").arg(pems);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

const PATIENCE: Duration = Duration::from_mins(2);
