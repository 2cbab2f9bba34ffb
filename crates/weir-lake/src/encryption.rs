//! Parquet's own encryption of data files: the footer and every column, under the key of their table and epoch.
//!
//! A file names its key in the clear and carries it wrapped, in the form that Parquet's key tools write (`PKMT1`), so that pyarrow and
//! Spark open it with a reader key. weir derives the key anew from that name, and never unwraps one. Everything else that a file says is
//! inside: the rows, their statistics, the notes. A file of a lake that was in clear before stays as it is until its rows are rewritten.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use serde::{Deserialize, Serialize};
use weir_keys::{KeySet, LiveKeys, RowsOf};

use crate::layout::TableName;
use crate::lines::damaged;
use crate::person::Pseudonyms;
use crate::seal::SealError;
use crate::store::{Input, TableFolder};
use crate::table_log::TableError;

/// How the data files of a lake are written.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub enum DataFiles {
    /// As plain Parquet.
    #[default]
    Clear,
    /// As encrypted Parquet, with keys of this ring.
    Encrypted(LiveKeys),
}

/// A data file has no key: the ring does not have its epoch, or has it no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key ring has no key for {rows}: its epoch was destroyed, and its rows with it, the ring is another one, or its vault stays away"
)]
pub struct NoFileKey {
    rows: String,
    /// Where it is known.
    of: Option<RowsOf>,
}

impl NoFileKey {
    fn of(rows: RowsOf, region: &str) -> Self {
        Self { rows: rows.reader_id(region), of: Some(rows) }
    }
}

/// How the files of one table are written and read.
#[derive(Clone)]
pub(crate) struct Encryption {
    files: DataFiles,
    region: Arc<str>,
    table: TableName,
}

impl Encryption {
    pub(crate) fn new(files: &DataFiles, region: &Arc<str>, table: &TableName) -> Self {
        Self { files: files.clone(), region: region.clone(), table: table.clone() }
    }

    /// Returns what a new file of a day is encrypted with; none if files are in clear.
    pub(crate) fn writing(&self, day: Option<i32>) -> Result<Option<Arc<FileEncryptionProperties>>, SealError> {
        let DataFiles::Encrypted(live) = &self.files else { return Ok(None) };
        let keys = live.snapshot();
        let rows = match self.table.purpose() {
            Some(purpose) => day.and_then(|day| keys.rows_of(purpose, day)),
            None => Some(RowsOf::Weir),
        };
        let rows = rows.ok_or_else(|| NoFileKey { rows: self.table.to_string(), of: None })?;
        let lacking = || NoFileKey::of(rows, &self.region);
        let key = keys.file_key(&self.region, &self.table.to_string(), rows).ok_or_else(lacking)?;
        let reader = keys.reader_key(&self.region, rows).ok_or_else(lacking)?;
        let material = KeyMaterial::new(reader.id(), reader.wrap(&key).map_err(SealError::Wrap)?);
        let material = serde_json::to_vec(&material).expect("texts and booleans are JSON");
        let properties = FileEncryptionProperties::builder(key.expose().to_vec()).with_footer_key_metadata(material);
        properties.build().map(Some).map_err(SealError::Parquet)
    }

    /// Opens a file of the table, encrypted or not.
    pub(crate) fn open<R: ChunkReader + 'static>(
        &self,
        input: R,
        path: &str,
    ) -> Result<ParquetRecordBatchReaderBuilder<R>, TableError> {
        let options = match &self.files {
            DataFiles::Clear => ArrowReaderOptions::new(),
            DataFiles::Encrypted(live) => {
                let finder =
                    Finder { keys: live.snapshot(), region: self.region.clone(), table: self.table.to_string() };
                let properties = FileDecryptionProperties::with_key_retriever(Arc::new(finder)).build();
                let properties = properties.ok().ok_or_else(|| damaged(path))?;
                ArrowReaderOptions::new().with_file_decryption_properties(properties)
            }
        };
        let opened = unless_panicked(|| ParquetRecordBatchReaderBuilder::try_new_with_options(input, options));
        opened.ok_or_else(|| damaged(path))?.map_err(|error| refusal(error, path))
    }
}

