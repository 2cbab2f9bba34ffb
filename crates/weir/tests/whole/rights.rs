//! A thousand people are erased from a lake that real readers read, and nothing brings them back; one of them asks before.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;

use serde_json::{Value, json};
use weir_keys::{KeyRing, canonical};
use weir_policy::FieldType;
use weir_testkit::corpus::{Corpus, Flaws, Options, Produced};
use weir_testkit::readers::{Engine, Watch};

use crate::broker::Broker;
use crate::expected::Expected;
use crate::program::{Daemon, Weir};
use crate::world::{Settings, World, every_file, name};

/// What is restricted is hidden, comes back when that is lifted, and is the person's all along. Erased are exactly the reference's rows
/// that hold a pseudonym of somebody, while DuckDB and Spark read; and what comes after, from the same events sent again and in a
/// fresh lake that reads everything from offset 0, are the rows of a reference that knows `erased_before`. No byte of theirs is left.
#[test]
fn people_have_their_rows_hidden_given_back_and_erased_and_no_replay_brings_them_back() {
    let broker = Broker::given();
    let settings = Settings { receipts: true, ..Settings::of_kafka(&broker.address, &name("rights")) };
    let world = World::new(&settings);
    broker.create_topics(&settings, PARTITIONS);
    let events = events();
    let corpus = world.corpus(71, options(events));
    broker.consent(&settings, world.consents(&corpus));
    let topic = &settings.kafka.as_ref().unwrap().topic;
    let records = || (0..events).map(|number| corpus.event(number));
    let produce = || broker.produce(topic, PARTITIONS, records());
    produce();
    run(&world, "weir.toml");
    let wanted = owners(&world, &corpus, 0..PEOPLE);
    assert!(holds(&world, &Search::new(&wanted)).is_some(), "the search finds what is there");
    let all = owners(&world, &corpus, 0..PEOPLE + 500);
    let (others, search) = (Search::new(&all), Search::new(&wanted));
    let ask = |number| access(&world, &corpus, &others, number);
    let (answered, (own, [rest, gone])) = while_people_ask(&ask, || parted(&world, &corpus, records(), &search));
    for (number, rows) in answered {
        assert_eq!(rows, own[usize::try_from(number).unwrap()], "{number} got more or fewer rows than are theirs");
    }
    let mut before = rest.clone();
    before.join(gone.clone());
    println!("{} rows, {} of them of {PEOPLE} people", before.rows(), gone.rows());
    assert!(gone.rows() > 1_000, "{} rows of {} prove little", gone.rows(), before.rows());
    before.assert_read_by(&world, &[Engine::Deltalake]);

    // The keeper is part of the daemon.
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();
    fs::write(world.path("people.ndjson"), batch(&world, &corpus)).unwrap();
    assert_hidden_and_given_back((&world, &corpus), &rest, &before, &wanted, || assert_eq!(ask(0), own[0]));
    let erased = erase_while_others_read(&world, &rest, &before);
    assert_eq!(erased["rows"].as_u64().unwrap(), gone.rows());
    // Asked again, with nothing left to do but to remove the files of old versions.
    let account = subject(&world, &["erase", "--yes", "--vacuum-now"]);
    daemon.signal("TERM");
    daemon.end(std::time::Duration::from_secs(30)).assert_done();
    assert_eq!((&account["rows"], &account["commits"]), (&erased["rows"], &erased["commits"]));
    rest.assert_read_by(&world, &[Engine::Deltalake, Engine::DuckDb]);
    assert_nothing_left(&world, &corpus, &wanted);
    assert_eq!(every_file(&world.path("lake/eu/_restricted")), Vec::<PathBuf>::new());
    assert_receipts(&world, &account);
    audit(&world);

    // The same events once more: to this lake a replay from offset 0 at other offsets.
    produce();
    run(&world, "weir.toml");
    // An event is denied by any of its identifiers, also one that the purpose does not keep.
    let before = account["erased_before"].as_str().unwrap();
    let again = Expected::of(&world, &corpus, consents(&world, &corpus, before), records());
    assert!(again.rows() <= rest.rows());
    let mut both = rest;
    both.join(again.clone());
    both.assert_read_by(&world, &[Engine::Deltalake]);
    audit(&world);

    fill_a_fresh_lake(&world, settings);
    let mut twice = again.clone();
    twice.join(again);
    twice.assert_read_by(&world, &[Engine::Deltalake]);
    assert_nothing_left(&world, &corpus, &wanted);
}

