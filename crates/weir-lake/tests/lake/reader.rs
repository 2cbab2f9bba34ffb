//! A reader of Delta tables that shares no code with the lake: the log as JSON, the files as Parquet, encrypted or not.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use serde_json::Value;
use weir_keys::{LiveKeys, RowsOf, SealedObject, StoreKeys};

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
        let text = String::from_utf8(bytes(path)).unwrap();
        text.lines().map(|line| (version, serde_json::from_str(line).unwrap())).collect::<Vec<_>>()
    };
    entries.iter().flat_map(lines).collect()
}

/// Returns the instants that an entry or a checkpoint of a log gives its actions.
pub(crate) fn commit_times(path: &Path) -> Vec<(&'static str, i64)> {
    let of_action = [
        ("commitInfo", "timestamp"),
        ("metaData", "createdTime"),
        ("remove", "deletionTimestamp"),
        ("txn", "lastUpdated"),
    ];
    let mut times = Vec::new();
    if path.extension().is_some_and(|extension| extension == "json") {
        for line in String::from_utf8(bytes(path)).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            times.extend(
                of_action.iter().filter_map(|(action, time)| Some((*action, line.get(action)?[time].as_i64()?))),
            );
        }
        return times;
    }
    let checkpoint = read(path);
    for (action, time) in of_action {
        let Some(actions) = checkpoint.column_by_name(action) else { continue };
        let of_all = actions.as_struct()[time].as_primitive::<Int64Type>();
        times.extend(of_all.iter().flatten().map(|ms| (action, ms)));
    }
    times
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
    let batches: Vec<_> = open(path).build().unwrap().map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Opens a file, with the keys of its lake if it is encrypted.
pub(crate) fn open(path: &Path) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = match keys_of(path) {
        Some(keys) => {
            let properties = FileDecryptionProperties::with_key_retriever(Arc::new(keys)).build().unwrap();
            ArrowReaderOptions::new().with_file_decryption_properties(properties)
        }
        None => ArrowReaderOptions::new(),
    };
    ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(bytes(path)), options).unwrap()
}

/// Remembers the keys of a lake's region for those who read its files.
pub(crate) fn remember(region: PathBuf, keys: LiveKeys) {
    KEYS.with_borrow_mut(|known| known.push((region, keys)));
}

fn keys_of(path: &Path) -> Option<Keys> {
    KEYS.with_borrow(|known| {
        let (region, keys) = known.iter().find(|(region, _)| path.starts_with(region))?;
        let table = path.strip_prefix(region).unwrap().iter().map(|part| part.to_str().unwrap());
        let table: Vec<_> = table.take_while(|part| !part.contains('=') && !part.ends_with(".parquet")).collect();
        Some(Keys { keys: keys.clone(), table: table.join("/") })
    })
}

struct Keys {
    keys: LiveKeys,
    table: String,
}

impl KeyRetriever for Keys {
    fn retrieve_key(&self, material: &[u8]) -> parquet::errors::Result<Vec<u8>> {
        let material: Value = serde_json::from_slice(material).unwrap();
        let rows = RowsOf::parse(material["masterKeyID"].as_str().unwrap(), "eu").unwrap();
        Ok(self.keys.snapshot().file_key("eu", &self.table, rows).unwrap().expose().to_vec())
    }
}

thread_local! {
    static KEYS: RefCell<Vec<(PathBuf, LiveKeys)>> = const { RefCell::new(Vec::new()) };
}

/// Returns what a file says, opened with the store keys beside the lake if there are any.
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    let object = fs::read(path).unwrap();
    let root = path.ancestors().find(|folder| folder.ends_with("lake"));
    let sealed = root.map(|root| (root, root.with_file_name(STORE_KEYS))).filter(|(_, keys)| keys.exists());
    let Some((root, keys)) = sealed else { return object };
    let (place, length) = (path.strip_prefix(root).unwrap().to_str().unwrap(), u64::try_from(object.len()).unwrap());
    let head = &object[..SealedObject::HEAD_BYTES];
    let keys = StoreKeys::open(&keys).unwrap();
    let sealed = keys.open_object(place, head, length).unwrap();
    sealed.read(0..u64::MAX, |_| Ok(object[head.len()..].to_vec())).unwrap()
}

/// The folder of the store keys, beside the lake.
pub(crate) const STORE_KEYS: &str = "store-keys";
