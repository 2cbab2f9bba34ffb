//! Restriction: rows are hidden from every reader, stay the person's, and come back exactly as they were.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use weir_lake::{Discrepancy, ErasedCommit, Lake, LakeError, Person, Request, Restriction};
use weir_policy::{PurposeId, PurposeSet};

use crate::faulty_store::{Fault, FaultyStore};
use crate::people::{Row, assert_holds, erase, every_file, files, filled, holding, indexes, pseudonyms, user, without};
use crate::world::{DAY_MS, IN_BUCKET, NOW_MS, SHOP, World, audited, shop, shops, take};

type Verb = fn(&World, &Lake, &[Person]) -> Result<Restriction, LakeError>;

pub(crate) fn restrict(world: &World, lake: &Lake, people: &[Person]) -> Result<Restriction, LakeError> {
    let request = Request { purposes: world.policy.purposes(), now_ms: &|| NOW_MS, progress: &|_| () };
    lake.restrict(&world.ring.snapshot(), people, PurposeSet::ALL, &request, &|| false)
}

pub(crate) fn lift(world: &World, lake: &Lake, people: &[Person]) -> Result<Restriction, LakeError> {
    let request = Request { purposes: world.policy.purposes(), now_ms: &|| NOW_MS, progress: &|_| () };
    lake.lift(&world.ring.snapshot(), people, PurposeSet::ALL, &request)
}

fn rows(restriction: &Restriction) -> u64 {
    restriction.people.iter().flat_map(BTreeMap::values).sum()
}

fn count(tables: &BTreeMap<String, Vec<Row>>) -> u64 {
    u64::try_from(tables.values().map(Vec::len).sum::<usize>()).unwrap()
}

/// Returns the files of rows that are set aside, whether they count or not.
fn asides(world: &World) -> Vec<PathBuf> {
    let folder = world.root().join("eu/_restricted");
    let files = if folder.exists() { every_file(&folder) } else { Vec::new() };
    files.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "sealed")).collect()
}

long! {
/// Nobody who reads the lake sees the rows, no byte of a pseudonym is left in the clear, the person still gets them all; then they
/// come back, in tables, indexes, books and ledger as if they had never been away.
#[test]
fn restricted_rows_are_hidden_and_come_back_as_they_were() {
    let world = filled();
    let gone = [pseudonyms(&world, "user", "u1"), pseudonyms(&world, "device", "d1")].concat();
    let (before, hidden) = (without(&files(&world), &[]), without(&files(&world), &gone));
    let people = [user(" u1").named("device", "d1")];
    let access = |lake: &Lake| lake.access(&world.ring.snapshot(), &people[0], &|_| ()).unwrap();
    let kept = |lake: &Lake| -> Vec<_> {
        let sorted = |rows: Vec<serde_json::Map<String, serde_json::Value>>| {
            rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect::<BTreeSet<_>>()
        };
        access(lake).iter().map(|kept| (kept.table.clone(), sorted(kept.json()), kept.mentions)).collect()
    };
    let lake = world.open();
    let known = kept(&lake);
    let restricted = restrict(&world, &lake, &people).unwrap();
    assert_eq!(rows(&restricted), count(&before) - count(&hidden));
    lake.vacuum_erased(NOW_MS).unwrap();
    assert_eq!(holding(&world, &gone), Vec::<PathBuf>::new());
    assert_holds(&world, &hidden);
    assert_eq!(audited(&lake).aside, rows(&restricted));
    assert_eq!(kept(&lake), known, "the person has a right to all of it");
    assert!(access(&lake).iter().all(|kept| kept.set_aside == u64::try_from(kept.rows.num_rows()).unwrap()));
    assert_eq!(rows(&restrict(&world, &lake, &people).unwrap()), 0, "they are set aside already");

    assert_eq!(rows(&lift(&world, &world.open(), &people).unwrap()), rows(&restricted));
    assert_holds(&world, &before);
    assert_eq!((audited(&lake).aside, asides(&world)), (0, Vec::new()));
    assert_eq!(kept(&world.open()), known);
    let data = files(&world).values().map(Vec::len).sum::<usize>();
    assert_eq!(indexes(&world).len(), data, "an index for each file that came back too");
    assert_eq!(rows(&lift(&world, &world.open(), &people).unwrap()), 0);
}
}

