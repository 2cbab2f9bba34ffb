//! Brokers by TLS, with certificates on both sides.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use weir_testkit::corpus::Options;
use weir_testkit::readers::Engine;

use crate::broker::OwnBroker;
use crate::expected::Expected;
use crate::gate::{Ca, private};
use crate::program::{Daemon, Weir, has_committed};
use crate::world::{Kafka, Settings, World, name};

/// What the broker has becomes the rows of the reference; a broker of another CA, or under a name that is not its own, is told nothing, and
/// weir without a certificate of its own gets nothing. A daemon takes a new certificate without a restart.
#[test]
fn events_travel_by_tls_between_those_who_know_each_other() {
    let settings = Settings::of_kafka("localhost:1", &name("closed"));
    let world = World::new(&settings);
    let (ours, another) = (Ca::new("a CA"), Ca::new("another CA"));
    let [(key, leaf), (client_key, client)] = ["localhost", "weir"].map(|name| ours.certify(name));
    for (file, text) in [
        ("broker.pem", key + &leaf),
        ("clients-ca.pem", ours.pem()),
        ("another-ca.pem", another.pem()),
        ("client.pem", client),
        ("client-key.pem", client_key),
    ] {
        private(&world, file, &text);
    }
    let own = OwnBroker::start_with_tls(&world.path("kafka"), &world.path(""));
    let options = options(&world, "clients-ca.pem", true);
    let broker = own.closed(options.clone());
    broker.create_topics(&settings, 2);
    let corpus = world.corpus(41, Options { people: 50, tenants: 5, events: 600, ..Options::ending(0) });
    let events = |range: Range<u64>| range.map(|number| corpus.event(number));
    broker.consent(&settings, world.consents(&corpus));
    broker.produce(&settings.kafka.as_ref().unwrap().topic, 2, events(0..500));

    let kafka = |brokers: &str, options: &BTreeMap<String, String>| {
        let client =
            options.iter().fold(String::new(), |text, (option, value)| text + &format!(", {option:?} = {value:?}"));
        let kafka = Kafka { brokers: brokers.to_owned(), client, ..settings.kafka.clone().unwrap() };
        Settings { kafka: Some(kafka), ..settings.clone() }
    };
    world.configure("weir.toml", &kafka(&broker.address, &options));
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();
    let expected = Expected::of(&world, &corpus, world.consents(&corpus), events(0..500));
    expected.assert_read_by(&world, &[Engine::Deltalake]);
    Weir::new(&world, ["audit", "--broker"]).run().assert_done();

    let other_name = broker.address.replace("localhost", "127.0.0.1");
    let wrong = [
        ("another CA", kafka(&broker.address, &self::options(&world, "another-ca.pem", true))),
        ("another name", kafka(&other_name, &options)),
        ("no certificate", kafka(&broker.address, &self::options(&world, "clients-ca.pem", false))),
        ("no TLS", kafka(&broker.address, &BTreeMap::new())),
    ];
    thread::scope(|scope| {
        for (number, (how, settings)) in wrong.iter().enumerate() {
            let (world, config) = (&world, format!("wrong-{number}.toml"));
            world.configure(&config, settings);
            scope.spawn(move || {
                let asked = Weir::with_config(world, &config, ["audit", "--broker"]).run();
                assert_eq!(asked.status.code(), Some(69), "{how}: {}{}", asked.stdout, asked.stderr);
            });
        }
    });

    let mut daemon = Daemon::start(&world, []);
    changes_its_certificate(&world, &mut daemon, [&another, &ours]);
    broker.produce(&settings.kafka.as_ref().unwrap().topic, 2, events(500..600));
    daemon.until("the rest is committed", |daemon| has_committed(daemon, 100));
    daemon.signal("TERM");
    daemon.end(Duration::from_mins(1)).assert_done();
    let expected = Expected::of(&world, &corpus, world.consents(&corpus), events(0..600));
    expected.assert_read_by(&world, &[Engine::Deltalake]);
}

/// Gives a daemon that runs a certificate that the broker does not know, and then one that it does.
fn changes_its_certificate(world: &World, daemon: &mut Daemon, [another, ours]: [&Ca; 2]) {
    daemon.until_ready();
    let change = |daemon: &Daemon, ca: &Ca| {
        let (key, certificate) = ca.certify("weir");
        fs::write(world.path("client-key.pem"), key).unwrap();
        fs::write(world.path("client.pem"), certificate).unwrap();
        daemon.signal("HUP");
    };
    change(daemon, another);
    daemon.until_stopped_by(&["kafka"]);
    change(daemon, ours);
    daemon.until_ready();
}

fn options(world: &World, ca: &str, with_certificate: bool) -> BTreeMap<String, String> {
    let file = |name: &str| world.path(name).display().to_string();
    let mut options = BTreeMap::from([("security.protocol".to_owned(), "ssl".to_owned())]);
    options.insert("ssl.ca.location".to_owned(), file(ca));
    if with_certificate {
        options.insert("ssl.certificate.location".to_owned(), file("client.pem"));
        options.insert("ssl.key.location".to_owned(), file("client-key.pem"));
    }
    options
}
