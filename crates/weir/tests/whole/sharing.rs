//! Two daemons on one lake: of one group they share the work, of two the second is refused.

use std::time::Duration;

use weir_testkit::corpus::Options;
use weir_testkit::readers::Engine;

use crate::broker::Broker;
use crate::expected::Expected;
use crate::program::{Daemon, Weir};
use crate::world::{Kafka, Settings, World, name};

/// Two daemons of one group share the partitions and leave one by one; a run that catches up waits for what the second left
/// behind, and the rows are those of the reference.
#[test]
fn two_daemons_of_a_group_share_the_partitions() {
    let broker = Broker::given();
    let own_name = name("sharing");
    let named = |instance| {
        let mut settings = Settings::of_kafka(&broker.address, &own_name);
        settings.kafka.as_mut().unwrap().instance = Some(instance);
        Settings { commit_rows: 5_000, commit_interval: "2s", ..settings }
    };
    let world = World::new(&named("weir-1"));
    world.configure("second.toml", &named("weir-2"));
    broker.create_topics(&named("weir-1"), PARTITIONS);
    let events = 60_000;
    let corpus = world.corpus(15, Options { people: 1_000, tenants: 40, events, ..Options::ending(0) });
    broker.consent(&named("weir-1"), world.consents(&corpus));
    let topic = named("weir-1").kafka.unwrap().topic;
    let send = |from: u64, to: u64| broker.produce(&topic, PARTITIONS, (from..to).map(|number| corpus.event(number)));

    let mut first = Daemon::start(&world, []);
    first.until_ready();
    let mut second = Daemon::with_config(&world, "second.toml", []);
    let partitions = |daemon: &Daemon| daemon.metrics().sum("weir_partitions", &[]);
    first.until("partitions are shared", |first| {
        partitions(first) > 0.5 && partitions(&second) > 0.5 && partitions(first) + partitions(&second) < 4.5
    });
    send(0, events / 3);
    second.until("the second daemon writes", |second| second.metrics().sum("weir_rows_written_total", &[]) > 0.5);
    second.signal("TERM");
    send(events / 3, events / 3 * 2);
    second.end(Duration::from_secs(30)).assert_done();
    first.signal("TERM");
    first.end(Duration::from_secs(30)).assert_done();
    // A member with a name of its own keeps its partitions until its session ends: the run has to wait for the second's.
    send(events / 3 * 2, events);
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();

    let records = (0..events).map(|number| corpus.event(number));
    Expected::of(&world, &corpus, world.consents(&corpus), records).assert_read_by(&world, &[Engine::Deltalake]);
    Weir::new(&world, ["audit"]).run().assert_done();
}

/// A lake belongs to one group: two would each read everything, and every row would be there twice.
#[test]
fn second_group_is_refused() {
    let broker = Broker::given();
    let settings = Settings::of_kafka(&broker.address, &name("groups"));
    let world = World::new(&settings);
    broker.create_topics(&settings, 1);
    let corpus = world.corpus(16, Options { people: 100, tenants: 20, events: 500, ..Options::ending(0) });
    broker.consent(&settings, world.consents(&corpus));
    let kafka = settings.kafka.clone().unwrap();
    broker.produce(&kafka.topic, 1, (0..500).map(|number| corpus.event(number)));
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();

    let other = Kafka { group: format!("{}-other", kafka.group), ..kafka };
    world.configure("other.toml", &Settings { kafka: Some(other), ..settings });
    let refused = Weir::with_config(&world, "other.toml", ["run", "--until-caught-up"]).run();
    assert!(!refused.status.success(), "a second group was let in");
    assert!(refused.stderr.contains("group"), "{}", refused.stderr);
    let records = (0..500).map(|number| corpus.event(number));
    Expected::of(&world, &corpus, world.consents(&corpus), records).assert_read_by(&world, &[Engine::Deltalake]);
}

const PARTITIONS: i32 = 4;