long! {
/// A purpose that is not asked for keeps its rows.
#[test]
fn restriction_is_for_the_purposes_that_are_asked_for() {
    let world = filled();
    let before = without(&files(&world), &[]);
    let mut expected = before.clone();
    let hidden = without(&files(&world), &pseudonyms(&world, "user", "u1"));
    let is_asked = |table: &String| table.starts_with("reliability/");
    expected.extend(hidden.into_iter().filter(|(table, _)| is_asked(table)));
    let request = Request { purposes: world.policy.purposes(), now_ms: &|| NOW_MS, progress: &|_| () };
    let (keys, purposes) = (world.ring.snapshot(), PurposeSet::NONE.with(PurposeId::Reliability));
    world.open().restrict(&keys, &[user("u1")], purposes, &request, &|| false).unwrap();
    assert_holds(&world, &expected);
    world.open().lift(&keys, &[user("u1")], PurposeSet::ALL, &request).unwrap();
    assert_holds(&world, &before);
}
}

long! {
/// A row that names two people comes back when neither wants it hidden, whoever asked first.
#[test]
fn row_of_two_people_comes_back_when_neither_wants_it_hidden() {
    for first_lifted in ["u1", "u2"] {
        let world = filled();
        let before = without(&files(&world), &[]);
        for name in ["u1", "u2"] {
            assert!(rows(&restrict(&world, &world.open(), &[user(name)]).unwrap()) > 0);
        }
        let other = if first_lifted == "u1" { "u2" } else { "u1" };
        lift(&world, &world.open(), &[user(first_lifted)]).unwrap();
        let hidden = pseudonyms(&world, "user", other);
        assert_eq!(without(&files(&world), &hidden), without(&files(&world), &[]), "nothing of {other} came back");
        audited(&world.open());
        lift(&world, &world.open(), &[user(other)]).unwrap();
        assert_holds(&world, &before);
    }
}
}

long! {
/// Rows that go aside, or come back, while the person's are gathered are in the answer once.
#[test]
fn access_has_every_row_once_whatever_is_moved_meanwhile() {
    for hides in [true, false] {
        let (verb, before): (Verb, Verb) = if hides { (restrict, lift) } else { (lift, restrict) };
        let world = filled();
        before(&world, &world.open(), &[user("u1")]).unwrap();
        let access = |meanwhile: &dyn Fn()| -> BTreeMap<String, usize> {
            let kept = world.open().access(&world.ring.snapshot(), &user("u1"), &|_| meanwhile()).unwrap();
            kept.iter().map(|kept| (kept.table.to_string(), kept.rows.num_rows())).collect()
        };
        let known = access(&|| ());
        assert!(known.len() > 1, "one table proves little");
        let is_moved = Cell::new(false);
        let found = access(&|| {
            if !is_moved.replace(true) {
                assert!(rows(&verb(&world, &world.open(), &[user("u1")]).unwrap()) > 0);
            }
        });
        assert!(is_moved.get());
        assert_eq!(found, known, "hides: {hides}");
    }
}
}

long! {
/// What is set aside is erased with the rest: nothing is left to come back.
#[test]
fn erasure_takes_rows_that_are_set_aside() {
    let world = filled();
    let expected = without(&files(&world), &pseudonyms(&world, "user", "u1"));
    let lake = world.open();
    restrict(&world, &lake, &[user("u1"), user("u4")]).unwrap();
    let set_aside = audited(&lake).aside;
    let erasure = erase(&world, &lake, &[user("u1")]).unwrap();
    let erased: u64 = erasure.people[0].values().sum();
    // What the receipt says, by the commits: none of them had to touch a file of a table.
    assert!(erased > 0 && erasure.commits.iter().all(|commit| commit.files.is_empty()));
    assert_eq!(erasure.commits.iter().map(ErasedCommit::rows).sum::<u64>(), erased);
    assert_eq!(audited(&lake).aside, set_aside - erased);
    assert_eq!(rows(&lift(&world, &lake, &[user("u1")]).unwrap()), 0);
    lift(&world, &lake, &[user("u4")]).unwrap();
    assert_holds(&world, &expected);
    assert_eq!(asides(&world), Vec::<PathBuf>::new());
}
}

