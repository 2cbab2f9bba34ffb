//! How long the brokers may keep raw records: what is erased in the lake must not live on there.

use std::time::Duration;

use serde_json::Value;

use crate::broker::Broker;
use crate::days::Scene;
use crate::program::{Daemon, Weir, has_read};
use crate::world::{Settings, name};

/// LK-26: a topic that keeps what the lake forgets is not read, also one that appears later. Who allows it has it in the ledger and
/// at `/readyz`.
#[test]
fn topic_that_outlives_an_erasure_is_not_read() {
    let broker = Broker::given();
    let scene = Scene::new(&broker, Settings::of_kafka(&broker.address, &name("outlives")), 27);
    broker.create_consent_topics(&scene.settings, 1);
    broker.consent(&scene.settings, scene.world.consents(&scene.corpus));
    let quick = r#"source.kafka.client={"topic.metadata.refresh.interval.ms"="500"}"#;
    let mut daemon = Daemon::start(&scene.world, ["--set", quick]);
    daemon.until_stopped_by(&["kafka: topic does not exist", &scene.topic()]);
    broker.create(&scene.topic(), 1, &[("retention.ms", "-1")]);
    scene.send(&broker);
    let words = format!("{} may keep a raw record for ever (retention.ms=-1), and 30 days are allowed", scene.topic());
    daemon.until_stopped_by(&["raw_retention: ", &words, "source.kafka.allow_longer_retention"]);
    assert!(!has_read(&daemon, 1), "a record was read");
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(10)).assert_done();
    let refused = Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_refused(78);
    assert!(refused.contains(&words), "{refused}");

    let mut daemon = Daemon::start(&scene.world, ["--set", "source.kafka.allow_longer_retention=true"]);
    daemon.until_ready();
    assert_eq!(daemon.page("/readyz"), format!("200 ready\nallowed: {words}\n"));
    daemon.kill();
    let audit = Weir::new(&scene.world, ["audit", "--ledger", "--format", "json"]).run().assert_done();
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["entries"]["decision.longer_retention"], 1);
}

/// A small corpus and its world.
/// The inbox names people, too, and how long a topic keeps its records may change under way.
#[test]
fn inbox_that_outlives_an_erasure_from_now_on_stops_the_flow() {
    let broker = Broker::given();
    let scene = Scene::new(&broker, Settings::of_kafka(&broker.address, &name("inbox-outlives")), 28);
    broker.create_topics(&scene.settings, 1);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_ready();
    let inbox = scene.settings.consent_topic.as_ref().unwrap();
    broker.alter(inbox, "retention.ms", "-1");
    let words = format!("{inbox} may keep a raw record for ever (retention.ms=-1)");
    daemon.until_stopped_by(&["raw_retention: ", &words]);
    broker.alter(inbox, "retention.ms", "86400000");
    daemon.until_ready();
}
