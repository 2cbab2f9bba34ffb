//! A file written anew without some of its rows: the same columns, order, notes and properties, so that nothing but their absence shows.

use std::ops::Not as _;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Schema, TimestampMicrosecondType};
use parquet::file::metadata::KeyValue;

use crate::aside::notes_of;
use crate::encryption::{batches, open};
use crate::layout::parse_day;
use crate::seal::{PlainFile, SealError, WrittenFile};
use crate::store::TableFolder;
use crate::table_log::TableError;

/// Writes the rows of a file that are not among `without`; none if no row is left.
pub(crate) fn rewrite(
    folder: &TableFolder,
    path: &str,
    date: Option<&str>,
    without: &BooleanBuffer,
) -> Result<Option<WrittenFile>, TableError> {
    if without.count_set_bits() == without.len() {
        return Ok(None);
    }
    let builder = open(folder, path)?;
    let schema = Schema::new(builder.schema().fields().clone());
    let day = date.and_then(parse_day);
    let mut file = PlainFile::of_events(folder, day, &schema, notes_of(&builder), without.len())?;
    let mut times = None;
    let mut start = 0;
    for batch in batches(builder, path)? {
        let batch = batch?;
        let keep = BooleanArray::new(without.slice(start, batch.num_rows()).not(), None);
        start += batch.num_rows();
        let batch = filter_record_batch(&batch, &keep).map_err(SealError::Columns)?;
        times = bounds(&batch, times);
        file.write(&batch)?;
    }
    Ok(Some(file.finish(times)?))
}

/// Reads the rows of a file that are among `only`, with what the file says about itself.
pub(crate) fn extract(
    folder: &TableFolder,
    path: &str,
    only: &BooleanBuffer,
) -> Result<(RecordBatch, Vec<KeyValue>), TableError> {
    let builder = open(folder, path)?;
    let notes = notes_of(&builder);
    let schema = Arc::new(Schema::new(builder.schema().fields().clone()));
    let (mut rows, mut start) = (Vec::new(), 0);
    for batch in batches(builder, path)? {
        let batch = batch?;
        let keep = BooleanArray::new(only.slice(start, batch.num_rows()), None);
        start += batch.num_rows();
        rows.push(filter_record_batch(&batch, &keep).map_err(SealError::Columns)?);
    }
    Ok((concat_batches(&schema, &rows).map_err(SealError::Columns)?, notes))
}

/// Writes rows that come back to their table as a file of their own.
pub(crate) fn write_back(
    folder: &TableFolder,
    day: Option<i32>,
    rows: &RecordBatch,
    notes: &[KeyValue],
) -> Result<WrittenFile, SealError> {
    let mut file = PlainFile::of_events(folder, day, &rows.schema(), notes.to_vec(), rows.num_rows())?;
    file.write(rows)?;
    file.finish(bounds(rows, None))
}

/// Widens the least and the greatest `time` by those of a batch.
fn bounds(batch: &RecordBatch, known: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let times = batch.column_by_name("time")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    times.iter().flatten().fold(known, |known, time| {
        let (least, greatest) = known.unwrap_or((time, time));
        Some((least.min(time), greatest.max(time)))
    })
}
