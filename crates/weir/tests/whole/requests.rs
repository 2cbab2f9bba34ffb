//! A copy and erasure through the API of a running daemon: done there, fetched, and gone with the process.

use std::fs;
use std::io::{Cursor, Read as _};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zip::ZipArchive;

use crate::api::{Desk, about, event, open};
use crate::broker::Broker;
use crate::program::{Daemon, Weir};
use crate::world::{Settings, World, every_file, name};

/// The copy holds the person's row, the erasure takes it, both say so of a stranger in the same form, and a daemon that was started
/// anew knows nothing of what had ended.
#[test]
fn person_gets_a_copy_and_is_erased_through_the_api() {
    let (world, desk, daemon) = with_a_row("requests");

    let copy = begin(&desk, "access-requests", "u-1");
    assert_eq!(rows(&fetch(&desk, &copy, "answer")), 1);
    assert_eq!(fs::read_dir(world.path("answers")).unwrap().count(), 0, "answers have no name");
    let stranger = begin(&desk, "access-requests", "nobody");
    assert_eq!(rows(&fetch(&desk, &stranger, "answer")), 0);

    let erasure = begin(&desk, "erasures", "u-1");
    assert_eq!(verified(&world, &fetch(&desk, &erasure, "receipt"))["rows"], 1);
    let again = begin(&desk, "access-requests", "u-1");
    assert_eq!(rows(&fetch(&desk, &again, "answer")), 0);
    let page = daemon.page("/metrics");
    assert!(!page.contains("erasure") && !page.contains("u-1"), "the metrics date an erasure");
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();

    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();
    for (place, product) in [(&copy, "answer"), (&erasure, "receipt")] {
        for path in [place.clone(), format!("{place}/{product}")] {
            let (status, _, body) = desk.ask("agent", &format!("GET {path}"), "", "");
            let problem: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &problem["code"]), (404, &json!("request_unknown")), "{path}");
        }
    }
    Weir::new(&world, ["audit"]).run().assert_done();
    let audit = Weir::new(&world, ["audit", "--ledger", "--format", "json"]).run().assert_done();
    let audit: Value = serde_json::from_str(&audit).unwrap();
    assert_eq!(audit["entries"]["access"], 3, "nobody has a copy that the ledger does not know of");

    // A ledger that is not what it was cannot be told.
    let ledger = every_file(&world.path("lake/eu/_ledger"));
    fs::remove_file(ledger.iter().max().unwrap()).unwrap();
    let out = world.path("refused").display().to_string();
    let ask = ["subject", "access", "--tenant", "acme", "--kind", "user", "--id", "u-1", "--out", &out];
    Weir::new(&world, ask).run().assert_refused(77);
    assert!(!world.path("refused/data.json").exists());
}

/// A daemon that is killed while somebody is being erased goes on with it when it is started again, under the same word; until
/// then the request lies sealed.
#[test]
fn erasure_outlives_the_daemon_that_took_it_in() {
    let (world, desk, mut daemon) = with_a_row("outlives");
    let erasure = begin(&desk, "erasures", "u-1");
    daemon.kill();
    let files: Vec<_> = every_file(&world.path("answers"));
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = fs::read(&files[0]).unwrap();
    assert!(!bytes.windows(3).any(|window| window == b"u-1"));

    daemon = Daemon::start(&world, []);
    daemon.until_ready();
    assert_eq!(verified(&world, &fetch(&desk, &erasure, "receipt"))["rows"], 1);
    assert_eq!(every_file(&world.path("answers")), Vec::<PathBuf>::new());
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
}

