//! A day with the keys in a vault, while the daemon writes; and a night on which the vault is away.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_policy::PurposeId;
use weir_testkit::corpus::{Corpus, Options, Produced};
use weir_testkit::readers::Engine;
use weir_testkit::vault::Vault;

use crate::broker::Broker;
use crate::expected::{Expected, covered};
use crate::program::{Daemon, Weir};
use crate::world::{Settings, World, name};

/// A ring is moved into the vault, its keys are rotated and its files wrapped anew while events flow; a tenant and an epoch are
/// destroyed, which ends them in the running daemon and in a ring that is restored from before; and no secret lies anywhere.
#[test]
fn whole_day_with_the_keys_in_a_vault() {
    let scene = Scene::new("vault-day", 71, |_| {});
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
    until_confirmed(&mut daemon);
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
    let scene = Scene::new("vault-away", 72, |settings| settings.kafka.as_mut().unwrap().instance = None);
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
    until_confirmed(&mut daemon);

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

struct Scene {
    bao: Vault,
    broker: Broker,
    world: World,
    settings: Settings,
    group: String,
    corpus: Corpus,
}

impl Scene {
    /// Makes a world whose ring lies in clear, a vault, and topics with everybody's choices.
    fn new(test: &str, seed: u64, change: impl FnOnce(&mut Settings)) -> Self {
        let (bao, broker) = (Vault::start(), Broker::given());
        let mut settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name(test)) };
        change(&mut settings);
        let world = World::new(&settings);
        broker.create_topics(&settings, 1);
        let corpus = world.corpus(seed, Options { people: 60, tenants: 5, events: 4 * EVENTS, ..Options::ending(0) });
        broker.consent(&settings, world.consents(&corpus));
        let group = settings.kafka.as_ref().unwrap().group.clone();
        Self { bao, broker, world, settings, group, corpus }
    }

    /// Names the vault in the configurations of the daemon and of an operator, whose roles may do what the documents say and no more.
    fn use_vault(&self) {
        let [daemon, operator] = policies();
        self.configure("weir.toml", "operator", operator);
        self.configure("daemon.toml", DAEMON, daemon);
    }

    fn configure(&self, file: &str, role: &str, policy: &str) {
        let (role, secret) = self.bao.role(role, policy, "20s");
        let more = format!(
            "[keys.vault]\naddress = \"{}\"\nca = \"{}\"\nauth = \"approle\"\nrole = \"{role}\"\nsecret = \"{}\"\n\
             cache_ttl = \"{TTL_S}s\"\ntimeout = \"1s\"\n",
            self.bao.address(),
            self.bao.path("ca.pem").display(),
            secret.display()
        );
        self.world.configure(file, &Settings { more, ..self.settings.clone() });
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

    /// Produces a part of the events and waits until it is committed.
    fn send(&self, daemon: &mut Daemon, part: u64) {
        let before = fates(daemon);
        self.produce(part);
        daemon.until("a part is committed", |daemon| fates(daemon) - before > PART_FATES);
    }
}

/// Waits until the vault has been asked twice: the first question may have been under way.
fn until_confirmed(daemon: &mut Daemon) {
    let confirmed =
        |daemon: &Daemon| daemon.metrics().sum("weir_keys_confirmations_total", &[("outcome", "confirmed")]);
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
    let read = files(folder).into_iter().map(|path| fs::read(path).unwrap());
    let clear = read.filter(|bytes| bytes.starts_with(b"weirkey\x01") && bytes[9] == 1);
    clear.map(|bytes| bytes[bytes.len() - 48..bytes.len() - 16].to_vec()).collect()
}

/// Returns the whole ledger as text.
fn told(world: &World) -> String {
    files(&world.path("lake/eu/_ledger")).iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// Tells whether bytes lie in any file of the world: ring, lake, output and temporary files.
fn found(world: &World, bytes: &[u8]) -> bool {
    files(&world.path("")).iter().any(|path| holds(&fs::read(path).unwrap(), bytes))
}

fn holds(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Returns the policies of the daemon and of an operator, as the documents have them.
fn policies() -> [&'static str; 2] {
    let mut blocks = include_str!("../../docs/security.md").split("```hcl").skip(1);
    [(); 2].map(|()| blocks.next().and_then(|block| block.split("```").next()).expect("a policy in the documents"))
}

const DAEMON: &str = "weir-daemon";
const TTL_S: u32 = 12;
const EVENTS: u64 = 1_000;
/// Three for each of them, but for what a double may lose.
const PART_FATES: f64 = 2_999.5;
