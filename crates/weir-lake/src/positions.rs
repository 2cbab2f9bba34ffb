//! Who owns a partition, where its reading starts, and what a crash left behind.
//!
//! A new owner takes the next generation first and looks at the tables after: whatever an older owner still commits after
//! that look is void. What it finds beyond the coverage's watermark is a batch that was interrupted between its
//! tables and its entry in the coverage. That batch is finished first, with the same end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use uuid::Uuid;

use crate::cell::{Cell, Entry};
use crate::coverage::Coverage;
use crate::encryption::{batches, open};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::log::LogError;
use crate::partition::{PartitionId, Span};
use crate::table_log::{Attempt, TableError, TableLog};

/// Where a partition's reading starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: PartitionId,
    /// The first offset that the lake does not account for; `None` if it has never had any.
    pub watermark: Option<i64>,
    /// A batch to finish first.
    pub interrupted: Option<Interrupted>,
    /// The number of this owner.
    pub generation: u64,
}

/// A batch that some tables have and the coverage has not.
///
/// The next batch of the partition must end at `end`, and must leave out the records in `quarantined`: what became of
/// them is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// The batch's first offset: there the partition is read again, also where the coverage never heard of it.
    pub start: i64,
    /// The offset after the batch's last one.
    pub end: i64,
    /// The tables that have its rows.
    pub tables: BTreeSet<TableName>,
    /// The offsets that are in quarantine already.
    pub quarantined: Arc<BTreeSet<i64>>,
}

/// What this process knows about a partition that it owns.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) generation: u64,
    pub(crate) end: Option<i64>,
    /// The commits of an interrupted batch that hold rows of the partition.
    pub(crate) accepted: BTreeMap<TableName, Vec<Cell>>,
}

/// A commit beyond the watermark.
struct Found {
    table: TableName,
    cell: Cell,
    span: Span,
    generation: u64,
}

impl Lake {
    /// Takes partitions and returns where to read each from.
    ///
    /// From here on this process is their owner: an older owner's commits are refused or void.
    ///
    /// # Errors
    ///
    /// The lake or one of its tables can't be used, or the lake belongs to another group.
    pub fn positions(&self, partitions: &[PartitionId], now_ms: i64) -> Result<Vec<Position>, LakeError> {
        self.take(partitions, now_ms)?;
        let mut found: BTreeMap<PartitionId, Vec<Found>> = BTreeMap::new();
        for name in self.tables_in_use()? {
            let table = self.table(&name)?;
            let mut log = table.lock();
            if log.refresh().map_err(|source| at(&name, source))? {
                self.find_beyond(&log, partitions, &mut found)?;
            }
        }
        partitions.iter().map(|partition| self.position(partition, found.remove(partition), now_ms)).collect()
    }

    /// Returns the next offset of each partition that the lake accounts for, without taking them.
    ///
    /// # Errors
    ///
    /// The coverage can't be read.
    pub fn watermarks(&self, partitions: &[PartitionId]) -> Result<Vec<Option<i64>>, LakeError> {
        let mut coverage = self.coverage.lock();
        coverage.refresh().map_err(|source| at(&TableName::Coverage, source))?;
        Ok(partitions.iter().map(|partition| coverage.watermark(partition)).collect())
    }

    /// Gives partitions up; another owner may take them.
    pub fn release(&self, partitions: &[PartitionId]) {
        let mut owned = self.owned.lock();
        for partition in partitions {
            owned.remove(partition);
        }
    }

    /// Declares a commit void unless someone claims it; tells whether it is void now.
    pub(crate) fn void(&self, table: &TableName, batch: Uuid, now_ms: i64) -> Result<bool, LakeError> {
        let mut coverage = self.coverage.lock();
        let id = Uuid::new_v4();
        let at_coverage = |source| at(&TableName::Coverage, source);
        loop {
            coverage.refresh().map_err(at_coverage)?;
            if coverage.is_void(table, batch) {
                return Ok(true);
            }
            if coverage.is_claimed(table, batch) {
                return Ok(false);
            }
            let entry = Entry::Void { table: table.clone(), batch };
            match coverage.put(&self.kernel, id, entry, Vec::new(), None, now_ms).map_err(at_coverage)? {
                Attempt::Done => return Ok(true),
                Attempt::Lost => {}
            }
        }
    }

