//! The ledger is told what counts: each version of the coverage once, with the files that it made count.
//!
//! It follows the coverage: whatever the coverage decided since the ledger was last told is told at the next commit, at the
//! next start, and before logs are cleaned. So a crash between the two costs nothing, and of two writers one tells.

use std::collections::BTreeSet;

use uuid::Uuid;
use weir_ledger::{Commit, CoverageVersion, DataFile, Entry as Told, LedgerError, Past};

use crate::cell::{Body, Cell, Claim, Entry, FileMark};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::log::commit_name;
use crate::store::LOG;

/// A version of the coverage as its log has it.
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) sha256: String,
    pub(crate) cell: Cell,
}

impl Lake {
    /// Tells the ledger what the coverage decided since it was last told.
    ///
    /// # Errors
    ///
    /// The ledger can't be written or is not what it was, or a log can't be read.
    pub fn tell_ledger(&self, now_ms: i64) -> Result<(), LakeError> {
        loop {
            let known = self.ledger.look(last_version)?;
            let versions = self.versions_since(known, VERSIONS_MAX)?;
            if versions.is_empty() {
                return Ok(());
            }
            let coverage = versions.iter().map(|version| self.told(version)).collect::<Result<_, _>>()?;
            let entry = Told::Commit(Commit { coverage });
            // Nothing is added when another writer told first; what that one left is told in the next round.
            self.ledger
                .append_if::<LakeError>(now_ms, |past| Ok((last_version(past)? == known).then(|| entry.clone())))?;
        }
    }

    /// Reads versions of the coverage after the one that is given, oldest first; those that the log no longer holds are gone.
    pub(crate) fn versions_since(&self, known: Option<u64>, most: usize) -> Result<Vec<Version>, LakeError> {
        let mut coverage = self.coverage.lock();
        let at_coverage = |source| at(&TableName::Coverage, source);
        if !coverage.refresh().map_err(at_coverage)? {
            return Ok(Vec::new());
        }
        // Whoever changes the lake asks here first.
        self.check_settings(&coverage)?;
        let newest = coverage.log.version().unwrap_or_default();
        let mut versions = Vec::new();
        for number in known.map_or(0, |known| known + 1)..=newest {
            if versions.len() == most {
                break;
            }
            let Some(cell) = coverage.log.cell_of(number).map_err(at_coverage)? else { continue };
            let file = format!("{LOG}/{}", commit_name(number));
            let sha256 = coverage.log.folder.sha256(&file).map_err(|error| at_coverage(error.into()))?;
            versions.push(Version { number, sha256, cell });
        }
        Ok(versions)
    }

    fn told(&self, version: &Version) -> Result<CoverageVersion, LakeError> {
        let mut added = files(&TableName::Coverage, &version.cell);
        let (mut expired, mut replaced) = (Vec::new(), Vec::new());
        for (table, id) in version.commits() {
            let Some(cell) = self.find_cell(table, id)? else {
                tracing::warn!(%table, version = version.number, "the log no longer holds what the ledger is to be told");
                continue;
            };
            let swept = self.void_heirs(table, &cell);
            added.extend(files(table, &cell).into_iter().filter(|file| !swept.contains(&file.path)));
            if let Body::Expired { .. } = cell.body {
                expired.extend(cell.removed.iter().map(|path| format!("{table}/{path}")));
            }
            replaced.extend(cell.replaced().iter().map(|file| data_file(table, &file.before)));
        }
        // In the order of their random names: nothing is to be read from the order.
        added.sort();
        replaced.sort();
        Ok(CoverageVersion { version: version.number, sha256: version.sha256.clone(), added, expired, replaced })
    }

    /// Returns the paths of new files whose rows never counted.
    fn void_heirs(&self, table: &TableName, cell: &Cell) -> BTreeSet<String> {
        let coverage = self.coverage.lock();
        let is_void = |batch: Option<Uuid>| batch.is_some_and(|batch| coverage.is_void(table, batch));
        let void = cell.replaced().iter().filter(|file| is_void(file.batch));
        void.filter_map(|file| Some(format!("{table}/{}", file.after.as_ref()?))).collect()
    }

    fn find_cell(&self, table: &TableName, id: Uuid) -> Result<Option<Cell>, LakeError> {
        let log = self.table(table)?;
        let mut log = log.lock();
        let at_table = |source| at(table, source);
        if !log.refresh().map_err(at_table)? {
            return Ok(None);
        }
        if let Some(cell) = log.cells().rev().find(|cell| cell.id == id) {
            return Ok(Some(cell.clone()));
        }
        let history = log.history().map_err(at_table)?;
        Ok(history.into_iter().filter_map(|(_, cell)| cell).find(|cell| cell.id == id))
    }
}

impl Version {
    /// Returns the commits of tables that this version makes count, and those that removed or moved rows.
    pub(crate) fn commits(&self) -> BTreeSet<(&TableName, Uuid)> {
        match &self.cell.body {
            Body::Coverage(Entry::Batch { claims, .. }) => {
                claims.iter().map(|Claim { table, batch, .. }| (table, *batch)).collect()
            }
            Body::Coverage(
                Entry::Erased { table, removal } | Entry::Expired { table, removal } | Entry::Moved { table, removal },
            ) => [(table, *removal)].into(),
            Body::Coverage(Entry::Taken { .. } | Entry::Void { .. })
            | Body::Batch(_)
            | Body::Created
            | Body::Erased { .. }
            | Body::Expired { .. }
            | Body::Lifted
            | Body::Restricted { .. }
            | Body::Swept { .. } => BTreeSet::new(),
        }
    }
}

/// Returns the newest version of the coverage that the ledger was told of.
fn last_version(past: &Past<'_>) -> Result<Option<u64>, LedgerError> {
    let last = past.last("commit")?;
    Ok(match last {
        Some(Told::Commit(commit)) => commit.coverage.last().map(|version| version.version),
        Some(_) | None => None,
    })
}

fn files(table: &TableName, cell: &Cell) -> Vec<DataFile> {
    cell.files.iter().map(|file| data_file(table, file)).collect()
}

fn data_file(table: &TableName, file: &FileMark) -> DataFile {
    DataFile { path: format!("{table}/{}", file.path), sha256: file.sha256.clone(), bytes: file.bytes }
}

/// Versions of the coverage in one entry: a ledger that is new to an old lake is told in pieces.
const VERSIONS_MAX: usize = 256;
