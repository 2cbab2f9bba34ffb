//! Crashes: `kill -9`, wherever the program happens to be.

use std::thread;
use std::time::Duration;

use weir_testkit::corpus::Options;
use weir_testkit::random::Random;
use weir_testkit::readers::Engine;

use crate::broker::Broker;
use crate::expected::Expected;
use crate::program::{Daemon, Weir};
use crate::world::{Settings, World, name};

/// Killed at ten random moments, weir ends with the rows that it would have had without.
#[test]
fn ten_kills_change_nothing_in_the_result() {
    let broker = Broker::given();
    // Many small batches, so that most kills hit a commit.
    let settings = Settings { commit_rows: 4_000, ..Settings::of_kafka(&broker.address, &name("crash")) };
    let world = World::new(&settings);
    broker.create_topics(&settings, PARTITIONS);
    let events = 150_000;
    let corpus = world.corpus(13, Options { people: 2_000, tenants: 80, events, ..Options::ending(0) });
    broker.consent(&settings, world.consents(&corpus));
    let topic = &settings.kafka.as_ref().unwrap().topic;

    let seed = std::env::var("WEIR_TEST_SEED").ok().map_or(world.now_ms.unsigned_abs(), |seed| seed.parse().unwrap());
    let mut random = Random::new(seed);
    let mut kills_in_flow = 0;
    for kill in 0..KILLS {
        // However fast this machine is, a daemon finds something to read.
        let share = events / KILLS;
        broker.produce(topic, PARTITIONS, (kill * share..(kill + 1) * share).map(|number| corpus.event(number)));
        let mut daemon = Daemon::start(&world, []);
        // Three of four kills come while events flow, the others anywhere between the start and there.
        if random.chance(750) {
            daemon.until("records are read", |daemon| daemon.metrics().sum("weir_records_total", &[]) > 0.0);
            kills_in_flow += 1;
        }
        thread::sleep(Duration::from_millis(random.below(1_500)));
        daemon.kill();
    }
    assert!(kills_in_flow > 2, "seed {seed} killed nothing of interest");

    let last = Weir::new(&world, ["run", "--until-caught-up"]).run();
    assert!(last.status.success(), "seed {seed}: {}", last.stderr);
    let records = (0..events).map(|number| corpus.event(number));
    let expected = Expected::of(&world, &corpus, world.consents(&corpus), records);
    let found = Expected::read(&world, Engine::Deltalake);
    assert_eq!(found, expected, "seed {seed}: other rows than the reference makes");
    Weir::new(&world, ["audit"]).run().assert_done();
}

const PARTITIONS: i32 = 6;
const KILLS: u64 = 10;
