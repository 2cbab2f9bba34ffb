//! One table's part of a batch: written, and put on top of whatever the table is by now.
//!
//! An attempt starts over when someone else committed first or when a zombie's rows have to go before ours; each begins with what
//! consent says by then (`attempt`). A file that was sealed before is kept unless rows left it.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;
use weir_filter::{Fate, Origin};

use crate::accounts::Accounts;
use crate::attempt::{Target, put_permitted};
use crate::cell::{BatchCell, Body, Cell, CellPart, Count};
use crate::commit::{CommitError, Recheck, Written};
use crate::delta_type::ColumnType;
use crate::kernel::{Change, TableVersion, type_text};
use crate::lake::{Lake, at};
use crate::layout::TableName;
use crate::positions::Owned;
use crate::seal::WrittenFile;
use crate::table_log::{Attempt, TableError, TableLog};
use crate::work::{Removals, Shared, Work};

/// What the threads of one commit share.
pub(crate) struct Batch<'b> {
    pub(crate) id: Uuid,
    pub(crate) shared: Arc<Shared>,
    pub(crate) recheck: Recheck<'b>,
    pub(crate) owned: Vec<Owned>,
    pub(crate) policy_hash: String,
    pub(crate) consent_position: i64,
}

/// What became of one table.
pub(crate) struct TableDone {
    pub(crate) table: TableName,
    pub(crate) removals: Removals,
    /// The partitions whose rows this commit holds; none if no row was left.
    pub(crate) committed: Option<Cell>,
    pub(crate) written: Written,
}

impl Lake {
    /// Commits one table's rows; starts over for as long as others commit first.
    pub(crate) fn commit_table(
        &self,
        batch: &Batch<'_>,
        table: TableName,
        mut work: Box<dyn Work>,
        accounts: &Accounts,
    ) -> Result<TableDone, CommitError> {
        let log = self.table(&table)?;
        let mut log = log.lock();
        let done = TableDone { table, removals: Vec::new(), committed: None, written: Written::default() };
        work.drop_origins(&batch.accepted(&done.table));
        let (log, files) = (&mut *log, Vec::new());
        let mut open = OpenTable { lake: self, batch, log, exists: false, files, long_writes: 0, accounts, done };
        put_permitted(&batch.recheck, &mut *work, &mut open)?;
        // Nothing names the files. After an error the last put may still have landed, so those stay for vacuum.
        if open.done.committed.is_none() {
            discard(open.log, &mut open.files)?;
        }
        Ok(open.done)
    }

    /// Looks for rows of our spans that an older owner committed after we took over, and removes them.
    ///
    /// Tells whether the table changed. A newer owner's rows mean that we are the zombie.
    fn yields_to_zombies(&self, batch: &Batch<'_>, log: &mut TableLog) -> Result<bool, CommitError> {
        let mut zombies = BTreeSet::new();
        for (span, owned) in batch.shared.spans.iter().zip(&batch.owned) {
            if log.watermark(&span.partition).is_none_or(|own| own <= span.from) {
                continue;
            }
            let accepted = owned.accepted.get(&log.name).into_iter().flatten();
            let accepted: BTreeSet<_> = accepted.map(|cell| cell.id).collect();
            for cell in log.cells() {
                let Some(part) = cell.part(&span.partition).filter(|part| part.span.to > span.from) else { continue };
                if part.generation >= owned.generation {
                    return Err(CommitError::Fenced { partition: span.partition.clone() });
                }
                if !accepted.contains(&cell.id) {
                    zombies.insert(cell.id);
                }
            }
        }
        for zombie in &zombies {
            if !self.void(&log.name, *zombie, (batch.recheck.now_ms)())? {
                // Someone counts on that commit, so its end is the batch's end: find out anew.
                return Err(CommitError::Fenced { partition: batch.shared.spans[0].partition.clone() });
            }
        }
        if zombies.is_empty() { Ok(false) } else { Ok(self.sweep(log)? > 0) }
    }

    /// Reads the generations right before a put: a process that slept must not wake up and write.
    fn check_generations(&self, batch: &Batch<'_>) -> Result<(), CommitError> {
        let mut coverage = self.coverage.lock();
        coverage.refresh().map_err(|source| at(&TableName::Coverage, source))?;
        for (span, owned) in batch.shared.spans.iter().zip(&batch.owned) {
            if coverage.generation(&span.partition) != owned.generation {
                return Err(CommitError::Fenced { partition: span.partition.clone() });
            }
        }
        Ok(())
    }
}

/// A table that rows are being put into.
struct OpenTable<'b> {
    lake: &'b Lake,
    batch: &'b Batch<'b>,
    log: &'b mut TableLog,
    exists: bool,
    /// Sealed, and named by no commit yet.
    files: Vec<WrittenFile>,
    /// How often writing them took so long that consent was asked again.
    long_writes: u32,
    accounts: &'b Accounts,
    done: TableDone,
}

