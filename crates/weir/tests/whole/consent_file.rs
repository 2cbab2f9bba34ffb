//! `weir consent` with a consent file: one machine, no broker.

use std::fs;

use serde_json::Value;

use crate::program::{Ended, Weir};
use crate::world::{Settings, World};

const PERSON: &str = "--tenant acme --kind user --id Marker-4711@Example.COM";

fn consent(world: &World, line: &str) -> Ended {
    Weir::new(world, ["consent"].into_iter().chain(line.split(' '))).run()
}

/// Decisions go to the file, one line each, follow the state machine, and mean the same person in every spelling.
#[test]
fn decisions_are_lines_of_the_file() {
    let world = World::new(&Settings::default());
    let lines = || fs::read_to_string(world.path("consent.ndjson")).unwrap_or_default();
    let show = |line: &str| -> Value { serde_json::from_str(&consent(&world, line).assert_done()).unwrap() };

    let why = consent(&world, &format!("grant {PERSON} --purpose reliability")).assert_refused(65);
    assert!(why.contains("reliability: cannot grant a consent that is unknown: request it first"), "{why}");
    let nothing = consent(&world, &format!("invalidate {PERSON}"));
    assert!(nothing.stderr.contains("nothing to change"), "{}", nothing.stderr);
    nothing.assert_done();
    assert_eq!(lines(), "", "what is refused or changes nothing is not written");

    consent(&world, &format!("request {PERSON}")).assert_done();
    // As an editor leaves it.
    fs::write(world.path("consent.ndjson"), lines().trim_end()).unwrap();
    let granted = format!("grant {PERSON} --purpose reliability --until 2199-01-01T00:00:00Z --evidence form-12");
    consent(&world, &granted).assert_done();
    assert_eq!(lines().lines().count(), 4);
    let last: Value = serde_json::from_str(lines().lines().last().unwrap()).unwrap();
    assert_eq!((&last["status"], &last["evidence"]), (&"given".into(), &"form-12".into()));

    let other = "--tenant acme --kind user --id Marker-4711@EXAMPLE.com";
    let shown = show(&format!("show {other} --format json"));
    let stands = |at: usize, member: &str| shown["states"][at][member].clone();
    assert_eq!([stands(0, "status"), stands(1, "status"), stands(2, "status")], ["requested", "given", "requested"]);
    assert_eq!((stands(1, "until"), stands(1, "permits")), ("2199-01-01T00:00:00Z".into(), true.into()));
    let withdrawn = show(&format!("withdraw {other} --purpose reliability --format json"));
    assert_eq!(withdrawn["states"][0]["status"], "withdrawn");
    assert_eq!(withdrawn["person"], shown["person"]);

    consent(&world, "request --tenant acme --purpose reliability").assert_done();
    let agreed = show("grant --tenant acme --purpose reliability --regions eu,us --format json");
    assert_eq!(agreed["states"][0]["regions"], serde_json::json!(["eu", "us"]));
    let renewed = show("renew --tenant acme --purpose reliability --format json");
    assert_eq!(renewed["states"][0]["regions"], serde_json::json!(["eu", "us"]), "what is not said stays");
    let wider = consent(&world, "renew --tenant acme --purpose reliability --regions eu,us,ca").assert_refused(65);
    assert!(wider.contains("withdraw and request it anew"), "{wider}");
}

/// A file of records is taken whole or not at all, and what comes out again names nobody.
#[test]
fn import_is_checked_first_and_export_has_no_names() {
    let world = World::new(&Settings::default());
    let good = r#"{"tenant":"acme","kind":"user","subject":"marker-1","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z"}
{"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z","regions":["eu"]}

{"tenant":"acme","kind":"user","subject":"marker-1","purpose":"*","erased_before":"2026-01-01T00:00:00Z"}
"#;
    let import = |text: &str| Weir::new(&world, ["consent", "import", "-"]).run_with(text);
    let why = import(&format!("{good}{{\"tenant\":\"marker-2\"}}\n{good}")).assert_refused(65);
    assert!(why.contains("nothing was sent") && why.contains("-:5: error[json]"), "{why}");
    assert!(!why.contains("marker"), "{why}");
    assert_eq!(fs::read_to_string(world.path("consent.ndjson")).unwrap_or_default(), "");

    assert_eq!(import(good).assert_done(), "3 records are in the inbox\n");
    let exported = consent(&world, "export").assert_done();
    assert!(!exported.contains("marker"), "{exported}");
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["regions"], serde_json::json!(["eu"]));
    assert_eq!((&lines[2]["status"], &lines[2]["at"]), (&"given".into(), &"2026-01-01T00:00:00Z".into()));
    assert_eq!((&lines[1]["person"], &lines[1]["erased_before"]), (&lines[2]["person"], &lines[2]["at"]));
}

/// What is wrong with a name is said by a code, and where there are no receipts that is said too.
#[test]
fn names_that_cannot_be_are_refused_without_their_words() {
    let world = World::new(&Settings::default());
    let why = consent(&world, "request --tenant acme --kind Marker --id marker-1").assert_refused(64);
    assert!(why.contains("`kind`") && !why.to_lowercase().contains("marker"), "{why}");
    consent(&world, "history --tenant acme --kind user --id marker-1").assert_refused(78);
    consent(&world, "history --tenant acme").assert_refused(64);
}