/// Something that stands in the way of an erasure does not end it: it stays written down, says why it waits, and is done when it can be.
#[test]
fn erasure_that_something_stands_in_the_way_of_is_done_later() {
    let (world, desk, daemon) = with_a_row("in-the-way");
    let tables: Vec<_> = fs::read_dir(world.path("lake/eu/reliability")).unwrap().collect();
    let newer = world.outdate(tables[0].as_ref().unwrap().path());
    let erasure = begin(&desk, "erasures", "u-1");
    let waiting = until(&desk, &erasure, |state| state["reason"] == "unavailable");
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(every_file(&world.path("answers")).len(), 1);
    fs::remove_file(&newer).unwrap();
    assert_eq!(verified(&world, &fetch(&desk, &erasure, "receipt"))["rows"], 1);
    assert_eq!(every_file(&world.path("answers")), Vec::<PathBuf>::new());
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
}

/// Starts a daemon, lets a tenant and a person agree, and waits until an event of that person is a row.
fn with_a_row(test: &str) -> (World, Desk, Daemon) {
    let broker = Broker::given();
    let settings = Settings { commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name(test)) };
    let (world, desk) = open(&settings, "30s");
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();
    for decision in ["request", "grant"] {
        let agreement = json!({ "tenant": "acme", "purposes": ["reliability"], "decision": decision });
        desk.done("operator", "agreements", &agreement);
        desk.done("agent", "consents", &about("u-1", decision));
    }
    broker.produce(&settings.kafka.as_ref().unwrap().topic, 1, std::iter::once(event(&desk, "e-1")));
    daemon.until("the event is written", |daemon| {
        let labels = [("fate", "written"), ("purpose", "reliability"), ("reason", "")];
        daemon.metrics().sum("weir_events_total", &labels) > 0.5
    });
    (world, desk, daemon)
}

/// Asks for something; returns where it is looked up.
#[track_caller]
fn begin(desk: &Desk, endpoint: &str, id: &str) -> String {
    begin_for(desk, "acme", endpoint, id)
}

/// The same, about a person of another tenant.
#[track_caller]
pub(crate) fn begin_for(desk: &Desk, tenant: &str, endpoint: &str, id: &str) -> String {
    let body = json!({ "tenant": tenant, "ids": [{ "kind": "user", "id": id }] }).to_string();
    let json = "Content-Type: application/json\r\n";
    let (status, head, _) = desk.ask("agent", &format!("POST /v1/{endpoint}"), json, &body);
    assert_eq!(status, 202, "{head}");
    let place = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    place.trim().to_owned()
}

/// Waits until it is done, and fetches what came of it.
#[track_caller]
pub(crate) fn fetch(desk: &Desk, place: &str, product: &str) -> Vec<u8> {
    until(desk, place, |state| state["state"] == "done");
    let (status, head, body) = desk.ask("agent", &format!("GET {place}/{product}"), "", "");
    assert_eq!(status, 200, "{head}");
    body
}

/// Waits until what is said of a request that has not failed holds; returns all of it.
#[track_caller]
fn until(desk: &Desk, place: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let (_, _, body) = desk.ask("agent", &format!("GET {place}"), "", "");
        let state: Value = serde_json::from_slice(&body).unwrap();
        if holds(&state) {
            return state;
        }
        let is_under_way = matches!(state["state"].as_str(), Some("waiting" | "running"));
        assert!(is_under_way && Instant::now() < end, "{state}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Counts the rows of a copy.
fn rows(copy: &[u8]) -> usize {
    let mut archive = ZipArchive::new(Cursor::new(copy)).unwrap();
    let mut text = String::new();
    archive.by_name("data.json").unwrap().read_to_string(&mut text).unwrap();
    let data: Value = serde_json::from_str(&text).unwrap();
    let tables = data["tables"].as_array().unwrap();
    let rows: usize = tables.iter().map(|table| table["rows"].as_array().unwrap().len()).sum();
    // Each table with rows is a file, beside the page and the data.
    assert_eq!(archive.len(), 2 + tables.len());
    rows
}

/// Checks a receipt, and returns what it says.
fn verified(world: &World, receipt: &[u8]) -> Value {
    let file = world.path("receipt.jws");
    fs::write(&file, receipt).unwrap();
    let arguments = ["receipt", "verify", file.to_str().unwrap(), "--format", "json"];
    serde_json::from_str(&Weir::new(world, arguments).run().assert_done()).unwrap()
}
