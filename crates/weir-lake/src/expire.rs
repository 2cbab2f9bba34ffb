//! Rows whose time is over leave: whole days, by each purpose's retention.
//!
//! A table's removal is recorded in the coverage after, so that the audit's sums still come out. A crash between the two
//! is made good by the next run, which finds the removal in the table's log.

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
    fn record_removals(&self, log: &TableLog, decided: &Decided, now_ms: i64) -> Result<(), LakeError> {
        for (removal, rows) in unrecorded_removals(&decided.cells(log)?, decided) {
            self.record_removal(&log.name, removal, rows, now_ms)?;
        }
        Ok(())
    }

    fn record_removal(&self, table: &TableName, removal: Uuid, rows: u64, now_ms: i64) -> Result<(), LakeError> {
        let line = Line {
            purpose: table.purpose().map(|purpose| purpose.name().to_owned()),
            event_type: table.event_type().map(str::to_owned),
            fate: EXPIRED.to_owned(),
            reason: Some("retention".to_owned()),
            count: rows,
            batch: Some(removal),
            ..Line::default()
        };
        let stamp = Stamp { group: &self.config.group, policy: "", consent: 0, now_ms };
        self.put_lines(Uuid::new_v4(), &[line], &stamp, |coverage| {
            let entry = || (Entry::Expired { table: table.clone(), removal }, Vec::new());
            Ok((!coverage.has_recorded_expiry(removal)).then(entry))
        })
    }
}

/// Returns the removals of expired rows, and how many rows, of which the coverage does not know.
pub(crate) fn unrecorded_removals(cells: &[Cell], decided: &Decided) -> Vec<(Uuid, u64)> {
    let removals = cells.iter().filter_map(|cell| match cell.body {
        Body::Expired { rows } => Some((cell.id, rows)),
        Body::Batch(_) | Body::Coverage(_) | Body::Created | Body::Swept { .. } => None,
    });
    removals.filter(|(removal, _)| !decided.has_recorded(*removal)).collect()
}

/// The fate of rows that were written once and left because their time was over.
pub(crate) const EXPIRED: &str = "expired";
/// Coordinates are of use while the topic still has the records; a month is longer than most keep them.
const QUARANTINE_DAYS: u32 = 30;
const DAY_MS: i64 = 86_400_000;
