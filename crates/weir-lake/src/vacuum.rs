//! Cleaning up: commits that nobody claims, files that no version needs, entries of the log that a checkpoint covers.
//!
//! A file that left a table stays until readers of older versions are done; a file that never was in one stays until its
//! writer surely is. The coverage is cleaned last and least: it must outlast the entries of the tables it decides about.

use std::collections::{BTreeMap, BTreeSet};

use crate::cell::Cell;
use crate::decided::Decided;
use crate::kernel::Kernel;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::log::{Commit, Listing};
use crate::partition::Span;
use crate::store::{FoundFile, LOG, is_dot};
use crate::table_log::{TableError, TableLog};
use crate::upkeep::Upkeep;

/// What a vacuum removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Commits that nobody claimed.
    pub commits: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of logs.
    pub log_files: u64,
}

impl Lake {
    /// Removes what has been of no use for `older_than_ms`.
    ///
    /// # Errors
    ///
    /// The lake is away, or its coverage or ledger can't be read or written.
    pub fn vacuum(&self, older_than_ms: i64, now_ms: i64) -> Result<Upkeep<Vacuumed>, LakeError> {
        // The logs tell the ledger what it does not know yet, so that comes before they are cleaned.
        self.tell_ledger(now_ms)?;
        let cutoff_ms = now_ms.saturating_sub(older_than_ms);
        let decided = self.decided()?;
        let mut upkeep =
            self.keep_up(|name, vacuumed| self.vacuum_one(name, &decided, (cutoff_ms, now_ms), vacuumed))?;
        let mut coverage = self.coverage.lock();
        if coverage.refresh().map_err(|source| at(&TableName::Coverage, source))? {
            let history = coverage.log.history().map_err(|source| at(&TableName::Coverage, source))?;
            self.vacuum_table(&mut coverage.log, &left_at(history), cutoff_ms, &mut upkeep.done)?;
            // It must outlast the entries of tables that nobody looked into, too.
            if upkeep.is_whole() {
                let cutoff_ms = cutoff_ms.saturating_sub(MARGIN_MS);
                upkeep.done.log_files += self.clean_log(&mut coverage.log, cutoff_ms, None)?;
            }
        }
        drop(coverage);
        self.tell_ledger(now_ms)?;
        Ok(upkeep)
    }

    fn vacuum_one(
        &self,
        name: &TableName,
        decided: &Decided,
        (cutoff_ms, now_ms): (i64, i64),
        vacuumed: &mut Vacuumed,
    ) -> Result<(), LakeError> {
        let table = self.table(name)?;
        let mut log = table.lock();
        if !log.refresh().map_err(|source| at(name, source))? {
            return Ok(());
        }
        vacuumed.commits += self.remove_unclaimed(&mut log, decided, now_ms)?;
        // Before the entries go that tell of them.
        self.record_removals(&log, decided, now_ms)?;
        Self::remove_stray_asides(&log, now_ms)?;
        let history = log.history().map_err(|source| at(name, source))?;
        let open = self.oldest_open(name, &history);
        self.vacuum_table(&mut log, &left_at(history), cutoff_ms, vacuumed)?;
        vacuumed.log_files += self.clean_log(&mut log, cutoff_ms, open)?;
        Ok(())
    }

    /// Declares void, and removes, the commits of a table that can never count.
    pub(crate) fn remove_unclaimed(
        &self,
        log: &mut TableLog,
        decided: &Decided,
        now_ms: i64,
    ) -> Result<u64, LakeError> {
        let cells = decided.cells(log)?;
        for cell in cells.iter().filter(|cell| decided.is_unclaimed(&log.name, cell)) {
            self.void(&log.name, cell.id, now_ms)?;
        }
        let void = self.void_cells(cells, log);
        self.sweep_cells(log, &void).map(|commits| u64::try_from(commits).unwrap_or(u64::MAX))
    }

    /// Does what commits say about files of rows set aside, and removes those that no commit will ever name.
    pub(crate) fn remove_stray_asides(log: &TableLog, now_ms: i64) -> Result<(), LakeError> {
        let removed = Self::settle(log).and_then(|()| Ok(log.folder.asides.remove_strays(now_ms - ORPHAN_MS)?));
        removed.map_err(|source| at(&log.name, source))
    }

    fn vacuum_table(
        &self,
        log: &mut TableLog,
        left: &BTreeMap<String, i64>,
        cutoff_ms: i64,
        vacuumed: &mut Vacuumed,
    ) -> Result<(), LakeError> {
        let is_over = |file: &FoundFile| left.get(&file.path).copied().unwrap_or(file.modified_ms) <= cutoff_ms;
        self.remove_files(log, is_over, vacuumed)
    }

