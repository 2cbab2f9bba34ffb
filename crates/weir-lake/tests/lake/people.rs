//! Erasure and access: exactly the rows of the person, whatever crashes, races or is tampered with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use arrow::array::Array as _;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_consent::StateRecord;
use weir_keys::canonical;
use weir_lake::{Erasure, Lake, LakeError, LedgerDiscrepancy, Person, Request, TableName};
use weir_policy::PurposeId;

use crate::faulty_store::{Fault, FaultyStore};
use crate::reader::{live, read};
use crate::restrict::interrupted;
use crate::world::{ENCRYPTED, NOW_MS, SHOP, SPEED, World, audited, event, shop, shop_table, shops, speeds, take};

/// A contract whose events name a device and friends beside the user.
const MEET: &str = r#"[event]
type = "test.meet"
version = 1
description = "Somebody met friends."
benefit = "Lets tests see other people's names."
owner = "lake-team"
review = "https://reviews.example/1"
expires = 2030-01-01
subject = "user"
[fields.user]
class = "identifier"
kind = "user"
category = "user.unique_id"
[fields.device]
class = "identifier"
kind = "device"
category = "user.device"
purposes = ["reliability"]
[fields."friends[]"]
class = "identifier"
kind = "user"
category = "user.unique_id"
purposes = ["reliability", "troubleshooting"]
[fields."minutes"]
class = "measure"
type = "uint32"
category = "system.operations"
purposes = ["reliability"]
"#;

pub(crate) const CONTRACTS: [&str; 3] = [SHOP, SPEED, MEET];

fn meet(user: &str, device: &str, friends: &[&str], minutes: u32) -> String {
    let data = serde_json::json!({"user": user, "device": device, "friends": friends, "minutes": minutes});
    event("test.meet", &data.to_string())
}

pub(crate) fn user(id: &str) -> Person {
    Person::of("acme").named("user", id)
}

pub(crate) fn erase(world: &World, lake: &Lake, people: &[Person]) -> Result<Erasure, LakeError> {
    let purposes = world.policy.purposes();
    let request = Request { purposes, now_ms: &|| NOW_MS, progress: &|_| () };
    lake.erase(&world.ring.snapshot(), people, &request)
}

/// Lets every store know that a user is erased.
pub(crate) fn keep_out(world: &World, id: &str) {
    let person = world.ring.snapshot().person_key("acme", "user", &canonical(id));
    world.store.apply(StateRecord::Erasure { person, before_ms: NOW_MS });
}

