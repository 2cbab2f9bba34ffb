//! The offline proof that the lake accounts for every record, exactly once.
//!
//! It needs the folder and the keys, no broker and no event: per partition the ranges tile; per range and purpose the fates
//! add up; per table the rows are those that the coverage claims, less those that left; every commit has a cell that
//! opens and says what the coverage says; every file is there as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;

use crate::accounts::EMPTY;
use crate::cell::Cell;
use crate::coverage::Line;
use crate::decided::Decided;
use crate::expire::{ERASED, EXPIRED, LIFTED, RESTRICTED, Removal, unrecorded_removals};
use crate::gap::LOST;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::log::LogError;
use crate::partition::{PartitionId, Span};
use crate::store::is_dot;
use crate::table_log::{TableError, TableLog};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discrepancy {
    /// Other rows are set aside than the coverage says.
    AsideDiffers {
        /// The table.
        table: TableName,
        /// Rows that are set aside.
        stored: i128,
        /// Rows that the coverage accounts for.
        accounted: i128,
    },
    /// A file of rows that are set aside does not open.
    ChangedAside {
        /// The table.
        table: TableName,
        /// The file's path among them.
        path: String,
    },
    /// A file's bytes are not those that were sealed.
    ChangedFile {
        /// The table.
        table: TableName,
        /// The file's path in it.
        path: String,
    },
    /// What a commit's cell counts is not what the coverage counts.
    CountsDiffer {
        /// The table.
        table: TableName,
        /// The span.
        span: Span,
    },
    /// Offsets that no range covers.
    Gap {
        /// The partition.
        partition: PartitionId,
        /// The first offset.
        from: i64,
        /// The offset after the last.
        to: i64,
    },
    /// A commit's cell does not open, or speaks of other files.
    ForeignCommit {
        /// The table.
        table: TableName,
        /// The version.
        version: u64,
    },
    /// A live file is not there.
    MissingFile {
        /// The table.
        table: TableName,
        /// The file's path in it.
        path: String,
    },
    /// Offsets that two ranges cover.
    Overlap {
        /// The partition.
        partition: PartitionId,
        /// The offset from which they do.
        from: i64,
    },
    /// A table has other rows than the coverage says.
    RowsDiffer {
        /// The table.
        table: TableName,
        /// Rows in it.
        stored: i128,
        /// Rows that the coverage accounts for.
        accounted: i128,
    },
    /// Rows of a commit that no batch counts as its own.
    Unclaimed {
        /// The table.
        table: TableName,
        /// Rows in it.
        rows: u64,
    },
    /// Two purposes of a range count different numbers of records.
    Unbalanced {
        /// The range.
        span: Span,
    },
    /// The table's watermark is not the end of the last range.
    WrongEnd {
        /// The partition.
        partition: PartitionId,
        /// Where the ranges end.
        covered: i64,
        /// What the log says.
        watermark: Option<i64>,
    },
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// What must not be, in order; empty if the lake is sound.
    pub discrepancies: BTreeSet<Discrepancy>,
    /// Partitions that have ranges, and the offset after the last.
    pub partitions: BTreeMap<PartitionId, i64>,
    /// Records by purpose, fate and reason; offsets that were lost have no purpose.
    pub fates: BTreeMap<(String, String, Option<String>), u64>,
    /// Rows of each table.
    pub tables: BTreeMap<TableName, u64>,
    /// Rows that are set aside.
    pub aside: u64,
    /// Commits of an interrupted batch that wait for their partition's next owner.
    pub pending: u64,
    /// Commits with fewer than [`FEW_PEOPLE`] distinct people, whose rows could be matched across purposes.
    pub small_commits: u64,
    /// Files that no version names: left by a crash, and the next vacuum's.
    pub orphans: u64,
}

/// Below this many people a commit counts as small.
pub const FEW_PEOPLE: u64 = 20;

impl AuditReport {
    /// Tells whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.discrepancies.is_empty()
    }
}

