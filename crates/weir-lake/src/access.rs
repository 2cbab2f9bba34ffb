//! What the tables hold about one person: their rows, and nothing of anybody else's.
//!
//! A row is theirs when its subject is, or when it has no subject and names them elsewhere. Identifiers of others in it are left
//! out. A row about somebody else that only mentions them is not theirs to have: it is counted, no more. Only files whose
//! index says "perhaps" are read.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, ListArray, RecordBatch, new_null_array};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use serde::Deserialize;
use weir_keys::KeySet;

use crate::encryption::unless_destroyed;
use crate::erase::Progress;
use crate::find::hits;
use crate::index::is_identifier;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::lines::damaged;
use crate::person::{Person, Pseudonyms, Wanted};
use crate::rewrite::extract;
use crate::seal::{COLUMNS_NOTE, SealError, base_properties};
use crate::store::TableFolder;
use crate::table_log::{TableError, TableLog};

/// What one table holds about a person.
#[expect(missing_debug_implementations, reason = "holds a person's rows")]
pub struct Kept {
    /// The table.
    pub table: TableName,
    /// Rows that are theirs.
    pub rows: RecordBatch,
    /// How many of them are set aside: no reader of the table sees them.
    pub set_aside: u64,
    /// Rows about others that mention them.
    pub mentions: u64,
    /// What the columns are, as the files say.
    pub columns: BTreeMap<String, ColumnNote>,
}

/// What a file says about a column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ColumnNote {
    /// What its values are to a person: `identifier`, `measure`, ….
    pub class: String,
    /// The data category of fideslang.
    pub category: Option<String>,
}

impl Kept {
    /// Returns the rows as a Parquet file.
    ///
    /// # Errors
    ///
    /// The rows do not fit together: a fault of this program.
    pub fn parquet(&self) -> Result<Vec<u8>, LakeError> {
        let failed = |source| at(&self.table, SealError::Parquet(source).into());
        let properties = base_properties().build();
        let mut writer = ArrowWriter::try_new(Vec::new(), self.rows.schema(), Some(properties)).map_err(failed)?;
        writer.write(&self.rows).map_err(failed)?;
        writer.into_inner().map_err(failed)
    }
}

impl Lake {
    /// Gathers what every table holds about a person.
    ///
    /// # Errors
    ///
    /// A table can't be read.
    pub fn access(&self, keys: &KeySet, person: &Person, progress: &dyn Fn(Progress)) -> Result<Vec<Kept>, LakeError> {
        let wanted = Wanted::of(std::slice::from_ref(person), keys, &self.secrets)?;
        let names: Vec<_> = self.tables_in_use()?.into_iter().filter(|name| name.purpose().is_some()).collect();
        let mut all = Vec::new();
        for (done, name) in names.iter().enumerate() {
            let pseudonyms = name.purpose().and_then(|purpose| wanted.in_purpose(purpose));
            let Some(pseudonyms) = pseudonyms else { continue };
            let progress = |files| progress(Progress { tables: (done, names.len()), files });
            let gathered = self.gather_table(name, pseudonyms, &progress)?;
            all.extend(gathered.kept(name.clone()).map_err(|source| at(name, SealError::Columns(source).into()))?);
        }
        Ok(all)
    }

    /// Returns the tables that [`Self::access`] does not look into, because the configuration skips them.
    pub fn skipped(&self) -> impl Iterator<Item = &TableName> {
        self.config.skip.iter().filter(|name| name.purpose().is_some())
    }

    /// Gathers what one table holds, in its files and set aside; starts over when rows went from one to the other meanwhile.
    fn gather_table(
        &self,
        name: &TableName,
        pseudonyms: &Pseudonyms,
        progress: &dyn Fn((usize, usize)),
    ) -> Result<Gathered, LakeError> {
        let at_table = |source| at(name, source);
        let table = self.table(name)?;
        loop {
            let (folder, live, version) = {
                let mut log = table.lock();
                let live = self.live(&mut log)?;
                Self::settle(&log).map_err(at_table)?;
                (log.folder.clone(), live, log.version())
            };
            let mut gathered = Gathered::default();
            let mut read = live.iter().zip(1..).try_for_each(|(file, read)| {
                self.gather((name, &folder), &file.path, pseudonyms, &mut gathered)?;
                progress((read, live.len()));
                Ok(())
            });
            read = read.and_then(|()| self.gather_aside((name, &folder), pseudonyms, &mut gathered));
            if !moved_since(&mut table.lock(), version).map_err(at_table)? {
                return read.map(|()| gathered).map_err(at_table);
            }
        }
    }

    fn gather(
        &self,
        table: (&TableName, &TableFolder),
        path: &str,
        wanted: &Pseudonyms,
        gathered: &mut Gathered,
    ) -> Result<(), TableError> {
        let Some(found) = self.find(table, path, wanted, 1)? else { return Ok(()) };
        let (held, notes) = extract(table.1, path, &found.rows)?;
        gathered.note(&notes);
        gathered.take(path, &held, wanted)?;
        Ok(())
    }

