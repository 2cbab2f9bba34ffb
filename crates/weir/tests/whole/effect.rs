//! How long a withdrawal takes to have its effect, while events flow as fast as they can; `cargo xtask bench effect` runs it.
//!
//! Two times are measured for each person who withdraws: from the inbox to the acknowledged state, and from there to the last
//! commit that still holds a row of theirs. That none comes later is asserted; how long it takes is printed, because what a
//! machine takes is no test's business. With `WEIR_TEST_PLOT` the distribution is drawn, too.

#![expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "figures for people")]
#![expect(clippy::print_stdout, reason = "the figures are what it is run for")]

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::message::Message as _;
use weir_consent::StateRecord;
use weir_keys::{KeyRing, canonical};
use weir_policy::PurposeId;
use weir_testkit::corpus::{Corpus, Options, Produced, rfc_3339};
use weir_testkit::readers::duckdb_sql;

use crate::broker::{Broker, Speaker};
use crate::expected::covered;
use crate::program::{Daemon, Weir, has_committed, has_read};
use crate::world::{Settings, World, name};

/// People withdraw while their events flow: what is committed after that is known holds nothing of them.
#[test]
fn person_who_withdrew_is_in_no_later_commit() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "2s", ..Settings::of_kafka(&broker.address, &name("effect")) };
    let world = World::new(&settings);
    broker.create(&settings.kafka.as_ref().unwrap().topic, PARTITIONS, &[]);
    // One partition, so that what is said last is known last.
    broker.create_consent_topics(&settings, 1);
    let events = events();
    let options = Options { people: PEOPLE, tenants: 20, days: 1, erased: 0, events, ..Options::ending(0) };
    let corpus = world.corpus(71, options);
    broker.consent(&settings, world.consents(&corpus));
    let topic = &settings.kafka.as_ref().unwrap().topic;
    broker.produce(topic, PARTITIONS, (0..events).map(|number| corpus.event(number)));

    let mut daemon = Daemon::start(&world, []);
    daemon.until("the first record", |daemon| has_read(daemon, 1));
    let started = Instant::now();
    let all_read = AtomicBool::new(false);
    let (mut said, rate) = thread::scope(|scope| {
        let speaker = broker.speaker(&settings);
        let (world, corpus, all_read) = (&world, &corpus, &all_read);
        let said = scope.spawn(move || withdraw(world, corpus, &speaker, all_read));
        daemon.until("the last record", |daemon| has_read(daemon, events));
        let rate = events as f64 / started.elapsed().as_secs_f64();
        all_read.store(true, Ordering::Relaxed);
        (said.join().unwrap(), rate)
    });

    // Once the last one is known, all are: from here on, not one row.
    let people = |daemon: &Daemon| daemon.metrics().sum("weir_consent_people", &[]);
    let before = people(&daemon);
    let somebody = withdrawal(corpus.person(0).tenant, "user", "somebody new", PurposeId::Reliability, now_ms());
    broker.consent(&settings, std::iter::once(somebody));
    daemon.until("the withdrawals are known", |daemon| people(daemon) > before + 0.5);
    daemon.until("all of it is committed", |daemon| has_committed(daemon, events));
    let known_ms = now_ms();
    broker.produce(topic, PARTITIONS, (0..MORE).map(|number| corpus.event(number)));
    daemon.until("the last commit", |daemon| has_committed(daemon, events + MORE));
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
    Weir::new(&world, ["audit"]).run().assert_done();

    let state = format!("{}.state", settings.consent_topic.as_ref().unwrap());
    note_force(&world, &corpus, &broker, &state, &mut said);
    let last = last_commits(&world, &corpus, &said);
    let late = last.values().filter(|committed_ms| **committed_ms > known_ms).count();
    assert_eq!(late, 0, "commits after a withdrawal was known hold rows of so many who withdrew");
    let denied = covered(&world, "reason = 'withdrawn_before_commit'");
    assert!(denied > 0 || !last.is_empty(), "nobody who withdrew had a row to lose");
    let in_force = said.iter().map(|said| said.in_force_ms - said.spoken_ms).collect();
    let effect = said.iter().map(|said| last.get(&said.person).map_or(0, |last| (last - said.in_force_ms).max(0)));
    report(rate, &[("inbox to acknowledged state", in_force), ("acknowledged state to last commit", effect.collect())]);
}

/// Somebody who withdrew from everything.
struct Said {
    person: u32,
    spoken_ms: i64,
    /// When the state topic had all of it: the times of its records, which are before they were acknowledged.
    in_force_ms: i64,
}

