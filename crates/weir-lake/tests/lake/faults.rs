//! Crashes, zombies and answers that are not true: whatever happens, every record counts exactly once.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_lake::{CommitError, Lake, TableName};
use weir_policy::PurposeId;

use crate::faulty_store::{Fault, FaultyStore};
use crate::reader;
use crate::world::{
    NOW_MS, SHOP, SPEED, World, audited, counted, event, partition, shop, shop_table, shops, speed_table, speeds, take,
};

/// Goal: a crash between tables and coverage, with a withdrawal in between, loses no record and writes none twice. What was
/// written stands and is counted as written; the withdrawn person's rows of other tables are not written any more.
#[test]
fn a_crash_before_the_coverage_is_finished_with_the_same_end() {
    let world = World::new(&[SHOP, SPEED]);
    let faults = FaultyStore::new(&world);
    let lake = world.open_with(faults.clone());
    take(&lake, 0);
    let events = [shops(0..10), speeds(0..10)].concat();
    // Tables commit in the order of their names: reliability/test.shop first, then the process dies.
    faults.set(
        |path| if path.contains("test.speed") || path.contains("_coverage") { Fault::Before } else { Fault::None },
    );
    assert!(matches!(world.commit(&lake, world.batch(0, 0, &events)), Err(CommitError::Lake(_))));
    assert_eq!(reader::rows(&world.table_path(&shop_table())), 10);
    drop(lake);

    world.withdraw("u3", PurposeId::Reliability);
    let next = world.open();
    let position = take(&next, 0);
    let interrupted = position.interrupted.unwrap();
    assert_eq!((position.watermark, interrupted.end), (None, 20));
    assert!(interrupted.tables.contains(&shop_table()));
    let shorter = world.commit(&next, world.batch(0, 0, &events[..15]));
    assert!(matches!(shorter, Err(CommitError::WrongSpan { .. })), "the batch must end where it did");
    assert!(world.commit(&next, world.batch(0, 0, &events)).is_ok());

    let report = audited(&next);
    assert_eq!((report.tables[&shop_table()], report.tables[&speed_table()]), (10, 9));
    assert_eq!(counted(&report, "written", None), 19);
    assert_eq!(counted(&report, "denied", Some("consent_withdrawn")), 1);
    assert_eq!(take(&next, 0).interrupted, None);
}

/// Goal: a record that is in quarantine when the crash comes is not judged again.
#[test]
fn a_crash_keeps_what_is_in_quarantine() {
    let world = World::new(&[SHOP]);
    let faults = FaultyStore::new(&world);
    let lake = world.open_with(faults.clone());
    take(&lake, 0);
    let events = [vec!["{".to_owned()], shops(0..3), vec![event("test.unknown", "{}")]].concat();
    faults.set(|path| if path.contains("_coverage") { Fault::Before } else { Fault::None });
    assert!(world.commit(&lake, world.batch(0, 0, &events)).is_err());
    let next = world.open();
    let interrupted = take(&next, 0).interrupted.unwrap();
    assert_eq!(*interrupted.quarantined, BTreeSet::from([0, 4]));
    let mut batch = world.batch(0, 1, &shops(0..3));
    batch.spans[0].1.from = 0;
    batch.spans[0].1.to = interrupted.end;
    assert!(world.commit(&next, batch).is_ok());
    let report = audited(&next);
    assert_eq!(next.quarantined().unwrap().len(), 2);
    assert_eq!(counted(&report, "quarantined", Some("json")), 1);
    assert_eq!(counted(&report, "written", None), 3);
}

/// Lets a first owner of partition 0 stall right before its put to `reliability/test.speed`, until a second has taken over.
/// Returns the second, after the first woke up and its put succeeded.
fn zombie(world: &World) -> Arc<Lake> {
    let faults = FaultyStore::new(world);
    let first = world.open_with(faults.clone());
    // The table is there already, so that the put is the rows'.
    world.add(&first, 1, &speeds(0..1));
    take(&first, 0);
    let second = Arc::new(world.open());
    let taker = second.clone();
    faults.once("test.speed/_delta_log", move || {
        let taker = taker.clone();
        // A thread of its own: the first owner's store must not wait for itself.
        std::thread::spawn(move || assert_eq!(take(&taker, 0).interrupted, None)).join().unwrap();
        Fault::None
    });
    let fenced = world.commit(&first, world.batch(0, 0, &speeds(0..10)));
    assert!(matches!(fenced, Err(CommitError::Fenced { .. })), "the first owner finds out before the coverage");
    assert_eq!(reader::rows(&world.table_path(&speed_table())), 11, "its rows are there, and nobody's");
    second
}

