//! Bad days: what is missing, away or in the way stops the flow, is said in words, and loses nothing.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_testkit::corpus::{Corpus, Flaws, Options, Produced, rfc_3339};
use weir_testkit::readers::Engine;

use crate::broker::{Broker, OwnBroker};
#[cfg(feature = "real-store")]
use crate::bucket::Place;
use crate::expected::{Expected, covered};
use crate::program::{Daemon, Weir, has_committed, has_read};
use crate::world::{Settings, World, name};

/// Without its consent topic weir writes nothing and says why; once the topic is there, it goes on by itself.
#[test]
fn missing_consent_topic_stops_the_flow() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("missing")) };
    let scene = Scene::new(&broker, settings, 17);
    broker.create(&scene.topic(), 1, &[]);
    scene.send(&broker);

    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_stopped_by(&["consent"]);
    assert_eq!(scene.rows_found(), 0, "nothing may be written without knowing who agreed");
    broker.create_consent_topics(&scene.settings, 1);
    broker.consent(&scene.settings, scene.world.consents(&scene.corpus));
    daemon.until_ready();
    // What was read before the consents came is denied for good, and accounted for like everything else.
    daemon.until("all is committed", |daemon| has_committed(daemon, EVENTS));
    stop(daemon);
    assert_eq!(covered(&scene.world, "true"), 3 * EVENTS);
    assert_audit_passes(&scene.world);
}

/// A topic of events that is missing is said for as long as it is: librdkafka tells of it once in minutes.
#[test]
fn missing_topic_is_said_until_it_is_there() {
    let broker = Broker::given();
    let scene = Scene::new(&broker, Settings::of_kafka(&broker.address, &name("absent")), 18);
    broker.create_consent_topics(&scene.settings, 1);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_stopped_by(&["kafka: topic does not exist", &scene.topic()]);
    // Longer than the brokers are not asked for the ends of the partitions.
    thread::sleep(Duration::from_secs(7));
    let page = daemon.page("/readyz");
    assert!(page.contains("kafka: topic does not exist"), "{page}");
    daemon.kill();
}

/// Nobody said anything, so nothing passes (LK-32); every event is accounted for as denied.
#[test]
fn empty_consent_store_passes_nothing() {
    let broker = Broker::given();
    let scene = Scene::new(&broker, Settings::of_kafka(&broker.address, &name("nobody")), 18);
    broker.create_topics(&scene.settings, 1);
    scene.send(&broker);
    Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_done();
    assert_eq!(scene.rows_found(), 0);
    assert_eq!(covered(&scene.world, "fate = 'written'"), 0);
    assert!(covered(&scene.world, "reason = 'no_tenant_agreement'") > EVENTS, "each of three purposes denies");
    assert_audit_passes(&scene.world);
}

/// Who withdraws while rows wait for their commit is not in the lake, and is counted.
#[test]
fn withdrawal_before_the_commit_counts() {
    let broker = Broker::given();
    // Nothing but the signal closes the batch.
    let settings = Settings { commit_interval: "1h", ..Settings::of_kafka(&broker.address, &name("withdraw")) };
    let scene = Scene::new(&broker, settings, 19);
    broker.create(&scene.topic(), 1, &[]);
    // One partition, so that records are taken in order and the last tells that all are.
    broker.create_consent_topics(&scene.settings, 1);
    broker.consent(&scene.settings, scene.world.consents(&scene.corpus));
    scene.send(&broker);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until("all is read", |daemon| has_read(daemon, EVENTS));

    let people = |daemon: &Daemon| daemon.metrics().sum("weir_consent_people", &[]);
    let before = people(&daemon);
    let withdrawals = scene.withdrawals();
    let last = inbox_record(&json!({
        "tenant": scene.corpus.person(0).tenant, "kind": "user", "subject": "somebody new", "purpose": "reliability",
        "status": "refused", "at": rfc_3339(scene.world.now_ms),
    }));
    broker.consent(&scene.settings, withdrawals.iter().cloned().chain([last]));
    daemon.until("the withdrawals are known", |daemon| people(daemon) > before + 0.5);
    stop(daemon);

    let consents = scene.world.consents(&scene.corpus).chain(withdrawals);
    Expected::of(&scene.world, &scene.corpus, consents, scene.events()).assert_read_by(&scene.world, &Engine::QUICK);
    assert!(covered(&scene.world, "reason = 'withdrawn_before_commit'") > 0);
    assert!(scene.rows_found() > 0, "those who did not withdraw are there");
    assert_audit_passes(&scene.world);
}