/// Lets one person after the other withdraw until all events are read, and a few in any case.
fn withdraw(world: &World, corpus: &Corpus, speaker: &Speaker, all_read: &AtomicBool) -> Vec<Said> {
    let kinds = kinds(world);
    let mut said: Vec<Said> = Vec::new();
    for person in (0..PEOPLE).take_while(|person| *person < PEOPLE_MIN || !all_read.load(Ordering::Relaxed)) {
        let (spoken_ms, tenant) = (now_ms(), corpus.person(person).tenant);
        speaker.say(kinds.iter().flat_map(|kind| {
            let subject = corpus.person(person).identifier(kind);
            PurposeId::ALL.map(|purpose| withdrawal(tenant, kind, &subject, purpose, spoken_ms))
        }));
        said.push(Said { person, spoken_ms, in_force_ms: 0 });
        thread::sleep(PAUSE);
    }
    speaker.flush();
    said
}

/// Reads from the state topic since when each withdrawal has been in force.
fn note_force(world: &World, corpus: &Corpus, broker: &Broker, state: &str, said: &mut [Said]) {
    let keys = KeyRing::open(&world.path("keys")).unwrap().snapshot();
    let mut places = HashMap::new();
    for (place, said) in said.iter().enumerate() {
        for kind in kinds(world) {
            let subject = corpus.person(said.person).identifier(&kind);
            places.insert(keys.person_key(corpus.person(said.person).tenant, &kind, &canonical(&subject)), place);
        }
    }
    broker.read(state, |message| {
        let record = StateRecord::decode(message.key().unwrap(), message.payload()).unwrap();
        if let StateRecord::Choice { person, standing, .. } = record
            && let Some(place) = places.get(&person)
            && standing.at_ms() == said[*place].spoken_ms
        {
            let written_ms = message.timestamp().to_millis().unwrap();
            said[*place].in_force_ms = written_ms.max(said[*place].in_force_ms);
        }
    });
    assert!(said.iter().all(|said| said.in_force_ms > 0), "a withdrawal never came into force");
}

fn withdrawal(tenant: &str, kind: &str, subject: &str, purpose: PurposeId, at_ms: i64) -> Produced {
    let record = serde_json::json!({
        "tenant": tenant, "kind": kind, "subject": subject, "purpose": purpose.name(), "status": "withdrawn",
        "at": rfc_3339(at_ms),
    });
    let key = format!("{tenant}/{kind}/{subject}").into_bytes();
    Produced { key, headers: Vec::new(), value: Some(record.to_string().into_bytes()) }
}

/// Returns when the last commit was written that holds a row of each of these people; nothing of who has no row.
fn last_commits(world: &World, corpus: &Corpus, said: &[Said]) -> HashMap<u32, i64> {
    let keys = KeyRing::open(&world.path("keys")).unwrap().snapshot();
    let purposes = world.policy.purposes();
    let mut pseudonyms = HashMap::new();
    for person in said.iter().map(|said| said.person) {
        for kind in kinds(world) {
            let (tenant, subject) = (corpus.person(person).tenant, corpus.person(person).identifier(&kind));
            for purpose in PurposeId::ALL {
                let now = purposes.epoch(purpose, world.now_ms);
                for key in (now - 1..=now).filter_map(|epoch| keys.pseudonym_key(purpose, epoch, tenant, &kind)) {
                    let digest = key.digest(canonical(&subject).as_bytes());
                    pseudonyms.insert((purpose.name(), u128::from_be_bytes(digest)), person);
                }
            }
        }
    }
    let region = world.path("lake/eu");
    let committed = commit_times(&region);
    let glob = region.join("[!_]*/*/date=*/*.parquet");
    let sql = format!(
        "SELECT DISTINCT filename AS file, hex(subject) AS subject FROM read_parquet('{}', filename = true, union_by_name = true)",
        glob.display()
    );
    let mut last: HashMap<u32, i64> = HashMap::new();
    for line in duckdb_sql(&sql) {
        let row: serde_json::Value = serde_json::from_str(&line).unwrap();
        let (file, Some(subject)) = (PathBuf::from(row["file"].as_str().unwrap()), row["subject"].as_str()) else {
            continue;
        };
        let purpose = file.strip_prefix(&region).unwrap().iter().next().unwrap().to_str().unwrap();
        let purpose = PurposeId::parse(purpose).unwrap().name();
        let subject = u128::from_str_radix(subject, 16).unwrap();
        if let Some(person) = pseudonyms.get(&(purpose, subject)) {
            let at = last.entry(*person).or_default();
            *at = committed[&file].max(*at);
        }
    }
    last
}

