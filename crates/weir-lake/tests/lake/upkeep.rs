//! Retention, vacuum, checkpoints and the cleaning of logs.

use std::fs;

use weir_lake::{Dialect, GapError, Lake, LakeConfig, TableName, views};
use weir_policy::PurposeId;

use crate::faulty_store::{Fault, FaultyStore};
use crate::reader::live;
use crate::restrict::interrupted;
use crate::world::{
    DAY_MS, NOW_MS, SHOP, SPEED, World, audited, partition, shop_table, shops, speed_table, speeds, take,
};

fn parquet_files(world: &World, table: &TableName) -> usize {
    let mut count = 0;
    let mut folders = vec![world.table_path(table)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_str().unwrap().contains("_delta_log") {
                count += usize::from(path.extension().is_some_and(|extension| extension == "parquet"));
            }
        }
    }
    count
}

/// Goal: rows leave when their purpose's time is over, and the books still balance.
#[test]
fn rows_leave_when_their_time_is_over() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..7));
    let troubleshooting = TableName::events(PurposeId::Troubleshooting, "test.shop");
    let later_ms = NOW_MS + 31 * DAY_MS;
    let expired = lake.expire(world.policy.purposes(), later_ms).unwrap().done;
    assert_eq!(expired.iter().map(|one| (&one.table, one.rows)).collect::<Vec<_>>(), [(&troubleshooting, 7)]);
    assert!(live(&world.table_path(&troubleshooting)).is_empty());
    assert_eq!(audited(&lake).tables[&shop_table()], 7);
    assert!(lake.expire(world.policy.purposes(), later_ms).unwrap().done.is_empty());
    assert_eq!(parquet_files(&world, &troubleshooting), 1, "readers of the older version still have the file");
    assert_eq!(lake.vacuum(0, later_ms * 2).unwrap().done.files, 1);
    assert_eq!(parquet_files(&world, &troubleshooting), 0);
    audited(&lake);
}

/// Goal: a table that cannot be read, or is skipped, is told and keeps its rows; the others' rows leave all the same, and their files.
#[test]
fn no_table_keeps_the_rows_of_others() {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    world.add(&lake, 0, &[shops(0..7), speeds(0..7)].concat());
    drop(lake);
    let later_ms = NOW_MS + 800 * DAY_MS;
    let log = world.table_path(&shop_table()).join("_delta_log/00000000000000000001.json");
    let sound = fs::read(&log).unwrap();
    fs::write(&log, "no log").unwrap();
    let lake = world.open();
    let expiry = lake.expire(world.policy.purposes(), later_ms).unwrap();
    assert_eq!(expiry.refused.unwrap().table(), Some(&shop_table()));
    assert!(expiry.done.iter().any(|one| one.table == speed_table()));
    let coverage = world.table_path(&TableName::Coverage).join("_delta_log");
    let entries = || fs::read_dir(&coverage).unwrap().count();
    let before = entries();
    let vacuumed = lake.vacuum(0, later_ms * 2).unwrap();
    assert_eq!(vacuumed.refused.unwrap().table(), Some(&shop_table()));
    assert!(vacuumed.done.files > 0 && vacuumed.done.log_files > 0);
    assert_eq!(parquet_files(&world, &speed_table()), 0);
    assert_eq!(entries(), before, "what decides about a table that nobody read is gone");
    fs::write(&log, sound).unwrap();
    drop(lake);

    let config = LakeConfig { skip: [shop_table()].into(), ..world.config() };
    let skipping = Lake::open(config, &world.key(), world.ledger()).unwrap();
    let expiry = skipping.expire(world.policy.purposes(), later_ms).unwrap();
    assert_eq!((expiry.done, expiry.skipped), (Vec::new(), vec![shop_table()]));
    assert_eq!(skipping.vacuum(0, later_ms * 2).unwrap().skipped, [shop_table()]);
    assert_eq!(entries(), before);
    drop(skipping);
    let lake = world.open();
    assert_eq!(lake.expire(world.policy.purposes(), later_ms).unwrap().done[0].table, shop_table());
    assert!(lake.vacuum(0, later_ms * 2).unwrap().is_whole() && entries() < before);
    audited(&lake);
}

/// Goal: files that a crash left are removed when they are old enough, and no others.
#[test]
fn vacuum_takes_orphans_only() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..7));
    let table = world.table_path(&shop_table());
    let file = live(&table).remove(0);
    for orphan in [".left.parquet", "left.parquet"] {
        fs::copy(&file, file.with_file_name(orphan)).unwrap();
    }
    assert_eq!(audited(&lake).orphans, 1);
    assert_eq!(lake.vacuum(400 * 365 * DAY_MS, NOW_MS).unwrap().done.files, 0);
    assert_eq!(lake.vacuum(0, NOW_MS * 2).unwrap().done.files, 2);
    assert_eq!(live(&table), [file]);
    audited(&lake);
}

