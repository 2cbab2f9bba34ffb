//! What batches leave in the tables, and what they leave out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int16Type, Int64Type};
use parquet::basic::Compression;
use parquet::file::metadata::RowGroupMetaData;
use weir_lake::{CommitError, LakeConfig, Recheck, TableName};
use weir_policy::PurposeId;

use crate::people::every_file;
use crate::reader::{self, each, live, read};
use crate::world::{
    ENCRYPTED, NOW_MS, SHOP, SPEED, World, audited, counted, event, partition, policy, shop, shop_table, shops,
    speed_table, speeds, take,
};

const TYPES: &str = include_str!("../../../weir-filter/tests/filter/types.toml");

/// Goal: every type of a contract comes back from the files as the type that the table promises.
#[test]
fn every_type_comes_back_as_it_went_in() {
    let world = World::new(&[TYPES]);
    let lake = world.open();
    let data = r#"{"user": {"id": "u1"}, "flag": true, "int8": -7, "uint64": 18446744073709551615, "price": "12.50",
        "took": 48, "at": "2026-11-23T09:59:59Z", "word": "two", "version": "1.2.3", "status": 404, "ip": "203.0.113.7",
        "tags": ["red", "black", null], "deep": {"items": [{"size": {"cm": 12}, "name": "chair"}, {}]}}"#;
    world.add(&lake, 0, &[event("test.types", data), event("test.types", r#"{"user": {"id": "u2"}}"#)]);
    let table = world.table_path(&TableName::events(PurposeId::Troubleshooting, "test.types"));
    let rows = read(&live(&table)[0]);
    assert_eq!(rows.num_rows(), 2);
    let full = usize::from(rows["flag"].is_null(0));
    assert!(rows["flag"].as_boolean().value(full));
    assert_eq!(
        rows["uint64"].as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(full),
        "18446744073709551615"
    );
    assert_eq!(rows["price"].as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(full), "12.50");
    assert_eq!(rows["status"].as_primitive::<Int16Type>().value(full), 404);
    assert_eq!(rows["word"].as_string::<i32>().value(full), "two");
    assert_eq!(rows["ip"].as_string::<i32>().value(full), "203.0.113.0/24");
    let took = rows.schema().fields().iter().find(|field| field.name().starts_with("took")).unwrap().name().clone();
    assert_eq!(rows[took.as_str()].as_primitive::<Int64Type>().value(full), 48_000);
    let tags = rows["tags"].as_list::<i32>().value(full);
    let tags: Vec<_> = tags.as_string::<i32>().iter().map(|tag| tag.map(str::to_owned)).collect();
    assert_eq!(tags, [Some("red".into()), Some("__other__".into()), None]);
    assert_eq!(rows["version"].as_struct().num_columns(), 3);
    assert_eq!(rows["subject"].as_binary::<i32>().value(0).len(), 16);
    audited(&lake);
}

/// Goal: rows leave in the order of their pseudonyms, which tells nothing of their arrival (LK-37).
#[test]
fn rows_are_in_pseudonym_order() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    // Five people with twenty events each, one after the other: within a person, too, nothing may tell which came first.
    let of_one = |number: u32| {
        let user = number / 20;
        event("test.shop", &format!(r#"{{"user": "u{user}", "what": "chair", "number": {number}}}"#))
    };
    world.add(&lake, 0, &(0..100).map(of_one).collect::<Vec<_>>());
    let order = |purpose| {
        let rows = read(&live(&world.table_path(&TableName::events(purpose, "test.shop")))[0]);
        let column = |name| rows[name].as_binary::<i32>().iter().flatten().map(<[u8]>::to_vec).collect::<Vec<_>>();
        column("subject").into_iter().zip(column("event_id")).collect::<Vec<_>>()
    };
    let (one, two) = (order(PurposeId::Reliability), order(PurposeId::Troubleshooting));
    assert_eq!(one.len(), 100);
    assert!(one.is_sorted() && two.is_sorted());
    assert_eq!(one.iter().map(|(subject, _)| subject).collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 100, "each event has an id of its own");
    assert!(one.iter().all(|(subject, id)| !two.iter().any(|other| other.0 == *subject || other.1 == *id)));
}

/// Goal: a file says of itself what the allow-list has, and nothing else (LK-21, LK-24).
#[test]
fn footers_hold_what_is_allowed() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..100));
    let file = reader::open(&live(&world.table_path(&shop_table()))[0]);
    let footer = file.metadata().file_metadata();
    assert_eq!(footer.created_by(), Some("weir"));
    let keys: BTreeSet<_> = footer.key_value_metadata().unwrap().iter().map(|note| note.key.clone()).collect();
    assert_eq!(keys, ["weir.columns", "weir.keep_until", "weir.policy", "weir.purpose"].map(str::to_owned).into());
    for column in file.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let name = column.column_path().string();
        assert_eq!(column.statistics().is_some(), name == "time", "{name}");
        assert!(column.column_index_offset().is_none() && column.bloom_filter_offset().is_none(), "{name}");
        if name == "subject" || name == "event_id" {
            assert_eq!(column.compression(), Compression::UNCOMPRESSED);
            assert!(column.dictionary_page_offset().is_none());
        }
    }
}