long! {
/// Whichever put of the store fails, and however, asking again completes what was begun; nothing is doubled or lost.
#[test]
fn restriction_and_its_end_that_fail_anywhere_are_completed_by_the_next() {
    for hides in [true, false] {
        let (verb, other): (Verb, Verb) = if hides { (restrict, lift) } else { (lift, restrict) };
        for fault in [Fault::Before, Fault::After, Fault::AfterAsConflict] {
            for failing in 0.. {
                let world = World::new(&[SHOP]);
                world.add(&world.open(), 0, &shops(0..3));
                let before = without(&files(&world), &[]);
                // What is to be undone must have been done.
                other(&world, &world.open(), &[user("u1")]).unwrap();
                let expected = if hides { without(&files(&world), &pseudonyms(&world, "user", "u1")) } else { before };
                let faults = FaultyStore::new(&world);
                let lake = world.open_with(faults.clone());
                let puts = faults.fail_commit(failing + 1, fault);
                let first = verb(&world, &lake, &[user("u1")]);
                if *puts.lock() <= failing {
                    assert_eq!(failing, 4, "two tables, and the coverage of each");
                    break;
                }
                drop((first, lake));
                verb(&world, &world.open(), &[user("u1")]).unwrap();
                assert_holds(&world, &expected);
            }
        }
    }
}
}

/// The process ends right after a commit, before files of rows set aside have their names: the next one who looks makes it good.
#[test]
fn rows_set_aside_are_found_after_a_crash_before_they_had_their_name() {
    let world = filled();
    let before = without(&files(&world), &[]);
    restrict(&world, &world.open(), &[user("u1")]).unwrap();
    for path in asides(&world) {
        if IN_BUCKET {
            fs::remove_file(path.with_extension("counts")).unwrap();
            continue;
        }
        let staged = format!(".{}", path.file_name().unwrap().to_str().unwrap());
        fs::rename(&path, path.with_file_name(staged)).unwrap();
    }
    assert!(audited(&world.open()).aside > 0);
    for path in asides(&world).into_iter().filter(|_| !IN_BUCKET) {
        let (name, staged) = (path.clone(), format!(".{}", path.file_name().unwrap().to_str().unwrap()));
        fs::copy(&path, name.with_file_name(staged)).unwrap();
    }
    lift(&world, &world.open(), &[user("u1")]).unwrap();
    assert_holds(&world, &before);
}

/// Leaves a batch of which it is open whether it counts; returns where it begins.
pub(crate) fn interrupted(world: &World, events: &[String]) -> i64 {
    let faults = FaultyStore::new(world);
    let lake = world.open_with(faults.clone());
    let from = take(&lake, 0).watermark.unwrap();
    faults.set(|path| if path.contains("_coverage") { Fault::Before } else { Fault::None });
    assert!(world.commit(&lake, world.batch(0, from, events)).is_err());
    from
}

long! {
/// Rows that were judged before are not put after, and rows of a batch of which it is open whether it counts are not set aside.
#[test]
fn rows_of_open_batches_wait_for_their_owner() {
    let world = filled();
    let events = [shop("u1"), shop("u50")];
    let from = interrupted(&world, &events);
    let refused = restrict(&world, &world.open(), &[user("u1")]);
    assert!(matches!(refused, Err(LakeError::OpenBatch { .. })));
    audited(&world.open());
    let next = world.open();
    assert!(take(&next, 0).interrupted.is_some());
    for purpose in PurposeId::ALL {
        world.withdraw("u1", purpose);
    }
    assert!(world.commit(&next, world.batch(0, from, &events)).is_ok());
    restrict(&world, &next, &[user("u1")]).unwrap();
    let hidden = pseudonyms(&world, "user", "u1");
    assert_eq!(without(&files(&world), &hidden), without(&files(&world), &[]));
    assert_holds(&world, &without(&files(&world), &[]));
}
}

