//! Signals: the end that was asked for, and new contracts while events flow.

use std::fs;
use std::time::Duration;

use weir_testkit::corpus::Options;

use crate::broker::Broker;
use crate::expected::covered;
use crate::program::{Daemon, Weir, has_read};
use crate::world::{Settings, World, name};

/// Nothing of its memory goes into a core. Asked to end, weir commits what it holds and exits with 0 in time; nothing is left for the next start.
#[test]
fn sigterm_commits_what_is_held() {
    let broker = Broker::given();
    // Nothing but the signal can close a batch.
    let settings = Settings { commit_interval: "1h", ..Settings::of_kafka(&broker.address, &name("sigterm")) };
    let world = World::new(&settings);
    broker.create_topics(&settings, 2);
    let corpus = world.corpus(14, Options { people: 200, tenants: 30, events: EVENTS, ..Options::ending(0) });
    broker.consent(&settings, world.consents(&corpus));
    let topic = &settings.kafka.as_ref().unwrap().topic;
    broker.produce(topic, 2, (0..EVENTS).map(|number| corpus.event(number)));

    let mut daemon = Daemon::start(&world, []);
    daemon.until("all is read", |daemon| has_read(daemon, EVENTS));
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    assert!(daemon.metrics().sum("weir_commits_total", &[]) < 1.0, "nothing asked for a commit yet");
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
    assert_eq!(covered(&world, "true"), 3 * EVENTS, "every event has a fate for each of three purposes");
    Weir::new(&world, ["audit"]).run().assert_done();
}

/// New contracts with a fault are refused and the old stay in force, which the pages say all the while; without the fault they take effect.
#[test]
fn sighup_takes_good_contracts_only() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("sighup")) };
    let world = World::new(&settings);
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();

    let contract = world.path("schemas/checkout/health.toml");
    let sound = fs::read_to_string(&contract).unwrap();
    fs::write(&contract, sound.replace("owner", "onwer")).unwrap();
    daemon.signal("HUP");
    let reloads = |daemon: &Daemon, outcome| daemon.metrics().sum("weir_policy_reloads_total", &[("outcome", outcome)]);
    daemon.until("the contracts are refused", |daemon| reloads(daemon, "refused") > 0.5);
    assert!((daemon.metrics().sum("weir_policy_generation", &[]) - 1.0).abs() < 0.1, "the old policy stays");
    daemon.until_ready();
    let refused = |daemon: &Daemon| daemon.metrics().sum("weir_policy_refused", &[]) > 0.5;
    assert!(refused(&daemon), "the old policy stays, and the metric says so for as long as it does");
    daemon.until("/readyz says so", |daemon| daemon.page("/readyz").starts_with("200 ready\npolicy: "));
    let page = daemon.page("/readyz");
    assert!(page.contains("schemas/checkout/health.toml:"), "{page}");
    assert!(page.contains("generation 1 stays in force"), "{page}");

    fs::write(&contract, sound.replace("version     = 1", "version     = 2")).unwrap();
    daemon.signal("HUP");
    daemon.until("the contracts are taken", |daemon| reloads(daemon, "applied") > 0.5);
    assert!((daemon.metrics().sum("weir_policy_generation", &[]) - 2.0).abs() < 0.1, "a new policy is in force");
    assert!(!refused(&daemon), "what was refused is mended");
    daemon.until("/readyz says no more of it", |daemon| daemon.page("/readyz") == "200 ready\n");
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
}

const EVENTS: u64 = 3_000;