/// The topic is read once more from its first offset, into an empty lake: who withdrew or was erased since does not come back
/// (LK-29), and a yes that is given again does not reach back to the events of the no (LK-34).
#[test]
fn replay_brings_back_nobody_who_withdrew_or_was_erased() {
    let broker = Broker::given();
    let scene = Scene::agreed(&broker, Settings::of_kafka(&broker.address, &name("replay")), 27, 1);
    scene.send(&broker);
    let run = || Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_done();
    run();
    scene.assert_rows();

    let replayed = |said: &[Produced]| {
        broker.consent(&scene.settings, said.iter().cloned());
        // An operator who wants a new lake says so: the ring remembers the ledger of the old one.
        fs::remove_dir_all(scene.world.path("lake")).unwrap();
        fs::remove_dir_all(scene.world.path("keys/heads")).unwrap();
        run();
        let consents = scene.world.consents(&scene.corpus).chain(said.iter().cloned());
        let expected = Expected::of(&scene.world, &scene.corpus, consents, scene.events());
        expected.assert_read_by(&scene.world, &[Engine::Deltalake]);
        assert_audit_passes(&scene.world);
        expected.rows()
    };
    let before = scene.rows_found();
    let withdrawn = scene.withdrawals();
    let left = replayed(&withdrawn);
    assert!(0 < left && left < before, "{left} of {before} rows are left");
    // After every event, also after those whose producers' clocks are ahead.
    let later_ms = scene.world.now_ms + 570_000;
    let again: Vec<_> = withdrawn.iter().map(|no| said_anew(no, "given", later_ms)).collect();
    assert_eq!(replayed(&again), left, "a yes reached back");
    assert!(covered(&scene.world, "reason = 'consent_after_event'") > 0);
    let erasures = scene.world.consents(&scene.corpus).filter_map(|consent| erasure(&consent, later_ms));
    let nobody = replayed(&again.into_iter().chain(erasures).collect::<Vec<_>>());
    assert_eq!(nobody, covered(&scene.world, "fate = 'written' AND event_type LIKE '%.health'"), "somebody came back");
}

/// A lake that cannot be written stops the flow; what was read is written when it can be, and the daemon stays in its group. Also
/// where a partition starts at its end: it starts once.
#[test]
fn lake_that_is_away_stops_the_flow() {
    let broker = Broker::given();
    let mut settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("lake")) };
    // A member without a name of its own: were it to leave, its partitions would move.
    settings.kafka.as_mut().unwrap().instance = None;
    let group = settings.kafka.as_ref().unwrap().group.clone();
    let scene = Scene::agreed(&broker, settings, 20, 1);
    let mut daemon = Daemon::start(&scene.world, ["--set", "source.kafka.start=latest"]);
    daemon.until_ready();
    let members = broker.members(&group);

    let (lake, away) = (scene.world.path("lake"), scene.world.path("lake.away"));
    fs::rename(&lake, &away).unwrap();
    fs::write(&lake, "a file where a folder belongs").unwrap();
    scene.send(&broker);
    daemon
        .until("a commit fails", |daemon| daemon.metrics().sum("weir_commits_total", &[("outcome", "retried")]) > 0.0);
    daemon.until_stopped_by(&["lake"]);
    fs::remove_file(&lake).unwrap();
    fs::rename(&away, &lake).unwrap();
    daemon.until_ready();
    daemon.until("the lake has what was read", |daemon| has_committed(daemon, EVENTS));
    assert_eq!(broker.members(&group), members, "the daemon left its group and came again");
    stop(daemon);
    scene.assert_rows();
}

