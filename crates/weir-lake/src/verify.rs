//! Every object of a lake read to its end, as its readers will: what was changed shows now, and not when somebody needs it.
//!
//! An object that is sealed proves itself, and so does an encrypted file. What nobody sealed has to be what its name says: rows that
//! decode, entries that are JSON. Objects that are still being written bear names that start with a dot, and are left out.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::encryption;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::lines::damaged;
use crate::log::LogError;
use crate::store::{ASIDES, INDEX_ENDING, INDEXES, Input, LOG, StoreError, TableFolder, io_error, is_dot};
use crate::table_log::TableError;

/// What reading every object came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects that were read to their ends.
    pub objects: u64,
    /// Files whose epoch was destroyed, which nobody reads any more.
    pub without_key: u64,
    /// Paths below the region's folder of objects that are not what was written there.
    pub broken: BTreeSet<String>,
}

impl Lake {
    /// Reads every object of the region but the ledger, which [`audit_ledger`](Self::audit_ledger) verifies.
    ///
    /// # Errors
    ///
    /// The system did not let an object be read.
    pub fn verify(&self) -> Result<VerifyReport, LakeError> {
        let mut report = VerifyReport::default();
        for name in self.tables_in_use()?.into_iter().chain([TableName::Coverage]) {
            let folder = self.folder.table(&name)?;
            self.verify_table((&name, &folder), &mut report).map_err(|source| at(&name, source))?;
        }
        Ok(report)
    }

    fn verify_table(
        &self,
        (name, folder): (&TableName, &TableFolder),
        report: &mut VerifyReport,
    ) -> Result<(), TableError> {
        for entry in folder.log_names()?.iter().filter(|entry| !is_dot(entry)) {
            report.take(format!("{name}/{LOG}/{entry}"), read_entry(folder, entry))?;
        }
        for file in folder.data_files()? {
            let path = &file.path;
            if is_dot(path.rsplit('/').next().unwrap_or_default()) {
                continue;
            }
            report.take(format!("{name}/{path}"), read_rows(folder, path))?;
            report.take(
                format!("{INDEXES}/{name}/{}", index_of(path)),
                self.open_index((name, path), folder.index_of(path)),
            )?;
        }
        for path in &folder.asides.list()? {
            let aside = self.read_aside((name, folder), path);
            report.take(format!("{ASIDES}/{name}/{path}"), aside.map(Some))?;
            let index = self.open_index((name, path), folder.asides.index_of(path));
            report.take(format!("{ASIDES}/{name}/{}", index_of(path)), index)?;
        }
        Ok(())
    }

    fn open_index(
        &self,
        (name, path): (&TableName, &str),
        sealed: Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Option<Vec<u8>>, TableError> {
        let Some(sealed) = sealed? else { return Ok(None) };
        self.secrets.open_index(name, path, &sealed).map(Some).map_err(|_broken| damaged(path))
    }
}

impl VerifyReport {
    /// Tells whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }

    /// Counts what reading an object came to; nothing if it is not there.
    fn take<T>(&mut self, path: String, read: Result<Option<T>, TableError>) -> Result<(), TableError> {
        match read {
            Ok(Some(_)) => self.objects += 1,
            Ok(None) => {}
            Err(TableError::FileKey(_)) => self.without_key += 1,
            // It was removed since it was listed.
            Err(error) if io_kind(&error) == Some(ErrorKind::NotFound) => {}
            Err(error) if is_damage(&error) => drop(self.broken.insert(path)),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Returns the path of a file's index, in the folder of indexes or beside it.
fn index_of(path: &str) -> String {
    format!("{}{INDEX_ENDING}", path.rsplit_once('.').map_or(path, |(name, _)| name))
}

fn read_entry(folder: &TableFolder, name: &str) -> Result<Option<()>, TableError> {
    let path = format!("{LOG}/{name}");
    if name.ends_with(".parquet") {
        // A checkpoint, which holds no rows and is never encrypted.
        let input = folder.open(&path)?;
        let opened = ParquetRecordBatchReaderBuilder::try_new(input.clone());
        return read_all(folder, &input, opened.ok().ok_or_else(|| damaged(&path)), &path);
    }
    let Some(bytes) = folder.read_log(name)? else { return Ok(None) };
    let is_json = |line: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    if lines.all(is_json) { Ok(Some(())) } else { Err(damaged(&path)) }
}

fn read_rows(folder: &TableFolder, path: &str) -> Result<Option<()>, TableError> {
    let input = folder.open(path)?;
    read_all(folder, &input, folder.encryption.open(input.clone(), path), path)
}

/// Reads all rows; what a store did not give is not for that damaged.
fn read_all(
    folder: &TableFolder,
    input: &Input,
    opened: Result<ParquetRecordBatchReaderBuilder<Input>, TableError>,
    path: &str,
) -> Result<Option<()>, TableError> {
    let read = opened.and_then(|builder| {
        let mut batches = encryption::batches(builder, path)?;
        batches.try_for_each(|batch| batch.map(drop))
    });
    match input.trouble() {
        Some(kind) => Err(io_error("read", &folder.shown(path))(kind.into()).into()),
        None => read.map(Some),
    }
}

fn is_damage(error: &TableError) -> bool {
    let is_cut = matches!(io_kind(error), Some(ErrorKind::InvalidData | ErrorKind::UnexpectedEof));
    is_cut
        || matches!(
            error,
            TableError::Log(LogError::Damaged { .. } | LogError::Store(StoreError::Sealed { .. }))
                | TableError::Store(StoreError::Sealed { .. })
        )
}

fn io_kind(error: &TableError) -> Option<ErrorKind> {
    let (TableError::Store(store) | TableError::Log(LogError::Store(store))) = error else { return None };
    if let StoreError::Io { source, .. } = store { Some(source.kind()) } else { None }
}
