//! A person's decision, from the command line to the receipt that they can show, on a real broker.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::broker::Broker;
use crate::program::{Daemon, Ended, Weir};
use crate::world::{Settings, World, name, texts};

/// One spelling of a person, and another.
const LOWER: &str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff";
const UPPER: &str = "6F9619FF-8B86-D011-B42D-00CF4FC964FF";

/// A world with its topics; weir makes those of states and receipts itself.
struct Scene {
    broker: Broker,
    settings: Settings,
    world: World,
}

impl Scene {
    fn new(test: &str) -> Self {
        let broker = Broker::given();
        let settings = Settings { receipts: true, ..Settings::of_kafka(&broker.address, &name(test)) };
        broker.create(&settings.kafka.as_ref().unwrap().topic, 1, &[]);
        broker.create(settings.consent_topic.as_ref().unwrap(), 2, &[]);
        let world = World::new(&settings);
        Self { broker, settings, world }
    }

    fn daemon(&self) -> Daemon {
        let mut daemon = Daemon::start(&self.world, []);
        daemon.until_ready();
        daemon
    }

    fn call(&self, line: &str) -> Ended {
        Weir::new(&self.world, line.split(' ')).run()
    }

    /// Runs a verb of `weir consent` about a person for one purpose.
    fn about(&self, verb: &str, id: &str) -> Ended {
        let (verb, flags) = verb.split_once(' ').unwrap_or((verb, "--format json"));
        self.call(&format!("consent {verb} --tenant acme --kind user --id {id} --purpose reliability {flags}"))
    }

    fn status(&self, verb: &str, id: &str) -> String {
        let shown: Value = serde_json::from_str(&self.about(verb, id).assert_done()).unwrap();
        shown["states"][0]["status"].as_str().unwrap().to_owned()
    }

    fn topic(&self, ending: &str) -> String {
        format!("{}{ending}", self.settings.consent_topic.as_ref().unwrap())
    }
}

/// Request, grant, show, withdraw under another spelling, and the receipts of all three; no name leaves the inbox.
#[test]
fn decision_counts_for_every_daemon_and_has_a_receipt() {
    let scene = Scene::new("decide");
    let mut daemon = scene.daemon();

    let why = scene.about("grant", LOWER).assert_refused(65);
    assert!(why.contains("request it first") && !why.contains(LOWER), "{why}");
    let nothing = scene.about("invalidate", LOWER);
    assert!(nothing.stderr.contains("nothing to change"), "{}", nothing.stderr);
    nothing.assert_done();
    assert!(scene.broker.bytes_of(&scene.topic("")).is_empty(), "what is refused or changes nothing is not said");

    assert_eq!(scene.status("request", LOWER), "requested");
    assert_eq!(scene.status("grant --format json --until 2199-01-01T00:00:00Z --evidence form-12", UPPER), "given");
    assert_eq!(scene.status("show", LOWER), "given");
    assert_eq!(scene.status("withdraw", UPPER), "withdrawn");
    scene.about("grant", LOWER).assert_refused(65);

    let history: Value = serde_json::from_str(&scene.about("history", UPPER).assert_done()).unwrap();
    let history = history.as_array().unwrap();
    let state = |at: usize| {
        let record = &history[at]["receipt"]["dpv:hasRecordOfActivity"];
        record["dpv:hasProcess"]["dpv:hasConsentStatus"]["@type"].as_str().unwrap()
    };
    assert_eq!(history.len(), 3);
    assert_eq!([state(0), state(1), state(2)], ["dpv:ConsentRequested", "dpv:ConsentGiven", "dpv:ConsentWithdrawn"]);
    // A receipt is in its topic a moment before the daemon hears so and counts it.
    daemon.until("three receipts are counted", |daemon| {
        (daemon.metrics().sum("weir_consent_receipts_total", &[]) - 3.0).abs() < 0.5
    });
    let nobody = "consent history --tenant acme --kind user --id somebody-else";
    assert_eq!(scene.call(nobody).assert_done(), "no receipts\n");
    let exported = scene.call("consent export").assert_done();
    assert!(exported.contains("\"withdrawn\"") && !exported.contains(LOWER), "{exported}");

    let has_name = |topic: &str| {
        let bytes = scene.broker.bytes_of(&scene.topic(topic));
        assert!(bytes.len() > 40, "{topic} is empty");
        [LOWER, "form-12"]
            .map(|word| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())))
    };
    assert_eq!([has_name(""), has_name(".state"), has_name(".receipts")], [[true; 2], [false; 2], [false; 2]]);
    check_offline(&scene, history[1]["jws"].as_str().unwrap());
}