/// Goal: no column has a compressor that takes longer to make than it has to do.
#[test]
fn columns_are_compressed_where_they_have_kilobytes() {
    for (rows, compressed) in [(1_000, vec![]), (1_100, vec!["time"])] {
        let world = World::new(&[SHOP]);
        let events: Vec<_> = shops(0..100).into_iter().cycle().take(rows).collect();
        world.add(&world.open(), 0, &events);
        let file = reader::open(&live(&world.table_path(&shop_table()))[0]);
        let columns = file.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
        // Dictionaries of encrypted files are compressed whatever their size.
        let columns = columns.filter(|column| !ENCRYPTED || column.dictionary_page_offset().is_none());
        let found = columns.filter(|column| matches!(column.compression(), Compression::ZSTD(_)));
        assert_eq!(found.map(|column| column.column_path().string()).collect::<Vec<_>>(), compressed, "{rows} rows");
    }
}

/// Goal: logs share no number, and name no topic, partition, offset, tenant or person (LK-22, LK-37).
#[test]
fn logs_of_tables_share_nothing() {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    for _ in 0..3 {
        world.add(&lake, 0, &[shops(0..5), speeds(0..5)].concat());
    }
    let (mut seen, mut names) = (BTreeMap::new(), BTreeSet::new());
    for table in [shop_table(), speed_table(), TableName::events(PurposeId::Troubleshooting, "test.shop")] {
        let path = world.table_path(&table);
        for txn in each(&path, "txn") {
            let number = txn["version"].as_i64().unwrap();
            assert!(number > 1_000_000, "an offset stands in the open");
            assert_eq!(seen.insert(number, table.clone()), None, "two commits share a number");
        }
        for (action, members) in MEMBERS {
            for line in each(&path, action) {
                let said: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
                assert!(said.iter().all(|member| members.contains(member)), "{action} of {table} has {said:?}");
            }
        }
        for add in each(&path, "add") {
            let name = add["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} stands in two tables");
        }
        for told in each(&path, "commitInfo") {
            assert_eq!((&told["engineInfo"], &told["operationParameters"]), (&"weir".into(), &serde_json::json!({})));
        }
        let owners = each(&path, "txn").into_iter().map(|txn| txn["appId"].to_string()).collect::<BTreeSet<_>>();
        assert!(owners.iter().all(|owner| names.insert(owner.clone())), "two tables name a partition alike");
        let log = reader::actions(&path).iter().map(|(_, line)| line.to_string()).collect::<String>();
        for secret in ["telemetry", "kafka", "acme", "cluster", "\"u1\""] {
            assert!(!log.contains(secret), "{secret} is in the log of {table}");
        }
    }
}

