//! Removing what was declared void: a Delta remove, and the partitions' watermarks set back.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::cell::{Body, Cell};
use crate::kernel::Change;
use crate::lake::{Lake, LakeError, at};
use crate::partition::PartitionId;
use crate::table_log::{Attempt, TableError, TableLog};

impl Lake {
    /// Removes the files of this table's void commits; returns how many commits.
    pub(crate) fn sweep(&self, log: &mut TableLog) -> Result<usize, LakeError> {
        let void = self.void_cells(log.cells().cloned().collect(), log);
        self.sweep_cells(log, &void)
    }

    /// Returns those of the cells that are void and whose files are still there.
    pub(crate) fn void_cells(&self, cells: Vec<Cell>, log: &TableLog) -> Vec<Cell> {
        let swept: BTreeSet<_> = cells.iter().flat_map(Cell::swept).copied().collect();
        let coverage = self.coverage.lock();
        cells.into_iter().filter(|cell| coverage.is_void(&log.name, cell.id) && !swept.contains(&cell.id)).collect()
    }

    /// Removes the files of void commits of this table.
    pub(crate) fn sweep_cells(&self, log: &mut TableLog, void: &[Cell]) -> Result<usize, LakeError> {
        if void.is_empty() {
            return Ok(0);
        }
        let name = log.name.clone();
        let mut cell = Cell::new(Uuid::new_v4(), Body::Swept { batches: void.iter().map(|cell| cell.id).collect() });
        loop {
            let Some(head) = log.head(&self.kernel).map_err(|source| at(&name, source))? else {
                log.refresh().map_err(|source| at(&name, source))?;
                continue;
            };
            let live = self.kernel.live_files(&head).map_err(|refusal| at(&name, refusal.into()))?;
            let live: BTreeSet<_> = live.into_iter().map(|file| file.path).collect();
            let files = void.iter().flat_map(|cell| &cell.files).map(|file| file.path.clone());
            // Anew each time: whoever was first may have erased somebody from these files.
            let heirs = heirs(log, void).map_err(|source| at(&name, source))?;
            cell.removed = files.chain(heirs).filter(|path| live.contains(path)).collect();
            let change = Change { removes: cell.removed.clone(), txns: set_back(log, void), ..Change::default() };
            if change.removes.is_empty() && change.txns.is_empty() {
                return Ok(0);
            }
            match log.put(&self.kernel, change, &cell).map_err(|source| at(&name, source))? {
                Attempt::Done => return Ok(void.len()),
                Attempt::Lost => {}
            }
        }
    }
}

/// The files that took the places of void ones when somebody was erased from these.
fn heirs(log: &TableLog, void: &[Cell]) -> Result<Vec<String>, TableError> {
    let is_void = |batch: Option<Uuid>| batch.is_some_and(|batch| void.iter().any(|cell| cell.id == batch));
    let mut heirs = Vec::new();
    for cell in log.history()?.into_iter().filter_map(|(_, cell)| cell) {
        let replaced = cell.replaced().iter().filter(|replaced| is_void(replaced.batch));
        heirs.extend(replaced.filter_map(|replaced| replaced.after.clone()));
    }
    Ok(heirs)
}

/// The watermarks as they were before the void commits, where these were the last to move them.
fn set_back(log: &TableLog, void: &[Cell]) -> Vec<(String, i64)> {
    let is_void = |cell: &Cell| void.iter().any(|void| void.id == cell.id);
    let moved_last = |partition: &PartitionId| {
        let mut cells = log.cells().rev();
        cells.find(|cell| cell.part(partition).is_some()).is_some_and(is_void)
    };
    let mut spans: Vec<_> = void.iter().flat_map(Cell::spans).filter(|span| moved_last(&span.partition)).collect();
    // Of two void commits of one partition the earlier start counts.
    spans.sort_by(|one, two| (&one.partition, one.from).cmp(&(&two.partition, two.from)));
    spans.dedup_by(|later, earlier| later.partition == earlier.partition);
    spans.iter().map(|span| log.offset_txn(&span.partition, span.from)).collect()
}