impl Lake {
    /// Proves the lake from its logs; with `contents`, reads every file's bytes too.
    ///
    /// # Errors
    ///
    /// The lake could not be read far enough to tell.
    pub fn audit(&self, contents: bool) -> Result<AuditReport, LakeError> {
        let mut report = AuditReport::default();
        let decided = self.decided()?;
        let mut books = Books::default();
        self.coverage_lines(|line| books.take(line))?;
        books.check_ranges(&mut report);
        self.check_ends(&books, &mut report)?;
        let names = self.tables_in_use()?;
        for name in names {
            let table = self.table(&name)?;
            let mut log = table.lock();
            match log.refresh() {
                Ok(true) => self.audit_table(&mut log, &books, &decided, contents, &mut report)?,
                Ok(false) => {}
                Err(TableError::Foreign { version }) => {
                    report.discrepancies.insert(Discrepancy::ForeignCommit { table: name, version });
                }
                Err(source) => return Err(at(&name, source)),
            }
        }
        self.audit_coverage(&mut report)?;
        report.fates = books.fates;
        Ok(report)
    }

    fn check_ends(&self, books: &Books, report: &mut AuditReport) -> Result<(), LakeError> {
        let partitions: Vec<_> = report.partitions.keys().cloned().collect();
        for (partition, watermark) in partitions.iter().zip(self.watermarks(&partitions)?) {
            let covered = books.end(partition);
            if watermark != Some(covered) {
                let partition = partition.clone();
                report.discrepancies.insert(Discrepancy::WrongEnd { partition, covered, watermark });
            }
        }
        Ok(())
    }

    fn audit_table(
        &self,
        log: &mut TableLog,
        books: &Books,
        decided: &Decided,
        contents: bool,
        report: &mut AuditReport,
    ) -> Result<(), LakeError> {
        let name = log.name.clone();
        check_commits(log, report).map_err(|source| at(&name, source))?;
        let cells = decided.cells(log)?;
        let swept: BTreeSet<_> = cells.iter().flat_map(Cell::swept).collect();
        let mut uncounted = 0;
        for cell in cells.iter().filter(|cell| cell.batch().is_some() && !swept.contains(&cell.id)) {
            if decided.is_claimed(&name, cell) {
                uncounted += books.check_counts(&name, cell, report);
                report.small_commits += u64::from(is_small(cell));
                continue;
            }
            uncounted += cell.rows();
            if decided.is_unclaimed(&name, cell) {
                report.discrepancies.insert(Discrepancy::Unclaimed { table: name.clone(), rows: cell.rows() });
            } else {
                report.pending += 1;
            }
        }
        let stored = self.check_files(log, &cells, contents, report)?;
        report.tables.insert(name.clone(), stored);
        if name != TableName::Quarantine {
            let unrecorded = unrecorded_removals(&cells, decided);
            let changes = || unrecorded.iter().map(Removal::change);
            let accounted = books.rows(&name) + changes().map(|(rows, _)| rows).sum::<i128>();
            self.audit_aside(log, books.aside(&name) + changes().map(|(_, aside)| aside).sum::<i128>(), report)?;
            let stored = i128::from(stored) - i128::from(uncounted);
            if stored != accounted {
                report.discrepancies.insert(Discrepancy::RowsDiffer { table: name, stored, accounted });
            }
        }
        Ok(())
    }

    /// Checks that as many rows are set aside as the coverage says, and that each file of them opens.
    fn audit_aside(&self, log: &TableLog, accounted: i128, report: &mut AuditReport) -> Result<(), LakeError> {
        let table = || log.name.clone();
        match self.asides_where(log, |_| true) {
            Ok(marks) => {
                let rows: u64 = marks.iter().map(|mark| mark.rows).sum();
                report.aside += rows;
                let stored = i128::from(rows);
                if stored != accounted {
                    report.discrepancies.insert(Discrepancy::AsideDiffers { table: table(), stored, accounted });
                }
            }
            Err(TableError::Log(LogError::Damaged { name: path })) => {
                report.discrepancies.insert(Discrepancy::ChangedAside { table: table(), path });
            }
            Err(source) => return Err(at(&log.name, source)),
        }
        Ok(())
    }

    fn audit_coverage(&self, report: &mut AuditReport) -> Result<(), LakeError> {
        let mut coverage = self.coverage.lock();
        let at_coverage = |source| at(&TableName::Coverage, source);
        check_commits(&coverage.log, report).map_err(at_coverage)?;
        let history = coverage.log.history().map_err(at_coverage)?;
        let cells: Vec<_> = history.into_iter().filter_map(|(_, cell)| cell).collect();
        // The coverage's own files are small and are what everything else is checked against.
        self.check_files(&mut coverage.log, &cells, true, report)?;
        Ok(())
    }

