//! A daemon whose consent is in a file, on one machine.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_testkit::corpus::{Options, rfc_3339};

use crate::broker::Broker;
use crate::program::Daemon;
use crate::world::{Settings, World, name};

/// What is appended while a daemon runs counts for what it commits next. A line that was taken away leaves nobody to vouch for the rest.
#[test]
fn decision_in_the_file_counts_for_a_daemon_that_runs() {
    let broker = Broker::given();
    let of_kafka = Settings::of_kafka(&broker.address, &name("lines"));
    let world = World::new(&Settings { commit_interval: "1s", consent_topic: None, ..of_kafka.clone() });
    let topic = &of_kafka.kafka.as_ref().unwrap().topic;
    broker.create(topic, 1, &[]);
    let corpus = world.corpus(28, Options { people: 20, tenants: 3, events: EVENTS, ..Options::ending(0) });
    let send = || broker.produce(topic, 1, (0..EVENTS).map(|number| corpus.event(number)));
    let records =
        || world.consents(&corpus).map(|consent| serde_json::from_slice::<Value>(&consent.value.unwrap()).unwrap());
    let write = |lines: &[String]| fs::write(world.path("consent.ndjson"), lines.join("\n") + "\n").unwrap();
    let mut lines: Vec<String> = records().map(|record| record.to_string()).collect();
    write(&lines);

    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();
    send();
    daemon.until("the first events are committed", |daemon| has_told(daemon, EVENTS));
    let before = count(&daemon, &[("fate", "written")]);
    assert!(before > 100, "{before} events prove little");

    let known = lines.len();
    lines.extend(records().filter(|record| record.get("kind").is_none()).map(|mut agreement| {
        agreement["status"] = "withdrawn".into();
        agreement["at"] = rfc_3339(world.now_ms).into();
        agreement.to_string()
    }));
    let mut file = OpenOptions::new().append(true).open(world.path("consent.ndjson")).unwrap();
    file.write_all((lines[known..].join("\n") + "\n").as_bytes()).unwrap();
    send();
    daemon.until("the next events are committed", |daemon| has_told(daemon, 2 * EVENTS));
    assert_eq!(count(&daemon, &[("fate", "written")]), before, "an agreement that was withdrawn let events pass");

    for changed in [lines[1..].to_vec(), [vec![lines[1].clone(), lines[0].clone()], lines[2..].to_vec()].concat()] {
        write(&changed);
        daemon.until_stopped_by(&["consent_topic", "were changed"]);
        // Also where it is as long as before, and lies still.
        let stopped = Instant::now();
        daemon.until("it was looked at again", |_| stopped.elapsed() > Duration::from_millis(1_200));
        assert!(daemon.page("/readyz").contains("were changed"), "{}", daemon.page("/readyz"));
        write(&lines);
        daemon.until_ready();
    }
}

/// Tells whether the fates of so many events are committed, one for each purpose.
fn has_told(daemon: &Daemon, events: u64) -> bool {
    count(daemon, &[]) == 3 * events
}

fn count(daemon: &Daemon, labels: &[(&str, &str)]) -> u64 {
    format!("{:.0}", daemon.metrics().sum("weir_events_total", labels)).parse().unwrap_or_default()
}

const EVENTS: u64 = 400;
