//! Reading weir's own two tables back: the lines of the coverage, the coordinates in quarantine.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, Int64Type};
use uuid::Uuid;

use crate::coverage::{Line, SEALED};
use crate::encryption::{batches, open};
use crate::kernel::LiveFile;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::log::LogError;
use crate::partition::{PartitionId, Span};
use crate::table_log::{TableError, TableLog};

/// Where a record is that was not filtered, and why; never what is in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// The day on which it was committed, `YYYY-MM-DD`.
    pub date: String,
    /// The partition.
    pub partition: PartitionId,
    /// The offset, or the byte position in a file.
    pub offset: i64,
    /// Why, as in coverage and metrics.
    pub code: String,
    /// A power of two that is greater than the record's size.
    pub size_below: i64,
}

impl Lake {
    /// Returns the coordinates of all records in quarantine, in order.
    ///
    /// # Errors
    ///
    /// The table can't be read.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, LakeError> {
        let table = self.table(&TableName::Quarantine)?;
        let mut log = table.lock();
        let mut rows = Vec::new();
        let at_quarantine = |source| at(&TableName::Quarantine, source);
        for file in self.live(&mut log)? {
            for batch in rows_of(&log, &file.path).map_err(at_quarantine)? {
                let batch = batch.map_err(at_quarantine)?;
                let read = quarantined(&batch, &file);
                rows.extend(read.ok_or_else(|| damaged(&file.path)).map_err(at_quarantine)?);
            }
        }
        rows.sort();
        Ok(rows)
    }

    /// Hands each line of the coverage to `take`.
    pub(crate) fn coverage_lines(&self, mut take: impl FnMut(Line)) -> Result<(), LakeError> {
        let mut coverage = self.coverage.lock();
        let at_coverage = |source| at(&TableName::Coverage, source);
        coverage.refresh().map_err(at_coverage)?;
        for file in self.live(&mut coverage.log)? {
            for batch in rows_of(&coverage.log, &file.path).map_err(at_coverage)? {
                let batch = batch.map_err(at_coverage)?;
                let lines = lines(&batch).ok_or_else(|| damaged(&file.path)).map_err(at_coverage)?;
                lines.into_iter().map(|line| self.with_count(line)).for_each(&mut take);
            }
        }
        Ok(())
    }

    /// Seals a count of rows that left by a removal.
    pub(crate) fn seal_count(&self, removal: Uuid, count: u64) -> Result<String, TableError> {
        let text = format!("{removal} {count}");
        self.secrets.seal(&TableName::Coverage, text.as_bytes()).map_err(TableError::Sealing)
    }

    /// Opens the count of a line; one that does not open stays 0, and the table's rows then differ.
    fn with_count(&self, line: Line) -> Line {
        let opened = line.sealed.as_deref().and_then(|sealed| self.secrets.open(&TableName::Coverage, sealed).ok());
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let count = text.split_once(' ').filter(|(removal, _)| removal.parse().ok() == line.batch);
        match count.and_then(|(_, count)| count.parse().ok()) {
            Some(count) => Line { count, ..line },
            None => line,
        }
    }

    /// Lists the files of a table's newest version; none if there is no table.
    pub(crate) fn live(&self, log: &mut TableLog) -> Result<Vec<LiveFile>, LakeError> {
        let name = log.name.clone();
        let at_table = |source| at(&name, source);
        if log.version().is_none() && !log.refresh().map_err(at_table)? {
            return Ok(Vec::new());
        }
        loop {
            if let Some(head) = log.head(&self.kernel).map_err(at_table)? {
                return self.kernel.live_files(&head).map_err(|refusal| at_table(refusal.into()));
            }
            log.refresh().map_err(at_table)?;
        }
    }
}

/// Reads a file of a table, a batch of rows at a time.
fn rows_of(log: &TableLog, path: &str) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>>, TableError> {
    batches(open(&log.folder, path)?, path)
}

pub(crate) fn damaged(path: &str) -> TableError {
    TableError::Log(LogError::Damaged { name: path.to_owned() })
}

/// Reads the lines of a batch; `None` if a column is absent or of another type.
fn lines(batch: &RecordBatch) -> Option<Vec<Line>> {
    let text = |name| text_column(batch, name);
    let (purposes, types) = (text("purpose")?, text("event_type")?);
    let (fates, reasons, ids) = (text("fate")?, text("reason")?, text("batch")?);
    let counts = batch.column_by_name("count")?.as_primitive_opt::<Int64Type>()?;
    // Only files with a line about an erasure have it.
    let sealed = text(SEALED);
    let optional = |column: &StringArray, row| column.is_valid(row).then(|| column.value(row).to_owned());
    let line = |row| {
        Some(Line {
            span: span(batch, row)?,
            purpose: optional(purposes, row),
            event_type: optional(types, row),
            fate: optional(fates, row)?,
            reason: optional(reasons, row),
            count: u64::try_from(counts.value(row)).ok()?,
            batch: match optional(ids, row) {
                Some(id) => Some(id.parse().ok()?),
                None => None,
            },
            sealed: sealed.and_then(|sealed| optional(sealed, row)),
        })
    };
    (0..batch.num_rows()).map(line).collect()
}

/// Reads the span of a line: the inner `None` where the line has none.
#[expect(clippy::option_option, reason = "a damaged file and a line without a span are not the same")]
fn span(batch: &RecordBatch, row: usize) -> Option<Option<Span>> {
    let long = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let (from, to) = (long("from")?, long("to")?);
    let partition = partition(batch, row)?;
    let bounds = from.is_valid(row) && to.is_valid(row);
    Some(partition.filter(|_| bounds).map(|partition| Span { partition, from: from.value(row), to: to.value(row) }))
}

#[expect(clippy::option_option, reason = "a damaged file and a line without a partition are not the same")]
fn partition(batch: &RecordBatch, row: usize) -> Option<Option<PartitionId>> {
    let (sources, topics) = (text_column(batch, "source")?, text_column(batch, "topic")?);
    let numbers = batch.column_by_name("partition")?.as_primitive_opt::<Int32Type>()?;
    Some(sources.is_valid(row).then(|| PartitionId {
        source: sources.value(row).into(),
        topic: topics.value(row).into(),
        partition: numbers.value(row),
    }))
}

fn quarantined(batch: &RecordBatch, file: &LiveFile) -> Option<Vec<Quarantined>> {
    let long = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
    let (offsets, sizes, codes) = (long("offset")?, long("size_below")?, text_column(batch, "code")?);
    let one = |row| {
        Some(Quarantined {
            date: file.date.clone().unwrap_or_default(),
            partition: partition(batch, row)??,
            offset: offsets.value(row),
            code: codes.value(row).to_owned(),
            size_below: sizes.value(row),
        })
    };
    (0..batch.num_rows()).map(one).collect()
}

fn text_column<'b>(batch: &'b RecordBatch, name: &str) -> Option<&'b StringArray> {
    batch.column_by_name(name)?.as_string_opt::<i32>()
}