/// Goal: rows that a zombie committed to a table which its successor does not touch are found, named and removed.
#[test]
fn a_zombie_on_an_untouched_table_is_removed() {
    let world = World::new(&[SHOP, SPEED]);
    let second = zombie(&world);
    assert!(world.commit(&second, world.batch(0, 0, &shops(0..4))).is_ok());
    let report = second.audit(true).unwrap();
    let words: Vec<_> = report.discrepancies.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["unclaimed commit: 10 rows of reliability/test.speed belong to no batch"]);
    let vacuumed = second.vacuum(i64::MAX, NOW_MS).unwrap().done;
    assert_eq!(vacuumed.commits, 1);
    assert_eq!(reader::rows(&world.table_path(&speed_table())), 1);
    audited(&second);
    audited(&world.open());
}

/// Goal: rows that a zombie committed to a table which its successor writes too leave before the successor's are added.
#[test]
fn a_zombie_on_a_touched_table_makes_way() {
    let world = World::new(&[SHOP, SPEED]);
    let second = zombie(&world);
    assert!(world.commit(&second, world.batch(0, 0, &speeds(0..6))).is_ok());
    assert_eq!(reader::rows(&world.table_path(&speed_table())), 7);
    audited(&second);
}

/// Goal: the next owner after a zombie does not take its rows for an interrupted batch's once the coverage is past them.
#[test]
fn a_zombie_does_not_come_back_with_the_next_owner() {
    let world = World::new(&[SHOP, SPEED]);
    let second = zombie(&world);
    assert!(world.commit(&second, world.batch(0, 0, &shops(0..4))).is_ok());
    let third = world.open();
    // The zombie's end is past the coverage, its start is not: its rows can't be finished, so they go.
    assert_eq!(take(&third, 0).interrupted, None);
    assert_eq!(reader::rows(&world.table_path(&speed_table())), 1);
    audited(&third);
}

/// Goal: a conflict that is our own success is one: the store's retry says "taken", and the rows are there once.
#[test]
fn a_conflict_can_be_our_own_success() {
    for fault in [Fault::AfterAsConflict, Fault::After] {
        for place in ["test.shop/_delta_log", "_coverage/_delta_log"] {
            let world = World::new(&[SHOP]);
            let faults = FaultyStore::new(&world);
            let lake = world.open_with(faults.clone());
            world.add(&lake, 0, &shops(0..3));
            take(&lake, 0);
            faults.once(place, move || fault);
            assert!(world.commit(&lake, world.batch(0, 3, &shops(0..5))).is_ok(), "{fault:?} at {place}");
            let report = audited(&lake);
            assert_eq!((report.tables[&shop_table()], report.orphans), (8, 0));
        }
    }
}

/// Goal: a failure that was one is told, and after taking the partition anew the same batch goes through.
#[test]
fn a_failed_batch_can_be_tried_again() {
    let world = World::new(&[SHOP, SPEED]);
    let faults = FaultyStore::new(&world);
    let lake = world.open_with(faults.clone());
    take(&lake, 0);
    let events = [shops(0..5), speeds(0..5)].concat();
    faults.once("test.speed/_delta_log/00000000000000000001", || Fault::Before);
    assert!(world.commit(&lake, world.batch(0, 0, &events)).is_err());
    let end = take(&lake, 0).interrupted.map(|interrupted| interrupted.end);
    assert_eq!(end, Some(10));
    assert!(world.commit(&lake, world.batch(0, 0, &events)).is_ok());
    let report = audited(&lake);
    assert_eq!((report.tables[&shop_table()], report.tables[&speed_table()]), (5, 5));
}