/// Whoever has the public keys can check a receipt, with weir and without it; a changed one is refused by both.
fn check_offline(scene: &Scene, receipt: &str) {
    let file = |name: &str, text: &str| {
        fs::write(scene.world.path(name), text).unwrap();
        scene.world.path(name).display().to_string()
    };
    let keys = file("jwks.json", &scene.call("keys export-public").assert_done());
    let sound = file("receipt.jws", receipt);
    let (head, rest) = receipt.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let mut bytes = payload.as_bytes().to_vec();
    bytes[20] = if bytes[20] == b'A' { b'B' } else { b'A' };
    let changed = file("changed.jws", &format!("{head}.{}.{signature}", String::from_utf8(bytes).unwrap()));
    let verify = |file: &str| {
        let call = ["receipt", "verify", file, "--keys", &keys];
        Weir::with_config(&scene.world, "there is none.toml", call).run()
    };
    let said = verify(&sound).assert_done();
    assert!(said.contains("the signature holds") && said.contains("agrees to reliability, until 2199"), "{said}");
    assert!(verify(&changed).assert_refused(65).contains("has been changed"));
    assert_eq!(scene.call(&format!("receipt verify {sound}")).assert_done(), said, "with the ring itself");
    let digest = Command::new("sha256sum").arg(&sound).output().unwrap().stdout;
    let digest = String::from_utf8(digest).unwrap().split(' ').next().unwrap().to_owned();
    assert!(texts(&scene.world.path("lake/eu/_ledger")).contains(&digest), "the ledger does not know the receipt");
    #[cfg(feature = "real-readers")]
    {
        use weir_testkit::readers::verify_receipt;
        let [keys, sound, changed] = [keys, sound, changed].map(std::path::PathBuf::from);
        assert!(verify_receipt(&keys, &sound).unwrap().contains("https://w3id.org/dpv#ConsentGiven"));
        assert!(verify_receipt(&keys, &changed).unwrap_err().contains("BadSignature"));
    }
}

/// Without a daemon nobody takes what is said: the verb says so, and what was said counts once one is up.
#[test]
fn decision_without_a_daemon_counts_later() {
    let scene = Scene::new("nobody-keeps");
    let mut daemon = scene.daemon();
    assert_eq!(scene.status("request", LOWER), "requested");
    daemon.kill();
    let late = scene.about("grant --patience 1s", LOWER).assert_refused(75);
    assert!(late.contains("is `weir run` up") && !late.contains(LOWER), "{late}");
    daemon = scene.daemon();
    daemon.until("the receipt is there", |daemon| daemon.metrics().sum("weir_consent_receipts_total", &[]) > 0.5);
    assert_eq!(scene.status("show", LOWER), "given");

    let line = |subject: &str| {
        format!(
            r#"{{"tenant":"acme","kind":"user","subject":"{subject}","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let lines: Vec<String> = (0..50).map(|number| line(&format!("imported-{number}"))).collect();
    let imported = Weir::new(&scene.world, ["consent", "import", "-", "--rate", "100"]).run_with(&lines.join("\n"));
    assert_eq!(imported.assert_done(), "50 records are in the inbox\n");
    daemon.until("all are known", |daemon| daemon.metrics().sum("weir_consent_people", &[]) > 50.5);
    assert_eq!(scene.status("show", "imported-49"), "given");
}
