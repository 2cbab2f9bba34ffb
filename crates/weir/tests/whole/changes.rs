//! A great many changes of mind, in any order, while everything that keeps them is killed and started again.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use weir_consent::{StateKey, StateRecord};
use weir_keys::KeyRing;
use weir_policy::PurposeId;
use weir_testkit::canary::Canaries;
use weir_testkit::corpus::{Corpus, Options, Produced, rfc_3339};
use weir_testkit::random::Random;
use weir_testkit::readers::Engine;

use crate::broker::{Broker, OwnBroker};
use crate::expected::{Expected, covered};
use crate::program::{Daemon, Weir};
use crate::world::{Settings, World, name};

/// Many changes by a hundred thousand people, in random order, some twice and some under another spelling, while
/// daemons and the broker are killed and the state topic is compacted: what is known is what a plain model knows, what is
/// written is what it permits, and nobody's name leaves the inbox.
#[test]
fn changes_in_any_order_end_in_the_state_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let mut own = OwnBroker::start(&folder.path().join("kafka"));
    let broker = own.broker();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("changes")) };
    let world = World::new(&settings);
    create_topics(&broker, &settings);
    let changes = changes();
    let rounds = u64::try_from(DISRUPTIONS.len()).unwrap();
    let events = rounds * EVENTS;
    let corpus = world.corpus(61, Options { people: PEOPLE, tenants: 300, events, erased: 0, ..Options::ending(0) });
    let (mut model, agreements) = Model::of(&world, &corpus);
    let mut names = Canaries::new(62);
    model.mark(&corpus, &mut names);
    broker.consent(&settings, agreements.iter().cloned());

    let seed = std::env::var("WEIR_TEST_SEED").ok().map_or(world.now_ms.unsigned_abs(), |seed| seed.parse().unwrap());
    let mut random = Random::new(seed);
    let mut expected = Expected::default();
    for (disruption, round) in DISRUPTIONS.iter().zip(0..) {
        let mut daemon = Daemon::start(&world, []);
        for half in 0..2 {
            let said = (0..changes / rounds / 2).map(|_| model.change(&mut random)).collect::<Vec<_>>();
            broker.consent(&settings, said.into_iter());
            if half == 0 {
                daemon = disrupt(*disruption, &world, &mut own, daemon);
            }
        }
        daemon.kill();
        // A store that was not current before these events judges none of them.
        let records = || (round * EVENTS..(round + 1) * EVENTS).map(|number| corpus.event(number));
        broker.produce(&settings.kafka.as_ref().unwrap().topic, PARTITIONS, records());
        let caught_up = Weir::new(&world, ["run", "--until-caught-up"]).run();
        assert!(caught_up.status.success(), "seed {seed}: {}", caught_up.stderr);
        let consents = agreements.iter().cloned().chain(model.records());
        expected.join(Expected::of(&world, &corpus, consents, records()));
    }
    assert!(expected.rows() > EVENTS, "{} rows of {events} events prove little", expected.rows());
    assert_eq!(Expected::read(&world, Engine::Deltalake), expected, "seed {seed}: other rows than the model permits");
    assert!(covered(&world, "reason = 'consent_withdrawn'") > 0, "nobody changed their mind for good");
    Weir::new(&world, ["audit"]).run().assert_done();

    assert_model(&world, &broker, &settings, &model, seed);
    let state = format!("{}.state", settings.consent_topic.as_ref().unwrap());
    let (records, offsets) = broker.count(&state);
    assert!(records < offsets, "{records} records of {offsets} offsets: the broker did not compact");
    assert_no_names(&world, &broker, &state, &names);
}

/// What happens to a daemon and its broker between two halves of a round.
#[derive(Clone, Copy)]
enum Disruption {
    /// The broker dies and comes back.
    Broker,
    /// The daemon is killed, and so is the broker.
    Everything,
    /// The daemon is killed.
    Kill,
    /// The daemon is asked to end.
    Stop,
    /// Another daemon joins, and the first one is killed: the inbox changes hands.
    Takeover,
}

const DISRUPTIONS: [Disruption; 10] = [
    Disruption::Kill,
    Disruption::Broker,
    Disruption::Stop,
    Disruption::Takeover,
    Disruption::Everything,
    Disruption::Kill,
    Disruption::Takeover,
    Disruption::Kill,
    Disruption::Broker,
    Disruption::Everything,
];

