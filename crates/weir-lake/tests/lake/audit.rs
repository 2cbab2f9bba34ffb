//! The audit finds what was tampered with, and says it by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int64Array};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
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
        write(path, &rows.slice(1, rows.num_rows() - 1));
    });
    let is_coverage = |one: &Discrepancy| matches!(one, Discrepancy::ChangedFile { table: TableName::Coverage, .. });
    assert!(found.iter().any(is_coverage), "{found:?}");
    assert!(
        found.iter().any(|one| matches!(one, Discrepancy::Unbalanced { .. } | Discrepancy::RowsDiffer { .. })),
        "{found:?}"
    );
}

/// Goal: a size that is wrong is found without reading a byte.
#[test]
fn a_longer_file_is_found_by_its_size() {
    let world = World::new(&[SHOP]);
    world.add(&world.open(), 0, &shops(0..25));
    let path = &live(&world.table_path(&shop_table()))[0];
    fs::write(path, [fs::read(path).unwrap(), vec![0]].concat()).unwrap();
    let found: Vec<_> = world.open().audit(false).unwrap().discrepancies.into_iter().collect();
    assert!(matches!(found.as_slice(), [Discrepancy::ChangedFile { .. }]), "{found:?}");
}

/// Goal: an audit trusts nothing that its process has read before: a commit that was tampered with since is found.
#[test]
fn a_commit_that_changed_since_it_was_read_is_found() {
    let world = World::new(&[SHOP]);
    let lake = world.open();
    for _ in 0..3 {
        world.add(&lake, 0, &shops(0..25));
    }
    assert!(lake.audit(false).unwrap().is_sound());
    let table = world.table_path(&shop_table());
    replace(&log_file(&table, 1), &cell(&table, 1), &cell(&table, 2));
    let found = lake.audit(false).unwrap().discrepancies;
    let is_it = |one: &Discrepancy| matches!(one, Discrepancy::ForeignCommit { version: 1, .. });
    assert!(found.iter().any(is_it), "{found:?}");
}

/// Goal: counts that somebody changed in the coverage are found three times over: by the rows in the table, by what its
/// commit says, and by the other purposes.
#[test]
fn a_changed_count_is_found_by_every_sum() {
    let found = after(|world| {
        edit_coverage(world, "count", |line, count| {
            count + i64::from(line("purpose") == "reliability" && line("fate") == "written")
        });
    });
    for table in [shop_table(), speed_table()] {
        let rows = |one: &Discrepancy| matches!(one, Discrepancy::RowsDiffer { table: of, .. } if *of == table);
        let counts = |one: &Discrepancy| matches!(one, Discrepancy::CountsDiffer { table: of, .. } if *of == table);
        assert!(found.iter().any(rows) && found.iter().any(counts), "{found:?}");
    }
    let is_unbalanced = |one: &&Discrepancy| matches!(one, Discrepancy::Unbalanced { .. });
    assert_eq!(found.iter().filter(is_unbalanced).count(), 3, "{found:?}");
}

/// Goal: a purpose that counts other records than the two others is found where no table has a row of it.
#[test]
fn a_denial_that_is_gone_is_found() {
    let found = after(|world| {
        edit_coverage(world, "count", |line, count| count - i64::from(line("purpose") == "personalization"));
    });
    assert!(found.iter().any(|one| matches!(one, Discrepancy::Unbalanced { .. })), "{found:?}");
}

/// Goal: ranges that do not tile are found, whichever way they do not.
#[test]
fn ranges_that_do_not_tile_are_found() {
    let moved = |column: &'static str, from: &'static str, by: i64| {
        after(move |world| edit_coverage(world, column, |line, at| if line("from") == from { at + by } else { at }))
    };
    let (gap, overlap, end) = (moved("from", "50", 5), moved("from", "50", -5), moved("to", "100", 5));
    let is_gap = |one: &Discrepancy| matches!(one, Discrepancy::Gap { from: 50, to: 55, .. });
    assert!(gap.iter().any(is_gap), "{gap:?}");
    let is_overlap = |one: &Discrepancy| matches!(one, Discrepancy::Overlap { from: 45, .. });
    assert!(overlap.iter().any(is_overlap), "{overlap:?}");
    let is_end = |one: &Discrepancy| matches!(one, Discrepancy::WrongEnd { covered: 155, watermark: Some(150), .. });
    assert!(end.iter().any(is_end), "{end:?}");
}

/// Rewrites a column of whole numbers in the coverage, as an editor of Parquet files would.
///
/// `edit` may look at the other columns of the line, and gets what stands in the column.
fn edit_coverage(world: &World, column: &str, edit: impl Fn(&dyn Fn(&str) -> String, i64) -> i64) {
    for path in live(&world.table_path(&TableName::Coverage)) {
        let lines = crate::reader::read(&path);
        let numbers = lines.column_by_name(column).unwrap().as_primitive::<Int64Type>();
        let edited = (0..lines.num_rows()).map(|row| {
            let text = |name: &str| array_value_to_string(lines.column_by_name(name).unwrap(), row).unwrap();
            Some(edit(&text, numbers.value(row)))
        });
        let edited: ArrayRef = Arc::new(edited.collect::<Int64Array>());
        let mut columns = lines.columns().to_vec();
        columns[lines.schema().index_of(column).unwrap()] = edited;
        write(&path, &RecordBatch::try_new(lines.schema(), columns).unwrap());
    }
}

fn write(path: &Path, rows: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}