impl Target for OpenTable<'_> {
    fn read_on(&mut self) -> Result<Attempt, CommitError> {
        self.exists = self.log.refresh().map_err(|source| at(&self.done.table, source))?;
        let changed = self.exists && self.lake.yields_to_zombies(self.batch, self.log)?;
        Ok(if changed { Attempt::Lost } else { Attempt::Done })
    }

    fn put(&mut self, work: &mut dyn Work, removals: Removals) -> Result<Attempt, CommitError> {
        let Self { lake, batch, log, exists, files, long_writes, accounts, done } = self;
        if !removals.is_empty() {
            done.removals.extend(removals);
            discard(log, files)?;
        }
        if work.is_empty() {
            return Ok(Attempt::Done);
        }
        let table = done.table.clone();
        let at_table = |source| at(&table, source);
        if !*exists {
            log.create(&lake.kernel, &work.columns(), true, batch.shared.now_ms).map_err(at_table)?;
            return Ok(Attempt::Lost);
        }
        if files.is_empty() {
            let begun_ms = (batch.recheck.elapsed_ms)();
            *files = work.write(&log.folder).map_err(|error| at_table(error.into()))?;
            lake.write_indexes((&table, &log.folder), files).map_err(at_table)?;
            let took_ms = (batch.recheck.elapsed_ms)() - begun_ms;
            if took_ms > ANSWERS_HOLD_MS && *long_writes < LONG_WRITES_MAX {
                *long_writes += 1;
                return Ok(Attempt::Lost);
            }
        }
        let Some(head) = log.head(&lake.kernel).map_err(at_table)? else { return Ok(Attempt::Lost) };
        let new_columns = missing_columns(&head, &work.columns()).map_err(at_table)?;
        let cell = batch.cell(&table, work, files, accounts, &done.removals);
        lake.check_generations(batch)?;
        log.folder.publish(files.iter().map(|file| &file.place)).map_err(|error| at_table(error.into()))?;
        let change = Change {
            adds: files.iter().map(|file| file.added(batch.modified_ms(&table))).collect(),
            new_columns,
            txns: cell.spans().iter().map(|span| log.offset_txn(&span.partition, span.to)).collect(),
            ..Change::default()
        };
        let attempt = log.put(&lake.kernel, change, &cell).map_err(at_table)?;
        if attempt == Attempt::Done {
            done.written = Written {
                tables: 1,
                files: count(files.len()),
                rows: cell.rows(),
                bytes: files.iter().map(|file| file.bytes).sum(),
            };
            done.committed = Some(cell);
        }
        Ok(attempt)
    }
}

impl Batch<'_> {
    /// Returns the partitions whose rows of an interrupted batch the table has.
    fn accepted(&self, table: &TableName) -> BTreeSet<Origin> {
        let has = |owned: &Owned| owned.accepted.contains_key(table);
        let origins = self.shared.origins.iter().copied();
        origins.zip(&self.owned).filter(|(_, owned)| has(owned)).map(|(origin, _)| origin).collect()
    }

    /// Seals into words what one table's commit holds.
    fn cell(
        &self,
        table: &TableName,
        work: &dyn Work,
        files: &[WrittenFile],
        accounts: &Accounts,
        removals: &Removals,
    ) -> Cell {
        let accepted = if *table == TableName::Quarantine { BTreeSet::new() } else { self.accepted(table) };
        let mut parts = Vec::new();
        let origins = self.shared.origins.iter().copied();
        for ((origin, span), owned) in origins.zip(&self.shared.spans).zip(&self.owned) {
            if accepted.contains(&origin) {
                continue;
            }
            let mut counts = match table.purpose() {
                Some(_) => accounts.of_table(table, origin),
                None => accounts.of_quarantine(origin),
            };
            for (_, reason, count) in removals.iter().filter(|(of, _, _)| *of == origin) {
                *counts.entry(Fate::Written).or_default() -= count;
                *counts.entry(Fate::Denied(*reason)).or_default() += count;
            }
            parts.push(CellPart { span: span.clone(), generation: owned.generation, counts: Count::list(&counts) });
        }
        let people = count(work.people());
        let (policy, consent) = (self.policy_hash.clone(), self.consent_position);
        let mut cell = Cell::new(self.id, Body::Batch(BatchCell { policy, consent, people, parts }));
        cell.files = files.iter().map(WrittenFile::mark).collect();
        cell
    }

    /// The time of the files, at the precision of the purpose: a finer one would tell when events arrived.
    fn modified_ms(&self, table: &TableName) -> i64 {
        let micros = self.shared.now_ms.saturating_mul(1000);
        let floor = |purpose| self.shared.policy().purposes().floor_time(purpose, micros) / 1000;
        table.purpose().map_or(self.shared.now_ms, floor)
    }
}

/// Returns the columns that the table lacks; a column of another type is refused.
pub(crate) fn missing_columns(head: &TableVersion, wanted: &[ColumnType]) -> Result<Vec<ColumnType>, TableError> {
    let known = head.columns();
    let mut missing = Vec::new();
    for column in wanted {
        match known.iter().find(|(name, _)| *name == column.name) {
            None => missing.push(column.clone()),
            Some((_, stored)) if *stored == type_text(column)? => {}
            Some(_) => return Err(TableError::ColumnType { column: column.name.clone() }),
        }
    }
    Ok(missing)
}

fn discard(log: &TableLog, files: &mut Vec<WrittenFile>) -> Result<(), CommitError> {
    for file in files.drain(..) {
        log.folder.discard(&file.place).map_err(|error| at(&log.name, error.into()))?;
    }
    Ok(())
}

/// Answers of consent are older than this only by the time that a put takes: a slow store may need minutes for the files before it.
const ANSWERS_HOLD_MS: i64 = 1_000;
/// Where somebody withdraws during each of so many writes, the last one counts, or nothing would ever be written.
const LONG_WRITES_MAX: u32 = 3;

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
