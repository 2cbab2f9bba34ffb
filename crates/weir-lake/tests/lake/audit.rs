//! The audit finds what was tampered with, and says it by name.

use std::fs;
use std::path::{Path, PathBuf};

use weir_lake::{Discrepancy, TableName};

use crate::reader::{actions, live};
use crate::world::{SHOP, SPEED, World, shop_table, shops, speed_table, speeds};

/// Makes a sound lake, lets `tamper` at it, and returns what a fresh audit says.
fn after(tamper: impl Fn(&World)) -> Vec<Discrepancy> {
    let world = World::new(&[SHOP, SPEED]);
    let lake = world.open();
    for _ in 0..3 {
        world.add(&lake, 0, &[shops(0..25), speeds(0..25)].concat());
    }
    assert!(lake.audit(true).unwrap().is_sound());
    tamper(&world);
    world.open().audit(true).unwrap().discrepancies.into_iter().collect()
}

fn log_file(table: &Path, version: u64) -> PathBuf {
    table.join(format!("_delta_log/{version:020}.json"))
}

fn cell(table: &Path, version: u64) -> String {
    let of_version =
        |(at, line): &(u64, serde_json::Value)| (*at == version).then(|| line["commitInfo"]["weir"].clone());
    actions(table).iter().filter_map(of_version).find_map(|cell| cell.as_str().map(str::to_owned)).unwrap()
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_changed_file_is_found() {
    let found = after(|world| {
        let path = &live(&world.table_path(&shop_table()))[0];
        let mut bytes = fs::read(path).unwrap();
        bytes[10] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    assert!(matches!(found.as_slice(), [Discrepancy::ChangedFile { .. }]), "{found:?}");
}

#[test]
fn a_missing_file_is_found() {
    let found = after(|world| fs::remove_file(&live(&world.table_path(&shop_table()))[0]).unwrap());
    assert!(matches!(found.as_slice(), [Discrepancy::MissingFile { .. }]), "{found:?}");
}

#[test]
fn cells_that_changed_places_are_found() {
    let found = after(|world| {
        let table = world.table_path(&shop_table());
        let (one, two) = (cell(&table, 1), cell(&table, 2));
        replace(&log_file(&table, 1), &one, &two);
        replace(&log_file(&table, 2), &two, &one);
    });
    assert!(found.iter().any(|one| matches!(one, Discrepancy::ForeignCommit { version: 1, .. })), "{found:?}");
}

#[test]
fn a_cell_of_another_table_is_found() {
    let found = after(|world| {
        let (shop, speed) = (world.table_path(&shop_table()), world.table_path(&speed_table()));
        replace(&log_file(&shop, 1), &cell(&shop, 1), &cell(&speed, 1));
    });
    assert!(found.iter().any(|one| matches!(one, Discrepancy::ForeignCommit { .. })), "{found:?}");
}

#[test]
fn an_extra_file_in_the_log_is_found() {
    let found = after(|world| {
        let table = world.table_path(&shop_table());
        let path = live(&table)[0].clone();
        fs::copy(&path, path.with_file_name("extra.parquet")).unwrap();
        let add = r#"{"add":{"path":"date=2026-11-23/extra.parquet","partitionValues":{"date":"2026-11-23"},"size":1,"modificationTime":0,"dataChange":true,"stats":"{\"numRecords\":25}"}}"#;
        let log = log_file(&table, 3);
        fs::write(&log, fs::read_to_string(&log).unwrap() + add + "\n").unwrap();
    });
    assert!(found.iter().any(|one| matches!(one, Discrepancy::ForeignCommit { version: 3, .. })), "{found:?}");
}

#[test]
fn a_removed_line_of_the_coverage_is_found() {
    let found = after(|world| {
        // As an editor of Parquet files would: the same file with one row less.
        let path = &live(&world.table_path(&TableName::Coverage))[1];
        let rows = crate::reader::read(path);
        let file = fs::File::create(path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, rows.schema(), None).unwrap();
        writer.write(&rows.slice(1, rows.num_rows() - 1)).unwrap();
        writer.close().unwrap();
    });
    let is_coverage = |one: &Discrepancy| matches!(one, Discrepancy::ChangedFile { table: TableName::Coverage, .. });
    assert!(found.iter().any(is_coverage), "{found:?}");
    assert!(
        found.iter().any(|one| matches!(one, Discrepancy::Unbalanced { .. } | Discrepancy::RowsDiffer { .. })),
        "{found:?}"
    );
}