    fn gather_aside(
        &self,
        table: (&TableName, &TableFolder),
        wanted: &Pseudonyms,
        gathered: &mut Gathered,
    ) -> Result<(), TableError> {
        for path in self.asides_of(table, wanted)? {
            let Some(aside) = unless_destroyed(self.read_aside(table, &path), wanted)? else { continue };
            let rows = aside.plain()?;
            let mut is_held = vec![false; rows.num_rows()];
            for (row, _) in hits(&rows, wanted) {
                is_held[row] = true;
            }
            let held = filter_record_batch(&rows, &BooleanArray::from(is_held)).map_err(SealError::Columns)?;
            gathered.note(aside.notes());
            gathered.set_aside += gathered.take(&path, &held, wanted)?;
        }
        Ok(())
    }
}

/// Tells whether rows were set aside, came back or were erased from there since a version.
fn moved_since(log: &mut TableLog, version: Option<u64>) -> Result<bool, TableError> {
    log.refresh()?;
    if log.version() == version {
        return Ok(false);
    }
    let since = log.history()?.into_iter().filter(|(commit, _)| Some(commit.version) > version);
    Ok(since.filter_map(|(_, cell)| cell).any(|cell| !cell.aside.is_empty()))
}

/// What was found in a table so far.
#[derive(Default)]
struct Gathered {
    batches: Vec<RecordBatch>,
    set_aside: u64,
    mentions: u64,
    columns: BTreeMap<String, ColumnNote>,
}

impl Gathered {
    /// Takes what a file says about its columns.
    fn note(&mut self, notes: &[KeyValue]) {
        for note in notes.iter().filter(|note| note.key == COLUMNS_NOTE) {
            let columns: Option<BTreeMap<String, ColumnNote>> =
                note.value.as_deref().and_then(|text| serde_json::from_str(text).ok());
            self.columns.extend(columns.unwrap_or_default());
        }
    }

    /// Takes rows that hold the person; returns how many are theirs.
    fn take(&mut self, path: &str, held: &RecordBatch, wanted: &Pseudonyms) -> Result<u64, TableError> {
        let theirs = theirs(held, wanted).ok_or_else(|| damaged(path))?;
        let rows = filter_record_batch(held, &theirs).map_err(SealError::Columns)?;
        let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        self.mentions += count(held.num_rows() - rows.num_rows());
        if rows.num_rows() > 0 {
            self.batches.push(without_others(&rows, wanted).map_err(SealError::Columns)?);
        }
        Ok(count(rows.num_rows()))
    }

    /// Puts the rows together; files of an older contract lack columns.
    fn kept(self, table: TableName) -> Result<Option<Kept>, ArrowError> {
        if self.batches.is_empty() && self.mentions == 0 {
            return Ok(None);
        }
        let plain = |batch: &RecordBatch| Schema::new(batch.schema().fields().clone());
        let schema = Arc::new(Schema::try_merge(self.batches.iter().map(plain))?);
        let wide = self.batches.iter().map(|batch| {
            let column = |field: &Arc<Field>| {
                let known = batch.column_by_name(field.name()).cloned();
                known.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
            };
            RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect())
        });
        let rows = concat_batches(&schema, &wide.collect::<Result<Vec<_>, _>>()?)?;
        let Self { set_aside, mentions, columns, .. } = self;
        Ok(Some(Kept { table, rows, set_aside, mentions, columns }))
    }
}

/// Marks the rows that are about the person, or about nobody; `None` if the file has no subjects.
fn theirs(batch: &RecordBatch, wanted: &Pseudonyms) -> Option<BooleanArray> {
    let subjects = batch.column_by_name(SUBJECT)?.as_binary_opt::<i32>()?;
    Some(subjects.iter().map(|subject| Some(subject.is_none_or(|subject| is_wanted(subject, wanted)))).collect())
}

/// Takes the identifiers of others out of a person's rows.
fn without_others(batch: &RecordBatch, wanted: &Pseudonyms) -> Result<RecordBatch, ArrowError> {
    let own = |values: &BinaryArray| -> BinaryArray {
        values.iter().map(|value| value.filter(|value| is_wanted(value, wanted))).collect()
    };
    let column = |(field, column): (&Arc<Field>, &ArrayRef)| -> Result<ArrayRef, ArrowError> {
        if !is_identifier(field) {
            return Ok(column.clone());
        }
        let Some(lists) = column.as_list_opt::<i32>() else { return Ok(Arc::new(own(column.as_binary::<i32>()))) };
        let (item, offsets, values, nulls) = lists.clone().into_parts();
        Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(own(values.as_binary::<i32>())), nulls)?))
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(schema.fields().clone())), columns)
}

fn is_wanted(pseudonym: &[u8], wanted: &Pseudonyms) -> bool {
    pseudonym.try_into().is_ok_and(|pseudonym: [u8; 16]| wanted.contains_key(&pseudonym))
}

const SUBJECT: &str = "subject";
