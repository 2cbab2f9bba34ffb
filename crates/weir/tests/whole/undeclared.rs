//! Tables that outlive their contract: `weir lake ls` names them, and erasure and retention go on there.

use std::fs;

use serde_json::Value;

use crate::backfill::{now_ms, of_person};
use crate::program::Weir;
use crate::world::{Settings, World};

const TABLE: &str = "reliability/com.example.checkout.completed";

/// A contract is taken away and its table stays. Whoever lists the lake finds it named, a person's rows are still erased from it, and
/// the rest leaves with the purpose's retention.
#[test]
fn table_without_a_contract_is_named_and_still_kept_in_order() {
    let world = World::new(&Settings::default());
    let given = r#""purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z""#;
    let of = |id: &str| format!("{{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"{id}\",{given}}}\n");
    let consent = format!("{{\"tenant\":\"acme\",{given}}}\n{}{}", of("u-1"), of("u-2"));
    fs::write(world.path("consent.ndjson"), consent).unwrap();
    let lines = ["u-1", "u-2"].map(|id| of_person(id, now_ms() - 100 * DAY_MS));
    fs::write(world.path("events"), lines.concat() + "{}\n").unwrap();
    let events = world.path("events");
    Weir::new(&world, ["filter", "--decision", "TEST-1", events.to_str().unwrap()]).run().assert_done();
    let list = || Weir::new(&world, ["lake", "ls"]).run().assert_done();
    assert!(list().contains(TABLE) && !list().contains("No contract"), "{}", list());
    assert_eq!(listed(&world, TABLE), Some((Some(true), 2)));

    for name in ["completed.toml", "completed.v2.toml"] {
        fs::remove_file(world.path("schemas/checkout").join(name)).unwrap();
    }
    let text = list();
    let (_, undeclared) = text.split_once("No contract declares these tables").unwrap();
    assert_eq!(undeclared.lines().skip(1).collect::<Vec<_>>(), [format!("  {TABLE}")]);
    assert_eq!(listed(&world, TABLE), Some((Some(false), 2)));
    assert_eq!(listed(&world, "_quarantine").map(|(declared, _)| declared), Some(None), "weir's own has no contract");

    let sound = fs::read_to_string(world.path("purposes.toml")).unwrap();
    fs::write(world.path("purposes.toml"), "[[purpose]]\n").unwrap();
    assert_eq!(listed(&world, TABLE), Some((None, 2)), "a fault in the contracts hides no table");
    fs::write(world.path("purposes.toml"), sound).unwrap();

    let run = |line: &str| Weir::new(&world, line.split(' ')).run().assert_done();
    run("subject erase --tenant acme --kind user --id u-1 --yes --vacuum-now");
    assert_eq!(listed(&world, TABLE), Some((Some(false), 1)), "a person was not erased from it");
    let purposes = fs::read_to_string(world.path("purposes.toml")).unwrap();
    // An epoch has 90 days, and no purpose may keep rows for less.
    fs::write(world.path("purposes.toml"), purposes.replace("retention_days = 395", "retention_days = 90")).unwrap();
    run("lake expire");
    assert_eq!(listed(&world, TABLE), Some((Some(false), 0)), "rows are past their retention");
    run("lake vacuum --older-than 0s --force");
    run("audit");
}

/// Returns whether a contract declares a table, and its rows; none if it is not in the list.
fn listed(world: &World, table: &str) -> Option<(Option<bool>, u64)> {
    let listed = Weir::new(world, ["lake", "ls", "--format", "json"]).run().assert_done();
    let tables: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let found = tables.iter().find(|found| found["table"] == table)?;
    Some((found["declared"].as_bool(), found["rows"].as_u64().unwrap()))
}

const DAY_MS: i64 = 86_400_000;
