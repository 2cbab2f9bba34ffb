//! Everything that weir asks of `delta_kernel`, in one file: an upgrade of the kernel changes this file only.
//!
//! Traps of 0.30 that are handled here: the kernel's own `create_table` makes protocol 3/7, so version 0 is written by
//! hand; checkpoints deadlock on its default executor; its local store does not sync; and it offers no list of a
//! snapshot's files but a scan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use delta_kernel::arrow::array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use delta_kernel::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use delta_kernel::arrow::datatypes::{DataType as ArrowType, Field, Fields, Int64Type, Schema, TimeUnit};
use delta_kernel::arrow::error::ArrowError;
use delta_kernel::committer::{CommitMetadata, CommitResponse, Committer, FileSystemCommitter, PublishMetadata};
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::schema::{ArrayType, DataType, DecimalType, SchemaRef, StructField, StructType};
use delta_kernel::snapshot::SnapshotRef;
use delta_kernel::transaction::{CommitResult, Transaction, UpdateTableOperation};
use delta_kernel::{Engine, KernelError, KernelResult, KernelResultIterator, Snapshot};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use object_store::ObjectStore;
use url::Url;

use crate::delta_type::{ColumnType, DeltaType};

/// The kernel said no. Its text names files and columns, never values.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct KernelRefusal {
    text: String,
    is_away: bool,
}

impl KernelRefusal {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_away: false }
    }

    /// Tells whether an object store did not do what it was asked, rather than what is in it being wrong.
    pub const fn is_away(&self) -> bool {
        self.is_away
    }
}

/// The kernel and the store it works on; cheap to share.
#[derive(Clone)]
pub(crate) struct Kernel {
    engine: Arc<DefaultEngine<TokioMultiThreadExecutor>>,
}

/// A table as of one version.
#[derive(Clone)]
pub(crate) struct TableVersion(SnapshotRef);

/// What version 0 of a table says.
pub(crate) struct Definition<'d> {
    pub(crate) id: String,
    pub(crate) columns: &'d [ColumnType],
    /// Whether the table is partitioned by `date`, the day of the event.
    pub(crate) by_date: bool,
    pub(crate) properties: Vec<(&'static str, String)>,
    pub(crate) cell: &'d str,
    pub(crate) now_ms: i64,
}

/// What a commit changes.
#[derive(Clone, Default)]
pub(crate) struct Change {
    pub(crate) adds: Vec<AddedFile>,
    /// Paths of files to remove; all must be live.
    pub(crate) removes: Vec<String>,
    pub(crate) new_columns: Vec<ColumnType>,
    pub(crate) txns: Vec<(String, i64)>,
}

/// A data file as the log will show it.
#[derive(Clone, Debug)]
pub(crate) struct AddedFile {
    pub(crate) path: String,
    pub(crate) date: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) modified_ms: i64,
    /// The least and the greatest `time`, in microseconds at the purpose's precision.
    pub(crate) times: Option<(i64, i64)>,
}

/// How a commit ended.
pub(crate) enum Put {
    Done(TableVersion),
    /// Someone else took the version.
    Conflict,
}

/// A file of a table's current version.
#[derive(Clone, Debug)]
pub(crate) struct LiveFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) rows: Option<u64>,
    pub(crate) date: Option<String>,
}

