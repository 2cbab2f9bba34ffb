//! A lake with both layers, by the verbs: made, filled, given new keys, sealed anew, and refused without them.

use std::fs;
use std::path::PathBuf;

use weir_testkit::corpus::{Options, Produced};

use crate::program::Weir;
use crate::world::{Settings, World, every_file};

#[test]
fn a_lake_is_sealed_by_one_setting_and_its_keys_change_under_way() {
    let settings = Settings { sealed: true, files: "encrypted", ..Settings::default() };
    let world = World::new(&settings);
    let corpus = world.corpus(17, Options { people: 50, tenants: 5, events: 400, ..Options::ending(0) });
    let lines = |records: &mut dyn Iterator<Item = Produced>| {
        let lines = records.filter_map(|record| record.value).filter(|line| !line.contains(&b'\n'));
        lines.flat_map(|line| [line, b"\n".to_vec()].concat()).collect::<Vec<u8>>()
    };
    fs::write(world.path("consent.ndjson"), lines(&mut world.consents(&corpus))).unwrap();
    let fill = |name: &str, numbers: std::ops::Range<u64>| {
        fs::write(world.path(name), lines(&mut numbers.map(|number| corpus.event(number)))).unwrap();
        let file = world.path(name);
        Weir::new(&world, ["filter", "--decision", "TEST-1", file.to_str().unwrap()]).run().assert_done();
    };
    let verb = |line: &str| Weir::new(&world, line.split(' ')).run();
    fill("one.ndjson", 0..200);
    assert_eq!(versions(&world), [1]);
    verb("keys init-store").assert_refused(73);
    verb("keys rotate-store").assert_done();
    verb("keys rewrap-store").assert_refused(78);
    verb("keys wrap-store").assert_refused(78);
    fill("other.ndjson", 200..400);
    assert_eq!(versions(&world), [1, 2]);
    let why = verb("keys destroy --store-version 1").assert_refused(77);
    assert!(why.contains("weir lake reseal"), "{why}");
    verb("lake reseal").assert_done();
    assert_eq!(versions(&world), [2]);
    let why = verb("keys destroy --store-version 2").assert_refused(77);
    assert!(why.contains("is the newest"), "{why}");
    // An object that is just being written does not tell its version yet.
    fs::write(world.path("lake/eu/begun"), b"weir").unwrap();
    verb("keys destroy --store-version 1").assert_refused(77);
    fs::remove_file(world.path("lake/eu/begun")).unwrap();
    verb("keys destroy --store-version 1").assert_done();
    verb("keys destroy --store-version 1").assert_refused(66);
    assert!(verb("keys status").assert_done().contains("store newest version"));
    verb("audit").assert_done();
    verb("audit --ledger").assert_done();
    assert!(verb("lake ls").assert_done().contains("reliability/"));

    world.configure("weir.toml", &Settings { sealed: false, ..settings });
    let why = verb("audit").assert_refused(74);
    assert!(why.contains("lake.store_keys"), "{why}");
}

/// Returns the versions of the store's keys that objects are sealed with; no object is in clear.
pub(crate) fn versions(world: &World) -> Vec<u8> {
    let mut versions = Vec::new();
    let is_told = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "_ledger");
    for object in every_file(&world.path("lake/eu")).into_iter().filter(|path| !is_told(path)) {
        let bytes = fs::read(&object).unwrap();
        assert!(bytes.starts_with(b"weirobj\x01"), "{} is in clear", object.display());
        versions.push(bytes[8]);
    }
    versions.sort_unstable();
    versions.dedup();
    versions
}
