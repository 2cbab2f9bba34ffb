//! A day with the keys in a vault, while the daemon writes; and a night on which the vault is away.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_daemon::Config;
use weir_keys::{Wrap as _, WrapError};
use weir_policy::PurposeId;
use weir_testkit::corpus::{Corpus, Options, Produced};
use weir_testkit::readers::{Endpoint, Engine};
use weir_testkit::vault::Vault;
use weir_vault::{Provider, Settings as VaultSettings, Vault as Client};

use crate::broker::Broker;
use crate::expected::{Expected, covered};
use crate::gate::opened_for;
use crate::program::{Daemon, Weir};
use crate::world::{Settings, World, copy, every_file, name};

/// A ring is moved into the vault, its keys are rotated and its files wrapped anew while events flow; a tenant and an epoch are
/// destroyed, which ends them in the running daemon and in a ring that is restored from before; and no secret lies anywhere.
#[test]
fn whole_day_with_the_keys_in_a_vault() {
    let scene = Scene::new("vault-day", 71, |settings| settings);
    scene.weir(&["run", "--until-caught-up"]);
    let secrets = secrets_in_clear(&scene.world.path("keys"));
    assert!(secrets.iter().all(|secret| found(&scene.world, secret)), "the search finds secrets in clear");
    scene.use_vault();
    Weir::new(&scene.world, ["run", "--until-caught-up"]).run().assert_refused(77);
    scene.weir(&["keys", "wrap"]);

    let mut daemon = Daemon::with_config(&scene.world, "daemon.toml", []);
    daemon.until_ready();
    scene.send(&mut daemon, 0);
    scene.weir(&["keys", "rotate"]);
    scene.send(&mut daemon, 1);
    let mut expected = scene.expected(0);
    expected.join(scene.expected(1));
    scene.weir(&["keys", "rewrap"]);
    let status = scene.weir(&["keys", "status", "--format", "json"]);
    assert!(status.contains(r#""oldest_version_in_use": "2""#) && status.contains("open, version"), "{status}");
    let backup = scene.world.path("backup");
    scene.weir(&["keys", "backup", backup.to_str().unwrap()]);

    let tenant = scene.corpus.person(0).tenant;
    let purpose = PurposeId::Troubleshooting;
    let epoch = scene.world.policy.purposes().epoch(purpose, scene.world.now_ms).to_string();
    scene.weir(&["keys", "destroy", "--tenant", tenant]);
    scene.weir(&["keys", "destroy", "--purpose", purpose.name(), "--epoch", &epoch]);
    let keys = scene.bao.bao(["list", "transit/keys"]);
    assert!(!keys.contains(&format!("weir-{}-{epoch}\n", purpose.name())), "{keys}");
    // Whatever it has cached is confirmed once more, or gone.
    until_confirmed(&mut daemon, RING);
    let closed = covered(&scene.world, "reason = 'epoch_closed'");
    scene.send(&mut daemon, 2);
    assert!(covered(&scene.world, "reason = 'epoch_closed'") > closed, "nobody was denied for want of a secret");
    expected.join(scene.expected(2));
    expected.assert_read_by(&scene.world, &Engine::QUICK);

    // Who has the backup of the morning has what the vault wrapped, and no key that opens it.
    stop(daemon);
    let heads = scene.world.path("heads");
    fs::rename(scene.world.path("keys/heads"), &heads).unwrap();
    fs::rename(scene.world.path("keys"), scene.world.path("lost")).unwrap();
    scene.weir(&["keys", "restore", backup.to_str().unwrap()]);
    fs::rename(&heads, scene.world.path("keys/heads")).unwrap();
    let mut daemon = Daemon::with_config(&scene.world, "daemon.toml", []);
    daemon.until_ready();
    scene.send(&mut daemon, 3);
    expected.join(scene.expected(3));
    assert!(!scene.world.ring().snapshot().has_tenant(tenant));
    expected.assert_read_by(&scene.world, &Engine::QUICK);

    let command_line = fs::read(format!("/proc/{}/cmdline", daemon.id())).unwrap();
    for secret in &secrets {
        assert!(!found(&scene.world, secret), "a secret lies in clear");
        assert!(!holds(&command_line, secret));
    }
    let login = fs::read(scene.bao.path("weir-daemon-secret-id")).unwrap();
    assert!(!found(&scene.world, &login) && !holds(&command_line, &login), "the login is known to more than its file");
    stop(daemon);
    scene.weir(&["audit", "--ledger"]);
    let told = told(&scene.world);
    for what in ["wrap_ring", "rotate_ring", "rewrap_ring", "destroy_secret"] {
        assert!(told.contains(&format!(r#""what":"{what}""#)), "the ledger does not know of {what}");
    }
}

/// The vault is sealed while events flow: the daemon goes on with what it has for as long as it may, then stops and says why;
/// nothing is lost, nothing is written meanwhile, and it goes on by itself.
#[test]
fn vault_that_is_away_stops_the_flow_once_nothing_may_be_used_any_more() {
    let scene = Scene::new("vault-away", 72, |mut settings| {
        settings.kafka.as_mut().unwrap().instance = None;
        settings
    });
    fs::remove_dir_all(scene.world.path("keys")).unwrap();
    scene.use_vault();
    scene.weir(&["keys", "init"]);
    let mut daemon = Daemon::with_config(&scene.world, "daemon.toml", []);
    daemon.until_ready();
    scene.send(&mut daemon, 0);
    let members = scene.broker.members(&scene.group);

    scene.bao.seal();
    scene.send(&mut daemon, 1);
    daemon.until_stopped_by(&["keys", "did not confirm", "sealed"]);
    assert!(daemon.metrics().sum("weir_obstacle", &[("obstacle", "keys")]) > 0.5);
    assert!(daemon.metrics().sum("weir_keys_confirmations_total", &[("outcome", "failed")]) > 0.5);
    scene.produce(2);
    std::thread::sleep(Duration::from_secs(2));
    assert!(fates(&daemon) < 2.5 * PART_FATES, "events were judged without secrets");
    let status = Weir::new(&scene.world, ["keys", "status"]).run();
    assert!(status.stdout.contains("sealed"), "{}", status.stdout);
    status.assert_refused(69);
    scene.bao.unseal();
    daemon.until_ready();
    daemon.until("what came meanwhile is committed", |daemon| fates(daemon) > 3.0 * PART_FATES);
    assert_eq!(scene.broker.members(&scene.group), members, "the daemon left its group and came again");

    // Away for a moment, in whatever way, nobody notices.
    scene.bao.freeze(true);
    scene.produce(3);
    daemon.until("the flow goes on", |daemon| fates(daemon) > 4.0 * PART_FATES);
    scene.bao.freeze(false);
    until_confirmed(&mut daemon, RING);

    // Weir's right to unwrap is taken away: that is said by name, once nothing may be used any more.
    scene.bao.policy(DAEMON, r#"path "none" { capabilities = ["read"] }"#);
    daemon.until_stopped_by(&["keys", "transit/decrypt/weir-ring"]);
    scene.bao.policy(DAEMON, policies()[0]);
    daemon.until_ready();
    stop(daemon);
    assert_eq!(
        told(&scene.world).matches(r#""kind":"keys""#).count(),
        2,
        "the ledger takes secrets that lapsed for destroyed"
    );
    let mut expected = Expected::default();
    for part in 0..4 {
        expected.join(scene.expected(part));
    }
    expected.assert_read_by(&scene.world, &Engine::QUICK);
    scene.weir(&["audit"]);
}

/// Both layers in one vault, each in a mount of its own with logins of its own. A day in which both get new keys while events flow, an old
/// version of the store's, a tenant and an epoch are destroyed, and old copies of both folders come back; who may read goes on reading.
#[test]
fn whole_day_with_both_layers_in_a_vault() {
    let scene = Scene::new("layers-day", 73, layered);
    let secrets = scene.move_into_vaults();
    let mut daemon = Daemon::with_config(&scene.world, "daemon.toml", []);
    daemon.until_ready();
    scene.send(&mut daemon, 0);
    let mut expected = scene.expected(0);
    expected.join(scene.expected(1));
    scene.send_while(&mut daemon, 1, || {
        for verbs in ["rotate", "rotate-store", "rewrap", "rewrap-store"] {
            scene.weir(&["keys", verbs]);
        }
        scene.weir(&["lake", "reseal"]);
    });
    let status = scene.weir(&["keys", "status", "--format", "json"]);
    assert!(status.contains(r#""oldest_version_in_use": "2""#), "{status}");
    assert!(status.contains(r#""store_newest_version": "2""#), "{status}");
    assert!(status.contains(r#""store_to_be_wrapped_anew": "0""#), "{status}");
    let (endpoint, gate) = scene.gate();
    scene.assert_read(&endpoint, &expected, &PurposeId::ALL);
    scene.keep_keys();

    scene.weir(&["lake", "reseal"]);
    assert_eq!(crate::sealed::versions(&scene.world), [2]);
    scene.weir(&["keys", "destroy", "--store-version", "1"]);
    let keys = scene.bao.bao(["list", "transit-store/keys"]);
    assert!(keys.contains("weir-store-2") && !keys.contains("weir-store-1"), "{keys}");
    let tenant = scene.corpus.person(0).tenant;
    let purpose = PurposeId::Troubleshooting;
    let epoch = scene.world.policy.purposes().epoch(purpose, scene.world.now_ms).to_string();
    scene.weir(&["keys", "destroy", "--tenant", tenant]);
    scene.weir(&["keys", "destroy", "--purpose", purpose.name(), "--epoch", &epoch]);
    until_confirmed(&mut daemon, RING);
    until_confirmed(&mut daemon, STORE);
    scene.send(&mut daemon, 2);
    let closed = daemon.metrics().sum("weir_events_total", &[("reason", "epoch_closed")]);
    assert!(closed > 0.5, "nobody was denied for want of a secret");
    expected.join(scene.expected(2));
    // Files of the destroyed epoch are read by nobody; the other purposes' are.
    let readable = [PurposeId::Reliability, PurposeId::Personalization];
    scene.assert_read(&endpoint, &expected, &readable);

    stop(daemon);
    scene.set_back_keys();
    let mut daemon = Daemon::with_config(&scene.world, "daemon.toml", []);
    daemon.until_ready();
    scene.send(&mut daemon, 3);
    expected.join(scene.expected(3));
    assert!(!scene.world.ring().snapshot().has_tenant(tenant));
    let status = scene.weir(&["keys", "status", "--format", "json"]);
    assert!(status.contains(r#""store_destroyed_in_the_vault_only": "1""#), "{status}");
    scene.assert_read(&endpoint, &expected, &readable);

    scene.assert_secret(&secrets, &[&daemon, &gate]);
    stop(gate);
    stop(daemon);
    scene.weir(&["audit"]);
    scene.weir(&["audit", "--ledger"]);
    let told = told(&scene.world);
    for what in ["wrap_store", "rotate_ring", "rotate_store", "rewrap_ring", "rewrap_store", "destroy_secret"] {
        assert!(told.contains(&format!(r#""what":"{what}""#)), "the ledger does not know of {what}");
    }
    assert!(told.contains(r#""secret":"store-1""#), "the ledger does not know which version was destroyed");
}

/// The store's keys are in another vault, which is sealed while events flow: daemon and gate go on for as long as they may, then stop and
/// say why; nothing is lost and nothing is written in clear. What is deleted in that vault opens for nobody soon after.
#[test]
fn store_vault_that_is_away_stops_flow_and_gate_once_nothing_may_be_used_any_more() {
    let mut scene = Scene::new("store-away", 74, |settings| Settings { files: "clear", ..layered(settings) });
    scene.store_bao = Some(Vault::start());
    for folder in ["keys", "store-keys"] {
        fs::remove_dir_all(scene.world.path(folder)).unwrap();
    }
    scene.use_vaults();
    scene.weir(&["keys", "init"]);
    scene.weir(&["keys", "init-store"]);
    let mut daemon = Daemon::with_config(&scene.world, "daemon.toml", []);
    daemon.until_ready();
    scene.send(&mut daemon, 0);
    let (endpoint, mut gate) = scene.gate();
    let of = |part| scene.expected(part);
    let mut expected = of(0);
    assert_read_in_clear(&endpoint, &expected);

    let store = scene.store_bao();
    store.seal();
    scene.send(&mut daemon, 1);
    daemon.until_stopped_by(&["store_keys", "did not confirm the store's keys", "sealed"]);
    assert!(daemon.metrics().sum("weir_obstacle", &[("obstacle", "store_keys")]) > 0.5);
    assert!(daemon.metrics().sum("weir_obstacle", &[("obstacle", "keys")]) < 0.5, "the ring's vault is there");
    assert!(daemon.metrics().sum("weir_store_keys_confirmations_total", &[("outcome", "failed")]) > 0.5);
    gate.until_stopped_by(&["store_keys", "did not confirm the store's keys", "sealed"]);
    let table = "s3://eu/reliability/com.example.checkout.completed".to_owned();
    Engine::DuckDb.digests_at(&endpoint, std::slice::from_ref(&table)).expect_err("the gate opens objects");
    scene.produce(2);
    std::thread::sleep(Duration::from_secs(8));
    assert!(fates(&daemon) < 2.5 * PART_FATES, "a batch was committed without the store's keys");
    let ready = daemon.page("/readyz");
    assert!(!ready.contains("consent_stale"), "people's choices wait for the store's vault: {ready}");
    assert_eq!(crate::sealed::versions(&scene.world), [1], "an object lies in clear");
    let status = Weir::new(&scene.world, ["keys", "status"]).run();
    assert!(status.stdout.contains("sealed") && status.stdout.contains("open, version"), "{}", status.stdout);
    status.assert_refused(69);
    Weir::new(&scene.world, ["lake", "ls"]).run().assert_refused(69);
    store.unseal();
    daemon.until_ready();
    daemon.until("what came meanwhile is committed", |daemon| fates(daemon) > 3.0 * PART_FATES);
    gate.until_ready();

    // The daemon's right in that mount is taken away, which is said by name.
    store.policy("weir-daemon-store", r#"path "none" { capabilities = ["read"] }"#);
    daemon.until_stopped_by(&["store_keys", "transit-store/decrypt/weir-store-1"]);
    store.policy("weir-daemon-store", policies()[3]);
    daemon.until_ready();
    for part in [1, 2] {
        expected.join(of(part));
    }
    assert_read_in_clear(&endpoint, &expected);
    // In another mount there are no such keys, which ends nothing.
    scene.refuse_other_mount();

    scene.weir(&["keys", "rotate-store"]);
    scene.send(&mut daemon, 3);
    expected.join(of(3));
    assert_read_in_clear(&endpoint, &expected);
    stop(daemon);
    scene.weir(&["audit"]);
    store.bao(["write", "transit-store/keys/weir-store-1/config", "deletion_allowed=true"]);
    store.bao(["delete", "transit-store/keys/weir-store-1"]);
    until_confirmed(&mut gate, STORE);
    Engine::DuckDb.digests_at(&endpoint, &[table]).expect_err("what the deleted version sealed was read");
    stop(gate);
}

/// Settings of a lake with both layers.
fn layered(settings: Settings) -> Settings {
    Settings { sealed: true, files: "encrypted", ..settings }
}

struct Scene {
    bao: Vault,
    /// The vault of the store's keys, if it is another.
    store_bao: Option<Vault>,
    broker: Broker,
    world: World,
    settings: Settings,
    group: String,
    corpus: Corpus,
}

impl Scene {
    /// Makes a world whose ring lies in clear, a vault, and topics with everybody's choices.
    fn new(test: &str, seed: u64, change: impl FnOnce(Settings) -> Settings) -> Self {
        let (bao, broker) = (Vault::start(), Broker::given());
        let settings = change(Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name(test)) });
        let world = World::new(&settings);
        broker.create_topics(&settings, 1);
        let corpus = world.corpus(seed, Options { people: 60, tenants: 5, events: 4 * EVENTS, ..Options::ending(0) });
        broker.consent(&settings, world.consents(&corpus));
        let group = settings.kafka.as_ref().unwrap().group.clone();
        Self { bao, store_bao: None, broker, world, settings, group, corpus }
    }

    /// Names the vault in the configurations of the daemon and of an operator, whose roles may do what the documents say and no more.
    fn use_vault(&self) {
        let [daemon, operator, ..] = policies();
        self.configure("weir.toml", login("keys.vault", &self.bao, "transit", "operator", operator));
        self.configure("daemon.toml", login("keys.vault", &self.bao, "transit", DAEMON, daemon));
    }

    /// The same for both layers and for the gate, each with two logins.
    fn use_vaults(&self) {
        self.store_bao().bao(["secrets", "enable", "-path=transit-store", "transit"]);
        let [daemon, operator, gate, store, store_operator] = policies();
        for (file, role, of_ring, of_store) in [
            ("weir.toml", "operator", operator, store_operator),
            ("daemon.toml", DAEMON, daemon, store),
            ("gate-base.toml", "gate", gate, store),
        ] {
            let ring = login("keys.vault", &self.bao, "transit", role, of_ring);
            let role = format!("{role}-store");
            let store = login("lake.store_vault", self.store_bao(), "transit-store", &role, of_store);
            self.configure(file, ring + &store);
        }
    }

    fn configure(&self, file: &str, more: String) {
        self.world.configure(file, &Settings { more, ..self.settings.clone() });
    }

    fn store_bao(&self) -> &Vault {
        self.store_bao.as_ref().unwrap_or(&self.bao)
    }

    /// Each login of a configuration opens its own layer, and the vault refuses it the other.
    fn assert_apart(&self, file: &str) {
        let config = Config::load(&[self.world.path(file)], &[]).unwrap_or_else(|report| panic!("{report}"));
        let both = [config.vault.unwrap().settings, config.store_vault.unwrap().settings];
        let [Provider::Vault(ring), Provider::Vault(store)] = both else { panic!("both are in a vault") };
        let asked = |path, key: &str| (key.to_owned(), wrapped(&self.world.path(path)));
        let (of_ring, of_store) = (asked("keys/ring", "ring"), asked("store-keys/1", "store-1"));
        for (login, mount, asked, is_own) in [
            (&ring, &ring.mount, &of_ring, true),
            (&ring, &store.mount, &of_store, false),
            (&store, &store.mount, &of_store, true),
            (&store, &ring.mount, &of_ring, false),
        ] {
            let client = Client::new(VaultSettings { mount: mount.clone(), ..login.clone() }).unwrap();
            let answer = client.unwrap(std::slice::from_ref(asked)).remove(0);
            match answer {
                Ok(_) => assert!(is_own, "{file}: a login opens the other layer in {mount}"),
                Err(error) => assert!(!is_own && matches!(error, WrapError::Refused { .. }), "{file}: {error}"),
            }
        }
    }

    /// Moves both layers from their folders into the vault; returns their secrets.
    fn move_into_vaults(&self) -> Vec<Vec<u8>> {
        self.weir(&["run", "--until-caught-up"]);
        let secrets =
            [secrets_in_clear(&self.world.path("keys")), secrets_in_clear(&self.world.path("store-keys"))].concat();
        assert!(secrets.iter().all(|secret| found(&self.world, secret)), "the search finds secrets in clear");
        self.use_vaults();
        self.weir(&["keys", "wrap"]);
        let why = Weir::new(&self.world, ["run", "--until-caught-up"]).run().assert_refused(77);
        assert!(why.contains("wrap-store"), "{why}");
        self.weir(&["keys", "wrap-store"]);
        for file in ["weir.toml", "daemon.toml", "gate-base.toml"] {
            self.assert_apart(file);
        }
        secrets
    }

    /// Copies both folders of keys, as an operator keeps them.
    fn keep_keys(&self) {
        self.weir(&["keys", "backup", self.world.path("backup").to_str().unwrap()]);
        copy(&self.world.path("store-keys"), &self.world.path("store-backup"));
    }

    /// Puts the copies back.
    fn set_back_keys(&self) {
        let (kept, heads) = (self.world.path("keys"), self.world.path("heads"));
        fs::rename(kept.join("heads"), &heads).unwrap();
        fs::rename(&kept, self.world.path("lost")).unwrap();
        fs::rename(self.world.path("store-keys"), self.world.path("store-lost")).unwrap();
        self.weir(&["keys", "restore", self.world.path("backup").to_str().unwrap()]);
        fs::rename(&heads, kept.join("heads")).unwrap();
        copy(&self.world.path("store-backup"), &self.world.path("store-keys"));
    }

    /// Neither a secret nor a login lies in clear anywhere, or stands in the command line of a process.
    fn assert_secret(&self, secrets: &[Vec<u8>], processes: &[&Daemon]) {
        let logins = ["weir-daemon", "weir-daemon-store", "gate", "gate-store"];
        let logins = logins.map(|name| fs::read(self.bao.path(&format!("{name}-secret-id"))).unwrap());
        for secret in secrets.iter().chain(&logins) {
            assert!(!found(&self.world, secret), "a secret lies in clear");
            for process in processes {
                let command_line = fs::read(format!("/proc/{}/cmdline", process.id())).unwrap();
                assert!(!holds(&command_line, secret), "a secret stands in a command line");
            }
        }
    }

    /// A mount without the keys opens nothing, and nothing in the folder is taken for destroyed.
    fn refuse_other_mount(&self) {
        let files = || {
            every_file(&self.world.path("store-keys")).iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
        };
        let before = files();
        let store = self.store_bao();
        store.bao(["secrets", "enable", "-path=transit-other", "transit"]);
        let policy = policies()[4].replace("transit-store", "transit-other");
        let ring = login("keys.vault", &self.bao, "transit", "lost", policies()[1]);
        let lost = login("lake.store_vault", store, "transit-other", "lost-store", &policy);
        self.configure("lost.toml", ring + &lost);
        for verb in
            [vec!["run"], vec!["lake", "ls"], vec!["keys", "status"], vec!["keys", "destroy", "--store-version", "1"]]
        {
            let why = Weir::with_config(&self.world, "lost.toml", verb).run().assert_refused(77);
            assert!(why.contains("has no key weir-store-1") && why.contains("mount"), "{why}");
        }
        assert!(before == files(), "a file was changed");
    }

    /// Opens a gate with a login of its own to each layer, for somebody who may read everything.
    fn gate(&self) -> (Endpoint, Daemon) {
        let purposes = fs::read_to_string(self.world.path("purposes.toml")).unwrap();
        let purposes = purposes.replace("recipients     = []", "recipients     = [\"site-reliability\"]");
        fs::write(self.world.path("purposes.toml"), purposes).unwrap();
        opened_for(&self.world, "https", "gate-base.toml", &PurposeId::ALL)
    }

    /// Demands that somebody at the gate, with what `weir keys reader` prints, reads the rows of the reference.
    fn assert_read(&self, endpoint: &Endpoint, expected: &Expected, purposes: &[PurposeId]) {
        let (mut printed, mut digests) = (Vec::new(), Vec::new());
        for purpose in purposes {
            for (event_type, digest) in expected.of_purpose(*purpose) {
                let table = format!("{}/{event_type}", purpose.name());
                let text = self.weir(&["keys", "reader", &table, "--for", "pyarrow", "--gate", &endpoint.url]);
                let path = self.world.path(&format!("{}.py", table.replace('/', "-")));
                fs::write(&path, text).unwrap();
                printed.push(path.display().to_string());
                digests.push(digest);
            }
        }
        assert!(digests.len() > 3);
        assert_eq!(Engine::PyArrowKeys.digests_at(endpoint, &printed), Ok(digests));
        for path in printed {
            fs::remove_file(path).unwrap();
        }
    }

    fn weir(&self, arguments: &[&str]) -> String {
        Weir::new(&self.world, arguments.iter().copied()).run().assert_done()
    }

    fn events(&self, part: u64) -> impl Iterator<Item = Produced> + '_ {
        (part * EVENTS..(part + 1) * EVENTS).map(|number| self.corpus.event(number))
    }

    /// Produces a part of the events.
    fn produce(&self, part: u64) {
        self.broker.produce(&self.settings.kafka.as_ref().unwrap().topic, 1, self.events(part));
    }

    /// Returns what the reference makes of a part with the secrets that there are now.
    fn expected(&self, part: u64) -> Expected {
        Expected::of(&self.world, &self.corpus, self.world.consents(&self.corpus), self.events(part))
    }

    /// Produces a part of the events bit by bit while something else is done, the last ones after it; waits until all are committed.
    fn send_while(&self, daemon: &mut Daemon, part: u64, work: impl FnOnce()) {
        let (before, is_done) = (fates(daemon), AtomicBool::new(false));
        let (topic, events) = (&self.settings.kafka.as_ref().unwrap().topic, self.events(part).collect::<Vec<_>>());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (last, some) = events.split_at(20);
                for some in some.chunks(20) {
                    self.broker.produce(topic, 1, some.iter().cloned());
                    std::thread::sleep(STEP);
                }
                for _ in 0..STEPS_MAX {
                    if is_done.load(Ordering::Relaxed) {
                        return self.broker.produce(topic, 1, last.iter().cloned());
                    }
                    std::thread::sleep(STEP);
                }
            });
            work();
            is_done.store(true, Ordering::Relaxed);
        });
        daemon.until("a part is committed", |daemon| fates(daemon) - before > PART_FATES);
    }

    /// Produces a part of the events and waits until it is committed.
    fn send(&self, daemon: &mut Daemon, part: u64) {
        let before = fates(daemon);
        self.produce(part);
        daemon.until("a part is committed", |daemon| fates(daemon) - before > PART_FATES);
    }
}

/// Demands that DuckDB reads the rows of the reference at the gate, whose files are in clear below their seal.
fn assert_read_in_clear(endpoint: &Endpoint, expected: &Expected) {
    let tables = |purpose| {
        let name = move |event_type: &str| format!("s3://eu/{}/{event_type}", PurposeId::name(purpose));
        expected.of_purpose(purpose).map(move |(event_type, digest)| (name(event_type), digest))
    };
    let (names, digests): (Vec<_>, Vec<_>) = PurposeId::ALL.into_iter().flat_map(tables).unzip();
    assert_eq!(Engine::DuckDb.digests_at(endpoint, &names), Ok(digests));
}

/// Writes how one logs in to a vault; makes the role with its policy.
fn login(section: &str, bao: &Vault, mount: &str, role: &str, policy: &str) -> String {
    let (role, secret) = bao.role(role, policy, "20s");
    format!(
        "[{section}]\naddress = \"{}\"\nmount = \"{mount}\"\nca = \"{}\"\nauth = \"approle\"\nrole = \"{role}\"\n\
         secret = \"{}\"\ncache_ttl = \"{TTL_S}s\"\ntimeout = \"1s\"\n",
        bao.address(),
        bao.path("ca.pem").display(),
        secret.display()
    )
}

/// Returns what a vault made of a key file's secrets.
fn wrapped(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let start = bytes.windows(8).position(|window| window == b"vault:v1").unwrap();
    String::from_utf8(bytes[start..bytes.len() - 16].to_vec()).unwrap()
}

/// Waits until the vault has been asked twice: the first question may have been under way.
fn until_confirmed(daemon: &mut Daemon, metric: &str) {
    let confirmed = |daemon: &Daemon| daemon.metrics().sum(metric, &[("outcome", "confirmed")]);
    let before = confirmed(daemon);
    daemon.until("the vault confirmed the secrets", |daemon| confirmed(daemon) > before + 1.5);
}

/// Returns how many fates a daemon has committed: three for each record.
fn fates(daemon: &Daemon) -> f64 {
    daemon.metrics().sum("weir_events_total", &[])
}

fn stop(daemon: Daemon) {
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
}

/// Returns the secrets of a ring that lies in clear, as its files have them before their checksum.
fn secrets_in_clear(folder: &Path) -> Vec<Vec<u8>> {
    let read = every_file(folder).into_iter().map(|path| fs::read(path).unwrap());
    let clear = read.filter(|bytes| bytes.starts_with(b"weirkey\x01") && bytes[9] == 1);
    clear.map(|bytes| bytes[bytes.len() - 48..bytes.len() - 16].to_vec()).collect()
}

/// Returns the whole ledger as text.
fn told(world: &World) -> String {
    every_file(&world.path("lake/eu/_ledger")).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// Tells whether bytes lie in any file of the world: ring, lake, output and temporary files.
fn found(world: &World, bytes: &[u8]) -> bool {
    every_file(&world.path("")).iter().any(|path| holds(&fs::read(path).unwrap(), bytes))
}

fn holds(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}

/// Returns the policies of the daemon, an operator and the gate for the ring, and those of daemon and gate, and an operator, for the
/// store's keys, as the documents have them.
fn policies() -> [&'static str; 5] {
    let mut blocks = include_str!("../../docs/security.md").split("```hcl").skip(1);
    [(); 5].map(|()| blocks.next().and_then(|block| block.split("```").next()).expect("a policy in the documents"))
}

const DAEMON: &str = "weir-daemon";
const RING: &str = "weir_keys_confirmations_total";
const STORE: &str = "weir_store_keys_confirmations_total";
const TTL_S: u32 = 12;
const EVENTS: u64 = 1_000;
const STEP: Duration = Duration::from_millis(200);
/// Two minutes: much longer than anything takes.
const STEPS_MAX: u32 = 600;
/// Three for each of them, but for what a double may lose.
const PART_FATES: f64 = 2_999.5;
