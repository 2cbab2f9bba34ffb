//! The offline proof that nobody changed the lake behind the ledger's back.
//!
//! The ordinary audit shows that the lake adds up; a lake that was set back, or whose files and logs were exchanged together
//! with whoever holds its keys, may add up too. Here the chain of the ledger is verified, and then each side is held
//! against the other: every version of the coverage and every file that counts is in the ledger, as it was written, and what the
//! ledger has is there or left for a reason that was told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use uuid::Uuid;
use weir_ledger::{CoverageVersion, DataFile, Entry as Told, Fault, Head, Verified};

use crate::cell::{Body, Cell};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::table_log::{TableError, TableLog};
use crate::tell::Version;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LedgerDiscrepancy {
    /// The ledger itself is not what it was.
    Chain(Fault),
    /// A file's bytes are not those that the ledger was told.
    ChangedFile {
        /// Its path below the region's folder.
        path: String,
    },
    /// A version of the coverage is not the one that the ledger was told.
    ChangedVersion {
        /// The version.
        version: u64,
    },
    /// A table's log holds a commit that is not weir's.
    ForeignCommit {
        /// The table.
        table: TableName,
        /// The version.
        version: u64,
    },
    /// A file that a table names is not there.
    MissingFile {
        /// Its path below the region's folder.
        path: String,
    },
    /// The coverage ends before what the ledger was told.
    MissingVersions {
        /// The first that is not there.
        from: u64,
        /// The last that the ledger was told.
        to: u64,
    },
    /// The ledger was told of a version twice, or in the wrong order.
    ToldTwice {
        /// The version.
        version: u64,
    },
    /// A table no longer names a file, and nothing says why.
    UnlistedFile {
        /// Its path below the region's folder.
        path: String,
    },
    /// A file counts, and the ledger was not told.
    UntoldFile {
        /// Its path below the region's folder.
        path: String,
    },
    /// The ledger was told of later versions of the coverage, and not of this one.
    UntoldVersion {
        /// The version.
        version: u64,
    },
}

/// What an audit of the ledger found.
#[derive(Clone, Debug, Default)]
pub struct LedgerReport {
    /// What must not be, in order; empty if ledger and lake are sound.
    pub discrepancies: BTreeSet<LedgerDiscrepancy>,
    /// Entries by kind.
    pub entries: BTreeMap<String, u64>,
    /// When the first entry was made, and the last.
    pub times: Option<(String, String)>,
    /// The newest head.
    pub head: Option<Head>,
    /// Files that are in the ledger and in the lake.
    pub files: u64,
    /// Versions of the coverage that the next commit or start will tell.
    pub waiting: u64,
}

impl LedgerReport {
    /// Tells whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.discrepancies.is_empty()
    }
}

impl Lake {
    /// Holds ledger and lake against each other; with `contents`, reads every file's bytes too.
    ///
    /// `kept` are heads that were kept elsewhere, with the words for where; the ring's own is always among them.
    ///
    /// # Errors
    ///
    /// Ledger or lake could not be read far enough to tell.
    pub fn audit_ledger(&self, contents: bool, kept: &[(String, String)]) -> Result<LedgerReport, LakeError> {
        let verified = self.ledger.verify(kept)?;
        let mut audit = Audit::new(&verified, contents);
        let versions = self.versions_since(None, usize::MAX)?;
        let newest = self.coverage.lock().log.version();
        audit.check_versions(&versions, newest);
        for name in self.tables_in_use()? {
            let table = self.table(&name)?;
            let mut log = table.lock();
            match log.refresh() {
                Ok(true) => self.audit_told_files(&mut log, &mut audit)?,
                Ok(false) => {}
                Err(TableError::Foreign { version }) => {
                    audit.tell(LedgerDiscrepancy::ForeignCommit { table: name, version });
                }
                Err(source) => return Err(at(&name, source)),
            }
        }
        self.audit_told_files(&mut self.coverage.lock().log, &mut audit)?;
        let skipped: BTreeSet<_> = self.config.skip.iter().map(ToString::to_string).collect();
        Ok(audit.finish(&skipped))
    }