/// All that logs may say.
const MEMBERS: [(&str, &[&str]); 5] = [
    ("add", &["dataChange", "modificationTime", "partitionValues", "path", "size", "stats"]),
    ("commitInfo", &["engineInfo", "kernelVersion", "operation", "operationParameters", "timestamp", "txnId", "weir"]),
    ("metaData", &["configuration", "createdTime", "format", "id", "partitionColumns", "schemaString"]),
    ("protocol", &["minReaderVersion", "minWriterVersion"]),
    ("txn", &["appId", "lastUpdated", "version"]),
];

/// Goal: files' times are as coarse as the purpose.
#[test]
fn times_of_files_are_coarse() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..5));
    let add = each(&world.table_path(&shop_table()), "add").remove(0);
    assert_eq!(add["modificationTime"].as_i64().unwrap() % 3_600_000, 0);
    let stats: serde_json::Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    let keys: Vec<_> = stats.as_object().unwrap().keys().cloned().collect();
    assert_eq!(stats["numRecords"], 5);
    if ENCRYPTED {
        assert_eq!(keys, ["numRecords"], "the log is not encrypted");
        return;
    }
    assert_eq!(keys, ["maxValues", "minValues", "numRecords"]);
    assert_eq!(stats["minValues"].as_object().unwrap().keys().collect::<Vec<_>>(), ["time"]);
}

/// Goal: a new version of a contract adds its columns to the same table, and its words to its columns, while the lake is open.
#[test]
fn a_new_contract_version_adds_columns() {
    let mut world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..5));
    let second = SHOP.replace("version = 1", "version = 2").replace("[\"chair\"", "[\"bench\", \"chair\"")
        + "[fields.\"price\"]\nclass = \"measure\"\ntype = \"uint16\"\ncategory = \"system.operations\"\n\
           purposes = [\"reliability\"]\n";
    world.policy = policy(&[SHOP, &second]);
    world.add(&lake, 0, &[event("test.shop", r#"{"user": "u1", "what": "table", "price": 7}"#)]);
    let table = lake.tables().unwrap().into_iter().find(|table| table.table == shop_table()).unwrap();
    assert!(table.columns.iter().any(|(name, of)| name == "price" && of == "integer"), "{:?}", table.columns);
    assert_eq!(table.rows, 6);
    let files = live(&world.table_path(&shop_table()));
    let of_second = files.iter().map(|file| read(file)).find(|rows| rows.column_by_name("price").is_some()).unwrap();
    assert_eq!(of_second["what"].as_string::<i32>().value(0), "table");
    audited(&lake);
}

/// Goal: what was committed once is not committed again after a restart.
#[test]
fn a_restart_starts_where_the_lake_ends() {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    let written = world.add(&lake, 0, &[shops(0..10), speeds(0..10)].concat());
    assert_eq!((written.tables, written.rows), (3, 30));
    let again = world.open();
    let position = take(&again, 0);
    assert_eq!((position.watermark, position.interrupted), (Some(20), None));
    let refused = world.commit(&again, world.batch(0, 0, &shops(0..10)));
    assert!(matches!(refused, Err(CommitError::WrongSpan { .. })));
    assert_eq!(audited(&again).tables[&shop_table()], 10);
}

/// Goal: consent that ended after the filter is heeded, and counted.
#[test]
fn consent_is_asked_again_before_the_commit() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    take(&lake, 0);
    let batch = world.batch(0, 0, &shops(0..10));
    world.withdraw("u3", PurposeId::Reliability);
    assert!(world.commit(&lake, batch).is_ok());
    assert_eq!(reader::rows(&world.table_path(&shop_table())), 9);
    let report = audited(&lake);
    assert_eq!(counted(&report, "denied", Some("withdrawn_before_commit")), 1);
    assert_eq!(counted(&report, "written", None), 9);
}

/// Goal: a withdrawal counts that comes while a slow store takes the files. Method: the clock jumps, and the person withdraws once there
/// is a file.
#[test]
fn consent_is_asked_again_after_a_long_write() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    take(&lake, 0);
    let batch = world.batch(0, 0, &shops(0..10));
    let (now, has_withdrawn) = (AtomicI64::new(0), AtomicBool::new(false));
    let table = world.table_path(&shop_table());
    let elapsed_ms = || {
        let is_written =
            table.is_dir() && every_file(&table).iter().any(|file| file.to_string_lossy().contains("parquet"));
        if is_written && !has_withdrawn.swap(true, Ordering::SeqCst) {
            world.withdraw("u3", PurposeId::Reliability);
        }
        now.fetch_add(2_000, Ordering::SeqCst)
    };
    let now_ms = || NOW_MS;
    let recheck = Recheck { store: &world.store, max_staleness_ms: i64::MAX, elapsed_ms: &elapsed_ms, now_ms: &now_ms };
    assert!(lake.commit(batch, recheck).is_ok());
    assert!(has_withdrawn.into_inner(), "no file was seen before its commit");
    assert_eq!(reader::rows(&table), 9);
    assert_eq!(counted(&audited(&lake), "denied", Some("withdrawn_before_commit")), 1);
}