/// Names that cannot be one are told by a code, before anything is done; somebody unknown gets an answer of the same shape.
#[test]
fn strangers_get_the_same_answer_and_faults_no_echo() {
    let world = World::new(&Settings::default());
    fs::write(world.path("consent.ndjson"), "").unwrap();
    // A lake without rows: what is asked of it must not depend on whether anybody is in it.
    fs::write(world.path("none.ndjson"), "{}\n").unwrap();
    let none = world.path("none.ndjson");
    Weir::new(&world, ["filter", none.to_str().unwrap()]).run().assert_done();
    let erase = |line: &str| Weir::new(&world, ["subject", "erase"].into_iter().chain(line.split(' '))).run();
    let why = erase("--tenant acme --kind Marker --id marker-1").assert_refused(64);
    assert!(why.contains("`kind`") && !why.to_lowercase().contains("marker"), "{why}");
    erase("--tenant acme --kind user").assert_refused(64);
    erase("--kind user --id marker-1").assert_refused(64);

    let batch = "{\"tenant\":\"acme\",\"ids\":[{\"kind\":\"user\",\"id\":\"marker-1\"}]}\n{\"tenant\":\"acme\",\"ids\":[]}\n{\"marker\":1}\n";
    let why = Weir::new(&world, ["subject", "erase", "--batch", "-"]).run_with(batch).assert_refused(65);
    assert!(why.contains("nothing was done") && why.contains("-:2: error") && why.contains("-:3: error"), "{why}");
    assert!(!why.contains("marker"), "{why}");
    assert_eq!(fs::read_to_string(world.path("consent.ndjson")).unwrap_or_default(), "", "nothing was done");

    let asked = |line: &str| -> Value { serde_json::from_str(&erase(line).assert_done()).unwrap() };
    let [one, other] = ["acme", "nobody"].map(|tenant| {
        let mut answer = asked(&format!("--tenant {tenant} --kind user --id marker-1 --format json"));
        for member in ["request", "erased_before", "finished_at", "receipts"] {
            assert!(!answer[member].is_null(), "{member}");
            answer[member] = Value::Null;
        }
        answer
    });
    assert_eq!(one, other);
    assert_eq!(one["rows"], 0);
    let out = world.path("nobody");
    let access = format!("subject access --tenant acme --kind user --id marker-1 --out {}", out.display());
    Weir::new(&world, access.split(' ')).run().assert_done();
    assert!(fs::read_to_string(out.join("index.html")).unwrap().contains("Nothing is kept"));
    Weir::new(&world, access.split(' ')).run().assert_refused(73);
}

/// Reads everything from offset 0 into a lake that is new, as after a loss: the ring is told that the old one is gone on purpose.
fn fill_a_fresh_lake(world: &World, mut settings: Settings) {
    fs::rename(world.path("lake"), world.path("lost")).unwrap();
    fs::remove_file(world.path("keys/heads/eu")).unwrap();
    settings.kafka.as_mut().unwrap().group = name("rights-fresh");
    world.configure("fresh.toml", &settings);
    run(world, "fresh.toml");
}

/// Restricts the people, which nobody but they can see through, and lifts that.
#[track_caller]
fn assert_hidden_and_given_back(
    (world, corpus): (&World, &Corpus),
    rest: &Expected,
    before: &Expected,
    wanted: &Owners,
    access: impl Fn(),
) {
    let restricted = subject(world, &["restrict", "--vacuum-now"]);
    assert_eq!(restricted["receipts"].as_array().unwrap().len(), usize::try_from(PEOPLE).unwrap());
    rest.assert_read_by(world, &[Engine::DuckDb]);
    assert_nothing_left(world, corpus, wanted);
    access();
    audit(world);
    let lifted = subject(world, &["restrict", "--lift"]);
    assert_eq!(lifted["rows"], restricted["rows"]);
    before.assert_read_by(world, &[Engine::Deltalake]);
    audit(world);
}

