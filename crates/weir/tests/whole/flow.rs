//! How fast events flow from a broker into committed tables, beside that broker; `cargo xtask bench flow` runs it.
//!
//! It asserts that everything arrives and prints the rest: what a machine takes is no test's business. As a test it is short,
//! and on the development build.

#![expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use weir_testkit::corpus::Options;

use crate::broker::Broker;
use crate::program::{Daemon, Weir, has_committed, has_read};
use crate::world::{Settings, World, name};

/// Events of 1 KB over six partitions: what librdkafka alone takes to read them, and what weir takes to commit them, in clear and with both
/// layers of encryption.
#[test]
fn events_flow_into_tables_beside_their_broker() {
    let broker = Broker::given();
    let name = name("flow");
    let events = events();
    // As a test, each flow once is enough.
    let times = if events > A_TEST { 2 } else { 1 };
    let worlds: Vec<_> =
        (0..times).flat_map(|time| LAYERS.map(|layers| world(&broker.address, &name, layers, time))).collect();
    let (_, first, settings) = &worlds[0];
    let topic = &settings.kafka.as_ref().unwrap().topic;
    broker.create(topic, PARTITIONS, &[]);
    let corpus = first.corpus(12, Options { people: 20_000, tenants: 200, events, ..Options::ending(0) });
    let mut bytes = 0;
    let records = (0..events).map(|number| corpus.event(number));
    let records = records.inspect(|record| bytes += record.value.as_ref().map_or(0, Vec::len));
    broker.produce(topic, PARTITIONS, records);
    println!("{events} events of {} bytes over {PARTITIONS} partitions", bytes as u64 / events);

    // Parts and flows take turns, and of each the fastest counts, so that a slow moment of the machine flatters neither.
    let apart = || Parts::measure(first, (&broker.address, topic), events);
    let mut parts = vec![apart()];
    let mut flows = BTreeMap::<_, Vec<Flow>>::new();
    for (layers, world, settings) in &worlds {
        broker.create_consent_topics(settings, 2);
        broker.consent(settings, world.consents(&corpus));
        flows.entry(*layers).or_default().push(commit_all(world, events));
        parts.push(apart());
    }
    let fastest = |part: fn(&Parts) -> f64| parts.iter().map(part).fold(f64::MAX, f64::min);
    let alone = fastest(|parts| parts.alone);
    let apart = fastest(|parts| parts.alone + parts.filter_and_commit);
    println!("librdkafka alone: {alone:.0} ns of processor an event");
    println!("filter: {:.0} ns of processor an event", fastest(|parts| parts.filter));
    println!("librdkafka, filter and commit apart: {apart:.0} ns of processor an event");
    for (layers, flows) in &flows {
        for Flow { wall, processor, system, threads: [librdkafka, source], peak_kb } in flows {
            let [of_event, system, librdkafka, source] =
                [processor, system, librdkafka, source].map(|time| per_event(*time, events));
            println!(
                "weir run {layers}: {:.0} events/s, {of_event:.0} ns of processor an event ({:.2} × librdkafka alone, {:.2} × the parts \
                 apart), {} MB resident at most",
                events as f64 / wall.as_secs_f64(),
                of_event / alone,
                of_event / apart,
                peak_kb / 1024,
            );
            println!(
                "  by threads: librdkafka {librdkafka:.0}, source with filter {source:.0}, commits and all else {:.0}; the system's {system:.0}",
                of_event - librdkafka - source,
            );
        }
    }
    let [clear, layered] = LAYERS.map(|layers| flows[layers].iter().map(|flow| flow.processor).min().unwrap());
    println!("both layers: {:.3} × the processor time in clear", layered.as_secs_f64() / clear.as_secs_f64());
}

/// Prepares a lake and a daemon with some layers of encryption. Each time has a ring of its own, and so states and a group of its own.
fn world(broker: &str, name: &str, layers: &'static str, time: usize) -> (&'static str, World, Settings) {
    let is_clear = layers == LAYERS[0];
    let files = if is_clear { "clear" } else { "encrypted" };
    let mut settings = Settings { commit_interval: "5s", sealed: !is_clear, files, ..Settings::of_kafka(broker, name) };
    let own = format!("-{files}-{time}");
    settings.consent_topic = settings.consent_topic.map(|topic| topic + &own);
    settings.kafka.as_mut().unwrap().group += &own;
    (layers, World::new(&settings), settings)
}

/// What each part of the way takes where nothing else is done: nanoseconds of processor an event.
struct Parts {
    /// librdkafka, which hands out values and headers.
    alone: f64,
    filter: f64,
    filter_and_commit: f64,
}

impl Parts {
    fn measure(world: &World, (broker, topic): (&str, &str), events: u64) -> Self {
        let [filter, filter_and_commit] = filtered_and_committed(world, events);
        Self { alone: per_event(read_alone(broker, topic, events), events), filter, filter_and_commit }
    }
}