fn disrupt(disruption: Disruption, world: &World, own: &mut OwnBroker, mut daemon: Daemon) -> Daemon {
    match disruption {
        Disruption::Broker => {
            own.kill();
            own.restart();
            daemon
        }
        Disruption::Everything => {
            own.kill();
            daemon.kill();
            own.restart();
            Daemon::start(world, [])
        }
        Disruption::Kill => {
            daemon.kill();
            Daemon::start(world, [])
        }
        Disruption::Stop => {
            daemon.until_ready();
            daemon.signal("TERM");
            daemon.end(Duration::from_secs(30)).assert_done();
            Daemon::start(world, [])
        }
        Disruption::Takeover => {
            let mut other = Daemon::start(world, ["--set", "source.kafka.instance_id=weir-2"]);
            other.until("it follows consent", |daemon| daemon.metrics().sum("weir_consent_people", &[]) > 0.5);
            daemon.kill();
            other
        }
    }
}

/// Everything that was said, by the plain rule: the latest instant counts, of one instant the strictest word.
struct Model {
    people: Vec<Identity>,
    said: HashMap<(usize, PurposeId), Said>,
    /// Some of what was said, to be said again.
    repeats: Vec<Produced>,
    now_ms: i64,
}

struct Identity {
    tenant: String,
    kind: String,
    subject: String,
}

/// One word about one purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Said {
    at_ms: i64,
    status: &'static str,
    until_ms: Option<i64>,
}

/// From the most permissive to the strictest.
const STATUSES: [&str; 10] = [
    "given",
    "renewed",
    "unknown",
    "requested",
    "deferred",
    "expired",
    "refused",
    "invalidated",
    "revoked",
    "withdrawn",
];

impl Said {
    /// Orders by what counts: of two yeses that were given, the one that ends first; of two renewals, the one that ends last.
    fn weight(self) -> (i64, Option<usize>, i64, Reverse<i64>) {
        let end = self.until_ms.unwrap_or(i64::MAX);
        let (last, first) = if self.status == "renewed" { (end, 0) } else { (0, end) };
        (self.at_ms, STATUSES.iter().position(|status| *status == self.status), last, Reverse(first))
    }