/// Erases the people while two engines read; each sees every table as it was before or as it is after, and never between.
fn erase_while_others_read(world: &World, rest: &Expected, before: &Expected) -> Value {
    let tables = before.largest(world);
    let paths: Vec<_> = tables.iter().map(|(path, _)| path.as_path()).collect();
    let watches = [Engine::DuckDb, Engine::Spark].map(|engine| Watch::start(engine, &paths));
    let erased = subject(world, &["erase", "--yes"]);
    for rounds in watches.map(Watch::end) {
        for (round, number) in rounds.iter().zip(1..) {
            for ((path, before), seen) in tables.iter().zip(round) {
                let rest = rest.digest(world, path);
                assert!(*seen == *before && number < rounds.len() || *seen == rest, "a reader saw something else");
            }
        }
    }
    erased
}

/// Returns how many rows are each person's, and the reference's rows: those that name nobody of them, and the others.
fn parted(
    world: &World,
    corpus: &Corpus,
    records: impl Iterator<Item = Produced>,
    people: &Search<'_>,
) -> (Vec<u64>, [Expected; 2]) {
    let mut own = vec![0; usize::try_from(PEOPLE).unwrap()];
    let parts = Expected::split(world, corpus, world.consents(corpus), records, |row| {
        if let Some(person) = owner(row, people.owners) {
            own[usize::try_from(person).unwrap()] += 1;
        }
        !people.finds(row.as_bytes(), |_| true)
    });
    (own, parts)
}

/// Lets people ask, two at a time, while something else goes on; returns how many rows each of them got.
fn while_people_ask<T>(ask: &(impl Fn(u32) -> u64 + Sync), goes_on: impl FnOnce() -> T) -> (Vec<(u32, u64)>, T) {
    thread::scope(|scope| {
        // Nobody waits for anybody else's answer.
        let halves = [0, 1].map(|first| {
            let numbers = (first..accessed()).step_by(2);
            scope.spawn(move || numbers.map(|number| (number, ask(number))).collect::<Vec<_>>())
        });
        let done = goes_on();
        (halves.map(|half| half.join().unwrap()).concat(), done)
    })
}

/// Somebody asks what there is: they get no pseudonym of any other of these. Returns how many rows they get.
#[track_caller]
fn access(world: &World, corpus: &Corpus, all: &Search<'_>, number: u32) -> u64 {
    let out = world.path(&format!("answer-{number}"));
    let mut arguments = vec!["subject".to_owned(), "access".to_owned(), "--out".to_owned(), out.display().to_string()];
    let person = corpus.person(number);
    arguments.extend(["--tenant".to_owned(), person.tenant.to_owned()]);
    for kind in kinds(world) {
        arguments.extend(["--kind".to_owned(), kind.clone(), "--id".to_owned(), person.identifier(&kind)]);
    }
    Weir::new(world, arguments.iter().map(String::as_str)).run().assert_done();
    let data: Value = serde_json::from_str(&fs::read_to_string(out.join("data.json")).unwrap()).unwrap();
    let tables = data["tables"].as_array().unwrap();
    let rows: usize = tables.iter().map(|table| table["rows"].as_array().unwrap().len()).sum();
    for file in every_file(&out) {
        let bytes = fs::read(&file).unwrap();
        assert!(!all.finds(&bytes, |whose| whose != number), "{} names somebody else", file.display());
    }
    fs::remove_dir_all(out).unwrap();
    u64::try_from(rows).unwrap()
}

/// No file of the lake, and nothing that weir printed or left beside it, holds a pseudonym or a name of the people.
#[track_caller]
fn assert_nothing_left(world: &World, corpus: &Corpus, gone: &Owners) {
    for people in [gone, &names(world, corpus)] {
        assert_eq!(holds(world, &Search::new(people)), None, "it holds somebody who was erased");
    }
}

