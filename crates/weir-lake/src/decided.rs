//! What the coverage had decided at one moment: which commits count, which are void, how far each partition is.
//!
//! Maintenance and audit judge every table by the same moment. A commit that was unclaimed then, while the coverage was past
//! one of its spans, can never be claimed later; one that is newer than the moment is not judged at all.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::cell::{Body, Cell, Claim, Entry};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::partition::PartitionId;
use crate::table_log::TableLog;

/// The coverage's decisions, as far as its log still tells them.
#[derive(Default)]
pub(crate) struct Decided {
    claims: BTreeMap<TableName, BTreeSet<Uuid>>,
    voids: BTreeMap<TableName, BTreeSet<Uuid>>,
    removals: BTreeSet<Uuid>,
    watermarks: BTreeMap<PartitionId, i64>,
    /// Since when the log tells everything; `None` if since ever.
    since_ms: Option<i64>,
}

impl Lake {
    /// Reads what the coverage has decided by now.
    pub(crate) fn decided(&self) -> Result<Decided, LakeError> {
        let mut coverage = self.coverage.lock();
        let at_coverage = |source| at(&TableName::Coverage, source);
        let mut decided = Decided::default();
        if !coverage.refresh().map_err(at_coverage)? {
            return Ok(decided);
        }
        let history = coverage.log.history().map_err(at_coverage)?;
        let first = history.first().filter(|(commit, _)| commit.version > 0);
        decided.since_ms = first.and_then(|(commit, _)| commit.timestamp_ms);
        for (_, cell) in history {
            decided.take(cell);
        }
        for (partition, watermark) in &mut decided.watermarks {
            *watermark = coverage.watermark(partition).unwrap_or(*watermark);
        }
        Ok(decided)
    }
}

impl Decided {
    /// Returns the cells of a table about which the decisions are known, oldest first.
    pub(crate) fn cells(&self, log: &TableLog) -> Result<Vec<Cell>, LakeError> {
        let history = log.history().map_err(|source| at(&log.name, source))?;
        let is_known = |time: Option<i64>| self.since_ms.is_none_or(|since| time.is_some_and(|time| time >= since));
        Ok(history
            .into_iter()
            .filter(|(commit, _)| is_known(commit.timestamp_ms))
            .filter_map(|(_, cell)| cell)
            .collect())
    }

    pub(crate) fn is_claimed(&self, table: &TableName, cell: &Cell) -> bool {
        self.claims(table, cell.id)
    }

    pub(crate) fn is_void(&self, table: &TableName, cell: &Cell) -> bool {
        self.voids.get(table).is_some_and(|voids| voids.contains(&cell.id))
    }

    /// Tells whether the table's commit of a batch counts.
    pub(crate) fn claims(&self, table: &TableName, batch: Uuid) -> bool {
        self.claims.get(table).is_some_and(|claims| claims.contains(&batch))
    }

    pub(crate) fn has_recorded(&self, removal: Uuid) -> bool {
        self.removals.contains(&removal)
    }

    /// Tells whether a batch's commit can never count: nobody claims it, and the coverage is past one of its spans.
    pub(crate) fn is_unclaimed(&self, table: &TableName, cell: &Cell) -> bool {
        let is_past = || {
            let mut spans = cell.spans().into_iter();
            spans.any(|span| self.watermarks.get(&span.partition).is_some_and(|watermark| *watermark > span.from))
        };
        cell.batch().is_some() && !self.is_claimed(table, cell) && !self.is_void(table, cell) && is_past()
    }

    fn take(&mut self, cell: Option<Cell>) {
        let Some(Body::Coverage(entry)) = cell.map(|cell| cell.body) else { return };
        match entry {
            Entry::Batch { spans, claims } => {
                for Claim { table, batch, .. } in claims {
                    self.claims.entry(table).or_default().insert(batch);
                }
                self.watermarks.extend(spans.into_iter().map(|span| (span.partition, span.to)));
            }
            Entry::Erased { removal, .. } | Entry::Expired { removal, .. } | Entry::Moved { removal, .. } => {
                self.removals.insert(removal);
            }
            Entry::Taken { .. } => {}
            Entry::Void { table, batch } => {
                self.voids.entry(table).or_default().insert(batch);
            }
        }
    }
}
