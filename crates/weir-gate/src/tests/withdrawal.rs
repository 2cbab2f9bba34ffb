//! How a grant ends, what is told of its sessions, and which grants are none.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::slice;

use tokio::time::timeout;
use weir_daemon::Clock as _;
use weir_ledger::Session;

use super::super::*;
use super::world::{GRANTS, LARGE, LOG, World, put, request};

const DAY: Duration = Duration::from_hours(24);

#[test]
fn grant_ends_with_its_day() {
    let world = World::new();
    let today = weir_policy::values::time::render(world.clock.now_ms() * 1_000);
    let grants = GRANTS.replace("until = 2199-06-30", &format!("until = {}", today.get(..10).unwrap()));
    fs::write(world.path("grants.toml"), grants).unwrap();
    world.gate.reload();
    assert_eq!(world.get("site", LOG).status, 200);
    world.clock.advance(DAY);
    let over = world.get("site", LOG);
    assert_eq!((over.status, over.code().as_str()), (403, "AccessDenied"));
    assert_eq!(world.get("site", &LOG.replace("com", "org")), over, "after its end a grant still tells what there is");
    assert_eq!(world.list("site", &[("list-type", "2")]), over);
}

/// Who is taken out of the file gets no further byte, in the middle of an object; who stays in it is not disturbed.
#[test]
fn withdrawn_grant_ends_at_once() {
    let world = World::new();
    let huge = LARGE.replace("5b0c", "9b0c");
    put(&world.path("lake/eu"), &huge, &vec![7; 64 << 20]);
    let both = GRANTS.replace("purposes = [\"troubleshooting\"]", "purposes = [\"reliability\"]");
    fs::write(world.path("grants.toml"), &both).unwrap();
    world.gate.reload();
    let begin = |who: &str| {
        let mut stream = TcpStream::connect(world.address).unwrap();
        stream.write_all(request(who, "GET", &format!("/eu/{huge}")).signed().as_bytes()).unwrap();
        stream.read_exact(&mut [0; 4096]).unwrap();
        stream
    };
    let (mut site, mut support) = (begin("site"), begin("support"));
    fs::write(world.path("grants.toml"), both.split("[[grant]]\nrecipient = \"support\"").next().unwrap()).unwrap();
    world.gate.reload();
    let rest = |stream: &mut TcpStream| {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        bytes.len()
    };
    assert!(rest(&mut support) < 32 << 20, "a withdrawn grant was served to the end");
    assert!(rest(&mut site) > 63 << 20);
    assert_eq!(world.get("support", LOG).code(), "SignatureDoesNotMatch");
    assert_eq!(world.get("site", LOG).status, 200);
}

/// A recipient that the register no longer names is out, and so is everybody while the files have a fault.
#[test]
fn files_with_faults_let_nobody_in() {
    let world = World::new();
    assert_eq!(world.get("site", LOG).status, 200);
    let purposes = fs::read_to_string(world.path("purposes.toml")).unwrap();
    fs::write(world.path("purposes.toml"), purposes.replace("\"site\", ", "")).unwrap();
    world.gate.reload();
    assert_eq!(world.get("site", LOG).status, 403);
    fs::write(world.path("purposes.toml"), &purposes).unwrap();
    world.gate.reload();
    assert_eq!(world.get("site", LOG).status, 200);
    fs::remove_file(world.path("grants.toml")).unwrap();
    world.gate.reload();
    assert_eq!(world.get("site", LOG).status, 403);
    let told = world.gate.metrics.text();
    assert!(told.contains("weir_gate_reloads_total{outcome=\"refused\"} 2\n"), "{told}");
}

/// That somebody reads is told before they do; how much they read, about, when their hour is over.
#[test]
fn session_is_told_before_and_after() {
    let world = World::new();
    assert_eq!(world.told(), []);
    assert_eq!(world.get("stranger", LOG).status, 403);
    assert_eq!(world.told(), []);
    for _ in 0..3 {
        assert_eq!(world.get("site", LARGE).status, 200);
    }
    let (recipient, purposes) = ("site".to_owned(), vec!["reliability".to_owned()]);
    let opened = Session::Opened { recipient: recipient.clone(), purposes: purposes.clone() };
    assert_eq!(world.told(), slice::from_ref(&opened));
    world.clock.advance(Duration::from_mins(59));
    assert_eq!(world.get("site", LOG).status, 200);
    assert_eq!(world.told(), slice::from_ref(&opened));
    world.clock.advance(Duration::from_mins(1));
    let closed = Session::Closed { recipient, purposes, requests: 4, bytes: 16 << 20 };
    assert_eq!(world.told_of(2), [opened.clone(), closed.clone()]);
    assert_eq!(world.get("site", LOG).status, 200);
    assert_eq!(world.told(), [opened.clone(), closed, opened]);
    let told = world.gate.metrics.text();
    for line in
        ["weir_gate_sessions_total 2\n", "weir_gate_requests_total{operation=\"get_object\",outcome=\"served\"} 5\n"]
    {
        assert!(told.contains(line), "{told}");
    }
    for word in ["site", "reliability", "parquet"] {
        assert!(!told.lines().any(|line| line.starts_with("weir_gate") && line.contains(word)), "{word}: {told}");
    }
}

