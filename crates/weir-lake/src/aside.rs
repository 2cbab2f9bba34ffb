//! Rows that are set aside: sealed beside the tables, out of every reader's sight, until they come back, are erased or are over.
//!
//! A file of them is `<region>/_restricted/<table>/date=…/<uuid>.sealed`: a Parquet file under a key of weir's own, bound to its
//! path; in a lake of encrypted files it is that inside too, and so ends with its epoch. It has the columns that its rows had, and one more that says for whom each row is set aside: a row that names two people comes
//! back when neither wants it hidden. A sealed [index](crate::index) beside it says whom it may hold.
//!
//! # Crashes
//!
//! A file is written and synced under a dot name, and a commit of the table says that it counts and which others end. [`Lake::settle`]
//! then gives it its name and removes the others. A crash between the two is made good by the next who looks at the table; a file that no
//! commit names goes with a vacuum once it is a day old.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, ListArray, ListBuilder, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::KeyValue;
use parquet::file::reader::ChunkReader;

use crate::cell::{AsideChange, AsideMark};
use crate::encryption::unless_destroyed;
use crate::find::hits;
use crate::index::{Index, Members, each_pseudonym};
use crate::lake::Lake;
use crate::layout::{FilePlace, TableName};
use crate::lines::damaged;
use crate::person::Pseudonyms;
use crate::seal::{NOTES, SealError, event_options};
use crate::store::TableFolder;
use crate::table_log::{TableError, TableLog};

/// Rows of one file of a table that are set aside, and what the file said about itself.
pub(crate) struct Aside {
    /// The last column says for whom.
    rows: RecordBatch,
    notes: Vec<KeyValue>,
}

impl Aside {
    /// Sets rows aside for those whom they name among the people who are wanted.
    pub(crate) fn of(rows: &RecordBatch, notes: Vec<KeyValue>, wanted: &Pseudonyms) -> Result<Self, SealError> {
        let rows = with_held(rows, &held_for(rows, wanted, |_| Vec::new())).map_err(SealError::Columns)?;
        Ok(Self { rows, notes })
    }

    /// Returns the rows as they were in their table.
    pub(crate) fn plain(&self) -> Result<RecordBatch, SealError> {
        without_held(&self.rows).map_err(SealError::Columns)
    }

    pub(crate) fn notes(&self) -> &[KeyValue] {
        &self.notes
    }

    fn count(&self) -> u64 {
        u64::try_from(self.rows.num_rows()).unwrap_or(u64::MAX)
    }

    /// Returns the rows that hold none of these people, and in `people` how many rows hold each; `None` if that is all rows.
    pub(crate) fn without(&self, wanted: &Pseudonyms, people: &mut [u64]) -> Result<Option<Self>, SealError> {
        let mut keep = vec![true; self.rows.num_rows()];
        for (row, person) in hits(&self.rows, wanted) {
            keep[row] = false;
            people[person] += 1;
        }
        if keep.iter().all(|keep| *keep) { Ok(None) } else { self.only(&keep).map(Some) }
    }

    /// Returns the rows as set aside for these people too, and in `people` how many rows are so newly; `None` if they all were.
    pub(crate) fn held_for_more(&self, wanted: &Pseudonyms, people: &mut [u64]) -> Result<Option<Self>, SealError> {
        let known = |row: usize| self.holders(row);
        let held = held_for(&self.rows, wanted, known);
        let mut is_new = false;
        for (row, person) in hits(&self.rows, wanted) {
            let known = known(row);
            let newly = held[row]
                .iter()
                .any(|one| !known.contains(one) && wanted.get(one).is_some_and(|of| of.contains(&person)));
            people[person] += u64::from(newly);
            is_new |= newly;
        }
        if !is_new {
            return Ok(None);
        }
        let rows = with_held(&self.rows, &held).map_err(SealError::Columns)?;
        Ok(Some(Self { rows, notes: self.notes.clone() }))
    }

    /// Lets these people's rows go: those that nobody else wants hidden, and the others, which stay; `None` if none are set aside for them.
    pub(crate) fn lifted_for(
        &self,
        wanted: &Pseudonyms,
        people: &mut [u64],
    ) -> Result<Option<(Self, Self)>, SealError> {
        let mut back = vec![false; self.rows.num_rows()];
        let mut held: Vec<Vec<[u8; 16]>> = (0..self.rows.num_rows()).map(|row| self.holders(row)).collect();
        let mut is_change = false;
        for (back, held) in back.iter_mut().zip(&mut held) {
            let before = held.len();
            let mut whose: Vec<_> = held.iter().filter_map(|one| wanted.get(one)).flatten().copied().collect();
            held.retain(|one| !wanted.contains_key(one));
            is_change |= held.len() < before;
            *back = held.is_empty();
            if *back {
                whose.sort_unstable();
                whose.dedup();
                for person in whose {
                    people[person] += 1;
                }
            }
        }
        if !is_change {
            return Ok(None);
        }
        let rows = with_held(&self.rows, &held).map_err(SealError::Columns)?;
        let all = Self { rows, notes: self.notes.clone() };
        let stays: Vec<_> = back.iter().map(|back| !back).collect();
        Ok(Some((all.only(&back)?, all.only(&stays)?)))
    }

