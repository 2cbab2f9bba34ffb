//! Reading a Delta log for what the kernel does not tell: transaction ids in one pass, and commit information.
//!
//! The kernel answers one transaction id at a time, each with a replay of the log, and says nothing of `commitInfo`,
//! where the sealed cells are. Here a checkpoint and the commits since are read once, front to back.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray};
use arrow::datatypes::{Int32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use crate::store::{LOG, StoreError, TableFolder};

/// One entry of the log.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    pub(crate) version: u64,
    pub(crate) adds: Vec<String>,
    pub(crate) removes: Vec<String>,
    pub(crate) txns: Vec<(String, i64)>,
    /// The sealed cell; `None` if weir did not write the commit.
    pub(crate) cell: Option<String>,
    pub(crate) properties: Option<HashMap<String, String>>,
    pub(crate) protocol: Option<Protocol>,
    /// When it was committed, by the writer's clock: the day, unless [`Cell::at_ms`](crate::cell::Cell::at_ms) is asked.
    pub(crate) timestamp_ms: Option<i64>,
}

/// The protocol that readers and writers of a table need.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
}

/// What the log says about the table as a whole, up to a version.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) version: u64,
    pub(crate) txns: HashMap<String, i64>,
    pub(crate) properties: Option<HashMap<String, String>>,
    pub(crate) protocol: Option<Protocol>,
}

/// The log can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry is not what Delta says.
    #[error("log entry {name} is damaged")]
    Damaged {
        /// The name of the file in `_delta_log`.
        name: String,
    },
}

/// The versions that a log folder holds.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) commits: Vec<u64>,
    /// Each complete checkpoint's version and files, oldest first.
    pub(crate) checkpoints: Vec<(u64, Vec<String>)>,
}

impl Listing {
    pub(crate) fn read(table: &TableFolder) -> Result<Self, StoreError> {
        let mut listing = Self::default();
        for name in table.log_names()? {
            let Some((version, rest)) = name.split_at_checked(20) else { continue };
            let Ok(version) = version.parse() else { continue };
            if rest == ".json" {
                listing.commits.push(version);
            } else if rest == ".checkpoint.parquet" {
                listing.checkpoints.push((version, vec![name]));
            }
        }
        Ok(listing)
    }
}

/// Reads one commit; `None` if the log does not hold it.
pub(crate) fn read_commit(table: &TableFolder, version: u64) -> Result<Option<Commit>, LogError> {
    let name = commit_name(version);
    let Some(bytes) = table.read_log(&name)? else { return Ok(None) };
    let mut commit = Commit { version, ..Commit::default() };
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        // The error of serde_json quotes its input, so only the entry's name goes on.
        let action: Action =
            serde_json::from_slice(line).ok().ok_or_else(|| LogError::Damaged { name: name.clone() })?;
        commit.take(action);
    }
    Ok(Some(commit))
}

/// Reads what a checkpoint says about the table; its files are not looked at.
pub(crate) fn read_checkpoint(table: &TableFolder, version: u64, names: &[String]) -> Result<Checkpoint, LogError> {
    let mut checkpoint = Checkpoint { version, ..Checkpoint::default() };
    for name in names {
        let damaged = || LogError::Damaged { name: name.clone() };
        let file = table.open(&format!("{LOG}/{name}"))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).ok().ok_or_else(damaged)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn", "protocol", "metaData"]);
        for batch in builder.with_projection(mask).build().ok().ok_or_else(damaged)? {
            let batch = batch.ok().ok_or_else(damaged)?;
            checkpoint.take(&StructArray::from(batch)).ok_or_else(damaged)?;
        }
    }
    Ok(checkpoint)
}

pub(crate) fn commit_name(version: u64) -> String {
    format!("{version:020}.json")
}

// === impl Commit ===

impl Commit {
    fn take(&mut self, action: Action) {
        if let Some(add) = action.add {
            self.adds.push(add.path);
        }
        self.removes.extend(action.remove.map(|remove| remove.path));
        self.txns.extend(action.txn.map(|txn| (txn.app_id, txn.version)));
        if let Some(info) = action.commit_info {
            self.cell = info.weir;
            self.timestamp_ms = info.timestamp;
        }
        if let Some(metadata) = action.meta_data {
            self.properties = Some(metadata.configuration);
        }
        self.protocol = action.protocol.or(self.protocol);
    }
}

// === impl Checkpoint ===

impl Checkpoint {
    /// Takes the rows of a batch; `None` if a column has not the type that Delta gives it.
    fn take(&mut self, batch: &StructArray) -> Option<()> {
        let txns = batch.column_by_name("txn")?.as_struct_opt()?;
        let (ids, versions) = (txns.column_by_name("appId")?, txns.column_by_name("version")?);
        for row in (0..txns.len()).filter(|row| txns.is_valid(*row)) {
            let version = versions.as_primitive_opt::<Int64Type>()?.value(row);
            self.txns.insert(text(ids, row)?, version);
        }
        let protocols = batch.column_by_name("protocol")?.as_struct_opt()?;
        let number =
            |name: &str, row| Some(protocols.column_by_name(name)?.as_primitive_opt::<Int32Type>()?.value(row));
        for row in (0..protocols.len()).filter(|row| protocols.is_valid(*row)) {
            let (reader, writer) = (number("minReaderVersion", row)?, number("minWriterVersion", row)?);
            self.protocol = Some(Protocol { min_reader_version: reader, min_writer_version: writer });
        }
        let metadata = batch.column_by_name("metaData")?.as_struct_opt()?;
        for row in (0..metadata.len()).filter(|row| metadata.is_valid(*row)) {
            self.properties = Some(properties(metadata.column_by_name("configuration")?.as_map_opt()?, row)?);
        }
        Some(())
    }
}

fn properties(maps: &MapArray, row: usize) -> Option<HashMap<String, String>> {
    let entries = maps.value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let known = (0..entries.len()).filter(|at| values.is_valid(*at));
    known.map(|at| Some((text(keys, at)?, text(values, at)?))).collect()
}

fn text(array: &ArrayRef, row: usize) -> Option<String> {
    if let Some(array) = array.as_string_view_opt() {
        return Some(array.value(row).to_owned());
    }
    Some(array.as_string_opt::<i32>()?.value(row).to_owned())
}

// === the JSON of the log ===

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<AddAction>,
    remove: Option<RemoveAction>,
    txn: Option<TxnAction>,
    commit_info: Option<CommitInfoAction>,
    meta_data: Option<MetadataAction>,
    protocol: Option<Protocol>,
}

#[derive(Deserialize)]
struct AddAction {
    path: String,
}

#[derive(Deserialize)]
struct RemoveAction {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TxnAction {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
struct CommitInfoAction {
    weir: Option<String>,
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
struct MetadataAction {
    #[serde(default)]
    configuration: HashMap<String, String>,
}
