//! The path that weir is for, at a size at which nothing happens by chance: from a broker into tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use weir_testkit::canary::{Canaries, Searcher};
use weir_testkit::corpus::Options;
use weir_testkit::readers::Engine;

use crate::broker::Broker;
use crate::expected::Expected;
use crate::program::Weir;
use crate::world::{Settings, World, name};

/// A million events of mixed consent over six partitions: three readers see exactly the rows of the reference, the logs of
/// two tables have nothing in common by which their rows could be matched, the accounts add up, a second run adds nothing.
#[test]
fn million_events_become_the_rows_of_the_reference() {
    let broker = Broker::given();
    let mut names = Canaries::new(12);
    let name = format!("{}-{}", name("million"), names.marker("the topic's name"));
    let settings = Settings { commit_interval: "20s", ..Settings::of_kafka(&broker.address, &name) };
    let world = World::new(&settings);
    broker.create_topics(&settings, PARTITIONS);
    let events = events();
    let corpus = world.corpus(12, Options { people: 20_000, tenants: 200, events, ..Options::ending(0) });
    let topic = &settings.kafka.as_ref().unwrap().topic;

    // The slow reference works on one half of the events while the other is sent, filtered and committed.
    let expected = thread::scope(|scope| {
        let part = |from: u64, to: u64| {
            let (world, corpus) = (&world, &corpus);
            scope.spawn(move || {
                let records = (from..to).map(|number| corpus.event(number));
                Expected::of(world, corpus, world.consents(corpus), records)
            })
        };
        let parts = [part(0, events / 2), part(events / 2, events)];
        broker.consent(&settings, world.consents(&corpus));
        broker.produce(topic, PARTITIONS, (0..events).map(|number| corpus.event(number)));
        Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();
        let mut expected = Expected::default();
        for part in parts {
            expected.join(part.join().unwrap());
        }
        expected
    });
    assert!(expected.rows() > events, "{} rows of {events} events prove little", expected.rows());

    expected.assert_read_by(&world, &Engine::QUICK);
    assert_logs_have_nothing_in_common(&world.path("lake/eu"), &names.searcher(), events);
    Weir::new(&world, ["audit"]).run().assert_done();
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();
    expected.assert_read_by(&world, &[Engine::Deltalake]);
    Weir::new(&world, ["audit"]).run().assert_done();
}

/// Checks the logs of all tables: no value of a `txn` stands in two of them, none is an offset, none names the topic.
fn assert_logs_have_nothing_in_common(region: &Path, topic: &Searcher, offsets: u64) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for log in logs(region) {
        let (_, findings) = topic.folder(&log).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        let table = log.parent().unwrap().display().to_string();
        let mut values = Vec::new();
        for entry in fs::read_dir(&log).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                if let Some(txn) = action.get("txn") {
                    let version = txn["version"].as_u64().unwrap();
                    assert!(version > offsets, "the txn {version} of {table} may be an offset");
                    values.extend([txn["appId"].as_str().unwrap().to_owned(), version.to_string()]);
                }
            }
        }
        assert!(!values.is_empty(), "{table} moved no watermark");
        for value in values {
            let other = seen.insert(value, table.clone());
            assert!(other.is_none_or(|other| other == table), "a txn value of {table} stands in another log, too");
        }
    }
    assert!(!seen.is_empty(), "no log was found");
}

/// Returns the log folders of all tables that rows or coverage are in.
fn logs(region: &Path) -> Vec<std::path::PathBuf> {
    let mut logs = Vec::new();
    let mut folders = vec![region.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
            if entry.file_name() == "_delta_log" {
                logs.push(entry.path());
            } else {
                folders.push(entry.path());
            }
        }
    }
    // Quarantine is no watermark's table: its rows name offsets, because that is what they are for.
    logs.retain(|log| !log.parent().unwrap().ends_with("_quarantine"));
    logs
}

/// Returns how many events to send; fewer are for a quick look only.
fn events() -> u64 {
    std::env::var("WEIR_TEST_EVENTS").ok().map_or(1_000_000, |events| events.parse().unwrap())
}

const PARTITIONS: i32 = 6;