/// Returns a file that holds somebody.
fn holds(world: &World, people: &Search<'_>) -> Option<PathBuf> {
    let mut files = ["lake", "output", "tmp"].into_iter().flat_map(|folder| every_file(&world.path(folder)));
    files.find(|file| people.finds(&fs::read(file).unwrap(), |_| true))
}

/// Returns the people's names by their first bytes, where they are long enough to be nobody else's.
fn names(world: &World, corpus: &Corpus) -> Owners {
    let names = (0..PEOPLE).flat_map(|number| {
        let person = corpus.person(number);
        kinds(world).into_iter().map(move |kind| (person.identifier(&kind), number))
    });
    let names: Owners = names.filter_map(|(name, number)| Some((*name.as_bytes().first_chunk()?, number))).collect();
    assert!(names.len() > usize::try_from(PEOPLE).unwrap() / 2);
    names
}

/// Each person has a receipt that holds and names nobody else; the ledger has its digest.
#[track_caller]
fn assert_receipts(world: &World, account: &Value) {
    let receipts = account["receipts"].as_array().unwrap();
    assert_eq!(receipts.len(), usize::try_from(PEOPLE).unwrap() + 1);
    let file = world.path("receipt.jws");
    let mut people = BTreeSet::new();
    for receipt in [&receipts[1], &receipts[2]] {
        fs::write(&file, receipt.as_str().unwrap()).unwrap();
        let arguments = ["receipt", "verify", file.to_str().unwrap(), "--format", "json"];
        let said: Value = serde_json::from_str(&Weir::new(world, arguments).run().assert_done()).unwrap();
        people.insert(said["person"].to_string());
        assert!(said["rows"].is_object() && said["account"].is_string(), "{said}");
    }
    assert_eq!(people.len(), 2);
    let forged = receipts[1].as_str().unwrap().replacen('.', ".A", 1);
    fs::write(&file, forged).unwrap();
    Weir::new(world, ["receipt", "verify", file.to_str().unwrap()]).run().assert_refused(65);
}

fn audit(world: &World) {
    Weir::new(world, ["audit"]).run().assert_done();
    Weir::new(world, ["audit", "--ledger"]).run().assert_done();
}

fn run(world: &World, config: &str) {
    Weir::with_config(world, config, ["run", "--until-caught-up"]).run().assert_done();
}

/// Asks something about all the people at once; returns the answer.
fn subject(world: &World, arguments: &[&str]) -> Value {
    let people = world.path("people.ndjson");
    let batch = ["--format", "json", "--batch", people.to_str().unwrap()];
    let arguments = ["subject"].iter().chain(arguments).chain(&batch).copied();
    serde_json::from_str(&Weir::new(world, arguments).run().assert_done()).unwrap()
}

/// Names the people by every kind of identifier, one a line.
fn batch(world: &World, corpus: &Corpus) -> String {
    let mut lines = String::new();
    for number in 0..PEOPLE {
        let person = corpus.person(number);
        let names = kinds(world).into_iter().map(|kind| json!({"id": person.identifier(&kind), "kind": kind}));
        writeln!(lines, "{}", json!({"tenant": person.tenant, "ids": names.collect::<Vec<_>>()})).unwrap();
    }
    lines
}

/// Returns what everybody said, and that these people are erased.
fn consents<'w>(world: &'w World, corpus: &'w Corpus, before: &'w str) -> impl Iterator<Item = Produced> + 'w {
    let erasures = (0..PEOPLE).flat_map(move |number| {
        let person = corpus.person(number);
        kinds(world).into_iter().map(move |kind| {
            let record = json!({"tenant": person.tenant, "kind": kind, "subject": person.identifier(&kind),
                "purpose": "*", "erased_before": before});
            Produced { key: Vec::new(), headers: Vec::new(), value: Some(record.to_string().into_bytes()) }
        })
    });
    world.consents(corpus).chain(erasures)
}