impl Kernel {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Result<Self, KernelRefusal> {
        // Two workers: the kernel's own work is small, and blocking file access has a pool of its own.
        let executor = TokioMultiThreadExecutor::new_owned_runtime(Some(2), None)?;
        let engine = DefaultEngineBuilder::new(objects).with_task_executor(Arc::new(executor)).build();
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Writes version 0 unless the table has one; tells whether this call did.
    pub(crate) fn create(&self, table: &Url, definition: &Definition<'_>) -> Result<bool, KernelRefusal> {
        let url = table.join("_delta_log/00000000000000000000.json").map_err(|error| refusal(&error))?;
        let text = first_commit(definition)?;
        match self.engine.storage_handler().put(&url, text.into(), false) {
            Ok(()) => Ok(true),
            Err(KernelError::FileAlreadyExists(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the table's newest version, starting from an older one if there is one.
    pub(crate) fn read(&self, table: &Url, older: Option<&TableVersion>) -> Result<TableVersion, KernelRefusal> {
        let snapshot = match older {
            Some(older) => Snapshot::builder_from(older.0.clone()).build(self.engine.as_ref())?,
            None => Snapshot::builder_for(table.as_str()).build(self.engine.as_ref())?,
        };
        Ok(TableVersion(snapshot))
    }

    /// Puts a commit on top of `base`.
    pub(crate) fn put(&self, base: &TableVersion, change: Change, cell: &str) -> Result<Put, KernelRefusal> {
        match self.transaction(base, change, cell)?.commit(self.engine.as_ref())? {
            CommitResult::Committed(done) => match done.post_commit_snapshot() {
                Some(snapshot) => Ok(Put::Done(TableVersion(snapshot.clone()))),
                None => Ok(Put::Done(self.read(base.0.table_root(), Some(base))?)),
            },
            CommitResult::Conflicted(_) => Ok(Put::Conflict),
            CommitResult::Retryable(failed) => Err(failed.error.into()),
        }
    }

    /// Lists the files of a version.
    pub(crate) fn live_files(&self, version: &TableVersion) -> Result<Vec<LiveFile>, KernelRefusal> {
        let scan = version.0.clone().scan_builder().build()?;
        let mut files = Vec::new();
        for metadata in scan.scan_metadata(self.engine.as_ref())? {
            files = metadata?.visit_scan_files(files, |files: &mut Vec<LiveFile>, file| {
                files.push(LiveFile {
                    path: file.path,
                    bytes: u64::try_from(file.size).unwrap_or_default(),
                    rows: file.stats.map(|stats| stats.num_records),
                    date: file.partition_values.get(DATE).cloned(),
                });
            })?;
        }
        Ok(files)
    }

    /// Writes a checkpoint of a version unless there is one.
    pub(crate) fn checkpoint(&self, version: &TableVersion) -> Result<TableVersion, KernelRefusal> {
        let (_, snapshot) = version.0.checkpoint(self.engine.as_ref(), None)?;
        Ok(TableVersion(snapshot))
    }

    fn transaction(&self, base: &TableVersion, change: Change, cell: &str) -> Result<Transaction, KernelRefusal> {
        let operation = match (change.adds.is_empty(), change.removes.is_empty()) {
            (true, false) => UpdateTableOperation::Delete,
            _ => UpdateTableOperation::Write,
        };
        let (info, info_schema) = commit_info(cell)?;
        let mut builder =
            base.0.clone().update_table(operation, ENGINE, true).with_commit_info(Box::new(info), info_schema);
        for (id, number) in change.txns {
            builder = builder.with_transaction_id(id, number);
        }
        for column in &change.new_columns {
            builder = builder.add_column(struct_field(column)?);
        }
        let mut transaction = builder.build(self.engine.as_ref(), Box::new(DayCommitter(FileSystemCommitter)))?;
        if !change.adds.is_empty() {
            transaction.add_files(Box::new(ArrowEngineData::new(add_batch(&change.adds)?)));
        }
        if !change.removes.is_empty() {
            self.remove_files(&mut transaction, base, &change.removes)?;
        }
        Ok(transaction)
    }

    /// Hands the kernel its own scan rows of the files to remove, as it wants them.
    fn remove_files(
        &self,
        transaction: &mut Transaction,
        base: &TableVersion,
        paths: &[String],
    ) -> Result<(), KernelRefusal> {
        let paths: HashSet<&str> = paths.iter().map(String::as_str).collect();
        let mut found = 0;
        for metadata in base.0.clone().scan_builder().build()?.scan_metadata(self.engine.as_ref())? {
            let (data, mut selected) = metadata?.scan_files.into_parts();
            let data = ArrowEngineData::try_from_engine_data(data)?;
            let batch = data.record_batch();
            let rows = batch.column_by_name("path").and_then(|column| column.as_any().downcast_ref::<StringArray>());
            let rows = rows.ok_or_else(|| KernelRefusal::new("a scan has no paths"))?;
            selected.resize(batch.num_rows(), true);
            for (row, selected) in selected.iter_mut().enumerate() {
                *selected = *selected && paths.contains(rows.value(row));
            }
            let here = selected.iter().filter(|selected| **selected).count();
            if here > 0 {
                found += here;
                transaction.remove_files(FilteredEngineData::try_new(data, selected)?);
            }
        }
        if found == paths.len() { Ok(()) } else { Err(KernelRefusal::new("a file to remove is gone already")) }
    }
}

impl TableVersion {
    pub(crate) fn number(&self) -> u64 {
        self.0.version()
    }

    /// Returns the columns in order, with their types as Delta writes them.
    pub(crate) fn columns(&self) -> Vec<(String, String)> {
        let schema = self.0.schema();
        schema.fields().map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }
}

/// Returns a column's type as [`TableVersion::columns`] writes it.
pub(crate) fn type_text(column: &ColumnType) -> Result<String, KernelRefusal> {
    Ok(data_type(&column.delta_type)?.to_string())
}

// === what the kernel takes ===

impl From<KernelError> for KernelRefusal {
    fn from(error: KernelError) -> Self {
        Self { is_away: is_away(&error), ..refusal(&error) }
    }
}

/// The errors of a bucket bear one name, whatever was the matter with it.
fn is_away(error: &KernelError) -> bool {
    if let KernelError::Backtraced { source, .. } = error {
        return is_away(source);
    }
    let KernelError::ObjectStore(error) = error else { return false };
    matches!(
        error,
        object_store::Error::Generic { store: "s3", .. }
            | object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }
    )
}

impl From<ArrowError> for KernelRefusal {
    fn from(error: ArrowError) -> Self {
        refusal(&error)
    }
}

fn refusal(error: &dyn std::error::Error) -> KernelRefusal {
    KernelRefusal::new(error.to_string())
}

/// The text of version 0: reader 1, writer 2, no features, so that every engine reads the table.
fn first_commit(definition: &Definition<'_>) -> Result<Vec<u8>, KernelRefusal> {
    let mut fields = definition.columns.iter().map(struct_field).collect::<Result<Vec<_>, _>>()?;
    if definition.by_date {
        fields.push(StructField::nullable(DATE, DataType::DATE));
    }
    let schema = serde_json::to_string(&StructType::try_new(fields)?).map_err(|error| refusal(&error))?;
    let partitions: &[&str] = if definition.by_date { &[DATE] } else { &[] };
    let properties: HashMap<_, _> = definition.properties.iter().cloned().collect();
    let today_ms = day(definition.now_ms);
    let info = serde_json::json!({"commitInfo": {"timestamp": today_ms, "operation": "CREATE TABLE",
        "operationParameters": {}, "engineInfo": ENGINE, WEIR: definition.cell}});
    let protocol = serde_json::json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}});
    let metadata = serde_json::json!({"metaData": {"id": definition.id, "format": {"provider": "parquet", "options": {}},
        "schemaString": schema, "partitionColumns": partitions, "configuration": properties,
        "createdTime": today_ms}});
    Ok(format!("{info}\n{protocol}\n{metadata}\n").into_bytes())
}

fn struct_field(column: &ColumnType) -> Result<StructField, KernelRefusal> {
    Ok(StructField::nullable(&column.name, data_type(&column.delta_type)?))
}

fn data_type(of: &DeltaType) -> Result<DataType, KernelRefusal> {
    Ok(match of {
        DeltaType::Binary => DataType::BINARY,
        DeltaType::Boolean => DataType::BOOLEAN,
        DeltaType::Byte => DataType::BYTE,
        DeltaType::Decimal(precision, scale) => {
            let scale = u8::try_from(*scale).map_err(|error| refusal(&error))?;
            DataType::from(DecimalType::try_new(*precision, scale)?)
        }
        DeltaType::Double => DataType::DOUBLE,
        DeltaType::Integer => DataType::INTEGER,
        DeltaType::List(of) => DataType::from(ArrayType::new(data_type(of)?, true)),
        DeltaType::Long => DataType::LONG,
        DeltaType::Short => DataType::SHORT,
        DeltaType::String => DataType::STRING,
        DeltaType::Struct(fields) => {
            let fields = fields.iter().map(|(name, of)| Ok(StructField::nullable(*name, data_type(of)?)));
            DataType::from(StructType::try_new(fields.collect::<Result<Vec<_>, KernelRefusal>>()?)?)
        }
        DeltaType::Timestamp => DataType::TIMESTAMP,
    })
}

/// The row that the kernel merges into `commitInfo`: the sealed cell, as text.
fn commit_info(cell: &str) -> Result<(ArrowEngineData, SchemaRef), KernelRefusal> {
    let schema = Schema::new(vec![Field::new(WEIR, ArrowType::Utf8, true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(vec![cell]))])?;
    let schema = StructType::try_new([StructField::nullable(WEIR, DataType::STRING)])?;
    Ok((ArrowEngineData::new(batch), Arc::new(schema)))
}

fn add_batch(files: &[AddedFile]) -> Result<RecordBatch, KernelRefusal> {
    let number = |number: u64| i64::try_from(number).map_err(|error| refusal(&error));
    let bytes = files.iter().map(|file| number(file.bytes)).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("path", Arc::new(StringArray::from_iter_values(files.iter().map(|file| &file.path)))),
        ("partitionValues", partition_values(files)?),
        ("size", Arc::new(Int64Array::from(bytes))),
        ("modificationTime", Arc::new(Int64Array::from_iter_values(files.iter().map(|file| file.modified_ms)))),
        ("stats", stats(files)?),
    ];
    let fields: Vec<_> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), *name == "stats")).collect();
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn partition_values(files: &[AddedFile]) -> Result<ArrayRef, KernelRefusal> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for file in files {
        if let Some(date) = &file.date {
            maps.keys().append_value(DATE);
            maps.values().append_value(date);
        }
        maps.append(true)?;
    }
    Ok(Arc::new(maps.finish()))
}