    fn only(&self, keep: &[bool]) -> Result<Self, SealError> {
        let keep = BooleanArray::from(keep.to_vec());
        let rows = filter_record_batch(&self.rows, &keep).map_err(SealError::Columns)?;
        Ok(Self { rows, notes: self.notes.clone() })
    }

    /// Returns for whom a row is set aside.
    fn holders(&self, row: usize) -> Vec<[u8; 16]> {
        let held = self.rows.column_by_name(HELD).and_then(|column| column.as_list_opt::<i32>());
        held.map(|held| pseudonyms(held, row)).unwrap_or_default()
    }

    fn read(builder: ParquetRecordBatchReaderBuilder<Bytes>) -> Option<Self> {
        let notes = notes_of(&builder);
        let schema = Arc::new(Schema::new(builder.schema().fields().clone()));
        let batches = builder.build().ok()?.collect::<Result<Vec<_>, _>>().ok()?;
        let rows = concat_batches(&schema, &batches).ok()?;
        rows.column_by_name(HELD)?.as_list_opt::<i32>()?.values().as_binary_opt::<i32>()?;
        Some(Self { rows, notes })
    }

    fn write(&self, encryption: Option<Arc<FileEncryptionProperties>>) -> Result<Vec<u8>, SealError> {
        let schema = self.rows.schema();
        let options = event_options(&schema, self.notes.clone(), self.rows.num_rows(), encryption);
        let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(SealError::Parquet)?;
        writer.write(&self.rows).map_err(SealError::Parquet)?;
        writer.into_inner().map_err(SealError::Parquet)
    }
}

impl Lake {
    /// Reads a file of rows that are set aside, which must be [settled](Self::settle).
    pub(crate) fn read_aside(&self, table: (&TableName, &TableFolder), path: &str) -> Result<Aside, TableError> {
        let (_, file) = self.open_aside(table, path)?;
        Aside::read(table.1.encryption.open(file, path)?).ok_or_else(|| damaged(path))
    }

    /// Returns how many rows a file of rows that are set aside has, which needs no key of an epoch.
    fn aside_rows(&self, table: (&TableName, &TableFolder), path: &str) -> Result<u64, TableError> {
        match self.open_aside(table, path)? {
            (Some(rows), _) => Ok(rows),
            (None, _) => Ok(self.read_aside(table, path)?.count()),
        }
    }

    /// Opens the seal of a file of rows that are set aside: how many they are, if they are encrypted below it, and their file.
    fn open_aside(&self, table: (&TableName, &TableFolder), path: &str) -> Result<(Option<u64>, Bytes), TableError> {
        let bytes = table.1.asides.read(path)?.ok_or_else(|| damaged(path))?;
        let opened = self.secrets.open_aside(table.0, path, &bytes).ok();
        let opened = Bytes::from(opened.ok_or_else(|| damaged(path))?);
        if opened.starts_with(PARQUET) {
            return Ok((None, opened));
        }
        let rows = opened.first_chunk().map(|rows| u64::from_le_bytes(*rows)).ok_or_else(|| damaged(path))?;
        Ok((Some(rows), opened.slice(size_of::<u64>()..)))
    }

    /// Writes rows beside a table, under a dot name until a commit that says so is settled; nothing if there are none.
    pub(crate) fn write_aside(
        &self,
        (table, folder): (&TableName, &TableFolder),
        day: Option<i32>,
        aside: &Aside,
    ) -> Result<Option<AsideMark>, TableError> {
        if aside.count() == 0 {
            return Ok(None);
        }
        let path = FilePlace::new(day).aside_path();
        let encryption = folder.encryption.writing(day)?;
        // The day may be over when the rows' key is no more, and they are counted then.
        let mut bytes = if encryption.is_some() { aside.count().to_le_bytes().to_vec() } else { Vec::new() };
        bytes.extend(aside.write(encryption)?);
        let sealed = self.secrets.seal_aside(table, &path, &bytes).map_err(TableError::Sealing)?;
        let mut members = Members::default();
        members.add(&aside.rows);
        let index = self.secrets.seal_index(table, &path, members.index().bytes()).map_err(TableError::Sealing)?;
        folder.asides.stage(&path, &sealed, &index)?;
        Ok(Some(AsideMark { path, rows: aside.count() }))
    }

    /// Lists the files of a table's rows set aside that may hold one of these people; a file whose index does not open may.
    pub(crate) fn asides_of(
        &self,
        (table, folder): (&TableName, &TableFolder),
        wanted: &Pseudonyms,
    ) -> Result<Vec<String>, TableError> {
        let may_hold = |path: &String| {
            let sealed = folder.asides.index_of(path).ok().flatten();
            let index = sealed.and_then(|sealed| Index::of(self.secrets.open_index(table, path, &sealed).ok()?));
            index.is_none_or(|index| wanted.keys().any(|pseudonym| index.may_hold(pseudonym)))
        };
        let mut paths = folder.asides.list()?;
        paths.retain(may_hold);
        Ok(paths)
    }