long! {
/// Goal: an interrupted batch is finished however long its partition had no owner, and whatever was cleaned meanwhile.
#[test]
fn cleaning_leaves_what_tells_of_an_interrupted_batch() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    assert_eq!(interrupted(&world, &shops(3..5)), 3);

    let lake = world.open();
    for _ in 0..30 {
        world.add(&lake, 1, &shops(5..6));
    }
    assert!(lake.vacuum(0, NOW_MS * 2).unwrap().done.log_files > 0, "older entries go");
    drop(lake);
    let lake = world.open();
    assert_eq!(take(&lake, 0).interrupted.unwrap().end, 5);
    assert!(world.commit(&lake, world.batch(0, 3, &shops(3..5))).is_ok());
    assert_eq!(audited(&lake).tables[&shop_table()], 35);
    assert!(lake.vacuum(0, NOW_MS * 2).unwrap().done.log_files > 50, "nothing is open any more");
    audited(&lake);
}

/// Goal: after many commits there are checkpoints; cleaned logs open, continue and audit as before.
#[test]
fn cleaned_logs_tell_the_same() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    take(&lake, 0);
    for round in 0..60 {
        assert!(world.commit(&lake, world.batch(0, round * 2, &shops(0..2))).is_ok());
    }
    let log = world.table_path(&shop_table()).join("_delta_log");
    assert!(log.join("00000000000000000050.checkpoint.parquet").exists());
    let again = world.open();
    assert_eq!(take(&again, 0).watermark, Some(120));
    let before = audited(&again);
    assert!(again.vacuum(0, NOW_MS * 2).unwrap().done.log_files > 50);
    assert!(!log.join("00000000000000000001.json").exists());
    for lake in [&again, &world.open()] {
        let after = audited(lake);
        assert_eq!((after.tables, after.fates, after.pending), (before.tables.clone(), before.fates.clone(), 0));
    }
    assert!(world.commit(&again, world.batch(0, 120, &shops(0..2))).is_ok());
    let fresh = world.open();
    assert_eq!(take(&fresh, 0).watermark, Some(122));
    audited(&fresh);
}
}

/// Goal: offsets that the broker lost are accepted once, told by the audit, and not confused with records.
#[test]
fn a_gap_is_accepted_and_told() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..7));
    assert_eq!(lake.accept_gap(&partition(0), 20, NOW_MS).unwrap().from, 7);
    assert!(matches!(lake.accept_gap(&partition(0), 20, NOW_MS), Err(GapError::NoGap { .. })));
    assert!(matches!(lake.accept_gap(&partition(1), 20, NOW_MS), Err(GapError::NoGap { .. })));
    world.add(&lake, 0, &shops(0..3));
    let report = audited(&lake);
    assert_eq!(report.partitions[&partition(0)], 23);
    assert_eq!(report.fates[&(String::new(), "lost".to_owned(), None)], 13);
}

/// Goal: a batch that was interrupted, and whose records are gone, does not stand in the way: what it wrote leaves, and
/// what the broker still has of it is read again.
#[test]
fn a_gap_inside_an_interrupted_batch_is_accepted() {
    let world = World::new(&[SHOP]);
    let faults = FaultyStore::new(&world);
    let lake = world.open_with(faults.clone());
    world.add(&lake, 0, &shops(0..7));
    faults.set(|path| if path.contains("_coverage") { Fault::Before } else { Fault::None });
    assert!(world.commit(&lake, world.batch(0, 7, &shops(10..20))).is_err());
    let next = world.open();
    assert_eq!(take(&next, 0).interrupted.unwrap().end, 17);
    assert_eq!(next.accept_gap(&partition(0), 12, NOW_MS).unwrap().from, 7);
    assert_eq!(take(&next, 0).interrupted, None);
    world.add(&next, 0, &shops(15..20));
    let report = audited(&next);
    assert_eq!((report.partitions[&partition(0)], report.tables[&shop_table()]), (17, 12));
}

/// Goal: the listing shows each table, and the views name each.
#[test]
fn tables_are_listed_with_views() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..7));
    let tables = lake.tables().unwrap();
    let seen: Vec<_> = tables.iter().map(|table| (table.table.to_string(), table.files, table.rows)).collect();
    assert_eq!(seen, [("troubleshooting/test.shop".to_owned(), 1, 7), ("reliability/test.shop".to_owned(), 1, 7)]);
    assert_eq!(tables[0].days, Some(("2026-11-23".to_owned(), "2026-11-23".to_owned())));
    for dialect in Dialect::ALL {
        let text = views(&tables, dialect);
        assert!(text.contains("reliability_test_shop") && text.contains("subject"), "{text}");
    }
}
