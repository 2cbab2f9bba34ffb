//! The ledger and the lake against each other: told once whatever crashes, and every change behind its back is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use weir_lake::{LakeError, LedgerDiscrepancy, LedgerReport, TableName};
use weir_ledger::{Entry, Fault};
use weir_policy::PurposeId;

use crate::reader::live;
use crate::world::{DAY_MS, NOW_MS, SHOP, SPEED, World, shop, shop_table, speed, take};

/// A lake of two commits, each of several tables.
fn filled() -> World {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    for user in ["u1", "u2"] {
        world.add(&lake, 0, &[shop(user), speed(user)]);
    }
    world
}

fn audit(world: &World) -> LedgerReport {
    world.open().audit_ledger(true, &[]).unwrap()
}

fn names(report: &LedgerReport) -> BTreeSet<&'static str> {
    report.discrepancies.iter().map(LedgerDiscrepancy::name).collect()
}

fn ledger_path(world: &World) -> PathBuf {
    world.root().join("eu/_ledger")
}

/// The entries of the ledger, in order.
fn entries(world: &World) -> Vec<PathBuf> {
    let verified = world.ledger().verify(&[]).unwrap();
    assert_eq!(verified.faults, []);
    verified.entries.iter().map(|entry| ledger_path(world).join(&entry.path)).collect()
}

