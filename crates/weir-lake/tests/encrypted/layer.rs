//! What encryption is for: who has not the right key reads nothing, and nothing of a row stands in the bytes of a lake.

use std::fs::{self, File};
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::FileDecryptionProperties;
use weir_keys::{FileKey, RowsOf};
use weir_lake::{CommitError, DataFiles, Lake, LakeConfig, LakeError, Request, TableError, TableName};
use weir_policy::PurposeId;

use crate::people::{assert_holds, erase, every_file, files, pseudonyms, user, without};
use crate::reader::{live, read};
use crate::restrict::restrict;
use crate::world::{DAY_MS, NOW_MS, SHOP, SPEED, World, audited, shop_table, shops, speed_table, speeds, take};

fn in_clear(world: &World) -> LakeConfig {
    LakeConfig { files: DataFiles::Clear, ..world.config() }
}

/// Returns how many rows somebody reads with a key; none if they read nothing.
fn opened(path: &Path, key: Option<&FileKey>) -> Option<usize> {
    let options = match key {
        Some(key) => {
            let properties = FileDecryptionProperties::builder(key.expose().to_vec()).build().unwrap();
            ArrowReaderOptions::new().with_file_decryption_properties(properties)
        }
        None => ArrowReaderOptions::new(),
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path).unwrap(), options).ok()?;
    builder.build().ok()?.map(|batch| Some(batch.ok()?.num_rows())).sum()
}

/// Goal: any key but its own opens nothing of a file: none, another table's, another purpose's, another epoch's, weir's.
#[test]
fn no_other_key_opens_a_file() {
    let world = World::new(&[SHOP, SPEED]);
    world.add(&world.open(), 0, &shops(0..10));
    let path = live(&world.table_path(&shop_table())).remove(0);
    let day = i32::try_from(NOW_MS / DAY_MS).unwrap();
    let keys = world.ring.snapshot();
    let key = |table: &TableName, rows| keys.file_key("eu", &table.to_string(), rows).unwrap();
    let own = keys.rows_of(PurposeId::Reliability, day).unwrap();
    let RowsOf::Epoch(_, epoch) = own else { panic!("rows of events have an epoch") };
    let troubleshooting = TableName::events(PurposeId::Troubleshooting, "test.shop");
    let others = [
        key(&speed_table(), own),
        key(&shop_table(), RowsOf::Epoch(PurposeId::Reliability, epoch - 1)),
        key(&shop_table(), keys.rows_of(PurposeId::Troubleshooting, day).unwrap()),
        key(&troubleshooting, keys.rows_of(PurposeId::Troubleshooting, day).unwrap()),
        key(&shop_table(), RowsOf::Weir),
        keys.file_key("us", &shop_table().to_string(), own).unwrap(),
    ];
    assert_eq!(opened(&path, Some(&key(&shop_table(), own))), Some(10));
    assert_eq!(opened(&path, None), None);
    for other in others {
        assert_eq!(opened(&path, Some(&other)), None);
    }
}

/// Goal: no word, name, pseudonym or time of a row stands anywhere in a lake; in a lake in clear the same search finds each of them.
#[test]
fn no_value_stands_in_the_bytes_of_a_lake() {
    let world = World::new(&[SHOP]);
    let plain = LakeConfig { region: "plain".to_owned(), ..in_clear(&world) };
    let ledger = plain.ledger(world.ring.snapshot().signing_key("ledger"), world.ring.head_file("plain"));
    let [plain, lake] = [Lake::open(plain, &world.key(), ledger).unwrap(), world.open()];
    for lake in [&plain, &lake] {
        world.add(lake, 0, &shops(0..100));
        world.add(lake, 0, &["{".to_owned()]);
        restrict(&world, lake, &[user("u1")]).unwrap();
        erase(&world, lake, &[user("u2")]).unwrap();
    }
    let rows = read(&live(&world.table_path(&shop_table()))[0]);
    let texts = ["acme", "chair", "system.operations", "telemetry", "kafka:cluster", "weir.policy"];
    let mut values: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.extend(pseudonyms(&world, "user", "u3").iter().map(|pseudonym| pseudonym.to_vec()));
    values.retain(|value| value.len() != 16 || is_in(&world, "plain", value));
    assert!(values.len() > texts.len(), "a pseudonym of some epoch is in the lake in clear");
    values.push(rows["time"].as_primitive::<TimestampMicrosecondType>().value(0).to_le_bytes().to_vec());
    for value in values {
        assert!(is_in(&world, "plain", &value), "the search misses {:?}", String::from_utf8_lossy(&value));
        assert!(!is_in(&world, "eu", &value), "{:?} stands in the lake", String::from_utf8_lossy(&value));
    }
}

fn is_in(world: &World, region: &str, value: &[u8]) -> bool {
    let holds = |path: &Path| fs::read(path).unwrap().windows(value.len()).any(|window| window == value);
    every_file(&world.root().join(region)).iter().any(|path| holds(path))
}

/// Goal: a lake that has encrypted files gets no other, from whoever opens it, or has it open.
#[test]
fn what_is_encrypted_once_is_never_in_clear() {
    let world = World::new(&[SHOP]);
    let before = Lake::open(in_clear(&world), &world.key(), world.ledger()).unwrap();
    world.add(&before, 0, &shops(0..10));
    take(&before, 0);
    assert!(Lake::open(in_clear(&world), &world.key(), world.ledger()).is_ok(), "no file is encrypted yet");
    world.open();
    let refused = Lake::open(in_clear(&world), &world.key(), world.ledger());
    assert!(matches!(refused, Err(LakeError::Encrypted)));
    let refused = world.commit(&before, world.batch(0, 10, &shops(0..10)));
    assert!(matches!(refused, Err(CommitError::Lake(LakeError::Encrypted))));
    assert!(matches!(erase(&world, &before, &[user("u1")]), Err(LakeError::Encrypted)));
    assert_eq!(live(&world.table_path(&shop_table())).len(), 1);
}