    /// Bumps the generations, so that older owners find out before their next commit.
    fn take(&self, partitions: &[PartitionId], now_ms: i64) -> Result<(), LakeError> {
        let at_coverage = |source| at(&TableName::Coverage, source);
        let mut coverage = self.coverage.lock();
        coverage.create(&self.kernel, now_ms).map_err(at_coverage)?;
        let id = Uuid::new_v4();
        loop {
            coverage.refresh().map_err(at_coverage)?;
            self.check_settings(&coverage)?;
            if let Some(partition) = partitions.iter().find(|one| coverage.is_made_anew(one)) {
                return Err(LakeError::MadeAnew { partition: partition.clone() });
            }
            let taken: Vec<_> = partitions.iter().map(|one| (one.clone(), coverage.generation(one) + 1)).collect();
            let txns = taken.iter().flat_map(|(one, generation)| coverage.owner_txns(one, *generation));
            let txns = txns.chain(self.config.txns(&coverage)).collect();
            let entry = Entry::Taken { partitions: taken.clone() };
            match coverage.put(&self.kernel, id, entry, txns, None, now_ms).map_err(at_coverage)? {
                Attempt::Done => {
                    self.remember(taken, &coverage);
                    return Ok(());
                }
                Attempt::Lost => {}
            }
        }
    }

    fn remember(&self, taken: Vec<(PartitionId, u64)>, coverage: &Coverage) {
        // Between our entry and this line another process may have taken over; then its number is not ours to use.
        let mut owned = self.owned.lock();
        for (partition, generation) in taken {
            if coverage.generation(&partition) == generation {
                owned.insert(partition, Owned { generation, end: None, accepted: BTreeMap::new() });
            }
        }
    }

    /// Collects the commits of a table that hold rows beyond the coverage's watermarks.
    fn find_beyond(
        &self,
        log: &TableLog,
        partitions: &[PartitionId],
        found: &mut BTreeMap<PartitionId, Vec<Found>>,
    ) -> Result<(), LakeError> {
        let coverage = self.coverage.lock();
        for partition in partitions {
            let watermark = coverage.watermark(partition);
            let has_more = log.watermark(partition).is_some_and(|own| watermark.is_none_or(|covered| own > covered));
            if !has_more {
                continue;
            }
            for cell in cells_beyond(log, partition, watermark).map_err(|source| at(&log.name, source))? {
                let Some(part) = cell.part(partition) else { continue };
                if coverage.is_void(&log.name, cell.id) {
                    continue;
                }
                let (span, generation) = (part.span.clone(), part.generation);
                found.entry(partition.clone()).or_default().push(Found {
                    table: log.name.clone(),
                    cell,
                    span,
                    generation,
                });
            }
        }
        Ok(())
    }

    fn position(&self, partition: &PartitionId, found: Option<Vec<Found>>, now_ms: i64) -> Result<Position, LakeError> {
        let (watermark, generation) = {
            let coverage = self.coverage.lock();
            (coverage.watermark(partition), coverage.generation(partition))
        };
        let Some(found) = found else {
            return Ok(Position { partition: partition.clone(), watermark, interrupted: None, generation });
        };
        let end = self.interrupted_end(&found, watermark);
        let (mut accepted, mut start) = (BTreeMap::<TableName, Vec<Cell>>::new(), i64::MAX);
        for Found { table, cell, span, .. } in found {
            let continues = watermark.is_none_or(|watermark| span.from == watermark);
            if Some(span.to) == end && continues {
                start = start.min(span.from);
                accepted.entry(table).or_default().push(cell);
            } else if self.void(&table, cell.id, now_ms)? {
                let log = self.table(&table)?;
                self.sweep(&mut log.lock())?;
            }
        }
        let interrupted = match end.filter(|_| !accepted.is_empty()) {
            Some(end) => Some(self.interrupted(partition, (start, end), &accepted)?),
            None => None,
        };
        if let Some(owned) = self.owned.lock().get_mut(partition) {
            owned.end = interrupted.as_ref().map(|interrupted| interrupted.end);
            owned.accepted = accepted;
        }
        Ok(Position { partition: partition.clone(), watermark, interrupted, generation })
    }