/// Returns when the commit of each data file was written.
fn commit_times(region: &Path) -> HashMap<PathBuf, i64> {
    let mut times = HashMap::new();
    for purpose in PurposeId::ALL {
        for table in fs::read_dir(region.join(purpose.name())).unwrap().map(|table| table.unwrap().path()) {
            for entry in fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.extension().is_none_or(|ending| ending != "json") {
                    continue;
                }
                let written = fs::metadata(&entry).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
                for line in fs::read_to_string(&entry).unwrap().lines() {
                    let action: serde_json::Value = serde_json::from_str(line).unwrap();
                    if let Some(path) = action["add"]["path"].as_str() {
                        times.insert(table.join(path), i64::try_from(written.as_millis()).unwrap());
                    }
                }
            }
        }
    }
    times
}

/// Returns the kinds of identifier by which contracts name the person.
fn kinds(world: &World) -> Vec<String> {
    let subjects = world.policy.contracts().iter().filter_map(|contract| contract.subject_field());
    let kinds = subjects.filter_map(|field| {
        let weir_policy::FieldType::Identifier { kind } = &field.field_type else { return None };
        Some(kind.to_string())
    });
    kinds.collect::<BTreeSet<_>>().into_iter().collect()
}

fn report(rate: f64, times: &[(&str, Vec<i64>)]) {
    println!("withdrawals while {rate:.0} events/s are filtered, beside their broker:");
    let mut curves = Vec::new();
    for (what, times) in times {
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let at = |share: usize| sorted[(sorted.len() - 1) * share / 100];
        println!(
            "{what}: {} of {}: median {} ms, 90 % {} ms, 99 % {} ms, longest {} ms",
            sorted.iter().filter(|time| **time > 0).count(),
            sorted.len(),
            at(50),
            at(90),
            at(99),
            at(100)
        );
        curves.push((*what, sorted));
    }
    if let Some(path) = std::env::var_os("WEIR_TEST_PLOT") {
        fs::write(path, plot(&curves)).unwrap();
    }
}

/// Draws the share of withdrawals against the time that they took.
fn plot(curves: &[(&str, Vec<i64>)]) -> String {
    let longest = curves.iter().filter_map(|(_, sorted)| sorted.last()).max().copied().unwrap_or(0).max(1000) as f64;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 330\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"720\" height=\"330\" fill=\"white\"/>\n",
    );
    let x = |time_ms: f64| 60.0 + 620.0 * time_ms / longest;
    let y = |share: f64| 270.0 - 240.0 * share;
    for share in [0.0, 0.5, 0.9, 0.99, 1.0] {
        let at = y(share);
        writeln!(svg, "<path d=\"M60 {at:.1}H680\" stroke=\"#ddd\"/><text x=\"52\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>", at + 4.0, share * 100.0).unwrap();
    }
    for tick in 0..=5 {
        let time_ms = longest * f64::from(tick) / 5.0;
        writeln!(svg, "<text x=\"{:.1}\" y=\"288\" text-anchor=\"middle\">{time_ms:.0} ms</text>", x(time_ms)).unwrap();
    }
    for ((what, sorted), (colour, legend)) in curves.iter().zip([("#1f6feb", 306), ("#d1242f", 322)]) {
        let mut path = format!("M{:.1} {:.1}", x(0.0), y(0.0));
        for (time_ms, rank) in sorted.iter().zip(1_u32..) {
            write!(path, "H{:.1}V{:.1}", x(*time_ms as f64), y(f64::from(rank) / sorted.len() as f64)).unwrap();
        }
        writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>").unwrap();
        writeln!(svg, "<text x=\"60\" y=\"{legend}\" fill=\"{colour}\">{what}, {} withdrawals</text>", sorted.len())
            .unwrap();
    }
    svg + "</svg>\n"
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Returns how many events flow meanwhile.
fn events() -> u64 {
    std::env::var("WEIR_TEST_EVENTS").ok().map_or(60_000, |events| events.parse().unwrap())
}

const PEOPLE: u32 = 1_000;
const PEOPLE_MIN: u32 = 20;
const PARTITIONS: i32 = 6;
const MORE: u64 = 5_000;
/// Between two people.
const PAUSE: Duration = Duration::from_millis(10);
