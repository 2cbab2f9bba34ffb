//! The script that all comparisons with other tools rest on, checked against rows that are written down by hand.

use std::path::Path;
use std::process::Command;

use weir_testkit::readers::{Digest, Engine, duckdb_sql};

/// Each engine prints the lines that `self_check.py` holds, and the Rust side gives them back uncut.
#[test]
fn every_engine_prints_the_same_canonical_rows() {
    let folder = tempfile::tempdir().expect("a folder for the table");
    let table = folder.path().join("table");
    let readers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weir/tests/readers");
    let python = std::env::var("WEIR_TEST_PYTHON").expect("`cargo xtask test` sets WEIR_TEST_PYTHON");
    let made = Command::new(python).arg(readers.join("self_check.py")).arg(&table).output().expect("Python starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    for engine in Engine::REMOTE {
        let tables = engine.rows(&[&table, &table]);
        assert!(tables.iter().all(|rows| rows.len() == 3), "{engine:?} gives {tables:?}");
        let mut expected = Digest::default();
        tables[0].iter().for_each(|row| expected.add(row));
        assert_eq!(engine.digests(&[&table]), [expected], "{engine:?}");
    }
    let counted = duckdb_sql(&format!("SELECT count(*) AS n FROM delta_scan('{}')", table.display()));
    assert_eq!(counted, ["{\"n\":3}"]);
}
