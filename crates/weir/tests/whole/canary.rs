//! Canaries through the whole program: markers wherever a producer can put text, and none in any byte that weir wrote.
//!
//! The finest log level, and failures on purpose: the way that such pipelines leak is what they say when something is wrong.
//! What is searched: the lake with its logs, its Parquet files unpacked, all that was printed, the key ring, temporary files
//! and, with a broker, the pages and the state topic; each marker as it is, in encodings, and as hashes without a key. No
//! value of a column has the shape of an identifier either. What people send to the API and the portal: [`people`].

#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod people;

use std::fs;

use weir_testkit::canary::seal::SealingKey;
use weir_testkit::canary::shapes::Shapes;
use weir_testkit::canary::{Searcher, TENANT, plant};

use crate::program::Weir;
use crate::world::{Settings, World};

/// `weir filter` with a lake that fails first, then every verb that prints something about what was read.
#[test]
fn no_marker_leaves_the_way_from_files() {
    let world = World::new(&Settings::default());
    let planted = plant(22, &world.policy, world.now_ms, sealing_key(&world));
    let lines = |records: &[weir_testkit::corpus::Produced]| {
        let values = records.iter().filter_map(|record| record.value.as_ref());
        values
            .filter(|value| !value.contains(&b'\n'))
            .flat_map(|value| [value, &b"\n"[..]].concat())
            .collect::<Vec<_>>()
    };
    fs::write(world.path("events.ndjson"), lines(&planted.records)).unwrap();
    fs::write(world.path("consent.ndjson"), lines(&planted.consents)).unwrap();
    let file = world.path("events.ndjson");
    let filter = ["-vv", "filter", "--decision", "TEST-2", file.to_str().unwrap()];

    fs::write(world.path("lake"), "a file where a folder belongs").unwrap();
    let failed = Weir::new(&world, filter).run();
    assert!(!failed.status.success(), "a file is no lake");
    fs::remove_file(world.path("lake")).unwrap();
    Weir::new(&world, filter).run().assert_done();
    run_what_prints(&world);
    explain(&world, &planted.records);
    assert_rows(&world);

    // What we put there ourselves.
    fs::remove_file(world.path("events.ndjson")).unwrap();
    fs::remove_file(world.path("consent.ndjson")).unwrap();
    assert_clean(&world, &planted.canaries.searcher());
    assert_shapeless(&world);
}

/// The daemon, with broken inbox records, a lake that goes away, refused contracts and two kills on the way.
#[cfg(feature = "real-kafka")]
#[test]
fn no_marker_leaves_the_daemon() {
    use crate::broker::Broker;
    use crate::program::Daemon;
    use crate::world::name;

    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("canary")) };
    let (topic, inbox) = (&settings.kafka.as_ref().unwrap().topic, settings.consent_topic.as_ref().unwrap());
    let world = World::new(&settings);
    broker.create_topics(&settings, 3);
    let mut planted = plant(23, &world.policy, world.now_ms, sealing_key(&world));
    let said_ms = planted.canaries.instant("time of the inbox's records", world.now_ms);
    let sent_ms = planted.canaries.instant("time of the events' records", world.now_ms);
    let consents = planted.consents.iter().cloned().chain(broken_consents(&mut planted.canaries));
    broker.produce_at(inbox, None, consents, said_ms);
    let searcher = planted.canaries.searcher();
    let mut pages = Vec::new();
    let mut ask = |daemon: &Daemon| {
        for page in ["/metrics", "/readyz", "/livez", "/version", "/none"] {
            pages.push(daemon.page(page));
        }
    };
    let send = || broker.produce_at(topic, Some(3), planted.records.iter().cloned(), sent_ms);

    // All of it in a lake that fails, in one where a commit is cut off, and in one that works: nothing is lost, so all of it is
    // read each time.
    let mut daemon = Daemon::start(&world, ["-vv"]);
    daemon.until_ready();
    let (lake, away) = (world.path("lake"), world.path("lake.away"));
    fs::rename(&lake, &away).unwrap();
    fs::write(&lake, "a file where a folder belongs").unwrap();
    send();
    daemon.until_stopped_by(&["lake"]);
    ask(&daemon);
    daemon.kill();
    assert_clean(&world, &searcher);
    fs::remove_file(&lake).unwrap();
    fs::rename(&away, &lake).unwrap();
    kill_in_a_commit(&world);
    assert_clean(&world, &searcher);
    send();
    let mut daemon = Daemon::start(&world, ["-vv"]);
    commit_beside_a_broken_contract(&world, &mut daemon);
    for code in ["seal_broken", "seal_event", "seal_form", "seal_key"] {
        assert!(daemon.metrics().sum("weir_events_total", &[("reason", code)]) > 0.5, "no event is {code}");
    }
    ask(&daemon);
    daemon.signal("TERM");
    daemon.end(std::time::Duration::from_secs(30)).assert_done();
    run_what_prints(&world);
    assert_rows(&world);

    let state = broker.bytes_of(&format!("{inbox}.state"));
    assert!(state.len() > 1_000, "the state topic has {} bytes", state.len());
    assert_states_clean(&searcher, &state);
    assert_none("the pages", &searcher, pages.concat().as_bytes());
    assert_clean(&world, &searcher);
    assert_shapeless(&world);
}

/// Ends a daemon as a crash does when the first file of a commit is there: the others, and what says that they count, are not.
#[cfg(feature = "real-kafka")]
fn kill_in_a_commit(world: &World) {
    let files = || {
        let files = crate::world::every_file(&world.path("lake"));
        files.iter().filter(|file| file.extension().is_some_and(|end| end == "parquet")).count()
    };
    let before = files();
    let mut daemon = crate::program::Daemon::start(world, ["-vv"]);
    daemon.until("a file of a commit is there", |_| files() > before);
    daemon.kill();
}

