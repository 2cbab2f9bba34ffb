//! Rows whose time is over leave: whole days, by each purpose's retention. And how rows that left are recorded.
//!
//! A table's removal, by retention or by an [erasure](Lake::erase), is recorded in the coverage after, so that the audit's sums
//! still come out. A crash between the two is made good by the next run, which finds the removal in the table's log.

use uuid::Uuid;
use weir_policy::Purposes;

use crate::cell::{Body, Cell, Entry};
use crate::coverage::{Line, Stamp};
use crate::decided::Decided;
use crate::kernel::{Change, LiveFile};
use crate::lake::{Lake, LakeError, at};
use crate::layout::{TableName, parse_day};
use crate::table_log::{Attempt, TableLog};

/// What left one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The table.
    pub table: TableName,
    /// Files removed from it.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
}

impl Lake {
    /// Removes the days that are past their purpose's retention; the files themselves go with the next vacuum.
    ///
    /// # Errors
    ///
    /// A table can't be read or written.
    pub fn expire(&self, purposes: &Purposes, now_ms: i64) -> Result<Vec<Expired>, LakeError> {
        let names = self.tables_in_use()?;
        let decided = self.decided()?;
        let mut expired = Vec::new();
        for name in names {
            let days = name.purpose().map_or(QUARANTINE_DAYS, |purpose| purposes.rules(purpose).retention_days);
            let today = now_ms.div_euclid(DAY_MS);
            let first_kept = i32::try_from(today - i64::from(days)).unwrap_or(i32::MIN);
            let table = self.table(&name)?;
            let mut log = table.lock();
            if !log.refresh().map_err(|source| at(&name, source))? {
                continue;
            }
            expired.extend(self.expire_days(&mut log, first_kept)?);
            self.record_removals(&log, &decided, now_ms)?;
        }
        self.tell_ledger(now_ms)?;
        Ok(expired)
    }

    fn expire_days(&self, log: &mut TableLog, first_kept: i32) -> Result<Option<Expired>, LakeError> {
        let name = log.name.clone();
        let id = Uuid::new_v4();
        let is_over = |file: &LiveFile| file.date.as_deref().and_then(parse_day).is_some_and(|day| day < first_kept);
        loop {
            let over: Vec<_> = self.live(log)?.into_iter().filter(is_over).collect();
            if over.is_empty() {
                return Ok(None);
            }
            let rows = over.iter().filter_map(|file| file.rows).sum();
            let mut cell = Cell::new(id, Body::Expired { rows });
            cell.removed = over.iter().map(|file| file.path.clone()).collect();
            let change = Change { removes: cell.removed.clone(), ..Change::default() };
            match log.put(&self.kernel, change, &cell).map_err(|source| at(&name, source))? {
                Attempt::Done => {
                    let files = u64::try_from(over.len()).unwrap_or(u64::MAX);
                    return Ok(Some(Expired { table: name, files, rows }));
                }
                Attempt::Lost => {}
            }
        }
    }

    /// Records in the coverage what the table's log says has left, unless it is there.
    pub(crate) fn record_removals(&self, log: &TableLog, decided: &Decided, now_ms: i64) -> Result<(), LakeError> {
        let cells = decided.cells(log)?;
        for removal in unrecorded_removals(&cells, decided) {
            if removal.waits_for.iter().all(|batch| decided.claims(&log.name, *batch) || is_swept(&cells, *batch)) {
                self.record_removal(&log.name, &removal, now_ms)?;
            }
        }
        Ok(())
    }

    fn record_removal(&self, table: &TableName, removal: &Removal, now_ms: i64) -> Result<(), LakeError> {
        let Removal { id: removal, rows, why, .. } = *removal;
        let mut line = Line {
            purpose: table.purpose().map(|purpose| purpose.name().to_owned()),
            event_type: table.event_type().map(str::to_owned),
            batch: Some(removal),
            ..Line::default()
        };
        match why {
            Why::Erased => {
                ERASED.clone_into(&mut line.fate);
                line.sealed = Some(self.seal_count(removal, rows).map_err(|source| at(table, source))?);
            }
            Why::Expired => {
                (line.fate, line.count) = (EXPIRED.to_owned(), rows);
                line.reason = Some("retention".to_owned());
            }
        }
        let stamp = Stamp { group: &self.config.group, policy: "", consent: 0, now_ms };
        self.put_lines(Uuid::new_v4(), &[line], &stamp, |coverage| {
            let table = table.clone();
            let entry = || match why {
                Why::Erased => Entry::Erased { table, removal },
                Why::Expired => Entry::Expired { table, removal },
            };
            Ok((!coverage.has_recorded(removal)).then(|| (entry(), Vec::new())))
        })
    }
}

/// Rows that left a table which the coverage had counted.
pub(crate) struct Removal {
    /// The cell of the commit that removed them.
    pub(crate) id: Uuid,
    /// The rows, without those of batches that were swept.
    pub(crate) rows: u64,
    /// Batches of which the rows were, and of which it was open then whether they count.
    waits_for: Vec<Uuid>,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    Erased,
    Expired,
}

/// Returns the removals of rows of which the coverage does not know.
pub(crate) fn unrecorded_removals(cells: &[Cell], decided: &Decided) -> Vec<Removal> {
    let removals = cells.iter().filter_map(|cell| match &cell.body {
        Body::Erased { files, .. } if !files.is_empty() => {
            let counted = files.iter().filter(|file| file.batch.is_none_or(|batch| !is_swept(cells, batch)));
            let (rows, waits_for) = (counted.map(|file| file.erased).sum(), files.iter().filter_map(|file| file.batch));
            Some(Removal { id: cell.id, rows, waits_for: waits_for.collect(), why: Why::Erased })
        }
        Body::Expired { rows } => Some(Removal { id: cell.id, rows: *rows, waits_for: Vec::new(), why: Why::Expired }),
        Body::Batch(_) | Body::Coverage(_) | Body::Created | Body::Erased { .. } | Body::Swept { .. } => None,
    });
    removals.filter(|removal| !decided.has_recorded(removal.id)).collect()
}

/// Tells whether a batch's rows were void and have left the table.
pub(crate) fn is_swept(cells: &[Cell], batch: Uuid) -> bool {
    cells.iter().any(|cell| matches!(&cell.body, Body::Swept { batches } if batches.contains(&batch)))
}

/// The fate of rows that were written once and left because their time was over.
pub(crate) const EXPIRED: &str = "expired";
/// The fate of rows that were written once and left because somebody asked for it.
pub(crate) const ERASED: &str = "erased";
/// Coordinates are of use while the topic still has the records; a month is longer than most keep them.
const QUARANTINE_DAYS: u32 = 30;
const DAY_MS: i64 = 86_400_000;