/// The versions of the coverage that the ledger was told, in order.
fn told(world: &World) -> Vec<u64> {
    let entries = world.ledger().verify(&[]).unwrap().entries;
    let commits = entries.into_iter().filter_map(|entry| match entry.entry {
        Some(Entry::Commit(commit)) => Some(commit.coverage),
        _ => None,
    });
    commits.flatten().map(|version| version.version).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn data_file(world: &World, table: &TableName) -> PathBuf {
    live(&world.table_path(table)).remove(0)
}

#[test]
fn every_version_of_the_coverage_is_told_once_and_every_file_is_as_told() {
    let world = filled();
    let report = audit(&world);
    assert_eq!(report.discrepancies, BTreeSet::new());
    assert_eq!(report.waiting, 0);
    // Two commits of three tables, and a file of lines in the coverage for each.
    assert_eq!(report.files, 8);
    let versions = told(&world);
    assert_eq!(versions, (0..u64::try_from(versions.len()).unwrap()).collect::<Vec<_>>());
    // Nothing of where records came from or of whom they are.
    for path in entries(&world) {
        let text = fs::read_to_string(path).unwrap();
        for word in ["telemetry", "cluster", "acme", "offset", "partition"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

/// The daemon died between coverage and ledger: the next one tells what it could not, and nothing twice.
#[test]
fn what_a_crash_left_untold_is_told_once() {
    let world = filled();
    let before = told(&world);
    // The last entry and the memory of it never were.
    let entries = entries(&world);
    let [.., second, last] = &entries[..] else { panic!("{entries:?}") };
    fs::remove_file(last).unwrap();
    let head: serde_json::Value =
        serde_json::from_str(fs::read_to_string(second).unwrap().lines().nth(1).unwrap()).unwrap();
    world.ring.head_file("eu").keep(head["head"].as_str().unwrap()).unwrap();
    let report = audit(&world);
    assert_eq!((report.discrepancies.len(), report.waiting), (0, 1));
    assert!(told(&world).len() < before.len());
    let lakes = [world.open(), world.open()];
    for lake in lakes {
        lake.tell_ledger(NOW_MS).unwrap();
    }
    assert_eq!(told(&world), before);
    assert_eq!(audit(&world).discrepancies, BTreeSet::new());
}

#[test]
fn files_that_expired_and_were_vacuumed_are_accounted_for() {
    let world = filled();
    let lake = world.open();
    let later = NOW_MS + 500 * DAY_MS;
    assert!(!lake.expire(world.policy.purposes(), later).unwrap().done.is_empty());
    assert_eq!(audit(&world).discrepancies, BTreeSet::new());
    assert!(lake.vacuum(0, later + 10 * DAY_MS).unwrap().done.files > 0);
    let report = audit(&world);
    assert_eq!(report.discrepancies, BTreeSet::new());
    assert!(report.files < 8);
}

#[test]
fn replaced_file_is_found() {
    let world = filled();
    let path = data_file(&world, &shop_table());
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(names(&audit(&world)), ["changed_file"].into());
    fs::remove_file(&path).unwrap();
    assert_eq!(names(&audit(&world)), ["missing_file"].into());
}

#[test]
fn swapped_files_are_found() {
    let world = filled();
    let (one, two) = (
        data_file(&world, &shop_table()),
        data_file(&world, &TableName::events(PurposeId::Troubleshooting, "test.shop")),
    );
    let (first, second) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    fs::write(one, second).unwrap();
    fs::write(two, first).unwrap();
    assert_eq!(audit(&world).discrepancies.len(), 2);
    assert_eq!(names(&audit(&world)), ["changed_file"].into());
}

/// One table is set back to an older copy of itself, which is sound alone.
#[test]
fn table_that_was_set_back_is_found() {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    world.add(&lake, 0, &[shop("u1")]);
    let copied = world.root().with_file_name("copy");
    copy(&world.table_path(&shop_table()), &copied);
    world.add(&lake, 0, &[shop("u2")]);
    fs::remove_dir_all(world.table_path(&shop_table())).unwrap();
    copy(&copied, &world.table_path(&shop_table()));
    assert_eq!(names(&audit(&world)), ["unlisted_file"].into());
}

/// The whole lake is set back, ledger and all: only what the ring keeps can tell, and nothing is written on top.
#[test]
fn lake_that_was_set_back_is_found_and_refused() {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    world.add(&lake, 0, &[shop("u1")]);
    let copied = world.root().with_file_name("copy");
    copy(&world.root(), &copied);
    world.add(&lake, 0, &[shop("u2")]);
    fs::remove_dir_all(world.root()).unwrap();
    copy(&copied, &world.root());
    assert_eq!(names(&audit(&world)), ["rolled_back"].into());
    let lake = world.open();
    take(&lake, 0);
    let refused = world.commit(&lake, world.batch(0, 1, &[shop("u2")])).unwrap_err();
    let is_refusal = matches!(
        &refused,
        weir_lake::CommitError::Lake(LakeError::Ledger(error)) if error.is_refusal()
    );
    assert!(is_refusal, "{refused:?}");
    assert_eq!(live(&world.table_path(&shop_table())).len(), 1, "nothing was written");
}

#[test]
fn cut_swapped_and_forged_entries_are_found() {
    type Damage = fn(&[PathBuf]);
    let cases: [(&str, Damage); 5] = [
        ("rolled_back", |entries| fs::remove_file(entries.last().unwrap()).unwrap()),
        ("cut", |entries| fs::remove_file(&entries[1]).unwrap()),
        ("misplaced_entry", |entries| {
            let (one, two) = (fs::read(&entries[1]).unwrap(), fs::read(&entries[2]).unwrap());
            fs::write(&entries[1], two).unwrap();
            fs::write(&entries[2], one).unwrap();
        }),
        ("changed_entry", |entries| {
            let text = fs::read_to_string(&entries[2]).unwrap();
            fs::write(&entries[2], text.replacen("\"bytes\":", "\"bytes\":1", 1)).unwrap();
        }),
        ("forged_entry", |entries| {
            let other = filled();
            fs::copy(&self::entries(&other)[2], &entries[2]).unwrap();
        }),
    ];
    for (name, damage) in cases {
        let world = filled();
        damage(&entries(&world));
        assert_eq!(names(&audit(&world)), [name].into());
    }
}

/// Entries that are true one by one do not make up for a version that was left out.
#[test]
fn coverage_that_was_set_back_is_found() {
    let world = filled();
    let log = world.table_path(&TableName::Coverage).join("_delta_log");
    let last = fs::read_dir(log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .max()
        .unwrap();
    fs::remove_file(last).unwrap();
    let report = audit(&world);
    assert!(names(&report).contains("missing_versions"), "{:?}", report.discrepancies);
}

/// A head that somebody kept elsewhere tells what the ring, set back as well, cannot.
#[test]
fn head_that_was_kept_elsewhere_tells_what_the_ring_forgot() {
    let world = filled();
    let entries = entries(&world);
    let kept = [("a letter".to_owned(), fs::read_to_string(world.ring.head_file("eu").path()).unwrap())];
    assert!(world.open().audit_ledger(true, &kept).unwrap().is_sound());
    fs::remove_file(entries.last().unwrap()).unwrap();
    fs::remove_file(world.ring.head_file("eu").path()).unwrap();
    let report = world.open().audit_ledger(true, &kept).unwrap();
    let is_named = |found: &LedgerDiscrepancy| matches!(found, LedgerDiscrepancy::Chain(Fault::RolledBack { kept, .. }) if kept == "a letter");
    assert!(report.discrepancies.iter().any(is_named), "{:?}", report.discrepancies);
}