/// Opens a data file of a table.
pub(crate) fn open(folder: &TableFolder, path: &str) -> Result<ParquetRecordBatchReaderBuilder<Input>, TableError> {
    folder.encryption.open(folder.open(path)?, path)
}

/// Reads the rows of a file that is open, a batch at a time; nothing may be asked for after a failure.
pub(crate) fn batches<R: ChunkReader + 'static>(
    builder: ParquetRecordBatchReaderBuilder<R>,
    path: &str,
) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>>, TableError> {
    let mut reader = builder.build().ok().ok_or_else(|| damaged(path))?;
    Ok(iter::from_fn(move || match unless_panicked(|| reader.next()) {
        Some(None) => None,
        Some(Some(Ok(batch))) => Some(Ok(batch)),
        Some(Some(Err(_))) | None => Some(Err(damaged(path))),
    }))
}

/// Parquet's decryption believes lengths that stand in a file in clear, and panics where they cannot be: that is damage like any other.
fn unless_panicked<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Returns nothing for a file that has no key, if none of the pseudonyms that are looked for is of its epoch either.
///
/// Otherwise the ring lost the key meanwhile, as it does when its vault stays away: then nobody knows who is in the file.
pub(crate) fn unless_destroyed<T>(read: Result<T, TableError>, wanted: &Pseudonyms) -> Result<Option<T>, TableError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(TableError::FileKey(lacking)) if lacking.of.is_some_and(|rows| !wanted.are_of(rows)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The library's errors may quote what they read, so only ours go on.
fn refusal(error: ParquetError, path: &str) -> TableError {
    if let ParquetError::External(source) = &error
        && let Some(lacking) = source.downcast_ref::<NoFileKey>()
    {
        return TableError::FileKey(lacking.clone());
    }
    damaged(path)
}

/// Finds the key that a file names.
struct Finder {
    keys: Arc<KeySet>,
    region: Arc<str>,
    table: String,
}

impl KeyRetriever for Finder {
    fn retrieve_key(&self, material: &[u8]) -> parquet::errors::Result<Vec<u8>> {
        let material: Option<KeyMaterial> = serde_json::from_slice(material).ok();
        let rows = material.and_then(|material| RowsOf::parse(&material.master_key_id, &self.region));
        let rows = rows.ok_or_else(|| ParquetError::General("not a file of this region's lake".into()))?;
        let lacking = || ParquetError::External(Box::new(NoFileKey::of(rows, &self.region)));
        let key = self.keys.file_key(&self.region, &self.table, rows).ok_or_else(lacking)?;
        Ok(key.expose().to_vec())
    }
}

/// What a file says about its key, as Parquet's key tools write it.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyMaterial {
    #[serde(rename = "keyMaterialType")]
    form: String,
    internal_storage: bool,
    is_footer_key: bool,
    #[serde(rename = "kmsInstanceID")]
    kms_instance_id: String,
    #[serde(rename = "kmsInstanceURL")]
    kms_instance_url: String,
    #[serde(rename = "masterKeyID")]
    master_key_id: String,
    #[serde(rename = "wrappedDEK")]
    wrapped_dek: String,
    double_wrapping: bool,
}

impl KeyMaterial {
    fn new(reader: &str, wrapped: String) -> Self {
        Self {
            form: "PKMT1".to_owned(),
            internal_storage: true,
            is_footer_key: true,
            kms_instance_id: DEFAULT.to_owned(),
            kms_instance_url: DEFAULT.to_owned(),
            master_key_id: reader.to_owned(),
            wrapped_dek: wrapped,
            double_wrapping: false,
        }
    }
}

/// What the key tools write where the reader's own settings say which service unwraps keys.
const DEFAULT: &str = "DEFAULT";