long! {
/// A wait for an interrupted batch forgets nothing of what was moved before it: what a person is told is of all tables.
#[test]
fn rows_that_were_moved_before_a_wait_are_counted() {
    let world = filled();
    let events = [shop("u1"), shop("u50")];
    let from = interrupted(&world, &events);
    for purpose in PurposeId::ALL {
        world.withdraw("u1", purpose);
    }
    let settled = || {
        let next = world.open();
        assert!(take(&next, 0).interrupted.is_some());
        world.commit(&next, world.batch(0, from, &events)).is_ok()
    };
    let request = Request { purposes: world.policy.purposes(), now_ms: &|| NOW_MS, progress: &|_| () };
    let (keys, lake) = (world.ring.snapshot(), world.open());
    let moved = lake.restrict(&keys, &[user("u1")], PurposeSet::ALL, &request, &settled).unwrap();
    assert_eq!(rows(&moved), audited(&lake).aside);
    assert!(moved.people[0].len() > 2, "rows of tables before the one that had to wait, and of that one");
}
}

long! {
/// Files of rows set aside whose index says no are not opened; one whose index is lost is read.
#[test]
fn files_of_rows_set_aside_for_others_are_not_read() {
    let world = filled();
    let lake = world.open();
    restrict(&world, &lake, &[user("u20")]).unwrap();
    let others = asides(&world);
    restrict(&world, &lake, &[user("u1")]).unwrap();
    for path in &others {
        fs::write(path, "not sealed").unwrap();
    }
    assert!(rows(&lift(&world, &lake, &[user("u1")]).unwrap()) > 0);
    fs::remove_file(others[0].with_extension("index")).unwrap();
    assert!(lift(&world, &lake, &[user("u1")]).is_err());
}
}

/// What is set aside ends with its retention, like everything else.
#[test]
fn rows_set_aside_leave_when_their_time_is_over() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..7));
    restrict(&world, &lake, &[user("u1")]).unwrap();
    let expired = lake.expire(world.policy.purposes(), NOW_MS + 31 * DAY_MS).unwrap().done;
    assert_eq!(expired.iter().map(|one| one.rows).collect::<Vec<_>>(), [7], "six rows, and one that was set aside");
    assert_eq!(audited(&lake).aside, 1, "reliability keeps longer");
    assert_eq!(rows(&lift(&world, &lake, &[user("u1")]).unwrap()), 1);
    audited(&lake);
}

long! {
/// Rows that are set aside can't be changed, exchanged or removed without an audit that says so; and are then not brought back.
#[test]
fn changed_swapped_and_lost_rows_set_aside_are_told() {
    type Harm = fn(&[PathBuf]);
    let harms: [Harm; 3] = [
        |files| {
            let mut bytes = fs::read(&files[0]).unwrap();
            bytes[60] ^= 1;
            fs::write(&files[0], bytes).unwrap();
        },
        |files| {
            fs::copy(&files[1], &files[0]).unwrap();
        },
        |files| fs::remove_file(&files[0]).unwrap(),
    ];
    for (harm, is_lost) in harms.into_iter().zip([false, false, true]) {
        let world = filled();
        let lake = world.open();
        restrict(&world, &lake, &[user("u1")]).unwrap();
        harm(&asides(&world));
        let told = lake.audit(true).unwrap().discrepancies;
        let is_it = |one: &Discrepancy| match one {
            Discrepancy::AsideDiffers { .. } => is_lost,
            Discrepancy::ChangedAside { .. } => !is_lost,
            Discrepancy::ChangedFile { .. }
            | Discrepancy::CountsDiffer { .. }
            | Discrepancy::ForeignCommit { .. }
            | Discrepancy::Gap { .. }
            | Discrepancy::MissingFile { .. }
            | Discrepancy::Overlap { .. }
            | Discrepancy::RowsDiffer { .. }
            | Discrepancy::Unbalanced { .. }
            | Discrepancy::Unclaimed { .. }
            | Discrepancy::WrongEnd { .. } => false,
        };
        assert!(told.iter().all(is_it) && !told.is_empty(), "{told:?}");
        assert_eq!(lift(&world, &lake, &[user("u1")]).is_err(), !is_lost);
    }
}
}
