//! Parquet files of one table and day: open while rows are added, sealed before a commit may name them.
//!
//! What a file says about itself is an allow-list (LK-21, LK-24): a constant writer's name, the policy's hash, the purpose,
//! the day until which the rows may be kept, and what each column is. Statistics are off but for `time`, whose values
//! are coarse already. A file is complete and synced before it can be sealed, and a sealed file takes no more rows.

use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use weir_filter::{Head, Rows};
use weir_keys::KeyError;
use weir_ledger::Sha256;
use weir_policy::{Contract, ContractIx, Policy, Purpose, PurposeId};

use crate::cell::FileMark;
use crate::columns::{Schemas, TenantNames, record_batches};
use crate::encryption::NoFileKey;
use crate::index::{Index, Members};
use crate::kernel::AddedFile;
use crate::layout::{FilePlace, day_text};
use crate::store::{Output, StoreError, TableFolder, io_error};

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The folder could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The columns do not fit together: a fault of this program.
    #[error("columns do not fit together")]
    Columns(#[source] ArrowError),
    /// Parquet could not be written.
    #[error("write a parquet file")]
    Parquet(#[source] ParquetError),
    /// There is no key to encrypt the file with.
    #[error(transparent)]
    NoKey(#[from] NoFileKey),
    /// The file's key could not be wrapped for readers.
    #[error("wrap the key of a file")]
    Wrap(#[source] KeyError),
}

/// A file that takes rows of one purpose.
#[expect(missing_debug_implementations, reason = "holds values of events until they are written")]
pub struct OpenFile<P: Purpose> {
    file: PlainFile,
    times: Option<(i64, i64)>,
    purpose: PhantomData<fn() -> P>,
}

/// A complete, synced file of one purpose, which no commit names yet.
#[derive(Debug)]
#[must_use = "a sealed file that no commit names is an orphan"]
pub struct SealedFile<P: Purpose> {
    pub(crate) file: WrittenFile,
    purpose: PhantomData<fn() -> P>,
}

/// The files that one table's next commit adds.
#[derive(Debug)]
pub struct Append<P: Purpose> {
    files: Vec<WrittenFile>,
    purpose: PhantomData<fn() -> P>,
}

/// A complete file, whoever's rows are in it.
#[derive(Clone, Debug)]
pub(crate) struct WrittenFile {
    pub(crate) place: FilePlace,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// In hex.
    pub(crate) sha256: String,
    pub(crate) day: Option<i32>,
    /// None where the file is encrypted: the log is not.
    pub(crate) times: Option<(i64, i64)>,
    /// Whom the rows are about; none for weir's own tables.
    pub(crate) index: Option<Index>,
}

impl<P: Purpose> OpenFile<P> {
    /// Opens a file for so many rows of a contract and day.
    pub(crate) fn create(
        table: &TableFolder,
        schemas: &Schemas,
        contract: ContractIx,
        (day, rows): (i32, usize),
    ) -> Result<Self, SealError> {
        let notes = notes(schemas.policy(), schemas.policy().contract(contract), P::ID, day);
        let file = PlainFile::of_events(table, Some(day), &schemas.of(contract, P::ID).arrow, notes, rows)?;
        Ok(Self { file, times: None, purpose: PhantomData })
    }

    /// Adds rows, in the order of their pseudonyms.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn append(&mut self, rows: &Rows<P>, schemas: &Schemas, tenant_name: TenantNames<'_>) -> Result<(), SealError> {
        for batch in record_batches(rows, schemas, tenant_name) {
            self.file.write(&batch.map_err(SealError::Columns)?)?;
        }
        for time in rows.heads().iter().map(Head::time) {
            let (least, greatest) = self.times.unwrap_or((time, time));
            self.times = Some((least.min(time), greatest.max(time)));
        }
        Ok(())
    }

    /// Writes the footer and syncs; no row can be added after.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn seal(self) -> Result<SealedFile<P>, SealError> {
        Ok(SealedFile { file: self.file.finish(self.times)?, purpose: PhantomData })
    }
}

impl<P: Purpose> Append<P> {
    /// Starts with no file.
    pub const fn new() -> Self {
        Self { files: Vec::new(), purpose: PhantomData }
    }

    /// Adds a file to the commit.
    pub fn push(&mut self, file: SealedFile<P>) {
        self.files.push(file.file);
    }

    pub(crate) fn into_files(self) -> Vec<WrittenFile> {
        self.files
    }
}

impl<P: Purpose> Default for Append<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl WrittenFile {
    /// Returns what the log says about the file.
    pub(crate) fn added(&self, modified_ms: i64) -> AddedFile {
        AddedFile {
            path: self.place.path(),
            date: self.day.map(day_text),
            bytes: self.bytes,
            rows: self.rows,
            modified_ms,
            times: self.times,
        }
    }

    /// Returns what the sealed cell says about the file.
    pub(crate) fn mark(&self) -> FileMark {
        FileMark { path: self.place.path(), rows: self.rows, bytes: self.bytes, sha256: self.sha256.clone() }
    }
}

/// Writes one of weir's own small tables: plain rows, no statistics.
pub(crate) fn write_plain(
    table: &TableFolder,
    day: Option<i32>,
    batch: &RecordBatch,
) -> Result<WrittenFile, SealError> {
    let properties = base_properties().set_dictionary_enabled(true);
    let mut file = PlainFile::create(table, day, &batch.schema(), |encryption| options(properties, encryption))?;
    file.write(batch)?;
    file.finish(None)
}

/// A Parquet file on its way.
pub(crate) struct PlainFile {
    place: FilePlace,
    day: Option<i32>,
    is_encrypted: bool,
    path: PathBuf,
    rows: u64,
    members: Option<Members>,
    writer: ArrowWriter<Hashing>,
}

impl PlainFile {
    fn create(
        table: &TableFolder,
        day: Option<i32>,
        schema: &Schema,
        options: impl FnOnce(Option<Arc<FileEncryptionProperties>>) -> ArrowWriterOptions,
    ) -> Result<Self, SealError> {
        let encryption = table.encryption.writing(day)?;
        let (place, is_encrypted) = (FilePlace::new(day), encryption.is_some());
        let file = table.create_staged(&place)?;
        let path = table.shown(&place.staged_path());
        let output = Hashing { file, hasher: Sha256::new(), bytes: 0 };
        let writer = ArrowWriter::try_new_with_options(output, schema.clone().into(), options(encryption));
        let writer = writer.map_err(SealError::Parquet)?;
        Ok(Self { place, day, is_encrypted, path, rows: 0, members: None, writer })
    }

    /// Creates a file for so many rows of events, and keeps an index of the people in them.
    pub(crate) fn of_events(
        table: &TableFolder,
        day: Option<i32>,
        schema: &Schema,
        notes: Vec<KeyValue>,
        rows: usize,
    ) -> Result<Self, SealError> {
        let file = Self::create(table, day, schema, |encryption| event_options(schema, notes, rows, encryption))?;
        Ok(Self { members: Some(Members::default()), ..file })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), SealError> {
        self.members.iter_mut().for_each(|members| members.add(batch));
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.writer.write(batch).map_err(SealError::Parquet)
    }

    /// Writes the footer and syncs; the log tells the bounds of the rows' times, unless the file is encrypted.
    pub(crate) fn finish(self, times: Option<(i64, i64)>) -> Result<WrittenFile, SealError> {
        let output = self.writer.into_inner().map_err(SealError::Parquet)?;
        let file = output.file.finish().map_err(io_error("write", &self.path))?;
        file.sync_all().map_err(io_error("sync", &self.path))?;
        let sha256 = output.hasher.hex();
        let (place, day, rows, index) = (self.place, self.day, self.rows, self.members.map(Members::index));
        let times = times.filter(|_| !self.is_encrypted);
        Ok(WrittenFile { place, bytes: output.bytes, rows, sha256, day, times, index })
    }
}

/// Hashes what goes to the file, so that the sealed cell and the ledger can tell whether it was changed.
struct Hashing {
    file: Output,
    hasher: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Returns how to write a file of these properties.
fn options(
    properties: WriterPropertiesBuilder,
    encryption: Option<Arc<FileEncryptionProperties>>,
) -> ArrowWriterOptions {
    let properties = match encryption {
        Some(encryption) => properties.with_file_encryption_properties(encryption),
        None => properties,
    };
    // Arrow's schema in the footer would be one more description of the columns; Parquet's own is enough.
    ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true)
}

pub(crate) fn base_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
}