/// Goal: a lake that was in clear goes on encrypted; rows of both are found and erased, and what is left of the old ones is encrypted.
#[test]
fn a_lake_in_clear_goes_on_encrypted() {
    let world = World::new(&[SHOP]);
    world.add(&Lake::open(in_clear(&world), &world.key(), world.ledger()).unwrap(), 0, &shops(0..10));
    let lake = world.open();
    world.add(&lake, 0, &shops(0..10));
    let expected = without(&files(&world), &pseudonyms(&world, "user", "u3"));
    let clear = || live(&world.table_path(&shop_table())).iter().filter(|path| opened(path, None).is_some()).count();
    assert_eq!(clear(), 1);
    erase(&world, &lake, &[user("u3")]).unwrap();
    assert_eq!(clear(), 0);
    assert_holds(&world, &expected);
}

/// Goal: a file that is put in another's place is refused when it is read, not only when the ledger is asked.
#[test]
fn a_file_of_another_table_is_refused() {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    world.add(&lake, 0, &[shops(0..10), speeds(0..10)].concat());
    let of = |table| live(&world.table_path(&table)).remove(0);
    fs::copy(of(speed_table()), of(shop_table())).unwrap();
    let refused = erase(&world, &lake, &[user("u1")]);
    assert!(matches!(refused, Err(LakeError::Table { source: TableError::Log(_), .. })));
}

/// Goal: with its epoch's secret a file's key is gone, for the ring and whoever has a copy of all the rest; the lake still keeps house.
#[test]
fn rows_of_a_destroyed_epoch_are_read_by_nobody() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..10));
    restrict(&world, &lake, &[user("u1")]).unwrap();
    let day = i32::try_from(NOW_MS / DAY_MS).unwrap();
    let rows = world.ring.snapshot().rows_of(PurposeId::Reliability, day).unwrap();
    let key = |rows| world.ring.snapshot().file_key("eu", &shop_table().to_string(), rows);
    assert!(key(rows).is_some());

    let later = NOW_MS + 900 * DAY_MS;
    world.ring.destroy_expired(world.policy.purposes(), later).unwrap();
    assert!(key(rows).is_none());
    assert!(world.ring.snapshot().reader_key("eu", rows).is_none(), "the wrapped key in the file opens no more either");
    let (again, keys) = (world.open(), world.ring.snapshot());
    assert_eq!(audited(&again).aside, audited(&lake).aside, "books need no key of an epoch");
    assert!(again.access(&keys, &user("u2"), &|_| ()).unwrap().is_empty());
    assert_eq!(erase(&world, &again, &[user("u2")]).unwrap().people[0].len(), 0);
    let expired: u64 = again.expire(world.policy.purposes(), later).unwrap().done.iter().map(|left| left.rows).sum();
    assert_eq!(expired, 20, "ten rows of two purposes, those that were set aside among them");
    audited(&again);
}

/// Goal: while a vault stays away nobody is told that nothing is left of a person, whenever in the search the keys go.
#[test]
fn nobody_is_erased_from_files_whose_keys_are_away() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..10));
    restrict(&world, &lake, &[user("u1")]).unwrap();
    let keys = world.ring.snapshot();
    world.ring.lapse();
    let request = Request { purposes: world.policy.purposes(), now_ms: &|| NOW_MS, progress: &|_| () };
    for id in ["u1", "u2"] {
        let refused = lake.erase(&keys, &[user(id)], &request).unwrap_err();
        assert!(matches!(refused, LakeError::Table { source: TableError::FileKey(_), .. }), "{id}: {refused}");
        assert!(lake.access(&keys, &user(id), &|_| ()).is_err(), "{id}");
    }
    let none = world.ring.snapshot();
    assert!(matches!(lake.erase(&none, &[user("u2")], &request), Err(LakeError::KeysLapsed)));
    assert!(matches!(lake.access(&none, &user("u2"), &|_| ()), Err(LakeError::KeysLapsed)));

    world.ring.reload().unwrap();
    for (id, rows) in [("u1", 2), ("u2", 2)] {
        let erased = erase(&world, &lake, &[user(id)]).unwrap();
        assert_eq!(erased.people[0].values().sum::<u64>(), rows, "{id}");
    }
    audited(&lake);
}

/// Goal: lengths stand in a file in clear; a changed one is damage that is told by name, whatever Parquet's own reader makes of it.
#[test]
fn a_changed_length_is_damage_and_no_panic() {
    for length in [0_u32, 3, 15, 27, u32::MAX] {
        let world = World::new(&[SHOP]);
        world.add(&world.open(), 0, &shops(0..10));
        let path = live(&world.table_path(&shop_table())).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        // After the magic bytes the first module's length.
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        // Of nine others rows stay, so the file is read whole.
        let refused = erase(&world, &world.open(), &[user("u1")]).unwrap_err();
        assert!(matches!(refused, LakeError::Table { source: TableError::Log(_), .. }), "{length}: {refused}");
    }
}