    fn record(self, identity: &Identity, subject: &str, purpose: PurposeId) -> Produced {
        let Identity { tenant, kind, .. } = identity;
        let mut value = format!(
            r#"{{"tenant":"{tenant}","kind":"{kind}","subject":"{subject}","purpose":"{}","status":"{}","at":"{}""#,
            purpose.name(),
            self.status,
            rfc_3339(self.at_ms)
        );
        if let Some(until_ms) = self.until_ms {
            value.extend([r#","valid_until":""#, &rfc_3339(until_ms), "\""]);
        }
        value.push('}');
        let key = format!("{tenant}/{kind}/{subject}").into_bytes();
        Produced { key, headers: Vec::new(), value: Some(value.into_bytes()) }
    }
}

impl Model {
    /// Knows everybody whom the corpus' consents name, and nothing that they said; returns the tenants' agreements too.
    fn of(world: &World, corpus: &Corpus) -> (Self, Vec<Produced>) {
        let (mut people, mut agreements) = (Vec::new(), Vec::new());
        for consent in corpus.consents() {
            let record: serde_json::Value = serde_json::from_slice(consent.value.as_deref().unwrap()).unwrap();
            let [tenant, kind, subject] = ["tenant", "kind", "subject"].map(|member| record[member].as_str());
            match (tenant, kind, subject) {
                (Some(tenant), Some(kind), Some(subject)) if record["purpose"] == "reliability" => {
                    let [tenant, kind, subject] = [tenant, kind, subject].map(str::to_owned);
                    people.push(Identity { tenant, kind, subject });
                }
                (_, None, _) => agreements.push(consent),
                _ => {}
            }
        }
        assert!(people.len() >= 100_000, "{} people only", people.len());
        (Self { people, said: HashMap::new(), repeats: Vec::new(), now_ms: world.now_ms }, agreements)
    }

    /// Adds people whose identifiers stand nowhere else.
    fn mark(&mut self, corpus: &Corpus, names: &mut Canaries) {
        let tenant = corpus.person(0).tenant;
        self.people.extend((0..MARKED).map(|_| Identity {
            tenant: tenant.to_owned(),
            kind: "user".to_owned(),
            subject: names.marker("an identifier"),
        }));
    }

    /// Lets somebody say something, now and then for the second time or under another spelling, and remembers what counts.
    fn change(&mut self, random: &mut Random) -> Produced {
        if random.chance(100) && !self.repeats.is_empty() {
            return self.repeats[random.index(self.repeats.len())].clone();
        }
        let who = random.index(self.people.len());
        let purpose = random.pick(&PurposeId::ALL);
        // Few instants, so that many words are of the same one; none between which the test runs.
        let at_ms = self.now_ms - DAY_MS * random.between(5, 400) / 5 * 5;
        let status = if random.chance(400) { "given" } else { random.pick(&STATUSES) };
        let until_ms = (random.chance(100) && ["given", "renewed"].contains(&status))
            .then(|| self.now_ms + DAY_MS * random.pick(&[-40, -1, 2, 30, 400]));
        let said = Said { at_ms, status, until_ms };
        let counts = self.said.entry((who, purpose)).or_insert(said);
        if said.weight() > counts.weight() {
            *counts = said;
        }
        let identity = &self.people[who];
        let subject = if random.chance(150) { format!(" {} ", identity.subject) } else { identity.subject.clone() };
        let record = said.record(identity, &subject, purpose);
        if self.repeats.len() < REPEATS {
            self.repeats.push(record.clone());
        } else {
            let place = random.index(REPEATS * 10);
            if let Some(repeat) = self.repeats.get_mut(place) {
                *repeat = record.clone();
            }
        }
        record
    }

    /// Returns what counts, a record a person and purpose.
    fn records(&self) -> impl Iterator<Item = Produced> {
        self.said.iter().map(|((who, purpose), said)| {
            let identity = &self.people[*who];
            said.record(identity, &identity.subject, *purpose)
        })
    }
}

/// Demands that the state topic says of every person what the model says.
#[track_caller]
fn assert_model(world: &World, broker: &Broker, settings: &Settings, model: &Model, seed: u64) {
    let keys = KeyRing::open(&world.path("keys")).unwrap().snapshot();
    let store = broker.states(settings);
    let mut unlike = 0;
    for (who, identity) in model.people.iter().enumerate() {
        let person = keys.person_key(&identity.tenant, &identity.kind, &identity.subject);
        for purpose in PurposeId::ALL {
            let found = match store.current(&StateKey::Choice { person, purpose }) {
                Some(StateRecord::Choice { standing, .. }) => {
                    Some((standing.at_ms(), standing.status().name(), standing.valid_until_ms()))
                }
                _ => None,
            };
            let said = model.said.get(&(who, purpose)).map(|said| (said.at_ms, said.status, said.until_ms));
            unlike += u64::from(found != said);
        }
    }
    assert_eq!(unlike, 0, "seed {seed}: so many states of {} are not the model's", model.said.len());
}

/// Demands that no marked identifier stands anywhere but in the inbox, plain, encoded or hashed.
#[track_caller]
fn assert_no_names(world: &World, broker: &Broker, state: &str, names: &Canaries) {
    let search = names.searcher();
    let mut findings = search.bytes("the state topic", &broker.bytes_of(state));
    for folder in ["lake", "output", "keys", "tmp"] {
        findings.extend(search.folder(&world.path(folder)).unwrap().1);
    }
    assert!(findings.is_empty(), "{findings:?}");
}

/// Makes the topics, the state topic so that the broker compacts it all the time.
fn create_topics(broker: &Broker, settings: &Settings) {
    broker.create(&settings.kafka.as_ref().unwrap().topic, PARTITIONS, &[]);
    let inbox = settings.consent_topic.as_ref().unwrap();
    broker.create(inbox, 4, &[]);
    let quick = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "2000"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "2000"),
    ];
    broker.create(&format!("{inbox}.state"), 4, &quick);
}

/// Returns how many changes to make: `cargo xtask bench changes` makes a million.
fn changes() -> u64 {
    std::env::var("WEIR_TEST_CHANGES").ok().map_or(100_000, |changes| changes.parse().unwrap())
}

/// In the corpus, where each has an identifier of every kind by which a contract names people.
const PEOPLE: u32 = 60_000;
/// Of a hundred thousand, and with ten words each.
const MARKED: usize = 200;
const EVENTS: u64 = 1_500;
const PARTITIONS: i32 = 6;
const REPEATS: usize = 10_000;
const DAY_MS: i64 = 86_400_000;