/// What is known of a file of events before it is written.
#[derive(Clone, Copy)]
struct Shape {
    rows: usize,
    is_encrypted: bool,
}

/// Returns how to write so many rows of events to a file.
pub(crate) fn event_options(
    schema: &Schema,
    notes: Vec<KeyValue>,
    rows: usize,
    encryption: Option<Arc<FileEncryptionProperties>>,
) -> ArrowWriterOptions {
    let shape = Shape { rows, is_encrypted: encryption.is_some() };
    let mut properties = base_properties().set_dictionary_enabled(false).set_key_value_metadata(Some(notes));
    for field in schema.fields() {
        properties = column_properties(properties, vec![field.name().clone()], field.data_type(), shape);
    }
    let time = ColumnPath::new(vec!["time".into()]);
    options(properties.set_column_statistics_enabled(time, EnabledStatistics::Chunk), encryption)
}

/// Dictionaries pay for words and constants only; pseudonyms are random, so nothing makes them smaller. A compressor pays where there
/// is something to compress: each column has its own, which takes longer to make than a few thousand bytes take.
fn column_properties(
    properties: WriterPropertiesBuilder,
    path: Vec<String>,
    data_type: &DataType,
    shape: Shape,
) -> WriterPropertiesBuilder {
    let below = |names: [&str; 2]| {
        let names = names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned);
        path.iter().cloned().chain(names).collect::<Vec<_>>()
    };
    if let DataType::List(item) = data_type {
        return column_properties(properties, below(["list", item.name()]), item.data_type(), shape);
    }
    if let DataType::Struct(fields) = data_type {
        return fields.iter().fold(properties, |properties, field| {
            column_properties(properties, below(["", field.name()]), field.data_type(), shape)
        });
    }
    let column = ColumnPath::new(path);
    if *data_type == DataType::Binary {
        return properties
            .set_column_encoding(column.clone(), Encoding::PLAIN)
            .set_column_compression(column, Compression::UNCOMPRESSED);
    }
    let is_small = matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32);
    // Words that were read back are plain text.
    let repeats = is_small || matches!(data_type, DataType::Dictionary(..) | DataType::Utf8);
    // What repeats takes a byte or less, as truth values do.
    let bytes = if repeats { 1 } else { data_type.primitive_width().unwrap_or(1) } * shape.rows;
    // A column without values has a dictionary of no bytes, and parquet-java decrypts no page of no bytes; compressed it has some.
    let may_be_empty = repeats && shape.is_encrypted;
    let properties = if bytes < COMPRESSED_BYTES_MIN && !may_be_empty {
        properties.set_column_compression(column.clone(), Compression::UNCOMPRESSED)
    } else {
        properties
    };
    properties.set_column_dictionary_enabled(column, repeats)
}