/// A partition that starts at its end starts there once, and not at a later end each time: what comes while no daemon runs is read,
/// though nothing was before.
#[test]
fn partition_that_starts_at_its_end_starts_once() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "10m", ..Settings::of_kafka(&broker.address, &name("latest")) };
    let scene = Scene::agreed(&broker, settings, 26, 2);
    let latest = ["run", "--until-caught-up", "--set", "source.kafka.start=latest"];
    Weir::new(&scene.world, latest).run().assert_done();
    scene.send(&broker);
    Weir::new(&scene.world, latest).run().assert_done();
    scene.assert_rows();
    assert_audit_passes(&scene.world);
}

/// What nobody can vouch for stops the flow for longer than the partitions are left unpaused; then it goes on by itself.
#[test]
fn flow_goes_on_after_a_long_wait() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("pause")) };
    let scene = Scene::agreed(&broker, settings, 25, 1);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_ready();
    scene.write_state(&broker, Some(b"nor a state"));
    daemon.until_stopped_by(&["consent_stale"]);
    scene.send(&broker);
    let stopped = Instant::now();
    daemon.until("the wait is long", |_| stopped.elapsed() > Duration::from_secs(7));
    scene.write_state(&broker, None);
    daemon.until("all is committed", |daemon| has_committed(daemon, EVENTS));
    stop(daemon);
    scene.assert_rows();
}

/// A daemon that the group took for dead while its batch waits for consent lets the batch go, and has it again with its partitions.
#[test]
fn batch_that_waits_is_let_go_with_its_partitions() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "8s", ..Settings::of_kafka(&broker.address, &name("let-go")) };
    let scene = Scene::agreed(&broker, settings, 30, 1);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_ready();
    scene.write_state(&broker, Some(b"nor a state"));
    scene.send(&broker);
    let waiting = |daemon: &Daemon| daemon.metrics().sum("weir_in_flight_columns_bytes", &[]) > 0.5;
    daemon.until("a batch waits for its commit", waiting);
    daemon.until_stopped_by(&["consent_stale"]);
    daemon.signal("STOP");
    // Longer than the group waits for a member.
    thread::sleep(Duration::from_secs(8));
    daemon.signal("CONT");
    daemon.until("the batch is let go", |daemon| !waiting(daemon));
    assert!(commits(&daemon) < 0.5, "a commit without knowing who withdrew");
    scene.write_state(&broker, None);
    daemon.until("all is committed", |daemon| commits(daemon) > 0.5 && has_committed(daemon, EVENTS));
    assert!(daemon.metrics().sum("weir_queue_depth", &[]).abs() < 0.5, "a batch counts as one that waits for ever");
    stop(daemon);
    scene.assert_rows();
}

/// A broker that dies takes the consent store's freshness with it: what is read stays uncommitted, however long it takes
/// (LK-33). When the broker is back, everything arrives, once.
#[test]
fn broker_that_dies_stops_the_flow_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut own = OwnBroker::start(&folder.path().join("kafka"));
    let broker = own.broker();
    let settings = Settings { commit_interval: "10s", ..Settings::of_kafka(&broker.address, &name("broker")) };
    let scene = Scene::agreed(&broker, settings, 21, 2);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_ready();
    scene.send(&broker);
    daemon.until("some is read", |daemon| daemon.metrics().sum("weir_records_total", &[]) > 0.5);

    own.kill();
    daemon.until_stopped_by(&["consent_stale"]);
    let before = commits(&daemon);
    let died = Instant::now();
    // Longer than a batch may stay open: its commit is due, and must wait.
    while died.elapsed() < Duration::from_secs(12) {
        assert!((commits(&daemon) - before).abs() < 0.5, "a commit without knowing who withdrew");
        thread::sleep(Duration::from_millis(200));
    }
    own.restart();
    daemon.until_ready();
    daemon.until("all is committed", |daemon| has_committed(daemon, EVENTS));
    stop(daemon);
    scene.assert_rows();
}