    fn audit_told_files(&self, log: &mut TableLog, audit: &mut Audit<'_>) -> Result<(), LakeError> {
        let name = log.name.clone();
        let at_table = |source| at(&name, source);
        let live = self.live(log)?;
        let found = log.folder.data_files().map_err(|error| at_table(error.into()))?;
        let cells: Vec<_> = log.history().map_err(at_table)?.into_iter().filter_map(|(_, cell)| cell).collect();
        audit.note_commits(&name, &cells);
        for file in live {
            let path = format!("{name}/{}", file.path);
            let Some(told) = audit.take(&path) else { continue };
            let found = found.iter().find(|found| found.path == file.path);
            let is_same = || log.folder.has_sha256(&file.path, &told.sha256).map_err(|error| at_table(error.into()));
            match found {
                None => audit.tell(LedgerDiscrepancy::MissingFile { path }),
                Some(found) if found.bytes != told.bytes => audit.tell(LedgerDiscrepancy::ChangedFile { path }),
                Some(_) if audit.contents && !is_same()? => {
                    audit.tell(LedgerDiscrepancy::ChangedFile { path });
                }
                Some(_) => audit.report.files += 1,
            }
        }
        Ok(())
    }
}

/// An audit that is under way.
struct Audit<'v> {
    report: LedgerReport,
    contents: bool,
    /// Whether the chain is whole, so that what it does not say was not told.
    is_whole: bool,
    told: BTreeMap<u64, &'v CoverageVersion>,
    /// Files that the ledger has and that were not found yet.
    files: BTreeMap<&'v str, &'v DataFile>,
    expired: BTreeSet<String>,
    /// The commits of tables, and versions of the coverage, that count and of which the ledger knows nothing yet.
    waiting: BTreeSet<(TableName, Uuid)>,
    counted: BTreeSet<(TableName, Uuid)>,
    /// Files of commits that do not count, or not for the ledger yet.
    excused: BTreeSet<String>,
}

impl<'v> Audit<'v> {
    fn new(verified: &'v Verified, contents: bool) -> Self {
        let mut report = LedgerReport { head: verified.head.clone(), ..LedgerReport::default() };
        let is_of_chain = |fault: &Fault| match fault {
            Fault::ForgedHead { .. } | Fault::RolledBack { .. } | Fault::Stray { .. } => false,
            Fault::Changed { .. }
            | Fault::Cut { .. }
            | Fault::Forged { .. }
            | Fault::Misplaced { .. }
            | Fault::Unchained { .. } => true,
        };
        let is_whole = !verified.faults.iter().any(is_of_chain);
        report.discrepancies.extend(verified.faults.iter().cloned().map(LedgerDiscrepancy::Chain));
        let times = verified.entries.first().zip(verified.entries.last());
        report.times = times.map(|(first, last)| (first.at.clone(), last.at.clone()));
        let mut told: BTreeMap<u64, &CoverageVersion> = BTreeMap::new();
        for entry in &verified.entries {
            *report.entries.entry(entry.kind.clone()).or_default() += 1;
            let Some(Told::Commit(commit)) = &entry.entry else { continue };
            for version in &commit.coverage {
                if told.last_key_value().is_some_and(|(last, _)| *last >= version.version) {
                    report.discrepancies.insert(LedgerDiscrepancy::ToldTwice { version: version.version });
                }
                told.insert(version.version, version);
            }
        }
        let versions = || told.values().copied();
        let files = versions().flat_map(|version| &version.added).map(|file| (file.path.as_str(), file));
        let files: BTreeMap<&str, &DataFile> = files.collect();
        let mut expired: BTreeSet<_> = versions().flat_map(|version| version.expired.iter().cloned()).collect();
        let (waiting, counted, excused) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for found in versions().flat_map(|version| &version.replaced) {
            // Whoever changes a file before somebody is erased from it must not get away with the new file.
            if files.get(found.path.as_str()).is_some_and(|told| told.sha256 != found.sha256) {
                report.discrepancies.insert(LedgerDiscrepancy::ChangedFile { path: found.path.clone() });
            }
            expired.insert(found.path.clone());
        }
        Self { report, contents, is_whole, told, files, expired, waiting, counted, excused }
    }

    fn tell(&mut self, discrepancy: LedgerDiscrepancy) {
        self.report.discrepancies.insert(discrepancy);
    }

    /// Holds the versions of the coverage against those that were told.
    fn check_versions(&mut self, versions: &[Version], newest: Option<u64>) {
        let last = self.told.keys().next_back().copied();
        for version in versions {
            let number = version.number;
            let commits = version.commits().into_iter().map(|(table, id)| (table.clone(), id));
            match self.told.get(&number) {
                Some(told) if told.sha256 == version.sha256 => self.counted.extend(commits),
                Some(_) => self.tell(LedgerDiscrepancy::ChangedVersion { version: number }),
                None if last.is_none_or(|last| number > last) => {
                    self.report.waiting += 1;
                    self.waiting.extend(commits);
                    self.waiting.insert((TableName::Coverage, version.cell.id));
                }
                None if self.is_whole => self.tell(LedgerDiscrepancy::UntoldVersion { version: number }),
                None => {}
            }
        }
        if let Some(to) = last.filter(|last| newest.is_none_or(|newest| newest < *last)) {
            self.tell(LedgerDiscrepancy::MissingVersions { from: newest.map_or(0, |newest| newest + 1), to });
        }
    }