/// Goal: without knowing what people want now, nothing is written.
#[test]
fn a_stale_store_stops_the_commit() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    take(&lake, 0);
    let batch = world.batch(0, 0, &shops(0..10));
    world.store.mark_unknown();
    assert!(matches!(world.commit(&lake, batch), Err(CommitError::Stale(_))));
    assert!(lake.tables().unwrap().is_empty());
}

/// Goal: records that can't be read are coordinates, sizes are classes, and the counts say so.
#[test]
fn quarantine_holds_coordinates() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 4, &["{".to_owned(), shop("u1"), event("test.unknown", "{}")]);
    let quarantined = lake.quarantined().unwrap();
    let seen: Vec<_> = quarantined.iter().map(|one| (one.offset, one.code.as_str(), one.size_below)).collect();
    assert_eq!(seen[0], (0, "json", 2));
    assert_eq!((seen[1].0, seen[1].1), (2, "no_contract"));
    assert!(seen[1].2.count_ones() == 1);
    assert_eq!(quarantined[0].partition, partition(4));
    assert_eq!(counted(&audited(&lake), "quarantined", Some("no_contract")), 1);
    let columns = ["code", "date", "offset", "partition", "size_below", "source", "topic"];
    assert_eq!(columns_of(&world.table_path(&TableName::Quarantine)), columns.map(str::to_owned).into());
}

/// Returns the names of a table's columns.
fn columns_of(table: &Path) -> BTreeSet<String> {
    let schema = each(table, "metaData").remove(0)["schemaString"].as_str().unwrap().to_owned();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

/// Goal: an operator can skip a table; its rows are denied and counted, and the rest goes on.
#[test]
fn a_skipped_table_is_denied_and_counted() {
    let world = World::new(&[SHOP, SPEED]);
    let config = LakeConfig { skip: [speed_table()].into(), ..world.config() };
    let lake = weir_lake::Lake::open(config, &world.key(), world.ledger()).unwrap();
    world.add(&lake, 0, &[shops(0..3), speeds(0..4)].concat());
    let report = audited(&lake);
    assert_eq!(counted(&report, "denied", Some("table_refused")), 4);
    assert!(!fs::exists(world.table_path(&speed_table())).unwrap());
}

/// Goal: an empty range of offsets is accounted for too.
#[test]
fn a_range_without_records_still_tiles() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    take(&lake, 0);
    let mut batch = world.batch(0, 0, &[]);
    batch.spans[0].1.to = 12;
    assert!(world.commit(&lake, batch).is_ok());
    world.add(&lake, 0, &shops(0..3));
    assert_eq!(audited(&lake).partitions[&partition(0)], 15);
    assert_eq!(lake.watermarks(&[partition(0), partition(1)]).unwrap(), [Some(15), None]);
}