/// What it took to commit all events.
struct Flow {
    /// Until the last record was read.
    wall: Duration,
    processor: Duration,
    /// Of it, what the system took.
    system: Duration,
    /// Of it, what librdkafka's threads took, and the one that reads from it and filters.
    threads: [Duration; 2],
    peak_kb: u64,
}

/// Lets a daemon commit all events.
fn commit_all(world: &World, events: u64) -> Flow {
    let mut daemon = Daemon::start(world, []);
    daemon.until("the first record", |daemon| has_read(daemon, 1));
    let (started, before) = (Instant::now(), Spent::of(daemon.id()));
    // All batches but the last one are committed meanwhile; that one waits for its interval to end.
    daemon.until("the last record", |daemon| seldom(|| has_read(daemon, events)));
    let wall = started.elapsed();
    daemon.until("the last commit", |daemon| seldom(|| has_committed(daemon, events)));
    let after = Spent::of(daemon.id());
    let threads = [0, 1].map(|of| after.threads[of].saturating_sub(before.threads[of]));
    let [processor, system] =
        [after.processor.saturating_sub(before.processor), after.system.saturating_sub(before.system)];
    Flow { wall, processor, system, threads, peak_kb: after.peak_kb }
}

/// Waits before it looks: a look at all metrics takes milliseconds, and nobody's Prometheus looks fifty times a second.
fn seldom(look: impl FnOnce() -> bool) -> bool {
    thread::sleep(Duration::from_millis(500));
    look()
}

/// Lets `weir bench` filter and commit events of the same contracts, without a broker; returns the nanoseconds of processor an event
/// for the filter, and for both.
fn filtered_and_committed(world: &World, events: u64) -> [f64; 2] {
    let events = events.min(250_000).to_string();
    let bench = Weir::new(world, ["bench", "--events", &events, "--rounds", "3"]);
    // Not beside the flows' lakes: ext4 looks at each inode that was freed in the last minutes before it takes another, and the bench
    // removes its lake.
    let printed = bench.with_temporary(Path::new(env!("CARGO_TARGET_TMPDIR"))).run().assert_done();
    ["filter", "both"].map(|stage| {
        let line = printed.lines().find(|line| line.starts_with(stage)).unwrap();
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    })
}

/// Reads a topic and does nothing with it; returns the processor time of all threads.
fn read_alone(address: &str, topic: &str, events: u64) -> Duration {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("group.id", "none").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    (0..PARTITIONS).for_each(|partition| list.add_partition_offset(topic, partition, Offset::Beginning).unwrap());
    let own = std::process::id();
    let before = Spent::of(own).processor;
    consumer.assign(&list).unwrap();
    let mut read = 0;
    while read < events {
        let message = consumer.poll(Duration::from_secs(30)).expect("the broker has more");
        let Ok(message) = message else { continue };
        // They are parsed for whoever asks, as weir does.
        black_box(message.headers().map(|headers| headers.iter().count()));
        read += 1;
    }
    Spent::of(own).processor.saturating_sub(before)
}

/// What a process has taken of the machine.
struct Spent {
    processor: Duration,
    /// Of it, what the system took.
    system: Duration,
    /// Of it, what librdkafka's threads have taken, and the source.
    threads: [Duration; 2],
    peak_kb: u64,
}

impl Spent {
    fn of(process: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kb = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap();
        let [user, system] = ticks_of(&stat);
        Self { processor: user + system, system, threads: spent_by_threads(process), peak_kb }
    }
}

/// Returns what a process' threads have taken that live now: those of librdkafka, and the source.
fn spent_by_threads(process: u32) -> [Duration; 2] {
    let mut spent = [Duration::ZERO; 2];
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let Ok(stat) = fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        let of = [stat.contains("(rdk:"), stat.contains("(source)")].iter().position(|is_it| *is_it);
        if let Some(of) = of {
            spent[of] += ticks_of(&stat).into_iter().sum::<Duration>();
        }
    }
    spent
}

/// Reads the processor time out of a line of `/proc`: the program's, and what the system took for it.
fn ticks_of(stat: &str) -> [Duration; 2] {
    // After the name, which may hold anything but ends with the last bracket: times of all threads, also of ended ones.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let mut times =
        fields.split(' ').skip(11).map(|ticks| Duration::from_millis(ticks.parse::<u64>().unwrap() * TICK_MS));
    [times.next().unwrap(), times.next().unwrap()]
}

fn per_event(time: Duration, events: u64) -> f64 {
    time.as_nanos() as f64 / events as f64
}

/// Returns how many events to send.
fn events() -> u64 {
    std::env::var("WEIR_TEST_EVENTS").ok().map_or(A_TEST, |events| events.parse().unwrap())
}

/// Events that a test has time for.
const A_TEST: u64 = 20_000;
const LAYERS: [&str; 2] = ["in clear", "with both layers"];
const PARTITIONS: i32 = 6;
/// What Linux calls a clock tick in `/proc`, on every machine.
const TICK_MS: u64 = 10;
