//! Layer B, the store's own keys: no object of a lake tells anything without them, and none opens elsewhere or changed.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use weir_keys::{SealedObject, StoreKeys};
use weir_lake::{Lake, LakeError};

use crate::people::{CONTRACTS, assert_holds, erase, every_file, files, fill, pseudonyms, user, without};
use crate::reader::{commit_times, live};
use crate::restrict::{lift, restrict};
use crate::world::{DAY_MS, ENCRYPTED, IN_BUCKET, NOW_MS, SHOP, World, audited, shop_table, shops};

/// The ledger is for others to check: it is signed, in clear, and names nobody.
fn objects(world: &World) -> Vec<PathBuf> {
    let mut all = every_file(&world.root());
    all.retain(|path| !path.components().any(|part| part.as_os_str() == "_ledger"));
    all
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Returns the files that tell something: a word, a tenant, a person, the schema, a table's properties, or that they are Parquet.
fn telling(world: &World) -> Vec<PathBuf> {
    let people: Vec<_> = (1..5).flat_map(|number| pseudonyms(world, "user", &format!("u{number}"))).collect();
    let words: [&[u8]; 7] = [b"chair", b"table", b"acme", b"subject", b"minReaderVersion", b"PAR1", b"written"];
    let tells = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        words.iter().any(|word| holds(&bytes, word)) || people.iter().any(|person| holds(&bytes, person))
    };
    objects(world).into_iter().filter(tells).collect()
}

/// Lets everything happen that writes: commits, checkpoints, restriction, what is lifted, erasure, retention, vacuum.
fn live_through(world: &World) {
    let lake = world.open();
    for _ in 0..COMMITS {
        world.add(&lake, 0, &shops(10..14));
    }
    world.add(&lake, 0, &["not an event".to_owned()]);
    let gone = [pseudonyms(world, "user", "u1"), pseudonyms(world, "device", "d1")].concat();
    let people = [user("u1").named("device", "d1")];
    let (before, hidden) = (without(&files(world), &[]), without(&files(world), &gone));
    let restricted = restrict(world, &lake, &people).unwrap();
    assert!(restricted.people.iter().any(|tables| !tables.is_empty()));
    lake.vacuum_erased(NOW_MS).unwrap();
    assert_holds(world, &hidden);
    let kept = |lake: &Lake| lake.access(&world.ring.snapshot(), &people[0], &|_| ()).unwrap().len();
    let aside = kept(&world.open());
    lift(world, &world.open(), &people).unwrap();
    assert_holds(world, &before);
    assert_eq!(kept(&world.open()), aside);
    restrict(world, &world.open(), &[user("u2")]).unwrap();
    erase(world, &world.open(), &people).unwrap();
    assert!(world.open().expire(world.policy.purposes(), NOW_MS + DAY_MS).unwrap().refused.is_none());
    let lake = world.open();
    assert!(lake.vacuum(NOW_MS, NOW_MS).unwrap().is_whole());
    audited(&lake);
}

long! {
#[test]
fn a_sealed_lake_does_everything_and_tells_nothing() {
    let clear = fill(World::new(&CONTRACTS));
    live_through(&clear);
    assert_days(&clear);
    // Of a lake whose files are encrypted only logs tell something.
    assert!(telling(&clear).len() > if ENCRYPTED { 2 } else { 20 }, "the search finds what is there");
    let world = fill(World::sealed(&CONTRACTS));
    live_through(&world);
    let count = |world: &World, part: &str| objects(world).iter().filter(|path| holds_path(path, part)).count();
    for part in ["_delta_log", "checkpoint", "_coverage", "_quarantine", "_index", "_restricted", "date="] {
        assert!(count(&world, part) > 0, "no object of {part} was written");
        assert_eq!(count(&world, part), count(&clear, part), "{part}");
    }
    assert_eq!(telling(&world), Vec::<PathBuf>::new());
    for path in objects(&world) {
        assert!(fs::read(&path).unwrap().starts_with(SealedObject::MAGIC), "{} is not sealed", path.display());
    }
}
}

/// Logs tell the day of a commit, never the instant: by that, who may read two purposes would find which of their rows were one event.
fn assert_days(world: &World) {
    let mut told = BTreeSet::new();
    for path in objects(world).into_iter().filter(|path| holds_path(path, "_delta_log/0")) {
        for (action, ms) in commit_times(&path) {
            assert_eq!(ms % DAY_MS, 0, "{action} in {}", path.display());
            told.insert((action, path.extension().unwrap().to_str().unwrap().to_owned()));
        }
    }
    let told: Vec<_> = told.iter().map(|(action, kind)| format!("{action} {kind}")).collect();
    let all = ["commitInfo json", "metaData json", "metaData parquet", "remove json", "txn json", "txn parquet"];
    assert_eq!(told, all);
}

fn holds_path(path: &Path, part: &str) -> bool {
    path.to_str().unwrap().contains(part)
}

/// Says why the lake is refused, all causes in a line.
fn why(world: &World) -> String {
    let refused = |error: LakeError| {
        let (mut causes, mut next): (_, Option<&dyn Error>) = (Vec::new(), Some(&error));
        while let Some(error) = next {
            causes.push(error.to_string());
            next = error.source();
        }
        causes.join(": ")
    };
    let opened = Lake::open(world.config(), &world.key(), world.ledger());
    opened.and_then(|lake| lake.audit(true)).map_or_else(refused, |report| format!("{:?}", report.discrepancies))
}

