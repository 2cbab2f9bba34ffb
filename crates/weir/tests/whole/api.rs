//! Decisions through the API of a running daemon: they count when they are answered, and none is taken while nobody knows.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_testkit::corpus::Produced;

use crate::broker::{Broker, OwnBroker};
use crate::program::Daemon;
use crate::world::{Settings, World, name};

/// An event is written after the grant that came before it, and denied after the withdrawal.
#[test]
fn answered_decision_counts_for_the_next_event() {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("api")) };
    let (world, desk) = open(&settings, "30s");
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();
    for decision in ["request", "grant"] {
        desk.done(
            "operator",
            "agreements",
            &json!({ "tenant": "acme", "purposes": ["reliability"], "decision": decision }),
        );
        desk.done("agent", "consents", &about("u-1", decision));
    }
    let topic = &settings.kafka.as_ref().unwrap().topic;
    let send = |id: &str| broker.produce(topic, 1, std::iter::once(event(&desk, id)));
    send("e-1");
    let fates = |daemon: &Daemon, fate, reason| {
        let labels = [("fate", fate), ("purpose", "reliability"), ("reason", reason)];
        daemon.metrics().sum("weir_events_total", &labels)
    };
    daemon.until("the first event is written", |daemon| fates(daemon, "written", "") > 0.5);
    desk.done("agent", "consents", &about("u-1", "withdraw"));
    send("e-2");
    daemon.until("the second event is denied", |daemon| fates(daemon, "denied", "consent_withdrawn") > 0.5);
    assert!(fates(&daemon, "written", "") < 1.5, "an event was written after the withdrawal");

    let (status, problem) = desk.post("agent", "consents", &about("u-1", "grant"), "");
    assert_eq!((status, &problem["code"]), (409, &json!("illegal_step")));
    assert_eq!(desk.post("nobody", "consents", &about("u-1", "request"), "").0, 401);
    let page = daemon.page("/metrics");
    assert!(!page.contains("acme") && !page.contains("u-1"), "a name stands in the metrics");
    print_latencies(&desk);
}

/// While the brokers are away a decision is not confirmed, then none is taken; with them back the same request is done once.
#[test]
fn no_decision_is_confirmed_without_the_brokers() {
    let folder = tempfile::tempdir().unwrap();
    let mut own = OwnBroker::start(folder.path());
    let broker = own.broker();
    let settings = Settings::of_kafka(&broker.address, &name("api-away"));
    let (world, desk) = open(&settings, "1s");
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();
    let request = || desk.post("agent", "consents", &about("u-1", "request"), "Idempotency-Key: k\r\n");
    own.kill();
    let (status, problem) = request();
    assert_eq!((status, &problem["code"]), (503, &json!("not_confirmed")));
    daemon.until("the store is stale", |_| request().1["code"] == "consent_stale");
    own.restart();
    daemon.until("the decision is taken", |_| request().0 == 200);
    let again = request().1;
    assert_eq!(again["purposes"][0]["status"], "requested");
    assert_eq!(desk.done("agent", "consents/lookup", &person("u-1"))["purposes"][1], again["purposes"][0]);
}

/// The API of a world's daemon, and tokens for it.
pub(crate) struct Desk {
    pub(crate) address: String,
}

/// Makes a world whose daemon has an API, for callers who act for `acme`.
pub(crate) fn open(settings: &Settings, deadline: &str) -> (World, Desk) {
    open_for("acme", settings, deadline)
}

/// The same, for callers who act for another tenant, or for `*`.
pub(crate) fn open_for(tenants: &str, settings: &Settings, deadline: &str) -> (World, Desk) {
    let world = World::new(settings);
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let api = format!(
        "[api]\nlisten = \"{address}\"\ntokens = \"tokens.toml\"\ndeadline = \"{deadline}\"\nperson_burst = 1000\n\
         answers = \"answers\"\n"
    );
    let config = fs::read_to_string(world.path("weir.toml")).unwrap() + &api;
    fs::write(world.path("weir.toml"), config).unwrap();
    let caller = |name: &str, role: &str, sha256: &str| {
        format!(
            "[[caller]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\ntenants = [\"{tenants}\"]\nrate = 10000\nburst = 10000\n"
        )
    };
    let tokens = caller("agent", "subject-agent", AGENT) + &caller("operator", "operator", OPERATOR);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(world.path("tokens.toml"));
    file.unwrap().write_all(tokens.as_bytes()).unwrap();
    (world, Desk { address })
}