/// The only statistics that the log may hold: row counts, and bounds of `time`.
fn stats(files: &[AddedFile]) -> Result<ArrayRef, KernelRefusal> {
    let rows = files.iter().map(|file| i64::try_from(file.rows)).collect::<Result<Vec<_>, _>>();
    let rows: ArrayRef = Arc::new(Int64Array::from(rows.map_err(|error| refusal(&error))?));
    let mut fields = vec![Field::new("numRecords", rows.data_type().clone(), true)];
    let mut columns = vec![rows];
    if files.iter().any(|file| file.times.is_some()) {
        let bounds = |pick: fn((i64, i64)) -> i64| -> ArrayRef {
            let times = files.iter().map(|file| file.times.map(pick)).collect::<TimestampMicrosecondArray>();
            let field = Field::new("time", ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
            Arc::new(StructArray::new(Fields::from(vec![field]), vec![Arc::new(times.with_timezone("UTC"))], None))
        };
        let (least, greatest) = (bounds(|times| times.0), bounds(|times| times.1));
        fields.push(Field::new("minValues", least.data_type().clone(), true));
        fields.push(Field::new("maxValues", greatest.data_type().clone(), true));
        columns.extend([least, greatest]);
    }
    Ok(Arc::new(StructArray::try_new(Fields::from(fields), columns, None)?))
}

// === impl DayCommitter ===

/// Puts commits as the kernel does, but tells the day of each instead of the instant: a batch is committed to its tables within
/// moments, so whoever may read the logs of two purposes would find by the instants which rows were one event. The coarsest time
/// that a purpose can have is a day too. The instant itself is in the sealed cell.
struct DayCommitter(FileSystemCommitter);

impl Committer for DayCommitter {
    fn commit(
        &self,
        engine: &dyn Engine,
        actions: KernelResultIterator<'_, FilteredEngineData>,
        metadata: CommitMetadata,
    ) -> KernelResult<CommitResponse> {
        self.0.commit(engine, Box::new(actions.map(|actions| at_days(actions?))), metadata)
    }

    fn is_catalog_committer(&self) -> bool {
        self.0.is_catalog_committer()
    }

    fn publish(&self, engine: &dyn Engine, metadata: PublishMetadata) -> KernelResult<()> {
        self.0.publish(engine, metadata)
    }
}

fn at_days(actions: FilteredEngineData) -> KernelResult<FilteredEngineData> {
    let (data, selected) = actions.into_parts();
    let batch = ArrowEngineData::try_from_engine_data(data)?.record_batch().clone();
    let (schema, mut columns, _) = batch.into_parts();
    for (action, time) in INSTANTS {
        let Ok(at) = schema.index_of(action) else { continue };
        columns[at] = with_days(&columns[at], time)?;
    }
    let batch = RecordBatch::try_new(schema, columns)?;
    FilteredEngineData::try_new(Box::new(ArrowEngineData::new(batch)), selected)
}

fn with_days(action: &ArrayRef, time: &str) -> KernelResult<ArrayRef> {
    let other = || KernelError::generic("an action of the log is not what Delta says");
    let (fields, mut members, nulls) = action.as_struct_opt().ok_or_else(other)?.clone().into_parts();
    let (at, _) = fields.find(time).ok_or_else(other)?;
    let instants = members[at].as_primitive_opt::<Int64Type>().ok_or_else(other)?;
    members[at] = Arc::new(instants.unary::<_, Int64Type>(day));
    Ok(Arc::new(StructArray::try_new(fields, members, nulls)?))
}

/// Returns the first millisecond of the day.
const fn day(ms: i64) -> i64 {
    ms - ms.rem_euclid(DAY_MS)
}

/// The instants that the kernel writes into a log, by action. (`modificationTime` is weir's: the purpose's precision.)
const INSTANTS: [(&str, &str); 3] =
    [("commitInfo", "timestamp"), ("remove", "deletionTimestamp"), ("txn", "lastUpdated")];
const DAY_MS: i64 = 86_400_000;
const DATE: &str = "date";
/// The key of the sealed cell in `commitInfo`.
const WEIR: &str = "weir";
/// Tells readers of the log which program wrote it, without a version: that would tell when a host was upgraded.
const ENGINE: &str = "weir";
