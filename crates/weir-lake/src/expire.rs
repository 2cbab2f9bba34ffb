//! Rows whose time is over leave: whole days, by each purpose's retention. And how rows that left are recorded.
//!
//! A table's removal, by retention, an [erasure](Lake::erase) or a [restriction](Lake::restrict), is recorded in the coverage after, so that the audit's sums
//! still come out. A crash between the two is made good by the next run, which finds the removal in the table's log.

use uuid::Uuid;
use weir_policy::Purposes;

use crate::aside::settle;
use crate::cell::{Body, Cell, Entry};
use crate::coverage::{Line, Stamp};
use crate::decided::Decided;
use crate::kernel::{Change, LiveFile};
use crate::lake::{Lake, LakeError, at};
use crate::layout::{TableName, parse_day};
use crate::table_log::{Attempt, TableLog};
use crate::upkeep::Upkeep;

/// What left one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The table.
    pub table: TableName,
    /// Files removed from it, those of rows that were set aside among them.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
}

impl Lake {
    /// Removes the days that are past their purpose's retention; the files themselves go with the next vacuum.
    ///
    /// # Errors
    ///
    /// The lake is away, or its coverage or ledger can't be read or written.
    pub fn expire(&self, purposes: &Purposes, now_ms: i64) -> Result<Upkeep<Vec<Expired>>, LakeError> {
        let decided = self.decided()?;
        let upkeep = self.keep_up(|name, expired: &mut Vec<Expired>| {
            let days = name.purpose().map_or(QUARANTINE_DAYS, |purpose| purposes.rules(purpose).retention_days);
            let today = now_ms.div_euclid(DAY_MS);
            let first_kept = i32::try_from(today - i64::from(days)).unwrap_or(i32::MIN);
            expired.extend(self.expire_table(name, first_kept, &decided, now_ms)?);
            Ok(())
        })?;
        self.tell_ledger(now_ms)?;
        Ok(upkeep)
    }

    fn expire_table(
        &self,
        name: &TableName,
        first_kept: i32,
        decided: &Decided,
        now_ms: i64,
    ) -> Result<Option<Expired>, LakeError> {
        let table = self.table(name)?;
        let mut log = table.lock();
        if !log.refresh().map_err(|source| at(name, source))? {
            return Ok(None);
        }
        let expired = self.expire_days(&mut log, first_kept)?;
        self.record_removals(&log, decided, now_ms)?;
        Ok(expired)
    }