/// The object store goes away in the middle and comes back: the flow stops and says so, and nothing is lost or there twice.
#[cfg(feature = "real-store")]
#[test]
fn object_store_that_dies_stops_the_flow_and_loses_nothing() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("store")) };
    let mut place = Place::new(settings);
    let scene = Scene::new(&broker, place.settings.clone(), 29);
    place.show_in(&scene.world);
    broker.create_topics(&scene.settings, 2);
    broker.consent(&scene.settings, scene.world.consents(&scene.corpus));
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_ready();
    broker.produce(&scene.topic(), 1, scene.events().take(HALF));
    daemon.until("something is committed", |daemon| commits(daemon) > 0.5);
    // Another batch is open, and its commit begins within the second.
    broker.produce(&scene.topic(), 1, scene.events().skip(HALF));
    daemon.until("some of it is read", |daemon| has_read(daemon, EVENTS / 2 + 1));
    place.store.kill();
    daemon.until_stopped_by(&["lake", "no connection to the store"]);
    assert!(daemon.page("/livez").starts_with("200 "), "it waits, and is not to be killed for that");
    place.store.start_again();
    daemon.until_ready();
    daemon.until("all is committed", |daemon| has_committed(daemon, EVENTS));
    stop(daemon);
    scene.assert_rows();
    let expected = Expected::of(&scene.world, &scene.corpus, scene.world.consents(&scene.corpus), scene.events());
    place.assert_read(&expected, &[Engine::Deltalake, Engine::DuckDb]);
}

/// Records that the broker lost stop their partition, with the command that accepts it; then it goes on, and the loss is told.
#[test]
fn gap_stops_the_partition_until_its_loss_is_accepted() {
    let broker = Broker::given();
    let scene = Scene::agreed(&broker, Settings::of_kafka(&broker.address, &name("gap")), 22, 1);
    let call = |line: String| Weir::new(&scene.world, line.split(' ').collect::<Vec<_>>()).run();
    let run = || call("run --until-caught-up".to_owned());
    scene.send(&broker);
    run().assert_done();

    scene.send(&broker);
    let first = EVENTS + LOST;
    broker.lose(&scene.topic(), first);
    let stopped = run();
    assert_eq!(stopped.status.code(), Some(69), "{}", stopped.stderr);
    let command = |to| format!("lake accept-gap {} 0 --to {to}", scene.topic());
    assert!(stopped.stderr.contains(&format!("`weir {}`", command(first))), "{}", stopped.stderr);
    let too_much = call(command(first + 1));
    assert_eq!(too_much.status.code(), Some(64), "only what is gone is lost: {}", too_much.stderr);
    call(command(first)).assert_done();
    assert_eq!(call(command(first)).status.code(), Some(64), "a loss is accepted once");
    run().assert_done();

    let events = scene.events().chain(scene.events().skip(LOST.try_into().unwrap()));
    let consents = scene.world.consents(&scene.corpus);
    Expected::of(&scene.world, &scene.corpus, consents, events).assert_read_by(&scene.world, &[Engine::Deltalake]);
    assert_eq!(covered(&scene.world, "fate = 'lost'"), LOST);
    assert_eq!(covered(&scene.world, "fate <> 'lost'"), 3 * (2 * EVENTS - LOST));
    assert_audit_passes(&scene.world);
}