    /// Checks that every live file is there as it was written; returns the rows in them.
    fn check_files(
        &self,
        log: &mut TableLog,
        cells: &[Cell],
        contents: bool,
        report: &mut AuditReport,
    ) -> Result<u64, LakeError> {
        let name = log.name.clone();
        let at_table = |source| at(&name, source);
        let marks: BTreeMap<_, _> = cells.iter().flat_map(|cell| &cell.files).map(|file| (&file.path, file)).collect();
        let found = log.folder.data_files().map_err(|error| at_table(error.into()))?;
        let found: BTreeMap<_, _> = found.into_iter().map(|file| (file.path, file.bytes)).collect();
        let live = self.live(log)?;
        let mut known: BTreeSet<_> = removed_paths(log).map_err(at_table)?;
        let mut rows = 0;
        for file in live {
            rows += file.rows.unwrap_or_default();
            let (table, path) = (name.clone(), file.path.clone());
            match found.get(&file.path) {
                None => {
                    report.discrepancies.insert(Discrepancy::MissingFile { table, path });
                }
                Some(bytes) if *bytes != file.bytes => {
                    report.discrepancies.insert(Discrepancy::ChangedFile { table, path });
                }
                Some(_) => {
                    let mark = marks.get(&file.path).filter(|_| contents);
                    let is_changed = match mark {
                        Some(mark) => {
                            let is_same = log.folder.has_sha256(&file.path, &mark.sha256);
                            !is_same.map_err(|error| at_table(error.into()))?
                        }
                        None => false,
                    };
                    if is_changed {
                        report.discrepancies.insert(Discrepancy::ChangedFile { table, path });
                    }
                }
            }
            known.insert(file.path);
        }
        let is_orphan = |path: &&String| !known.contains(*path) && !is_dot(path.rsplit('/').next().unwrap_or(path));
        report.orphans += number(found.keys().filter(is_orphan).count());
        Ok(rows)
    }
}

/// Records by fate and reason.
type FateCounts = BTreeMap<(String, Option<String>), u64>;

/// The lines of the coverage, added up.
#[derive(Default)]
struct Books {
    /// Records by range and purpose.
    ranges: BTreeMap<Span, BTreeMap<String, u64>>,
    /// Rows written less those that left since, by table.
    rows: BTreeMap<TableName, i128>,
    /// Rows set aside less those that are so no more, by table.
    aside: BTreeMap<TableName, i128>,
    /// Counts by commit, table and range.
    counts: BTreeMap<(Uuid, TableName, Span), FateCounts>,
    fates: BTreeMap<(String, String, Option<String>), u64>,
}

impl Books {
    fn take(&mut self, line: Line) {
        let table = line.purpose.as_deref().zip(line.event_type.as_deref());
        let table = table.and_then(|(purpose, event_type)| format!("{purpose}/{event_type}").parse::<TableName>().ok());
        if let Some(table) = &table {
            let count = i128::from(line.count);
            let (rows, aside) = match line.fate.as_str() {
                WRITTEN => (count, 0),
                ERASED | EXPIRED => (-count, 0),
                RESTRICTED => (-count, count),
                LIFTED => (count, -count),
                _ => (0, 0),
            };
            *self.rows.entry(table.clone()).or_default() += rows;
            *self.aside.entry(table.clone()).or_default() += aside;
        }
        let Some(span) = line.span else { return };
        let purposes = self.ranges.entry(span.clone()).or_default();
        if line.fate == EMPTY {
            return;
        }
        let purpose = line.purpose.unwrap_or_default();
        if line.fate != LOST {
            *purposes.entry(purpose.clone()).or_default() += line.count;
        }
        *self.fates.entry((purpose, line.fate.clone(), line.reason.clone())).or_default() += line.count;
        if let Some((batch, table)) = line.batch.zip(table) {
            let counts = self.counts.entry((batch, table, span)).or_default();
            *counts.entry((line.fate, line.reason)).or_default() += line.count;
        }
    }

    /// Checks that ranges tile and that purposes agree.
    fn check_ranges(&self, report: &mut AuditReport) {
        for (span, purposes) in &self.ranges {
            let before = report.partitions.insert(span.partition.clone(), span.to);
            let partition = span.partition.clone();
            match before {
                Some(end) if end < span.from => {
                    report.discrepancies.insert(Discrepancy::Gap { partition, from: end, to: span.from });
                }
                Some(end) if end > span.from => {
                    report.discrepancies.insert(Discrepancy::Overlap { partition, from: span.from });
                }
                Some(_) | None => {}
            }
            let counts: BTreeSet<_> = purposes.values().collect();
            let all = purposes.is_empty() || purposes.len() == PURPOSES;
            if counts.len() > 1 || !all {
                report.discrepancies.insert(Discrepancy::Unbalanced { span: span.clone() });
            }
        }
    }