/// The key-value metadata of a file: all of it, in the order of [`NOTES`].
fn notes(policy: &Policy, contract: &Contract, purpose: PurposeId, day: i32) -> Vec<KeyValue> {
    let retention = i32::try_from(policy.purposes().rules(purpose).retention_days).unwrap_or(i32::MAX);
    let columns: serde_json::Map<_, _> = contract
        .columns(purpose)
        .map(|(_, field)| {
            let purposes: Vec<_> = field.purposes.iter().map(PurposeId::name).collect();
            let note = serde_json::json!({"class": field.class.name(), "category": field.category,
                "purposes": purposes, "contract_version": contract.version});
            (field.column.clone(), note)
        })
        .collect();
    let values = [
        policy.hash().to_string(),
        purpose.name().to_owned(),
        day_text(day.saturating_add(retention)),
        serde_json::Value::Object(columns).to_string(),
    ];
    NOTES.into_iter().zip(values).map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect()
}

/// Keys of the notes.
pub(crate) const NOTES: [&str; 4] = ["weir.policy", "weir.purpose", "weir.keep_until", COLUMNS_NOTE];
/// The key of the note that says what each column is.
pub(crate) const COLUMNS_NOTE: &str = "weir.columns";

/// The same in every file: a version would tell when a host was upgraded.
const CREATED_BY: &str = "weir";
const ROW_GROUP_BYTES_MAX: usize = 128 << 20;
/// Columns of fewer bytes are not compressed.
const COMPRESSED_BYTES_MIN: usize = 8 << 10;