    /// Looks through what is set aside of people: what `change` makes of each file is written, and takes its place with a commit.
    pub(crate) fn change_asides(
        &self,
        table: (&TableName, &TableFolder),
        wanted: &Pseudonyms,
        mut change: impl FnMut(&str, &Aside) -> Result<Option<Aside>, SealError>,
    ) -> Result<AsideChange, TableError> {
        let mut changed = AsideChange::default();
        for path in self.asides_of(table, wanted)? {
            let Some(aside) = unless_destroyed(self.read_aside(table, &path), wanted)? else { continue };
            let Some(new) = change(&path, &aside)? else { continue };
            changed.added.extend(self.write_aside(table, FilePlace::day_of(&path), &new)?);
            changed.gone.push(AsideMark { path, rows: aside.count() });
        }
        Ok(changed)
    }

    /// Returns the files of rows that are set aside of some days.
    pub(crate) fn asides_where(
        &self,
        log: &TableLog,
        is_wanted: impl Fn(Option<i32>) -> bool,
    ) -> Result<Vec<AsideMark>, TableError> {
        Self::settle(log)?;
        let mut marks = Vec::new();
        for path in log.folder.asides.list()?.into_iter().filter(|path| is_wanted(FilePlace::day_of(path))) {
            let rows = self.aside_rows((&log.name, &log.folder), &path)?;
            marks.push(AsideMark { path, rows });
        }
        Ok(marks)
    }

    /// Does what the commits of a table say about files of rows that are set aside, unless it is done.
    pub(crate) fn settle(log: &TableLog) -> Result<(), TableError> {
        if !log.folder.asides.exists()? {
            return Ok(());
        }
        let cells: Vec<_> = log.history()?.into_iter().filter_map(|(_, cell)| cell).collect();
        cells.iter().try_for_each(|cell| settle(&log.folder, &cell.aside))
    }
}

/// Does what one commit says about files of rows that are set aside, unless it is done.
pub(crate) fn settle(folder: &TableFolder, change: &AsideChange) -> Result<(), TableError> {
    let [added, gone] = [&change.added, &change.gone].map(|marks| marks.iter().map(|mark| mark.path.as_str()));
    folder.asides.settle(added, gone).map_err(TableError::Store)
}

/// Forgets files that a commit would have made count.
pub(crate) fn discard_asides(folder: &TableFolder, marks: &[AsideMark]) -> Result<(), TableError> {
    marks.iter().try_for_each(|mark| folder.asides.discard(&mark.path)).map_err(TableError::Store)
}

/// Returns what an event file says about itself.
pub(crate) fn notes_of<R: ChunkReader + 'static>(builder: &ParquetRecordBatchReaderBuilder<R>) -> Vec<KeyValue> {
    let notes = builder.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    notes.filter(|note| NOTES.contains(&note.key.as_str())).cloned().collect()
}

/// Returns for whom each row is set aside: those for whom it was, and those of the wanted whom it names.
fn held_for(rows: &RecordBatch, wanted: &Pseudonyms, known: impl Fn(usize) -> Vec<[u8; 16]>) -> Vec<Vec<[u8; 16]>> {
    let mut held: Vec<_> = (0..rows.num_rows()).map(known).collect();
    each_pseudonym(rows, |row, pseudonym| {
        let named = pseudonym.try_into().ok().filter(|pseudonym: &[u8; 16]| wanted.contains_key(pseudonym));
        held[row].extend(named);
    });
    for one in &mut held {
        one.sort_unstable();
        one.dedup();
    }
    held
}

fn with_held(rows: &RecordBatch, held: &[Vec<[u8; 16]>]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let plain = without_held(rows)?;
    let mut lists = ListBuilder::new(BinaryBuilder::new());
    for one in held {
        for pseudonym in one {
            lists.values().append_value(pseudonym);
        }
        lists.append(true);
    }
    let lists = lists.finish();
    let field = Field::new(HELD, lists.data_type().clone(), false);
    let fields: Vec<_> = plain.schema().fields().iter().cloned().chain([Arc::new(field)]).collect();
    let lists: ArrayRef = Arc::new(lists);
    let columns = plain.columns().iter().cloned().chain([lists]).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn without_held(rows: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let schema = rows.schema();
    let columns: Vec<_> =
        schema.fields().iter().enumerate().filter(|(_, field)| field.name() != HELD).map(|(place, _)| place).collect();
    rows.project(&columns)
}

fn pseudonyms(lists: &ListArray, row: usize) -> Vec<[u8; 16]> {
    let items = lists.value(row);
    items.as_binary::<i32>().iter().flatten().filter_map(|pseudonym| pseudonym.try_into().ok()).collect()
}

/// How a Parquet file starts that is not encrypted.
const PARQUET: &[u8] = b"PAR1";
/// For whom a row is set aside. No contract's column starts with an underscore.
const HELD: &str = "_held_for";