/// A crash after the tables' commits and before the coverage's: the next run finishes that batch with its end. What is in
/// quarantine by then is not judged again, and nothing is there twice.
#[test]
fn batch_without_its_coverage_is_finished() {
    let broker = Broker::given();
    let scene = Scene::agreed(&broker, Settings::of_kafka(&broker.address, &name("halfway")), 26, 1);
    scene.send(&broker);
    let run = || Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_done();
    let quarantine = || Weir::new(&scene.world, ["quarantine", "ls"]).run().assert_done();
    run();
    let (before, counted) = (quarantine(), covered(&scene.world, "fate = 'quarantined'"));
    assert!(counted > 0, "nothing is in quarantine");

    forget_newest_entry(&scene.world);
    run();
    assert_eq!((quarantine(), covered(&scene.world, "fate = 'quarantined'")), (before, counted));
    scene.assert_rows();
}

/// The same, and its records are gone: its partition stops, and no other waits for it.
#[test]
fn batch_that_cannot_be_finished_holds_up_no_other_partition() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("unfinished")) };
    let scene = Scene::agreed(&broker, settings, 27, 2);
    scene.send(&broker);
    Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_done();
    forget_newest_entry(&scene.world);
    broker.lose(&scene.topic(), EVENTS);

    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_stopped_by(&["gap"]);
    broker.produce(&scene.topic(), 2, scene.events());
    daemon.until("the other partition is read", |daemon| has_committed(daemon, EVENTS / 2));
    stop(daemon);
}

/// A table of another tool stops the flow; once an operator skips it, its rows are denied and the others are written.
#[test]
fn skipped_table_does_not_hold_up_the_others() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("skip")) };
    let scene = Scene::agreed(&broker, settings, 23, 1);
    scene.send(&broker);
    Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_done();
    let skipped = "reliability/com.example.checkout.completed";
    scene.world.outdate(skipped);
    scene.send(&broker);
    let mut daemon = Daemon::start(&scene.world, []);
    daemon.until_stopped_by(&["table_refused", skipped]);
    daemon.kill();

    let skip = format!("lake.skip=[\"{skipped}\"]");
    Weir::new(&scene.world, ["run", "--until-caught-up", "--set", &skip]).run().assert_done();
    let refused = covered(&scene.world, "reason = 'table_refused'");
    assert!(refused > 0 && refused < covered(&scene.world, "fate = 'written'"), "{refused} are refused");
    assert_eq!(covered(&scene.world, "true"), 2 * 3 * EVENTS);
    Weir::new(&scene.world, ["audit", "--set", &skip]).run().assert_done();
    // Whoever asks what there is hears that this is not all.
    let out = scene.world.path("answer");
    let ask = ["subject", "access", "--tenant", "acme", "--kind", "user", "--id", "u-1", "--set", &skip, "--out"];
    let why = Weir::new(&scene.world, ask.into_iter().chain(out.to_str())).run().assert_refused(75);
    assert!(why.contains(skipped), "{why}");
    assert!(fs::read_to_string(out.join("index.html")).unwrap().contains("This is not everything."));
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) settings: Settings,
    pub(crate) corpus: Corpus,
}

impl Scene {
    pub(crate) fn new(broker: &Broker, settings: Settings, seed: u64) -> Self {
        assert_eq!(settings.kafka.as_ref().unwrap().brokers, broker.address);
        let world = World::new(&settings);
        let flaws = Flaws { unknown_type: 0, ..Flaws::default() };
        let corpus =
            world.corpus(seed, Options { people: 60, tenants: 5, events: EVENTS, flaws, ..Options::ending(0) });
        Self { world, settings, corpus }
    }

    /// The same, with its topics, where tenants and people have said what they want.
    fn agreed(broker: &Broker, settings: Settings, seed: u64, partitions: i32) -> Self {
        let scene = Self::new(broker, settings, seed);
        broker.create_topics(&scene.settings, partitions);
        broker.consent(&scene.settings, scene.world.consents(&scene.corpus));
        scene
    }

    pub(crate) fn topic(&self) -> String {
        self.settings.kafka.as_ref().unwrap().topic.clone()
    }

    fn events(&self) -> impl Iterator<Item = Produced> {
        (0..EVENTS).map(|number| self.corpus.event(number))
    }

    pub(crate) fn send(&self, broker: &Broker) {
        broker.produce(&self.topic(), 1, self.events());
    }

