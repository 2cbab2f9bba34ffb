//! `weir explain` beside the topic that consent is on.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use weir_testkit::corpus::Options;

use crate::broker::Broker;
use crate::program::Weir;
use crate::world::{Settings, World, name};

/// Explained from the state topic, each event has the fates that it has in the lake's accounts: those of the same consents
/// in a file.
#[test]
fn states_on_the_topic_explain_as_the_same_records_in_a_file() {
    let broker = Broker::given();
    let settings = Settings::of_kafka(&broker.address, &name("explain"));
    let world = World::new(&settings);
    broker.create_topics(&settings, 1);
    let corpus = world.corpus(24, Options { people: 40, tenants: 5, events: EVENTS, ..Options::ending(0) });
    broker.consent(&settings, world.consents(&corpus));
    let topic = &settings.kafka.as_ref().unwrap().topic;
    broker.produce(topic, 1, (0..EVENTS).map(|number| corpus.event(number)));
    // The keeper publishes what the inbox has before the first event is judged.
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();
    let lines = world.consents(&corpus).map(|consent| String::from_utf8(consent.value.unwrap()).unwrap());
    let lines: Vec<String> = lines.collect();
    fs::write(world.path("consent.ndjson"), lines.join("\n")).unwrap();

    let event = world.path("event.json").display().to_string();
    let file = world.path("consent.ndjson").display().to_string();
    let explain = |arguments: &[&str]| -> Value {
        let call = [&["explain", &event, "--format", "json"], arguments].concat();
        serde_json::from_str(&Weir::new(&world, call).run().assert_done()).unwrap()
    };
    let mut fates = BTreeSet::new();
    for number in 0..EXPLAINED {
        fs::write(&event, corpus.event(number).value.unwrap_or_default()).unwrap();
        let explained = explain(&[]);
        assert_eq!(explained, explain(&["--consent", &file]), "event {number}");
        for purpose in explained["purposes"].as_array().unwrap() {
            fates.insert(purpose["reason"].as_str().unwrap_or("written").to_owned());
        }
    }
    assert!(fates.contains("written") && fates.len() > 3, "{fates:?} show little");
}

const EVENTS: u64 = 500;
const EXPLAINED: u64 = 20;