    /// Checks that a commit's cell and the coverage count the same; returns the rows of parts that wait for their owner.
    fn check_counts(&self, table: &TableName, cell: &Cell, report: &mut AuditReport) -> u64 {
        let mut waiting = 0;
        for part in cell.batch().map(|batch| batch.parts.as_slice()).unwrap_or_default() {
            if !self.ranges.contains_key(&part.span) {
                waiting +=
                    part.counts.iter().filter(|count| count.fate == WRITTEN).map(|count| count.records).sum::<u64>();
                report.pending += 1;
                continue;
            }
            let key = (cell.id, table.clone(), part.span.clone());
            let sealed: FateCounts =
                part.counts.iter().map(|count| ((count.fate.clone(), count.reason.clone()), count.records)).collect();
            if *table != TableName::Quarantine && self.counts.get(&key).cloned().unwrap_or_default() != sealed {
                let (table, span) = (table.clone(), part.span.clone());
                report.discrepancies.insert(Discrepancy::CountsDiffer { table, span });
            }
        }
        waiting
    }

    fn end(&self, partition: &PartitionId) -> i64 {
        self.ranges.keys().filter(|span| span.partition == *partition).map(|span| span.to).max().unwrap_or_default()
    }

    fn rows(&self, table: &TableName) -> i128 {
        self.rows.get(table).copied().unwrap_or_default()
    }

    fn aside(&self, table: &TableName) -> i128 {
        self.aside.get(table).copied().unwrap_or_default()
    }
}

/// Checks that every commit which the log still holds is weir's own.
fn check_commits(log: &TableLog, report: &mut AuditReport) -> Result<(), TableError> {
    let history = log.history()?;
    let foreign = history.iter().filter(|(_, cell)| cell.is_none());
    report.discrepancies.extend(
        foreign.map(|(commit, _)| Discrepancy::ForeignCommit { table: log.name.clone(), version: commit.version }),
    );
    Ok(())
}

fn is_small(cell: &Cell) -> bool {
    cell.batch().is_some_and(|batch| (1..FEW_PEOPLE).contains(&batch.people))
}

fn removed_paths(log: &TableLog) -> Result<BTreeSet<String>, TableError> {
    Ok(log.history()?.into_iter().flat_map(|(commit, _)| commit.removes).collect())
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsideDiffers { table, stored, accounted } => {
                write!(f, "rows set aside differ: {table} has {stored}, the coverage accounts for {accounted}")
            }
            Self::ChangedAside { table, path } => {
                write!(f, "changed rows set aside: {path} of {table} does not open")
            }
            Self::ChangedFile { table, path } => write!(f, "changed file: {table}/{path} is not as it was sealed"),
            Self::CountsDiffer { table, span } => {
                write!(f, "counts differ: the commit to {table} for {span} and the coverage disagree")
            }
            Self::Gap { partition, from, to } => write!(f, "gap: no range of {partition} covers [{from}, {to})"),
            Self::ForeignCommit { table, version } => {
                write!(f, "foreign commit: version {version} of {table} has no cell that opens")
            }
            Self::MissingFile { table, path } => write!(f, "missing file: {table}/{path} is in the log and not there"),
            Self::Overlap { partition, from } => write!(f, "overlap: two ranges of {partition} cover {from}"),
            Self::RowsDiffer { table, stored, accounted } => {
                write!(f, "rows differ: {table} has {stored}, the coverage accounts for {accounted}")
            }
            Self::Unclaimed { table, rows } => write!(f, "unclaimed commit: {rows} rows of {table} belong to no batch"),
            Self::Unbalanced { span } => write!(f, "unbalanced: the purposes of {span} count different records"),
            Self::WrongEnd { partition, covered, watermark } => {
                let watermark = watermark.map_or_else(|| "nowhere".to_owned(), |watermark| watermark.to_string());
                write!(f, "wrong end: the ranges of {partition} end at {covered}, the log says {watermark}")
            }
        }
    }
}

const PURPOSES: usize = 3;
const WRITTEN: &str = "written";