#[test]
fn a_lake_opens_only_with_the_keys_that_it_was_begun_with() {
    let world = fill(World::sealed(&[SHOP]));
    let aside = world.store_keys().with_file_name("aside");
    fs::rename(world.store_keys(), &aside).unwrap();
    assert!(why(&world).contains("lake.store_keys"), "{}", why(&world));
    StoreKeys::init(&world.store_keys()).unwrap();
    assert!(why(&world).contains("other store keys"), "{}", why(&world));
    fs::remove_dir_all(world.store_keys()).unwrap();
    fs::rename(aside, world.store_keys()).unwrap();
    assert_eq!(why(&world), "{}");

    let clear = fill(World::new(&[SHOP]));
    StoreKeys::init(&clear.store_keys()).unwrap();
    assert!(why(&clear).contains("not sealed with the store's keys"), "{}", why(&clear));
}

long! {
/// What somebody can do who may write to the store and has no key.
#[test]
fn objects_that_are_flipped_cut_exchanged_or_put_back_are_refused() {
    type Tamper = fn(&[PathBuf]);
    let tampers: [(&str, Tamper); 4] = [
        ("flipped", |files| {
            let mut bytes = fs::read(&files[0]).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&files[0], bytes).unwrap();
        }),
        ("cut", |files| {
            let bytes = fs::read(&files[0]).unwrap();
            fs::write(&files[0], &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("exchanged", |files| {
            let (one, other) = (fs::read(&files[0]).unwrap(), fs::read(&files[1]).unwrap());
            fs::write(&files[0], other).unwrap();
            fs::write(&files[1], one).unwrap();
        }),
        ("in clear", |files| fs::write(&files[0], b"{}").unwrap()),
    ];
    for (how, tamper) in tampers {
        for kind in ["data", "log", "coverage"] {
            let world = fill(World::sealed(&[SHOP]));
            let table = world.table_path(&shop_table());
            let log = |table: &Path| {
                let mut files = every_file(&table.join("_delta_log"));
                files.sort();
                files.reverse();
                files
            };
            let files = match kind {
                "data" => live(&table),
                "log" => log(&table),
                _ => log(&world.root().join("eu/_coverage")),
            };
            tamper(&files);
            let told = why(&world);
            let named = if kind == "data" { "ChangedFile" } else { "_delta_log" };
            assert!(told.contains(named), "{kind} {how}: {told}");
        }
    }
}
}

long! {
/// Nobody has to come to an object for its change to show: `verify` names it, whatever it is, or the lake does not open.
#[test]
fn each_object_that_is_changed_is_named_without_a_reader() {
    let world = fill(World::sealed(&CONTRACTS));
    live_through(&world);
    let whole = world.open().verify().unwrap();
    assert!(whole.is_sound() && whole.objects > 100, "{whole:?}");
    let mut kinds: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in objects(&world) {
        let kind = path.to_str().unwrap().replace(|letter: char| letter.is_ascii_digit(), "");
        let (folder, name) = kind.rsplit_once('/').unwrap();
        let ending = name.rsplit('.').next().unwrap();
        kinds.insert(format!("{folder} {ending}"), path);
    }
    assert!(kinds.len() > 20, "{kinds:?}");
    let paths: Vec<_> = kinds.into_values().collect();
    for (path, other) in paths.iter().zip(paths.iter().cycle().skip(1)) {
        let bytes = fs::read(path).unwrap();
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for (how, changed) in
            [("flipped", &flipped[..]), ("cut", &bytes[..bytes.len() - 1]), ("another's", &fs::read(other).unwrap())]
        {
            fs::write(path, changed).unwrap();
            let opened = Lake::open(world.config(), &world.key(), world.ledger());
            let found = opened.and_then(|lake| lake.verify());
            let is_named = |broken: &String| path.to_str().unwrap().ends_with(broken);
            let is_noticed = found.as_ref().map_or(true, |report| report.broken.iter().any(is_named));
            assert!(is_noticed, "{} {how}: {found:?}", path.display());
        }
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(world.open().verify().unwrap(), whole);
}
}

/// Both go on while the keys get a new version: what is old stays readable, what is new is sealed with the new one.
#[test]
fn keys_get_a_new_version_while_a_lake_is_open() {
    let world = World::sealed(&[SHOP]);
    let lake = world.open();
    world.add(&lake, 0, &shops(0..5));
    let version = |path: &PathBuf| fs::read(path).unwrap()[8];
    assert!(objects(&world).iter().all(|path| version(path) == 1));
    StoreKeys::open(&world.store_keys()).unwrap().rotate().unwrap();
    world.add(&lake, 0, &shops(5..9));
    assert!(live(&world.table_path(&shop_table())).iter().any(|path| version(path) == 2));
    assert_eq!(why(&world), "{}");

    let ages = |world: &World| {
        let files = live(&world.table_path(&shop_table())).into_iter();
        files.map(|file| fs::metadata(file).unwrap().modified().unwrap()).collect::<Vec<_>>()
    };
    let before = ages(&world);
    assert!(lake.reseal().unwrap() > 0);
    assert_eq!(lake.reseal().unwrap(), 0);
    // An object's age is when it was put.
    assert_eq!(ages(&world) == before, !IN_BUCKET);
    assert!(objects(&world).iter().all(|path| version(path) == 2));
    fs::remove_file(world.store_keys().join("1")).unwrap();
    assert_eq!(why(&world), "{}");
    world.add(&world.open(), 0, &shops(9..12));
    fs::rename(world.store_keys().join("2"), world.store_keys().with_file_name("2")).unwrap();
    StoreKeys::init(&world.store_keys()).unwrap();
    assert!(why(&world).contains("lack the version"), "{}", why(&world));
}

/// Enough for a checkpoint.
const COMMITS: usize = 60;