    /// Removes the files that left the table, whenever that was, and those that were never in it once no writer can want them.
    pub(crate) fn vacuum_left(
        &self,
        log: &mut TableLog,
        now_ms: i64,
        vacuumed: &mut Vacuumed,
    ) -> Result<(), LakeError> {
        let left = left_at(log.history().map_err(|source| at(&log.name, source))?);
        let is_over = |file: &FoundFile| left.contains_key(&file.path) || file.modified_ms <= now_ms - ORPHAN_MS;
        self.remove_files(log, is_over, vacuumed)
    }

    /// Removes data files that are not live.
    fn remove_files(
        &self,
        log: &mut TableLog,
        is_over: impl Fn(&FoundFile) -> bool,
        vacuumed: &mut Vacuumed,
    ) -> Result<(), LakeError> {
        let name = log.name.clone();
        let at_table = |source| at(&name, source);
        let live: BTreeSet<_> = self.live(log)?.into_iter().map(|file| file.path).collect();
        let is_useless = |file: &FoundFile| !live.contains(&file.path) && is_over(file) && is_data(&file.path);
        let files = log.folder.data_files().map_err(|error| at_table(error.into()))?;
        for file in files.into_iter().filter(is_useless) {
            log.folder.remove(&file.path).map_err(|error| at_table(error.into()))?;
            vacuumed.files += 1;
            vacuumed.bytes += file.bytes;
        }
        log.folder.remove_stray_indexes().map_err(|error| at_table(error.into()))?;
        log.folder.remove_empty_folders().map_err(|error| at_table(error.into()))
    }

    /// Returns the version of the oldest commit of a batch that was interrupted: the next owner of its partitions finishes it, and
    /// nothing else than this commit tells of it.
    fn oldest_open(&self, table: &TableName, history: &[(Commit, Option<Cell>)]) -> Option<u64> {
        let coverage = self.coverage.lock();
        let is_beyond = |span: &Span| coverage.watermark(&span.partition).is_none_or(|watermark| watermark < span.to);
        let is_open = |cell: &Cell| {
            cell.batch().is_some() && !coverage.is_void(table, cell.id) && cell.spans().iter().any(is_beyond)
        };
        history.iter().find(|(_, cell)| cell.as_ref().is_some_and(is_open)).map(|(commit, _)| commit.version)
    }

    /// Removes log entries that are old, that a checkpoint covers and that come before `open`; returns how many files.
    fn clean_log(&self, log: &mut TableLog, cutoff_ms: i64, open: Option<u64>) -> Result<u64, LakeError> {
        let name = log.name.clone();
        clean_log(&self.kernel, log, cutoff_ms, open).map_err(|source| at(&name, source))
    }
}

fn clean_log(kernel: &Kernel, log: &mut TableLog, cutoff_ms: i64, open: Option<u64>) -> Result<u64, TableError> {
    let old: BTreeMap<_, _> = log
        .folder
        .log_files()?
        .into_iter()
        .filter(|file| file.modified_ms <= cutoff_ms)
        .filter_map(|file| Some((file.path.strip_prefix(LOG)?.strip_prefix('/')?.to_owned(), file.modified_ms)))
        .collect();
    let version_of = |name: &str| name.get(..20).and_then(|digits| digits.parse::<u64>().ok());
    let newest_old = old.keys().filter_map(|name| version_of(name)).max();
    let newest_checkpoint = |log: &TableLog| -> Result<Option<u64>, TableError> {
        Ok(Listing::read(&log.folder)?.checkpoints.last().map(|(version, _)| *version))
    };
    if newest_old > newest_checkpoint(log)? {
        log.checkpoint_now(kernel)?;
    }
    let Some(checkpoint) = newest_checkpoint(log)? else { return Ok(0) };
    let end = open.map_or(checkpoint, |open| open.min(checkpoint));
    let mut removed = 0;
    for name in old.keys().filter(|name| version_of(name).is_some_and(|version| version < end)) {
        log.folder.remove(&format!("{LOG}/{name}"))?;
        removed += 1;
    }
    Ok(removed)
}

/// When each file left the table, as far as the log still tells.
fn left_at(history: Vec<(Commit, Option<Cell>)>) -> BTreeMap<String, i64> {
    let removes = history.into_iter().flat_map(|(commit, _)| {
        let left_ms = commit.timestamp_ms.unwrap_or(i64::MAX);
        commit.removes.into_iter().map(move |path| (path, left_ms))
    });
    removes.collect()
}

/// Only files of the kind that weir writes are ever removed.
fn is_data(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    std::path::Path::new(name).extension().is_some_and(|extension| extension == "parquet") || is_dot(name)
}

/// A commit that is under way for longer than this has failed.
const ORPHAN_MS: i64 = 86_400_000;
/// How much longer the coverage's log is kept than the tables'.
const MARGIN_MS: i64 = 86_400_000;