/// Waits until all is committed, while a contract that nobody can read is put in force.
#[cfg(feature = "real-kafka")]
fn commit_beside_a_broken_contract(world: &World, daemon: &mut crate::program::Daemon) {
    daemon.until_ready();
    let contract = world.path("schemas/checkout/health.toml");
    let sound = fs::read_to_string(&contract).unwrap();
    fs::write(&contract, sound.replace("owner", "onwer")).unwrap();
    daemon.signal("HUP");
    daemon.until("all is committed", |daemon| {
        let metrics = daemon.metrics();
        metrics.sum("kafka_consumer_lag", &[]) < 0.5 && metrics.sum("weir_rows_written_total", &[]) > 0.5
    });
    fs::write(&contract, sound).unwrap();
}

/// Records of the inbox that must be refused, and said nothing about.
#[cfg(feature = "real-kafka")]
fn broken_consents(canaries: &mut weir_testkit::canary::Canaries) -> Vec<weir_testkit::corpus::Produced> {
    let templates = [
        "{}",
        "{\"tenant\":\"{}\"",
        "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"{}\",\"purpose\":\"marketing\",\"status\":\"given\"}",
        "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":[\"{}\"],\"purpose\":\"reliability\",\"status\":\"given\"}",
        "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"u-1\",\"purpose\":\"reliability\",\"status\":\"{}\",\
          \"at\":\"2026-01-01T00:00:00Z\"}",
        "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"u-1\",\"purpose\":\"reliability\",\"status\":\"given\",\
          \"at\":\"{}\"}",
        "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"u-2\",\"purpose\":\"reliability\",\"status\":\"given\",\
          \"at\":\"2026-01-01T00:00:00Z\",\"user_agent\":\"{}\",\"evidence\":\"{}\"}",
    ];
    let record = |template: &str| {
        let marker = canaries.marker(format!("inbox record {template}"));
        let key = canaries.marker(format!("key of inbox record {template}"));
        let value = Some(template.replace("{}", &marker).into_bytes());
        weir_testkit::corpus::Produced { key: key.into_bytes(), headers: Vec::new(), value }
    };
    templates.into_iter().map(record).collect()
}

fn run_what_prints(world: &World) {
    for verb in ["audit", "validate", "lake ls", "quarantine ls"] {
        Weir::new(world, ["-vv"].into_iter().chain(verb.split(' '))).run().assert_done();
    }
}

/// Makes a key that producers seal to.
fn sealing_key(world: &World) -> SealingKey {
    Weir::new(world, ["keys", "rotate-sealing"]).run().assert_done();
    let public = Weir::new(world, ["keys", "export-public"]).run().assert_done();
    let public: serde_json::Value = serde_json::from_str(&public).unwrap();
    SealingKey::of(public["keys"].as_array().unwrap().iter().find(|key| key["use"] == "enc").unwrap())
}

/// Explains some events, with and without the consents; what says why must not say what.
fn explain(world: &World, records: &[weir_testkit::corpus::Produced]) {
    let event = world.path("event.json");
    for record in records.iter().filter_map(|record| record.value.as_ref()).take(EXPLAINED) {
        fs::write(&event, record).unwrap();
        for arguments in [&["--format", "json"][..], &["--assume-consent"]] {
            let call = ["-vv", "explain", event.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
            Weir::new(world, call).run().assert_done();
        }
    }
    fs::remove_file(&event).unwrap();
}

/// A search in an empty lake would find nothing, too.
fn assert_rows(world: &World) {
    for purpose in ["troubleshooting", "reliability", "personalization"] {
        let tables = fs::read_dir(world.path("lake/eu").join(purpose)).map_or(0, Iterator::count);
        assert!(tables > 0, "no row for {purpose}");
    }
}

/// Searches the whole folder of the world.
fn assert_clean(world: &World, searcher: &Searcher) {
    let (files, mut findings) = searcher.folder(&world.path("")).unwrap();
    assert!(files > 50, "{files} files are not all that weir wrote");
    // A tenant's secret has its tenant's name beside it, in a file with another name, in a folder that only weir may read.
    let secrets = world.path("keys/tenants").display().to_string();
    findings.retain(|finding| finding.place != TENANT || !finding.found_in.starts_with(&secrets));
    let shown: Vec<String> = findings.iter().take(20).map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings, the first:\n{}", findings.len(), shown.join("\n"));
}

/// Looks at what is in the columns of the lake, whoever put it there.
fn assert_shapeless(world: &World) {
    let seen = Shapes::default().lake(&world.path("lake")).unwrap();
    assert!(seen.texts > 1_000 && seen.pseudonyms > 1_000, "too few values: {seen:?}");
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
}

/// Searches what weir sent elsewhere.
#[cfg(feature = "real-kafka")]
#[track_caller]
fn assert_none(what: &str, searcher: &Searcher, bytes: &[u8]) {
    let findings = searcher.bytes(what, bytes);
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Searches a state topic, where the key of an agreement is `t`, a letter of the purpose and the tenant's name.
#[cfg(feature = "real-kafka")]
#[track_caller]
fn assert_states_clean(searcher: &Searcher, bytes: &[u8]) {
    let mut findings = searcher.bytes("the state topic", bytes);
    let is_key = |at: usize| at >= 2 && bytes[at - 2] == b't' && (at == 2 || bytes[at - 3] == b'\n');
    let all = findings.len();
    findings.retain(|finding| finding.place != TENANT || !is_key(finding.at));
    assert!(findings.is_empty(), "{findings:#?}");
    assert!(all > 0, "no agreement was published");
}

/// Each kind of marker is in the first few events.
const EXPLAINED: usize = 8;
