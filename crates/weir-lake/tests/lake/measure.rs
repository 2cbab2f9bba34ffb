//! How long a person's erasure takes and what it rewrites; it asserts no figure, docs/rights.md has those of one machine.
#![expect(clippy::disallowed_methods, reason = "a measurement takes real time")]

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use weir_consent::Status;
use weir_lake::{Erasure, Lake, LakeError, Restriction};
use weir_policy::PurposeId;

use crate::people::{erase, every_file, user};
use crate::restrict::{lift, restrict};
use crate::world::{DAY_MS, NOW_MS, SPEED, World, audited, take};

/// Files of a hundred thousand rows, one a commit, over thirty days; each person is in few of them. As a test it is small.
#[test]
fn erasure_takes_as_long_as_its_files() {
    let rows = number("WEIR_TEST_ROWS", 200_000);
    let people = number("WEIR_TEST_PEOPLE", 40_000);
    let world = World::new(&[SPEED]);
    for person in 0..people {
        world.choose(&format!("u{person}"), PurposeId::Reliability, Status::Given, NOW_MS - 400 * DAY_MS);
    }
    let lake = world.open();
    let started = Instant::now();
    for file in 0..rows / FILE_ROWS {
        let events: Vec<_> = (0..FILE_ROWS).map(|row| speed_of(file, row, people)).collect();
        let from = take(&lake, 0).watermark.unwrap_or(0);
        assert!(world.commit(&lake, world.batch(0, from, &events)).is_ok());
    }
    let stored = audited(&lake).tables.values().sum::<u64>();
    let size = |part: &str| -> u64 {
        let files = every_file(&world.root()).into_iter().filter(|path| path.to_str().unwrap().contains(part));
        files.map(|path| fs::metadata(path).unwrap().len()).sum()
    };
    let (data, index) = (size("/reliability/"), size("/_index/"));
    println!(
        "{stored} rows of {people} people, {} MB, indexes {} MB, made in {:.0?}",
        data >> 20,
        index >> 20,
        started.elapsed()
    );
    timed(&world, &lake, "nobody", people..people + 1);
    timed(&world, &lake, "one", 0..1);
    timed(&world, &lake, "another", 1..2);
    timed(&world, &lake, "100", 100..200);
    timed(&world, &lake, "1,000", 1_000..2_000);
    for (what, people) in [("one", 4_000..4_001), ("1,000", 5_000..6_000)] {
        let people: Vec<_> = people.map(|person| user(&format!("u{person}"))).collect();
        let moved = |restriction: Result<Restriction, LakeError>| {
            restriction.unwrap().people.iter().flat_map(BTreeMap::values).sum::<u64>()
        };
        clocked(&format!("{what}, set aside"), || moved(restrict(&world, &lake, &people)));
        clocked("one of them, given what there is", || {
            let kept = lake.access(&world.ring.snapshot(), &people[0], &|_| ()).unwrap();
            kept.iter().map(|kept| kept.set_aside).sum()
        });
        clocked(&format!("{what}, brought back"), || moved(lift(&world, &lake, &people)));
    }
    fs::remove_dir_all(world.root().join("eu/_index")).unwrap();
    timed(&world, &lake, "one, without indexes", 3_000..3_001);
    assert_eq!(audited(&lake).tables.len(), 1);
}

fn timed(world: &World, lake: &Lake, what: &str, people: std::ops::Range<u64>) {
    let people: Vec<_> = people.map(|person| user(&format!("u{person}"))).collect();
    let started = Instant::now();
    let Erasure { commits, .. } = erase(world, lake, &people).unwrap();
    let took = started.elapsed();
    let files = || commits.iter().flat_map(|commit| &commit.files);
    let rewritten: u64 = files().filter_map(|file| file.after.as_ref()).map(|file| file.bytes).sum();
    let rows: u64 = files().map(|file| file.erased).sum();
    println!(
        "{what}: {took:.1?}, {rows} rows in {} files, {:.1} MB rewritten",
        files().count(),
        f64::from(u32::try_from(rewritten >> 10).unwrap()) / 1024.0
    );
}

fn clocked(what: &str, deed: impl FnOnce() -> u64) {
    let started = Instant::now();
    let rows = deed();
    println!("{what}: {:.1?}, {rows} rows", started.elapsed());
}

/// Five rows in a row of twenty thousand people a file; the next file has the next ones.
fn speed_of(file: u64, row: u64, people: u64) -> String {
    let person = (file * (FILE_ROWS / 5) + row / 5) % people;
    let day = 23 - file % 20;
    format!(
        r#"{{"specversion": "1.0", "id": "{file}-{row}", "source": "/test", "type": "test.speed", "time": "2026-11-{day:02}T10:10:30Z",
        "tenant": "acme", "data": {{"user": "u{person}", "took": {}}}}}"#,
        row % 997
    )
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

const FILE_ROWS: u64 = 100_000;