    /// Chooses the end of the interrupted batch: that of a commit which others count on already, else the newest owner's.
    fn interrupted_end(&self, found: &[Found], watermark: Option<i64>) -> Option<i64> {
        let coverage = self.coverage.lock();
        let fits = |found: &&Found| watermark.is_none_or(|watermark| found.span.from == watermark);
        let newest = |found: &&Found| (coverage.is_claimed(&found.table, found.cell.id), found.generation);
        found.iter().filter(fits).max_by_key(newest).map(|found| found.span.to)
    }

    fn interrupted(
        &self,
        partition: &PartitionId,
        (start, end): (i64, i64),
        accepted: &BTreeMap<TableName, Vec<Cell>>,
    ) -> Result<Interrupted, LakeError> {
        let mut quarantined = BTreeSet::new();
        for cell in accepted.get(&TableName::Quarantine).into_iter().flatten() {
            let table = self.table(&TableName::Quarantine)?;
            let log = table.lock();
            for file in &cell.files {
                let offsets = quarantined_offsets(&log, &file.path, partition);
                quarantined.extend(offsets.map_err(|source| at(&TableName::Quarantine, source))?);
            }
        }
        let tables = accepted.keys().filter(|table| **table != TableName::Quarantine).cloned().collect();
        Ok(Interrupted { start, end, tables, quarantined: Arc::new(quarantined) })
    }
}

/// Returns the cells whose rows of a partition lie beyond the watermark.
fn cells_beyond(log: &TableLog, partition: &PartitionId, watermark: Option<i64>) -> Result<Vec<Cell>, TableError> {
    let is_beyond = |cell: &Cell| {
        cell.part(partition).is_some_and(|part| watermark.is_none_or(|watermark| part.span.to > watermark))
    };
    let recent: Vec<_> = log.cells().filter(|cell| is_beyond(cell)).cloned().collect();
    if !recent.is_empty() {
        return Ok(recent);
    }
    // The partition had no owner for long, and others' commits pushed its last one out of memory.
    Ok(log.history()?.into_iter().filter_map(|(_, cell)| cell).filter(is_beyond).collect())
}

fn quarantined_offsets(log: &TableLog, path: &str, partition: &PartitionId) -> Result<Vec<i64>, TableError> {
    let damaged = || TableError::Log(LogError::Damaged { name: path.to_owned() });
    let reader = open(&log.folder, path)?;
    let mut offsets = Vec::new();
    for batch in batches(reader, path)? {
        let batch = batch?;
        let column = |name| batch.column_by_name(name);
        let text = |name| column(name).and_then(|column| column.as_string_opt::<i32>());
        let numbers = column("partition").and_then(|column| column.as_primitive_opt::<Int32Type>());
        let places = column("offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(sources), Some(topics), Some(numbers), Some(places)) =
            (text("source"), text("topic"), numbers, places)
        else {
            return Err(damaged());
        };
        let is_here = |row: &usize| {
            sources.value(*row) == &*partition.source
                && topics.value(*row) == &*partition.topic
                && numbers.value(*row) == partition.partition
        };
        offsets.extend((0..batch.num_rows()).filter(is_here).map(|row| places.value(row)));
    }
    Ok(offsets)
}
