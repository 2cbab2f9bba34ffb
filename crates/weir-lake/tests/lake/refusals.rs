//! What weir does not touch: other programs' tables, other protocols, other keys, other groups.

use std::fs;

use weir_keys::KeyRing;
use weir_lake::{CommitError, Lake, LakeConfig, LakeError, PartitionId, TableError};

use crate::world::{NOW_MS, SHOP, World, audited, partition, shop_table, shops, take};

/// Returns why a batch for the table was refused.
fn refusal(world: &World) -> TableError {
    let lake = world.open();
    let position = lake.positions(&[partition(0)], NOW_MS);
    let error = match position {
        Err(error) => error,
        Ok(positions) => {
            let from = positions[0].watermark.unwrap_or(0);
            match world.commit(&lake, world.batch(0, from, &shops(0..3))) {
                Err(CommitError::Lake(error)) => error,
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("the batch was committed"),
            }
        }
    };
    assert_eq!(error.table(), Some(&shop_table()));
    match error {
        LakeError::Table { source, .. } => source,
        LakeError::Encrypted
        | LakeError::Kernel(_)
        | LakeError::KeysLapsed
        | LakeError::Ledger(_)
        | LakeError::MadeAnew { .. }
        | LakeError::NoCoverage
        | LakeError::OpenBatch { .. }
        | LakeError::OtherGroup { .. }
        | LakeError::Store(_)
        | LakeError::StoreKeys(_) => panic!("{error}"),
    }
}

fn write_log(world: &World, version: u64, text: &str) {
    let log = world.table_path(&shop_table()).join("_delta_log");
    fs::create_dir_all(&log).unwrap();
    fs::write(log.join(format!("{version:020}.json")), text).unwrap();
}

#[test]
fn a_folder_of_files_is_no_table() {
    let world = World::new(&[SHOP]);
    take(&world.open(), 9);
    fs::create_dir_all(world.table_path(&shop_table())).unwrap();
    fs::write(world.table_path(&shop_table()).join("rows.csv"), "a,b").unwrap();
    assert!(matches!(refusal(&world), TableError::NotDelta));
}

#[test]
fn a_table_of_another_program_is_refused() {
    let world = World::new(&[SHOP]);
    take(&world.open(), 9);
    let metadata = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}
"#;
    write_log(&world, 0, metadata);
    assert!(matches!(refusal(&world), TableError::OtherProgram));
}

#[test]
fn a_foreign_commit_blocks_the_table() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    write_log(&world, 2, "{\"commitInfo\":{\"engineInfo\":\"another\"}}\n");
    assert!(matches!(refusal(&world), TableError::Foreign { version: 2 }));
}

#[test]
fn a_newer_protocol_blocks_the_table() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    write_log(&world, 2, "{\"protocol\":{\"minReaderVersion\":3,\"minWriterVersion\":7}}\n");
    assert!(matches!(refusal(&world), TableError::Newer { reader: 3, writer: 7 }));
}

#[test]
fn another_key_ring_is_refused() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    let folder = tempfile::tempdir().unwrap();
    let other = KeyRing::init(&folder.path().join("keys")).unwrap().snapshot().lake_key("lake");
    let refused = Lake::open(world.config(), &other, world.ledger());
    assert!(matches!(refused, Err(LakeError::Table { source: TableError::OtherKeys, .. })));
}

#[test]
fn a_lake_without_coverage_is_refused() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    fs::remove_dir_all(world.root().join("eu/_coverage")).unwrap();
    assert!(matches!(Lake::open(world.config(), &world.key(), world.ledger()), Err(LakeError::NoCoverage)));
}

#[test]
fn another_group_is_refused_until_it_takes_over() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    let other = LakeConfig { group: "other".into(), ..world.config() };
    let open = |config: LakeConfig| Lake::open(config, &world.key(), world.ledger());
    assert!(matches!(open(other.clone()), Err(LakeError::OtherGroup { .. })));
    let old = world.open();
    take(&old, 0);
    Lake::take_over(other.clone(), &world.key(), &world.ledger(), NOW_MS).unwrap();
    let refused = world.commit(&old, world.batch(0, 3, &shops(0..3)));
    assert!(matches!(refused, Err(CommitError::Lake(LakeError::OtherGroup { .. }))));
    assert!(matches!(open(world.config()), Err(LakeError::OtherGroup { .. })));
    let lake = open(other).unwrap();
    assert_eq!(take(&lake, 0).interrupted, None);
    assert!(world.commit(&lake, world.batch(0, 3, &shops(0..3))).is_ok());
    audited(&lake);
}

/// Goal: a topic that was deleted and made anew never mixes with its predecessor, even across a restart. Files are named by
/// their bytes: another file of the same name is no incarnation.
#[test]
fn a_topic_made_anew_is_refused_and_a_file_of_the_same_name_is_not() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..3));
    let anew = PartitionId { source: "kafka:cluster:other".into(), ..partition(0) };
    let refused = world.open().positions(std::slice::from_ref(&anew), NOW_MS);
    assert!(matches!(refused, Err(LakeError::MadeAnew { partition }) if partition == anew));
    assert_eq!(take(&world.open(), 0).watermark, Some(3));
    for source in ["blake3:1", "blake3:2"] {
        let file = PartitionId { source: source.into(), topic: "events.ndjson".into(), partition: 0 };
        assert!(world.open().positions(&[file], NOW_MS).is_ok());
    }
}