impl Desk {
    /// Sends a body; returns the status and the answer.
    pub(crate) fn post(&self, who: &str, endpoint: &str, body: &Value, more: &str) -> (u16, Value) {
        let more = format!("Content-Type: application/json\r\n{more}");
        let (status, _, answer) = self.ask(who, &format!("POST /v1/{endpoint}"), &more, &body.to_string());
        (status, serde_json::from_slice(&answer).unwrap())
    }

    /// Sends a request; returns the status, the head and the body of the answer.
    pub(crate) fn ask(&self, who: &str, what: &str, more: &str, body: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\
             Authorization: Bearer an-{who}-token-of-more-than-128-bits\r\nContent-Length: {}\r\n{more}\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head, answer[end + 4..].to_vec())
    }

    /// The same, and demands that it is done.
    #[track_caller]
    pub(crate) fn done(&self, who: &str, endpoint: &str, body: &Value) -> Value {
        let (status, answer) = self.post(who, endpoint, body, "");
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

pub(crate) fn person(subject: &str) -> Value {
    json!({ "tenant": "acme", "kind": "user", "subject": subject })
}

pub(crate) fn about(subject: &str, decision: &str) -> Value {
    let mut body = person(subject);
    body["purposes"] = json!(["reliability"]);
    body["decision"] = decision.into();
    body
}

/// An event that happens at the instant at which the grant took effect, which is the earliest that it covers.
pub(crate) fn event(desk: &Desk, id: &str) -> Produced {
    event_of(desk, &person("u-1"), id)
}

/// The same, of another person.
pub(crate) fn event_of(desk: &Desk, person: &Value, id: &str) -> Produced {
    let states = desk.done("operator", "consents/lookup", person);
    let event = json!({
        "specversion": "1.0", "id": id, "source": "/checkout", "type": "com.example.checkout.completed",
        "time": states["purposes"][1]["since"], "tenant": person["tenant"],
        "data": { "user": { "id": person["subject"] }, "payment": { "latency_ms": 48 } },
    });
    Produced { key: Vec::new(), headers: Vec::new(), value: Some(event.to_string().into_bytes()) }
}

/// How long decisions take that come one after the other, and eight at a time. Figures for people; nothing is asserted.
#[expect(clippy::print_stdout, reason = "figures for people")]
fn print_latencies(desk: &Desk) {
    for at_once in [1, 8] {
        let decide = |worker: u32| {
            (0..DECISIONS / at_once).map(move |number| {
                let asked = Instant::now();
                desk.done("agent", "consents", &about(&format!("v-{at_once}-{worker}-{number}"), "request"));
                asked.elapsed()
            })
        };
        let mut took: Vec<Duration> = thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once).map(|worker| scope.spawn(move || decide(worker).collect())).collect();
            workers.into_iter().flat_map(|worker| -> Vec<_> { worker.join().unwrap() }).collect()
        });
        took.sort();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100];
        println!(
            "{DECISIONS} decisions, {at_once} at a time: p50 {:?}, p99 {:?}, at most {:?}",
            at(50),
            at(99),
            at(100)
        );
    }
}

const DECISIONS: u32 = 200;
/// SHA-256 of `an-agent-token-of-more-than-128-bits`.
const AGENT: &str = "175224f29d0d3c4131bc88b237e07ad25c8a90b58cb51a9214b3eb0fef22d958";
/// SHA-256 of `an-operator-token-of-more-than-128-bits`.
const OPERATOR: &str = "3aad986d86ef8702c07f2972f82f301bb44a8dfd8a38dacff6fa5501356903cd";