/// Returns all pseudonyms that an identifier has, in any purpose and epoch.
pub(crate) fn pseudonyms(world: &World, kind: &str, id: &str) -> Vec<[u8; 16]> {
    let keys = world.ring.snapshot();
    let epochs: Vec<_> = keys.epochs().collect();
    let key = |(purpose, epoch)| keys.pseudonym_key(purpose, epoch, "acme", kind).unwrap();
    epochs.into_iter().map(|epoch| key(epoch).digest(id.as_bytes())).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A row as text: each column that is not null, with its value.
pub(crate) type Row = BTreeMap<String, String>;

/// Returns the rows of every table that a reader sees, by table and file, in order.
pub(crate) fn files(world: &World) -> BTreeMap<String, Vec<Vec<Row>>> {
    let mut tables = BTreeMap::new();
    for purpose in PurposeId::ALL {
        for event_type in ["test.meet", "test.shop", "test.speed"] {
            let table = TableName::events(purpose, event_type);
            let path = world.table_path(&table);
            if path.exists() {
                tables.insert(table.to_string(), live(&path).iter().map(|path| rows(path)).collect());
            }
        }
    }
    tables
}

fn rows(path: &Path) -> Vec<Row> {
    let batch = read(path);
    let options = FormatOptions::default();
    let schema = batch.schema();
    let columns: Vec<_> = schema.fields().iter().zip(batch.columns()).collect();
    let row = |row| {
        let cells = columns.iter().filter(|(_, column)| column.is_valid(row));
        let text = |column| ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string();
        cells.map(|(field, column)| (field.name().clone(), text(column.as_ref()))).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Returns all rows, sorted, without those that hold one of these pseudonyms.
pub(crate) fn without(tables: &BTreeMap<String, Vec<Vec<Row>>>, gone: &[[u8; 16]]) -> BTreeMap<String, Vec<Row>> {
    let gone: Vec<_> = gone.iter().map(|pseudonym| hex(pseudonym)).collect();
    let holds = |row: &Row| row.values().any(|value| gone.iter().any(|pseudonym| value.contains(pseudonym)));
    let rest = |files: &Vec<Vec<Row>>| {
        let mut rest: Vec<_> = files.iter().flatten().filter(|row| !holds(row)).cloned().collect();
        rest.sort();
        rest
    };
    tables.iter().map(|(table, files)| (table.clone(), rest(files))).collect()
}

/// Demands that a lake holds these rows, that it adds up, and that the ledger agrees.
#[track_caller]
pub(crate) fn assert_holds(world: &World, expected: &BTreeMap<String, Vec<Row>>) {
    assert_eq!(without(&files(world), &[]), *expected);
    let lake = world.open();
    assert!(lake.vacuum(i64::MAX, NOW_MS).unwrap().is_whole());
    audited(&lake);
    let report = lake.audit_ledger(true, &[]).unwrap();
    assert_eq!((report.discrepancies, report.waiting), (BTreeSet::new(), 0));
}

/// Returns every file below a folder.
pub(crate) fn every_file(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(every_file(&path)) } else { all.push(path) }
    }
    all
}

pub(crate) fn indexes(world: &World) -> Vec<PathBuf> {
    every_file(&world.root().join("eu/_index"))
}

/// Returns the files of the lake that hold one of these bytes anywhere.
pub(crate) fn holding(world: &World, gone: &[[u8; 16]]) -> Vec<PathBuf> {
    let mut all = every_file(&world.root());
    all.retain(|path| {
        let bytes = fs::read(path).unwrap();
        let text = |pseudonym: &[u8; 16]| hex(pseudonym).into_bytes();
        gone.iter().any(|pseudonym| {
            bytes.windows(16).any(|window| window == pseudonym)
                || bytes.windows(32).any(|window| window == text(pseudonym))
        })
    });
    all
}

/// A lake of several commits, tables and files: people meet, shop, and are fast.
pub(crate) fn filled() -> World {
    fill(World::new(&CONTRACTS))
}

pub(crate) fn fill(world: World) -> World {
    let lake = world.open();
    world.add(&lake, 0, &shops(0..30));
    world.add(&lake, 0, &speeds(0..30));
    let meetings = [
        meet("u1", "d1", &["u2", "u3"], 5),
        meet("u4", "d4", &["u1"], 6),
        meet("u5", "d1", &[], 7),
        meet("u6", "d6", &["u7"], 8),
    ];
    world.add(&lake, 0, &meetings);
    world.add(&lake, 0, &[shop("u1"), shop("u40"), shop("u41")]);
    world
}

/// All of a person's rows go, those that only mention them and those of their other names too; everyone else's stay as they
/// were, in their order; and no byte of a pseudonym is left after the vacuum, in no file of any kind.
#[test]
fn erasure_takes_the_rows_of_every_name_and_no_other() {
    let world = filled();
    let gone = [pseudonyms(&world, "user", "u1"), pseudonyms(&world, "device", "d1")].concat();
    let before = files(&world);
    let expected = without(&before, &gone);
    assert_eq!(holding(&world, &gone).is_empty(), ENCRYPTED, "the search finds what is there");
    let lake = world.open();
    let erasure = erase(&world, &lake, &[user(" u1").named("device", "d1")]).unwrap();
    assert_holds(&world, &expected);
    for rows in files(&world).values().flatten() {
        assert!(rows.is_sorted_by_key(|row| row.get("subject").cloned()), "rows stay in the order of pseudonyms");
    }
    let rows: u64 = erasure.commits.iter().flat_map(|commit| &commit.files).map(|file| file.erased).sum();
    let count =
        |tables: &BTreeMap<String, Vec<Row>>| u64::try_from(tables.values().map(Vec::len).sum::<usize>()).unwrap();
    assert_eq!(rows, count(&without(&before, &[])) - count(&expected));
    assert_eq!(erasure.people[0].values().sum::<u64>(), rows);
    let shop = erasure.commits.iter().find(|commit| commit.table == shop_table()).unwrap();
    assert_eq!(shop.files.len(), 2, "each file that held them, and no other");

    assert_eq!(holding(&world, &gone).is_empty(), ENCRYPTED, "readers of older versions still have the files");
    let vacuumed = world.open().vacuum_erased(NOW_MS).unwrap();
    assert_eq!(
        usize::try_from(vacuumed.files).unwrap(),
        erasure.commits.iter().map(|commit| commit.files.len()).sum::<usize>()
    );
    assert_eq!(holding(&world, &gone), Vec::<PathBuf>::new());
    let data = every_file(&world.root()).into_iter().filter(|path| {
        let path = path.to_str().unwrap();
        path.contains("date=") && !path.contains("_index") && !path.contains("_quarantine")
    });
    assert_eq!(indexes(&world).len(), data.count(), "an index for each file that is left, and for no other");
    assert_holds(&world, &expected);
}

/// Many people go in one pass, each file is written once; somebody unknown and somebody of another tenant change nothing, and
/// the answer has the same shape.
#[test]
fn batch_writes_each_file_once_and_strangers_change_nothing() {
    let world = filled();
    let before = files(&world);
    let lake = world.open();
    let strangers = [user("nobody"), Person::of("other").named("user", "u1"), Person::of("acme").named("device", "u1")];
    let erasure = erase(&world, &lake, &strangers).unwrap();
    assert_eq!((erasure.commits.len(), erasure.people.len()), (0, 3));
    assert!(erasure.people.iter().all(BTreeMap::is_empty));
    assert_holds(&world, &without(&before, &[]));

    let people: Vec<_> = (0..20).map(|number| user(&format!("u{number}"))).collect();
    let gone: Vec<_> = (0..20).flat_map(|number| pseudonyms(&world, "user", &format!("u{number}"))).collect();
    let erasure = erase(&world, &lake, &people).unwrap();
    assert_eq!(erasure.people.iter().filter(|tables| !tables.is_empty()).count(), 20);
    for commit in &erasure.commits {
        let version_of = |table: &TableName| erasure.commits.iter().filter(|commit| commit.table == *table).count();
        assert_eq!(version_of(&commit.table), 1);
    }
    assert_holds(&world, &without(&before, &gone));
}

long! {
/// Whichever put of the store fails, and however, asking again completes what was begun, and the account holds all of it.
#[test]
fn erasure_that_fails_anywhere_is_completed_by_the_next() {
    let gone = |world: &World| pseudonyms(world, "user", "u1");
    for fault in [Fault::Before, Fault::After, Fault::AfterAsConflict] {
        for failing in 0.. {
            let world = World::new(&[SHOP]);
            world.add(&world.open(), 0, &shops(0..3));
            let expected = without(&files(&world), &gone(&world));
            let faults = FaultyStore::new(&world);
            let lake = world.open_with(faults.clone());
            let puts = faults.fail_commit(failing + 1, fault);
            let first = erase(&world, &lake, &[user("u1")]);
            if *puts.lock() <= failing {
                assert_eq!(failing, 4, "two tables, and the coverage of each");
                break;
            }
            drop((first, lake));
            let again = erase(&world, &world.open(), &[user("u1")]).unwrap();
            let rows: u64 = again.commits.iter().flat_map(|commit| &commit.files).map(|file| file.erased).sum();
            assert_eq!(rows, 2, "{fault:?} {failing}: the account holds what both did");
            assert_holds(&world, &expected);
            world.open().vacuum_erased(NOW_MS).unwrap();
            assert_eq!(holding(&world, &gone(&world)), Vec::<PathBuf>::new(), "{fault:?} {failing}");
        }
    }
}
}

/// A commit that was judged before the erasure counted, and is put after it, does not bring the person back.
#[test]
fn rows_that_were_judged_before_do_not_come_after() {
    let world = Arc::new(filled());
    let expected = without(&files(&world), &pseudonyms(&world, "user", "u1"));
    let faults = FaultyStore::new(&world);
    let lake = world.open_with(faults.clone());
    let from = take(&lake, 0).watermark.unwrap();
    let batch = world.batch(0, from, &[shop("u1"), shop("u50")]);
    let other = world.clone();
    faults.once("reliability/test.shop/_delta_log", move || {
        let world = other.clone();
        let erasing = move || {
            keep_out(&world, "u1");
            erase(&world, &world.open(), &[user("u1")]).unwrap()
        };
        // A thread of its own: the daemon's store must not wait for itself.
        thread::spawn(erasing).join().unwrap();
        Fault::None
    });
    assert!(world.commit(&lake, batch).is_ok());
    let held = without(&files(&world), &[]);
    assert_eq!(held["reliability/test.shop"].len(), expected["reliability/test.shop"].len() + 1);
    assert_eq!(without(&files(&world), &pseudonyms(&world, "user", "u1")), held, "they are back");
    assert_holds(&world, &held);
}

/// Rows that others append, or that another erasure removes, between our reading and our put are looked at again.
#[test]
fn erasure_that_loses_a_race_plans_anew() {
    for other_erases in [false, true] {
        let world = Arc::new(filled());
        let faults = FaultyStore::new(&world);
        let lake = world.open_with(faults.clone());
        let other = world.clone();
        faults.once("reliability/test.shop/_delta_log", move || {
            let world = other.clone();
            let racing = move || {
                let lake = world.open();
                if other_erases {
                    erase(&world, &lake, &[user("u2"), user("u1")]).unwrap();
                } else {
                    world.add(&lake, 0, &[shop("u1"), shop("u60")]);
                }
            };
            thread::spawn(racing).join().unwrap();
            Fault::None
        });
        erase(&world, &lake, &[user("u1")]).unwrap();
        let mut gone = pseudonyms(&world, "user", "u1");
        if other_erases {
            gone.extend(pseudonyms(&world, "user", "u2"));
        }
        let held = without(&files(&world), &[]);
        assert_eq!(without(&files(&world), &gone)["reliability/test.shop"], held["reliability/test.shop"]);
        let expected = if other_erases { 30 } else { 32 };
        assert_eq!(held["reliability/test.shop"].len(), expected, "other erases: {other_erases}");
        erase(&world, &world.open(), &[user("u1")]).unwrap();
        assert_holds(&world, &without(&files(&world), &pseudonyms(&world, "user", "u1")));
    }
}

long! {
/// An index that is lost, cut, changed or another file's hides nobody: the file is read instead.
#[test]
fn lost_changed_and_swapped_indexes_hide_nobody() {
    type Harm = fn(&[PathBuf]);
    let harms: [Harm; 4] = [
        |indexes| indexes.iter().for_each(|index| fs::remove_file(index).unwrap()),
        |indexes| indexes.iter().for_each(|index| fs::write(index, &fs::read(index).unwrap()[..100]).unwrap()),
        |indexes| {
            for index in indexes {
                let mut bytes = fs::read(index).unwrap();
                bytes[60] ^= 1;
                fs::write(index, bytes).unwrap();
            }
        },
        |indexes| {
            let contents: Vec<_> = indexes.iter().map(|index| fs::read(index).unwrap()).collect();
            indexes.iter().zip(contents.iter().cycle().skip(1)).for_each(|(to, bytes)| fs::write(to, bytes).unwrap());
        },
    ];
    for harm in harms {
        let world = filled();
        let gone = pseudonyms(&world, "user", "u1");
        let expected = without(&files(&world), &gone);
        assert_eq!(indexes(&world).len(), 7);
        harm(&indexes(&world));
        erase(&world, &world.open(), &[user("u1")]).unwrap();
        assert_holds(&world, &expected);
    }
}
}

/// Files whose index says no are not opened: here they cannot be.
#[test]
pub(crate) fn files_of_others_are_not_read() {
    let world = filled();
    let lake = world.open();
    let last = live(&world.table_path(&shop_table()));
    let alone = last.iter().find(|path| rows(path).len() == 3).unwrap();
    fs::write(alone, "no parquet").unwrap();
    assert!(erase(&world, &lake, &[user("u1")]).is_err(), "a file that may hold them and cannot be read is told");
    let kept = lake.access(&world.ring.snapshot(), &user("u5"), &|_| ()).unwrap();
    assert!(kept.iter().any(|kept| kept.table == shop_table()), "u5 is in another file, which is whole");
}

long! {
/// Erasing from a batch that a crash left open keeps the books sound, whether the batch is finished or given up.
#[test]
fn open_batches_are_erased_from_and_still_add_up() {
    for finished in [true, false] {
        let world = filled();
        let events = [shop("u1"), shop("u50")];
        let from = interrupted(&world, &events);
        let gone = pseudonyms(&world, "user", "u1");
        keep_out(&world, "u1");
        erase(&world, &world.open(), &[user("u1")]).unwrap();
        assert_eq!(without(&files(&world), &gone), without(&files(&world), &[]));
        audited(&world.open());
        let next = world.open();
        if finished {
            assert_eq!(take(&next, 0).interrupted.unwrap().end, from + 2);
            assert!(world.commit(&next, world.batch(0, from, &events)).is_ok());
        } else {
            next.accept_gap(&crate::world::partition(0), from + 1, NOW_MS).unwrap();
        }
        drop(next);
        let held = settled(&world);
        let left = held["reliability/test.shop"].len();
        assert_eq!(left, if finished { 32 } else { 31 }, "finished: {finished}");
        assert_holds(&world, &held);
    }
}
}

/// Void rows leave also from the file that an erasure puts in the place of theirs right before they go.
#[test]
fn an_erasure_in_the_middle_of_a_sweep_leaves_nothing_void() {
    let world = Arc::new(filled());
    let from = interrupted(&world, &[shop("u1"), shop("u50")]);
    keep_out(&world, "u1");

    let faults = FaultyStore::new(&world);
    let next = world.open_with(faults.clone());
    let beside = Arc::clone(&world);
    faults.once("test.shop", move || {
        let erasing = || drop(erase(&beside, &beside.open(), &[user("u1")]).unwrap());
        // The store is asked on a thread that must not wait.
        thread::scope(|scope| scope.spawn(erasing).join()).unwrap();
        Fault::None
    });
    next.accept_gap(&crate::world::partition(0), from + 1, NOW_MS).unwrap();
    drop(next);
    let held = settled(&world);
    assert_eq!(held["reliability/test.shop"].len(), 31);
    assert_holds(&world, &held);
}

/// Returns the rows of a lake once void ones have left it.
fn settled(world: &World) -> BTreeMap<String, Vec<Row>> {
    let lake = world.open();
    assert!(lake.vacuum(i64::MAX, NOW_MS).unwrap().is_whole());
    lake.tell_ledger(NOW_MS).unwrap();
    without(&files(world), &[])
}

/// Whoever changes a file before somebody is erased from it is found all the same.
#[test]
fn file_that_was_changed_before_is_found_after() {
    let world = filled();
    let file = live(&world.table_path(&shop_table())).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    // The name of the writer, and the key that readers unwrap, are of no consequence to weir, which reads the rows.
    let [before, mark]: [&[u8]; 2] = if ENCRYPTED { [b"wrappedDEK\":\"", b""] } else { [b"", b"weir"] };
    let mark = [before, mark].concat();
    let at = bytes.windows(mark.len()).rposition(|window| window == mark).unwrap() + before.len();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    let everyone: Vec<_> = (0..50).map(|number| user(&format!("u{number}"))).collect();
    erase(&world, &world.open(), &everyone).unwrap();
    let report = world.open().audit_ledger(true, &[]).unwrap();
    let changed = |one: &LedgerDiscrepancy| matches!(one, LedgerDiscrepancy::ChangedFile { .. });
    assert_eq!(report.discrepancies.iter().filter(|one| changed(one)).count(), 1);
}

/// A person gets the rows that are theirs, with nobody else's name in them; what only mentions them is counted.
#[test]
fn access_gives_own_rows_without_the_names_of_others() {
    let world = filled();
    let lake = world.open();
    let all = lake.access(&world.ring.snapshot(), &user("u1").named("device", "d1"), &|_| ()).unwrap();
    let meetings = all.iter().find(|kept| kept.table.to_string() == "reliability/test.meet").unwrap();
    assert_eq!((meetings.rows.num_rows(), meetings.mentions), (1, 2));
    let json = &meetings.json()[0];
    assert_eq!((json["minutes"].as_u64(), json["friends"].as_array().unwrap().len()), (Some(5), 2));
    assert!(json["friends"].as_array().unwrap().iter().all(serde_json::Value::is_null));
    assert_eq!(meetings.columns["device"].class, "identifier");
    let own = [pseudonyms(&world, "user", "u1"), pseudonyms(&world, "device", "d1")].concat();
    let own: BTreeSet<_> = own.iter().map(|pseudonym| hex(pseudonym)).collect();
    let shops = all.iter().filter(|kept| kept.table.event_type() == Some("test.shop"));
    assert_eq!(shops.map(|kept| kept.rows.num_rows()).sum::<usize>(), 4);
    for kept in &all {
        for row in kept.json() {
            let subject = row["subject"].as_str().unwrap();
            assert!(own.contains(subject), "a row of somebody else in {}", kept.table);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), kept.parquet().unwrap()).unwrap();
        if kept.rows.num_rows() > 0 {
            assert_eq!(read(file.path()), kept.rows);
        }
    }
    let others = (2..42).flat_map(|number| pseudonyms(&world, "user", &format!("u{number}")));
    let text = all.iter().map(|kept| serde_json::to_string(&kept.json()).unwrap()).collect::<String>();
    others.for_each(|other| assert!(!text.contains(&hex(&other))));
    assert!(lake.access(&world.ring.snapshot(), &user("nobody"), &|_| ()).unwrap().is_empty());
}