/// An answer that is under way when the hour ends is part of what is told, though others have begun the next hour.
#[test]
fn what_is_read_past_the_hour_is_told_too() {
    let world = World::new();
    let huge = LARGE.replace("5b0c", "9b0c");
    put(&world.path("lake/eu"), &huge, &vec![7; 64 << 20]);
    let mut reader = TcpStream::connect(world.address).unwrap();
    reader.write_all(request("site", "GET", &format!("/eu/{huge}")).signed().as_bytes()).unwrap();
    reader.read_exact(&mut [0; 4096]).unwrap();
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(world.told().len(), 1, "the end of a session was told that somebody reads in");
    assert_eq!(world.get("site", LOG).status, 200);
    assert_eq!(world.told().len(), 2);
    reader.read_to_end(&mut Vec::new()).unwrap();
    let purposes = vec!["reliability".to_owned()];
    let closed = Session::Closed { recipient: "site".to_owned(), purposes, requests: 1, bytes: 64 << 20 };
    assert_eq!(world.told_of(3)[2], closed);
}

/// A session that began for somebody who has hung up since is closed as any other.
#[test]
fn session_of_a_client_that_hung_up_has_an_end() {
    let world = World::new();
    let in_force = world.gate.in_force();
    let entering = world.gate.sessions.enter(in_force.grants.by_key("site-key-1").unwrap());
    assert!(world.runtime.block_on(async { timeout(Duration::ZERO, entering).await }).is_err(), "it was not cut short");
    assert!(matches!(world.told_of(1)[0], Session::Opened { .. }));
    world.clock.advance(Duration::from_hours(1));
    assert!(matches!(world.told_of(2)[1], Session::Closed { requests: 1, bytes: 0, .. }));
}

#[test]
fn nobody_reads_while_the_ledger_cannot_be_told() {
    let world = World::new();
    fs::write(world.path("keys/heads"), "no folder").unwrap();
    let away = world.get("site", LOG);
    assert_eq!((away.status, away.code().as_str()), (503, "ServiceUnavailable"));
}

#[test]
fn faults_of_grants_are_told_at_once() {
    let world = World::new();
    let text = "[[grant]]\nrecipient = \"stranger\"\naccess_key = \"a b\"\nsecret = \"nowhere\"\npurposes = [\"reliability\", \"marketing\"]\nuntil = \"tomorrow\"\n\
                [[grant]]\nrecipient = \"site\"\naccess_key = \"site-key-1\"\nsecret = \"purposes.toml\"\npurposes = []\nuntil = 2199-06-30\ncolour = 1\n";
    let file = world.path("grants.toml");
    let purposes = world.gate.in_force().policy.purposes().clone();
    let report = Grants::read(&file, text, &purposes).err().unwrap();
    let found: Vec<_> = report.diagnostics.iter().map(|fault| (fault.code, fault.place.line_column().0)).collect();
    let expected = [
        ("value", 3),
        ("value", 4),
        ("not_a_recipient", 5),
        ("value", 5),
        ("wrong_type", 6),
        ("value", 10),
        ("value", 11),
        ("unknown_key", 13),
    ];
    assert_eq!(found, expected, "{report}");
    assert!(report.to_string().contains("is open to others"), "{report}");
    let twice = format!("{GRANTS}{}", GRANTS.replace("support", "site").replace("troubleshooting", "reliability"));
    let report = Grants::read(&file, &twice, &purposes).err().unwrap();
    assert!(report.diagnostics.iter().all(|fault| fault.code == "duplicate_grant"), "{report}");
    for report in [report.to_string(), Grants::read(&file, text, &purposes).err().unwrap().to_string()] {
        assert!(!report.contains("ssss"), "{report}");
    }
    assert!(Grants::read(&file, "", &purposes).is_ok(), "a gate without grants is a gate for nobody");
}