    /// Writes what is not weir's into the topic that only weir writes, or removes it.
    fn write_state(&self, broker: &Broker, value: Option<&[u8]>) {
        let state = format!("{}.state", self.settings.consent_topic.as_ref().unwrap());
        let value = value.map(<[u8]>::to_vec);
        let record = Produced { key: b"not a key of weir".to_vec(), headers: Vec::new(), value };
        broker.produce(&state, 1, std::iter::once(record));
    }

    /// Returns a withdrawal for every second consent that was given.
    fn withdrawals(&self) -> Vec<Produced> {
        let given = self.world.consents(&self.corpus).filter_map(|consent| {
            let mut record: Value = serde_json::from_slice(consent.value.as_deref().unwrap()).unwrap();
            let status = record["status"].as_str().unwrap_or("none, an erasure");
            let is_given = record["kind"].is_string() && ["given", "renewed"].contains(&status);
            record["status"] = json!("withdrawn");
            record["at"] = json!(rfc_3339(self.world.now_ms));
            record.as_object_mut().unwrap().remove("valid_until");
            is_given.then(|| inbox_record(&record))
        });
        given.step_by(2).collect()
    }

    /// Demands that the lake has the reference's rows, and its accounts add up.
    #[track_caller]
    fn assert_rows(&self) {
        let consents = self.world.consents(&self.corpus);
        let expected = Expected::of(&self.world, &self.corpus, consents, self.events());
        assert!(expected.rows() > 500, "{} rows prove little", expected.rows());
        expected.assert_read_by(&self.world, &[Engine::Deltalake]);
        assert_audit_passes(&self.world);
    }

    fn rows_found(&self) -> u64 {
        Expected::read(&self.world, Engine::Deltalake).rows()
    }
}

/// Makes the lake what it was if the process had died right before the newest entry of the coverage.
fn forget_newest_entry(world: &World) {
    let log = world.path("lake/eu/_coverage/_delta_log");
    let newest = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    fs::remove_file(newest).unwrap();
}

/// Returns what a person says of the same purpose at another instant.
fn said_anew(said: &Produced, status: &str, at_ms: i64) -> Produced {
    let mut record: Value = serde_json::from_slice(said.value.as_deref().unwrap()).unwrap();
    record["status"] = json!(status);
    record["at"] = json!(rfc_3339(at_ms));
    inbox_record(&record)
}

/// Returns the erasure of the person that a consent names; nothing for a tenant's agreement.
fn erasure(consent: &Produced, before_ms: i64) -> Option<Produced> {
    let record: Value = serde_json::from_slice(consent.value.as_deref().unwrap()).unwrap();
    let (tenant, kind, subject) = (&record["tenant"], record.get("kind")?, record.get("subject")?);
    Some(inbox_record(&json!({
        "tenant": tenant, "kind": kind, "subject": subject, "purpose": "*", "erased_before": rfc_3339(before_ms),
    })))
}

/// Counts the batches that a daemon committed.
fn commits(daemon: &Daemon) -> f64 {
    daemon.metrics().sum("weir_commits_total", &[("outcome", "committed")])
}

/// Asks a daemon to end, and demands that it does as it should.
#[track_caller]
fn stop(daemon: Daemon) {
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
}

#[track_caller]
fn assert_audit_passes(world: &World) {
    Weir::new(world, ["audit"]).run().assert_done();
}

/// Makes a record of the inbox with the key that it must have.
fn inbox_record(record: &Value) -> Produced {
    let [tenant, kind, subject] = ["tenant", "kind", "subject"].map(|member| record[member].as_str().unwrap());
    let key = format!("{tenant}/{kind}/{subject}").into_bytes();
    Produced { key, headers: Vec::new(), value: Some(record.to_string().into_bytes()) }
}

const EVENTS: u64 = 2_000;
#[cfg(feature = "real-store")]
const HALF: usize = 1_000;
/// How many of them the broker loses.
const LOST: u64 = 500;