    fn expire_days(&self, log: &mut TableLog, first_kept: i32) -> Result<Option<Expired>, LakeError> {
        let name = log.name.clone();
        let id = Uuid::new_v4();
        let is_over = |day: Option<i32>| day.is_some_and(|day| day < first_kept);
        let is_over_file = |file: &LiveFile| is_over(file.date.as_deref().and_then(parse_day));
        loop {
            let over: Vec<_> = self.live(log)?.into_iter().filter(is_over_file).collect();
            let gone = self.asides_where(log, is_over).map_err(|source| at(&name, source))?;
            if over.is_empty() && gone.is_empty() {
                return Ok(None);
            }
            let rows = over.iter().filter_map(|file| file.rows).sum();
            let mut cell = Cell::new(id, Body::Expired { rows });
            cell.removed = over.iter().map(|file| file.path.clone()).collect();
            cell.aside.gone = gone;
            let change = Change { removes: cell.removed.clone(), ..Change::default() };
            match log.put(&self.kernel, change, &cell).map_err(|source| at(&name, source))? {
                Attempt::Done => {
                    settle(&log.folder, &cell.aside).map_err(|source| at(&name, source))?;
                    let files = u64::try_from(over.len() + cell.aside.gone.len()).unwrap_or(u64::MAX);
                    return Ok(Some(Expired { table: name, files, rows: rows + cell.lifted() }));
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
        let Removal { id: removal, rows, lifted, why, .. } = *removal;
        let line = |fate: &str| Line {
            purpose: table.purpose().map(|purpose| purpose.name().to_owned()),
            event_type: table.event_type().map(str::to_owned),
            fate: fate.to_owned(),
            batch: Some(removal),
            ..Line::default()
        };
        // Plain counts would tell when somebody asked for it.
        let sealed = |fate: &str, rows: u64| -> Result<Line, LakeError> {
            Ok(Line { sealed: Some(self.seal_count(removal, rows).map_err(|source| at(table, source))?), ..line(fate) })
        };
        let over = |line: Line| Line { reason: Some("retention".to_owned()), ..line };
        let mut lines = match why {
            Why::Erased => vec![sealed(ERASED, rows + lifted)?],
            Why::Expired => vec![over(Line { count: rows, ..line(EXPIRED) })],
            Why::Moved if rows > 0 => vec![sealed(RESTRICTED, rows)?],
            Why::Moved => Vec::new(),
        };
        if lifted > 0 {
            lines.push(sealed(LIFTED, lifted)?);
            match why {
                Why::Expired => lines.push(over(sealed(EXPIRED, lifted)?)),
                Why::Erased | Why::Moved => {}
            }
        }
        let stamp = Stamp { group: &self.config.group, policy: "", consent: 0, now_ms };
        self.put_lines(Uuid::new_v4(), &lines, &stamp, |coverage| {
            let table = table.clone();
            let entry = || match why {
                Why::Erased => Entry::Erased { table, removal },
                Why::Expired => Entry::Expired { table, removal },
                Why::Moved => Entry::Moved { table, removal },
            };
            Ok((!coverage.has_recorded(removal)).then(|| (entry(), Vec::new())))
        })
    }
}

/// Rows that left a table which the coverage had counted, or that were moved between the table and what is set aside.
pub(crate) struct Removal {
    /// The cell of the commit that did it.
    id: Uuid,
    /// The rows that left files of the table, without those of batches that were swept.
    rows: u64,
    /// The rows that are set aside no more.
    lifted: u64,
    /// Batches of which the rows were, and of which it was open then whether they count.
    waits_for: Vec<Uuid>,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    Erased,
    Expired,
    Moved,
}

impl Removal {
    fn of(cell: &Cell, rows: u64, why: Why) -> Self {
        Self { id: cell.id, rows, lifted: cell.lifted(), waits_for: Vec::new(), why }
    }

    /// Returns how many rows the table has more because of it, and how many are set aside more.
    pub(crate) fn change(&self) -> (i128, i128) {
        let (rows, lifted) = (i128::from(self.rows), i128::from(self.lifted));
        match self.why {
            Why::Erased | Why::Expired => (-rows, -lifted),
            Why::Moved => (lifted - rows, rows - lifted),
        }
    }
}

/// Returns the removals of rows of which the coverage does not know.
pub(crate) fn unrecorded_removals(cells: &[Cell], decided: &Decided) -> Vec<Removal> {
    let removals = cells.iter().filter_map(|cell| match &cell.body {
        Body::Erased { files, .. } => {
            let counted = files.iter().filter(|file| file.batch.is_none_or(|batch| !is_swept(cells, batch)));
            let waits_for = files.iter().filter_map(|file| file.batch).collect();
            Some(Removal { waits_for, ..Removal::of(cell, counted.map(|file| file.erased).sum(), Why::Erased) })
        }
        Body::Expired { rows } => Some(Removal::of(cell, *rows, Why::Expired)),
        Body::Lifted | Body::Restricted { .. } => Some(Removal::of(cell, cell.restricted(), Why::Moved)),
        Body::Batch(_) | Body::Coverage(_) | Body::Created | Body::Swept { .. } => None,
    });
    // A commit that only makes older ones give way, or files of which all rows were swept, has nothing to be recorded.
    let is_told = |removal: &Removal| removal.rows + removal.lifted > 0 || !removal.waits_for.is_empty();
    removals.filter(|removal| is_told(removal) && !decided.has_recorded(removal.id)).collect()
}

/// Tells whether a batch's rows were void and have left the table.
pub(crate) fn is_swept(cells: &[Cell], batch: Uuid) -> bool {
    cells.iter().any(|cell| cell.swept().contains(&batch))
}

/// The fate of rows that were written once and left because their time was over.
pub(crate) const EXPIRED: &str = "expired";
/// The fate of rows that were written once and left because somebody asked for it.
pub(crate) const ERASED: &str = "erased";
/// The fate of rows that were written once and are set aside.
pub(crate) const RESTRICTED: &str = "restricted";
/// The fate of rows that were set aside and are so no more.
pub(crate) const LIFTED: &str = "lifted";
/// Coordinates are of use while the topic still has the records; a month is longer than most keep them.
const QUARANTINE_DAYS: u32 = 30;
const DAY_MS: i64 = 86_400_000;