/// Goal: two writers of different partitions get in each other's way all the time, and no row is lost or there twice.
#[test]
fn two_writers_lose_nothing() {
    let world = World::new(&[SHOP, SPEED]);
    let lakes = [world.open(), world.open()];
    std::thread::scope(|scope| {
        for (lake, number) in lakes.iter().zip(0..) {
            let world = &world;
            scope.spawn(move || {
                take(lake, number);
                for round in 0..8 {
                    let events = [shops(0..5), speeds(0..5)].concat();
                    assert!(world.commit(lake, world.batch(number, round * 10, &events)).is_ok());
                }
            });
        }
    });
    let report = audited(&world.open());
    assert_eq!((report.tables[&shop_table()], report.tables[&speed_table()]), (80, 80));
    assert_eq!(report.partitions[&partition(1)], 80);
}

/// Goal: who lost a partition can't commit it.
#[test]
fn an_old_owner_is_fenced() {
    let world = World::new(&[SHOP]);
    let (first, second) = (world.open(), world.open());
    take(&first, 0);
    take(&second, 0);
    assert!(matches!(world.commit(&first, world.batch(0, 0, &shops(0..3))), Err(CommitError::Fenced { .. })));
    assert!(world.commit(&second, world.batch(0, 0, &shops(0..3))).is_ok());
    second.release(&[partition(0)]);
    assert!(matches!(world.commit(&second, world.batch(0, 3, &shops(0..3))), Err(CommitError::Fenced { .. })));
    assert_eq!(audited(&second).tables[&shop_table()], 3);
}

/// Goal: who loses a partition in the middle of a commit writes nothing any more: the generation is read before each put.
#[test]
fn an_owner_that_just_lost_its_partition_writes_nothing() {
    let world = World::new(&[SHOP]);
    let (first, second) = (world.open(), world.open());
    take(&first, 0);
    let lost = world.commit_at(&first, world.batch(0, 0, &shops(0..3)), &|| drop(take(&second, 0)));
    assert!(matches!(lost, Err(CommitError::Fenced { .. })));
    assert_eq!(reader::rows(&world.table_path(&shop_table())), 0);
    assert!(world.commit(&second, world.batch(0, 0, &shops(0..3))).is_ok());
    assert_eq!(audited(&second).tables[&shop_table()], 3);
}

/// Goal: the coverage takes a span once, even from its owner, and even where no table has a row to conflict about.
#[test]
fn a_span_counts_once_even_for_its_owner() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    take(&lake, 0);
    let nobody = [shop("somebody who was never asked")];
    let twice = world.commit_at(&lake, world.batch(0, 0, &nobody), &|| {
        assert!(world.commit(&lake, world.batch(0, 0, &nobody)).is_ok());
    });
    assert!(matches!(twice, Err(CommitError::Fenced { .. })));
    assert_eq!(counted(&audited(&lake), "denied", Some("no_consent_record")), 1);
}

/// Goal: an interrupted batch of two partitions is finished by two new owners, each its part.
#[test]
fn two_owners_finish_one_batch() {
    let world = World::new(&[SHOP]);
    let faults = FaultyStore::new(&world);
    let lake = world.open_with(faults.clone());
    lake.positions(&[partition(0), partition(1)], NOW_MS).unwrap();
    let (zero, one) = (shops(0..4), shops(4..10));
    faults.set(|path| if path.contains("_coverage") { Fault::Before } else { Fault::None });
    assert!(world.commit(&lake, world.batches(&[(0, 0, &zero), (1, 0, &one)])).is_err());
    let (first, second) = (world.open(), world.open());
    assert_eq!(take(&first, 0).interrupted.unwrap().end, 4);
    assert!(world.commit(&first, world.batch(0, 0, &zero)).is_ok());
    assert!(first.audit(true).unwrap().is_sound(), "half a batch is claimed, and the rest waits");
    assert_eq!(take(&second, 1).interrupted.unwrap().end, 6);
    assert!(world.commit(&second, world.batch(1, 0, &one)).is_ok());
    let report = audited(&second);
    assert_eq!(report.tables[&TableName::events(PurposeId::Reliability, "test.shop")], 10);
}
