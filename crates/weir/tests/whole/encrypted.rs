//! Encrypted tables, as those see them who have the keys, and those who have not.

use std::fs;
use std::path::{Path, PathBuf};

use weir_policy::PurposeId;
use weir_testkit::readers::Engine;

use crate::expected::Expected;
use crate::program::Weir;
use crate::world::{Settings, World, texts};

/// What `weir keys reader` prints makes DuckDB, Polars, pyarrow and Spark read the rows of the reference, of several epochs, and of no other table or
/// epoch; without it they read nothing. The lake is never written in clear again.
#[test]
fn readers_read_encrypted_tables_with_their_keys_only() {
    let settings = Settings { files: "encrypted", ..Settings::default() };
    let world = World::new(&settings);
    // Longer than an epoch of troubleshooting.
    let expected = crate::file::expected(&world, 20);
    let events = world.path("events.ndjson");
    Weir::new(&world, ["filter", "--decision", "TEST-1", events.to_str().unwrap()]).run().assert_done();
    Weir::new(&world, ["audit"]).run().assert_done();
    let read = |engine, reader| {
        let printed = |purpose: PurposeId, event: &str| printed(&world, &format!("{}/{event}", purpose.name()), reader);
        Expected::read_at(&world, engine, printed)
    };
    for (engine, reader) in [
        (Engine::PyArrowKeys, "pyarrow"),
        (Engine::DuckDbPyArrowKeys, "pyarrow"),
        (Engine::PolarsKeys, "polars"),
        (Engine::SparkKeys, "spark"),
    ] {
        assert_eq!(read(engine, reader), expected, "{engine:?} reads other rows than the reference makes");
    }
    // DuckDB by itself reads no arrays and structs of encrypted files.
    let flat = read(Engine::PyArrowFlatKeys, "pyarrow");
    assert_eq!(flat.rows(), expected.rows());
    assert_eq!(read(Engine::DuckDbKeys, "duckdb"), flat);

    let largest = expected.largest(&world);
    let [own, other] = [0, 1].map(|place: usize| table_of(&world, &largest[place].0));
    assert_ne!(own.split('/').next(), other.split('/').next(), "they are of two purposes");
    for engine in [Engine::DuckDb, Engine::PyArrow] {
        engine.refusal(&world.path("lake/eu").join(&own));
    }
    for (engine, reader) in
        [(Engine::DuckDbKeys, "duckdb"), (Engine::PolarsKeys, "polars"), (Engine::PyArrowKeys, "pyarrow")]
    {
        let text = fs::read_to_string(printed(&world, &own, reader)).unwrap();
        let [here, there] = [&own, &other].map(|table| world.path("lake/eu").join(table).display().to_string());
        refused(&world, engine, &text.replace(&here, &there));
        refused(&world, engine, &with_keys_of_other_epochs(&text));
    }

    assert!(texts(&world.path("lake/eu/_ledger")).contains("reader_keys"), "the ledger tells that keys were taken");
    world.configure("clear.toml", &Settings::default());
    let filter = vec!["filter", "--decision", "TEST-1", events.to_str().unwrap()];
    for (arguments, code) in [(vec!["audit"], 77), (filter, 77)] {
        let said = Weir::with_config(&world, "clear.toml", arguments).run().assert_refused(code);
        assert!(said.contains("files = \"encrypted\""), "{said}");
    }
    Weir::with_config(&world, "clear.toml", ["keys", "reader", &own]).run().assert_refused(64);
}

fn refused(world: &World, engine: Engine, text: &str) {
    let path = world.path("other-keys");
    fs::write(&path, text).unwrap();
    engine.refusal(&path);
}

/// Gives each epoch the keys of the next one.
fn with_keys_of_other_epochs(text: &str) -> String {
    let is_key =
        |line: &str| ["PRAGMA add_parquet_key", "    \"eu/", "    (\""].iter().any(|start| line.starts_with(start));
    let key = |line: &str| line.rsplit(['\'', '"']).nth(1).unwrap().to_owned();
    let keys: Vec<_> = text.lines().filter(|line| is_key(line)).map(key).collect();
    assert!(keys.len() > 2, "the events are of several epochs");
    let mut others = keys.iter().cycle().skip(1);
    let line =
        |line: &str| if is_key(line) { line.replace(&key(line), others.next().unwrap()) } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Saves what `weir keys reader` prints, and returns where.
fn printed(world: &World, table: &str, reader: &str) -> PathBuf {
    let text = Weir::new(world, ["keys", "reader", table, "--for", reader]).run().assert_done();
    let path = world.path(&format!("{}.{reader}", table.replace('/', "-")));
    fs::write(&path, text).unwrap();
    path
}

fn table_of(world: &World, path: &Path) -> String {
    path.strip_prefix(world.path("lake/eu")).unwrap().display().to_string()
}