/// Returns the kinds of identifier that the contracts declare.
fn kinds(world: &World) -> BTreeSet<String> {
    let fields = world.policy.contracts().iter().flat_map(|contract| &contract.fields);
    let kind = |field: &weir_policy::Field| {
        if let FieldType::Identifier { kind } = &field.field_type { Some(kind.to_string()) } else { None }
    };
    fields.filter_map(kind).collect()
}

/// Whose each pseudonym is, by the people's numbers.
type Owners = HashMap<[u8; 16], u32>;

/// Returns every pseudonym that some people have, in any purpose and epoch.
fn owners(world: &World, corpus: &Corpus, numbers: std::ops::Range<u32>) -> Owners {
    let keys = KeyRing::open(&world.path("keys")).unwrap().snapshot();
    let mut all = HashMap::new();
    for (purpose, epoch) in keys.epochs() {
        for number in numbers.clone() {
            let person = corpus.person(number);
            for kind in kinds(world) {
                let Some(key) = keys.pseudonym_key(purpose, epoch, person.tenant, &kind) else { continue };
                all.insert(key.digest(canonical(&person.identifier(&kind)).as_bytes()), number);
            }
        }
    }
    all
}

/// Returns whose a row is: its subject's, or without one, whom it names.
fn owner(row: &str, owners: &Owners) -> Option<u32> {
    let subject = row.split_once("\"subject\":").map(|(_, rest)| rest).unwrap();
    let named = subject.strip_prefix('"').map(|text| of_hex(&text.as_bytes()[..32]).unwrap());
    match named {
        Some(pseudonym) => owners.get(&pseudonym).copied(),
        None => words(row.as_bytes()).filter_map(of_hex).find_map(|pseudonym| owners.get(&pseudonym).copied()),
    }
}

/// Looks for pseudonyms in bytes; made once, since it takes longer than to look into a row.
struct Search<'o> {
    owners: &'o Owners,
    /// Most places are ruled out by two bytes, without a hash.
    starts: Vec<bool>,
}

impl<'o> Search<'o> {
    fn new(owners: &'o Owners) -> Self {
        let mut starts = vec![false; 1 << 16];
        for pseudonym in owners.keys() {
            starts[start(pseudonym)] = true;
        }
        Self { owners, starts }
    }

    /// Tells whether some bytes hold a pseudonym of somebody who is meant anywhere, as it is or in hex.
    fn finds(&self, bytes: &[u8], is_meant: impl Fn(u32) -> bool) -> bool {
        let is_found = |window: &[u8]| self.owners.get(window).is_some_and(|whose| is_meant(*whose));
        let plain = bytes.windows(16).any(|window| self.starts[start(window)] && is_found(window));
        plain || words(bytes).filter_map(of_hex).any(|pseudonym| is_found(&pseudonym))
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| !byte.is_ascii_hexdigit()).flat_map(|word| word.windows(32))
}

fn of_hex(text: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        let [high, low] = [char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?];
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

/// Returns what the events are like: when many are asked for they are small, and of many people.
fn options(events: u64) -> Options {
    let people = u32::try_from(events / 50).unwrap().max(4 * PEOPLE);
    // Events at the edge of what is taken would be on either side of it by the time of a replay.
    let flaws = Flaws { wrong_time: 0, ..Flaws::default() };
    let bytes = if events > 1_000_000 { 300 } else { 1_000 };
    Options { people, tenants: 40, events, erased: 0, bytes, flaws, ..Options::ending(0) }
}

/// Returns how many events there are: `WEIR_TEST_EVENTS` asks for more.
fn events() -> u64 {
    std::env::var("WEIR_TEST_EVENTS").ok().map_or(20_000, |events| events.parse().unwrap())
}

/// Returns how many of the people ask what there is: all of them where more events are asked for, or as many as `WEIR_TEST_ASKING` says.
fn accessed() -> u32 {
    let usual = if std::env::var("WEIR_TEST_EVENTS").is_ok() { PEOPLE } else { 3 };
    std::env::var("WEIR_TEST_ASKING").ok().map_or(usual, |asking| asking.parse().unwrap())
}

const PEOPLE: u32 = 1_000;
const PARTITIONS: i32 = 3;
