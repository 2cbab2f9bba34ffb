//! A reader of Delta tables that shares no code with the lake: the log as JSON, the files as Parquet.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// Returns the actions of a table's log, in order, with their versions.
pub(crate) fn actions(table: &Path) -> Vec<(u64, Value)> {
    let mut entries: Vec<_> = fs::read_dir(table.join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    entries.sort();
    let lines = |path: &PathBuf| {
        let version = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| (version, serde_json::from_str(line).unwrap())).collect::<Vec<_>>()
    };
    entries.iter().flat_map(lines).collect()
}

/// Returns the values of one action of a table's log.
pub(crate) fn each(table: &Path, action: &str) -> Vec<Value> {
    actions(table).into_iter().filter_map(|(_, line)| line.get(action).cloned()).collect()
}

/// Returns the paths of the files that the newest version has.
pub(crate) fn live(table: &Path) -> Vec<PathBuf> {
    let mut live = BTreeSet::new();
    for (_, line) in actions(table) {
        let path = |action: &str| Some(line.get(action)?.get("path")?.as_str()?.to_owned());
        if let Some(added) = path("add") {
            live.insert(added);
        }
        if let Some(removed) = path("remove") {
            live.remove(&removed);
        }
    }
    live.into_iter().map(|path| table.join(path)).collect()
}

/// Returns all rows of a table's newest version.
pub(crate) fn rows(table: &Path) -> usize {
    live(table).iter().map(|path| read(path).num_rows()).sum()
}

/// Returns the rows of a file.
pub(crate) fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}