    /// Notes what a table's log says about files that came without counting, or left because their time was over.
    fn note_commits(&mut self, table: &TableName, cells: &[Cell]) {
        for cell in cells {
            let key = (table.clone(), cell.id);
            let counts = self.counted.contains(&key) && !self.waiting.contains(&key);
            let paths = |paths: &mut dyn Iterator<Item = &String>| -> Vec<_> {
                paths.map(|path| format!("{table}/{path}")).collect()
            };
            match &cell.body {
                Body::Erased { .. } | Body::Restricted { .. } => {
                    self.expired.extend(paths(&mut cell.removed.iter()));
                    let never_counts = |batch: Uuid| !self.counted.contains(&(table.clone(), batch));
                    let new = cell.replaced().iter().filter(|file| !counts || file.batch.is_some_and(never_counts));
                    let new = new.filter_map(|file| file.after.as_ref()).map(|path| format!("{table}/{path}"));
                    self.excused.extend(new.collect::<Vec<_>>());
                }
                Body::Expired { .. } => self.expired.extend(paths(&mut cell.removed.iter())),
                Body::Batch(_) | Body::Lifted if !counts => {
                    self.excused.extend(paths(&mut cell.files.iter().map(|file| &file.path)));
                }
                Body::Coverage(_) if self.waiting.contains(&key) => {
                    self.excused.extend(paths(&mut cell.files.iter().map(|file| &file.path)));
                }
                Body::Batch(_) | Body::Coverage(_) | Body::Created | Body::Lifted | Body::Swept { .. } => {}
            }
        }
    }

    /// Returns what was told of a file that a table names.
    fn take(&mut self, path: &str) -> Option<&'v DataFile> {
        let told = self.files.remove(path);
        if told.is_none() && self.is_whole && !self.excused.contains(path) {
            self.tell(LedgerDiscrepancy::UntoldFile { path: path.to_owned() });
        }
        told
    }

    /// What was told and is in no table must have left for a reason.
    fn finish(mut self, skipped: &BTreeSet<String>) -> LedgerReport {
        let table = |path: &str| {
            let path = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
            path.split("/date=").next().unwrap_or(path).to_owned()
        };
        let left = self.files.keys().filter(|path| !self.expired.contains(**path) && !skipped.contains(&table(path)));
        let left: Vec<_> = left.map(|path| LedgerDiscrepancy::UnlistedFile { path: (*path).to_owned() }).collect();
        self.report.discrepancies.extend(left);
        self.report
    }
}

impl LedgerDiscrepancy {
    /// Returns the name of the kind of discrepancy.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Chain(fault) => fault.name(),
            Self::ChangedFile { .. } => "changed_file",
            Self::ChangedVersion { .. } => "changed_version",
            Self::ForeignCommit { .. } => "foreign_commit",
            Self::MissingFile { .. } => "missing_file",
            Self::MissingVersions { .. } => "missing_versions",
            Self::ToldTwice { .. } => "told_twice",
            Self::UnlistedFile { .. } => "unlisted_file",
            Self::UntoldFile { .. } => "untold_file",
            Self::UntoldVersion { .. } => "untold_version",
        }
    }
}

impl fmt::Display for LedgerDiscrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(fault) => fault.fmt(f),
            Self::ChangedFile { path } => write!(f, "{path} is not as the ledger was told"),
            Self::ChangedVersion { version } => {
                write!(f, "version {version} of _coverage is not the one that the ledger was told")
            }
            Self::ForeignCommit { table, version } => {
                write!(f, "version {version} of {table} has no cell that opens")
            }
            Self::MissingFile { path } => {
                write!(f, "{path} is in the ledger and its table, and not there")
            }
            Self::MissingVersions { from, to } => {
                write!(f, "the ledger knows versions {from} to {to} of _coverage, which are not there")
            }
            Self::ToldTwice { version } => write!(f, "version {version} of _coverage was told twice, or out of order"),
            Self::UnlistedFile { path } => {
                write!(f, "{path} is in the ledger, its table no longer names it, and nothing says why")
            }
            Self::UntoldFile { path } => write!(f, "{path} counts, and the ledger was not told"),
            Self::UntoldVersion { version } => {
                write!(f, "the ledger was told later versions of _coverage, and not {version}")
            }
        }
    }
}
