//! People are erased: every file that holds a row of theirs is replaced by one without it. And the way in which rows of people leave a
//! table, which a restriction goes too.
//!
//! [`Lake::erase`] is called when the consent store of every writer says `erased_before`, or is too old to be asked. For each table
//! it looks into the files that may hold them (`find`), writes those that do anew (`rewrite`), and puts one commit. A
//! conflict starts over from what the table is then; files that were looked into are not looked into again.
//!
//! # Why no row comes after
//!
//! A writer reads a table on, asks consent, and puts right on top of what it read (`attempt`). Every table gets our commit, even
//! one without a row of theirs: so whatever was judged before it finds that someone else was first, and asks again. Rows that are
//! put after it were judged after it, by a store that knows of the erasure. See docs/rights.md for the one bound.
//!
//! # Crashes
//!
//! Until its commit, what was written anew is an orphan, which vacuum takes. After it, the coverage has to be told, as of expired
//! rows: the next erasure, expiry or vacuum does that. Asking again for the same people completes what was begun,
//! and the account of it then holds the commits of both.

use std::collections::{BTreeMap, VecDeque};
use std::thread;

use parking_lot::Mutex;
use uuid::Uuid;
use weir_keys::KeySet;
use weir_policy::{PurposeSet, Purposes};

use crate::aside::{Aside, discard_asides, settle};
use crate::cell::{AsideChange, AsideMark, Body, Cell, FileMark, Replaced};
use crate::decided::Decided;
use crate::find::Found;
use crate::kernel::{Change, LiveFile};
use crate::lake::{Lake, LakeError, at};
use crate::layout::{TableName, parse_day};
use crate::person::{Person, Pseudonyms, Wanted};
use crate::rewrite::{extract, rewrite};
use crate::seal::WrittenFile;
use crate::store::TableFolder;
use crate::table_log::{Attempt, TableError, TableLog};
use crate::vacuum::Vacuumed;

/// What an erasure did, by those of its commits that the logs still hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Marks the request: the same for the same people.
    pub request: String,
    /// The commits that removed rows.
    pub commits: Vec<ErasedCommit>,
    /// For each person, in the order they were given, their rows that this call removed, by table.
    pub people: Vec<BTreeMap<TableName, u64>>,
    /// Tables that were looked into.
    pub tables: u64,
    /// Tables that the configuration skips: nobody looked into them.
    pub skipped: Vec<TableName>,
}

/// A commit that removed rows from a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedCommit {
    /// The table.
    pub table: TableName,
    /// The version of the Delta table.
    pub version: u64,
    /// When it was committed, by this machine's clock.
    pub at_ms: i64,
    /// The files that held rows.
    pub files: Vec<ErasedFile>,
    /// Rows that were set aside, and are gone too.
    pub set_aside: u64,
}

impl ErasedCommit {
    /// Returns the rows that left.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.erased).sum::<u64>() + self.set_aside
    }
}

/// A file that held rows, and the one that took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedFile {
    /// The file as it was found.
    pub before: DataFileMark,
    /// The new one; none if no row was left.
    pub after: Option<DataFileMark>,
    /// The rows that left.
    pub erased: u64,
}

/// A data file, by what tells it from every other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFileMark {
    /// The path below the table.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// How far a request about people is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Tables that are done, and all.
    pub tables: (usize, usize),
    /// Files of the next table that are done, and all.
    pub files: (usize, usize),
}

/// What a request about people needs to know besides whom it is about.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds functions")]
pub struct Request<'r> {
    /// How coarse times of files are.
    pub purposes: &'r Purposes,
    /// The clock, in milliseconds since 1970.
    pub now_ms: &'r (dyn Fn() -> i64 + Sync),
    /// Told of each file that was looked into.
    pub progress: &'r (dyn Fn(Progress) + Sync),
}

/// What becomes of people's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// They are gone.
    Erase,
    /// They are set aside.
    Restrict,
}

/// A file that was looked into.
enum Looked {
    /// It holds nobody.
    Clean,
    /// It holds people; the file without them waits to be committed.
    Held(Box<Held>),
}

/// What a file holds of people.
struct Held {
    before: FileMark,
    /// The file without them; none if nobody else is in it.
    after: Option<WrittenFile>,
    found: Found,
    /// Their rows, where these are set aside.
    aside: Option<AsideMark>,
}

/// One table, and the people whose rows leave it.
struct Work<'w> {
    name: &'w TableName,
    folder: TableFolder,
    wanted: &'w Pseudonyms,
    deed: Deed,
    looked: BTreeMap<String, Looked>,
    /// What becomes of rows that are set aside already, and how many there are of each person.
    asides: (AsideChange, Vec<u64>),
}

impl Lake {
    /// Removes every row that holds one of these people, in any identifier column.
    ///
    /// # Errors
    ///
    /// A table, the coverage or the ledger can't be read or written. What was removed before stays removed; ask again.
    pub fn erase(&self, keys: &KeySet, people: &[Person], request: &Request<'_>) -> Result<Erasure, LakeError> {
        // What the ledger cannot be told must not be done.
        self.tell_ledger((request.now_ms)())?;
        let wanted = Wanted::of(people, keys, &self.secrets)?;
        let (names, skipped) = self.tables_of(PurposeSet::ALL)?;
        let mut erasure = Erasure { request: wanted.request.clone(), skipped, ..Erasure::default() };
        erasure.people.resize(people.len(), BTreeMap::new());
        for (done, name) in names.iter().enumerate() {
            let progress = |files| (request.progress)(Progress { tables: (done, names.len()), files });
            let deed = (Deed::Erase, request);
            erasure.tables += u64::from(self.take_out(name, &wanted, deed, &progress, &mut erasure.people)?);
        }
        self.record_erasures(&names, request, &mut erasure)?;
        self.tell_ledger((request.now_ms)())?;
        Ok(erasure)
    }

    /// Removes at once the files that left their tables, and those of nobody that are a day old; for after an erasure.
    ///
    /// # Errors
    ///
    /// A table can't be read, or a file not be removed.
    pub fn vacuum_erased(&self, now_ms: i64) -> Result<Vacuumed, LakeError> {
        let mut vacuumed = Vacuumed::default();
        for name in self.tables_in_use()? {
            let table = self.table(&name)?;
            let mut log = table.lock();
            if log.refresh().map_err(|source| at(&name, source))? {
                Self::remove_stray_asides(&log, now_ms)?;
                self.vacuum_left(&mut log, now_ms, &mut vacuumed)?;
            }
        }
        Ok(vacuumed)
    }

    /// Lists the tables of purposes, and those that the configuration skips.
    pub(crate) fn tables_of(&self, purposes: PurposeSet) -> Result<(Vec<TableName>, Vec<TableName>), LakeError> {
        let is_of = |name: &TableName| name.purpose().is_some_and(|purpose| purposes.contains(purpose));
        let names = self.tables_in_use()?.into_iter().filter(is_of).collect();
        Ok((names, self.config.skip.iter().filter(|name| is_of(name)).cloned().collect()))
    }

    /// Takes people's rows out of one table; tells whether there is such a table.
    pub(crate) fn take_out(
        &self,
        name: &TableName,
        wanted: &Wanted,
        (deed, request): (Deed, &Request<'_>),
        progress: &(dyn Fn((usize, usize)) + Sync),
        people: &mut [BTreeMap<TableName, u64>],
    ) -> Result<bool, LakeError> {
        let at_table = |source| at(name, source);
        let table = self.table(name)?;
        let none = Pseudonyms::default();
        let pseudonyms = name.purpose().and_then(|purpose| wanted.in_purpose(purpose)).unwrap_or(&none);
        let folder = table.lock().folder.clone();
        let mut work = Work::new(name, folder, pseudonyms, deed);
        let id = Uuid::new_v4();
        loop {
            // Writers of this process are not kept waiting while files are read.
            let (version, live) = {
                let mut log = table.lock();
                if !log.refresh().map_err(at_table)? {
                    return Ok(false);
                }
                Self::settle(&log).map_err(at_table)?;
                let live = self.live(&mut log)?;
                (log.version(), live)
            };
            self.look(&mut work, &live, wanted.people, progress).map_err(at_table)?;
            self.look_aside(&mut work, wanted.people).map_err(at_table)?;
            let mut log = table.lock();
            log.refresh().map_err(at_table)?;
            if log.version() != version {
                continue;
            }
            let Some(cell) = self.cell_of(id, &log, &work, &wanted.request)? else {
                work.discard().map_err(at_table)?;
                return Err(LakeError::OpenBatch { table: name.clone() });
            };
            let files = || work.looked.values().filter_map(Looked::after);
            log.folder.publish(files().map(|file| &file.place)).map_err(|error| at_table(error.into()))?;
            let modified_ms = modified_ms(name, request);
            let change = Change {
                adds: files().map(|file| file.added(modified_ms)).collect(),
                removes: cell.removed.clone(),
                ..Change::default()
            };
            match log.put(&self.kernel, change, &cell).map_err(at_table)? {
                Attempt::Done => {
                    settle(&log.folder, &cell.aside).map_err(at_table)?;
                    work.count(people);
                    return Ok(true);
                }
                Attempt::Lost => {}
            }
        }
    }

    /// Looks into the live files that were not looked into before, and forgets those that left.
    fn look(
        &self,
        work: &mut Work<'_>,
        live: &[LiveFile],
        people: usize,
        progress: &(dyn Fn((usize, usize)) + Sync),
    ) -> Result<(), TableError> {
        let is_live = |path: &String| live.iter().any(|file| file.path == *path);
        let gone: Vec<_> = work.looked.keys().filter(|path| !is_live(path)).cloned().collect();
        for path in gone {
            if let Some(looked) = work.looked.remove(&path) {
                looked.discard(&work.folder)?;
            }
        }
        let new: VecDeque<_> = live.iter().filter(|file| !work.looked.contains_key(&file.path)).collect();
        let all = new.len();
        let (queue, looked, failed) = (Mutex::new(new), Mutex::new(Vec::new()), Mutex::new(None));
        let next = || if failed.lock().is_some() { None } else { queue.lock().pop_front() };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(all);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(file) = next() {
                        match self.look_into(work, file, people) {
                            Ok(one) => {
                                let mut looked = looked.lock();
                                looked.push((file.path.clone(), one));
                                progress((looked.len(), all));
                            }
                            Err(error) => *failed.lock() = Some(error),
                        }
                    }
                });
            }
        });
        work.looked.extend(looked.into_inner());
        failed.into_inner().map_or(Ok(()), Err)
    }

    fn look_into(&self, work: &Work<'_>, file: &LiveFile, people: usize) -> Result<Looked, TableError> {
        let (path, folder) = (&file.path, &work.folder);
        let Some(found) = self.find((work.name, folder), path, work.wanted, people)? else { return Ok(Looked::Clean) };
        let after = rewrite(folder, path, file.date.as_deref(), &found.rows)?;
        self.write_indexes((work.name, folder), after.as_slice())?;
        // Of the bytes that are there: whether they are those that were sealed, the ledger can tell.
        let sha256 = folder.sha256(path)?;
        let rows = file.rows.unwrap_or_default();
        let before = FileMark { path: path.clone(), rows, bytes: file.bytes, sha256 };
        let aside = match work.deed {
            Deed::Erase => None,
            Deed::Restrict => {
                let (rows, notes) = extract(folder, path, &found.rows)?;
                let aside = Aside::of(&rows, notes, work.wanted)?;
                self.write_aside((work.name, folder), file.date.as_deref().and_then(parse_day), &aside)?
            }
        };
        Ok(Looked::Held(Box::new(Held { before, after, found, aside })))
    }

    /// Looks into what is set aside already.
    fn look_aside(&self, work: &mut Work<'_>, people: usize) -> Result<(), TableError> {
        discard_asides(&work.folder, &work.asides.0.added)?;
        let (mut counts, wanted) = (vec![0; people], work.wanted);
        let changed = self.change_asides((work.name, &work.folder), wanted, |_, aside| match work.deed {
            Deed::Erase => aside.without(wanted, &mut counts),
            Deed::Restrict => aside.held_for_more(wanted, &mut counts),
        })?;
        work.asides = (changed, counts);
        Ok(())
    }

    /// Says what our commit does; `None` if rows would be set aside of which it is open whether they count.
    fn cell_of(&self, id: Uuid, log: &TableLog, work: &Work<'_>, request: &str) -> Result<Option<Cell>, LakeError> {
        let held: Vec<_> = work.looked.values().filter_map(Looked::held).collect();
        let open = if held.is_empty() { BTreeMap::new() } else { open_batches(log, &self.decided()?)? };
        let file = |held: &&Held| Replaced {
            before: held.before.clone(),
            after: held.after.as_ref().map(|after| after.place.path()),
            erased: held.found.count(),
            batch: open.get(&held.before.path).copied(),
        };
        let files: Vec<_> = held.iter().map(file).collect();
        let body = match work.deed {
            Deed::Erase => Body::Erased { request: request.to_owned(), files },
            Deed::Restrict if files.iter().any(|file| file.batch.is_some()) => return Ok(None),
            Deed::Restrict => Body::Restricted { files },
        };
        let mut cell = Cell::new(id, body);
        cell.files = held.iter().filter_map(|held| held.after.as_ref().map(WrittenFile::mark)).collect();
        cell.removed = held.iter().map(|held| held.before.path.clone()).collect();
        cell.aside = work.asides.0.clone();
        cell.aside.added.extend(held.iter().filter_map(|held| held.aside.clone()));
        Ok(Some(cell))
    }

    /// Tells the coverage what left, and gathers the commits of the request.
    fn record_erasures(
        &self,
        names: &[TableName],
        request: &Request<'_>,
        erasure: &mut Erasure,
    ) -> Result<(), LakeError> {
        let decided = self.decided()?;
        for name in names {
            let table = self.table(name)?;
            let log = table.lock();
            self.record_removals(&log, &decided, (request.now_ms)())?;
            for (commit, cell) in log.history().map_err(|source| at(name, source))? {
                let Some(cell) = cell.filter(|cell| cell.is_erasure_of(&erasure.request)) else { continue };
                let files: Vec<_> = cell.replaced().iter().map(|file| erased_file(file, &cell)).collect();
                let (version, set_aside) = (commit.version, cell.lifted());
                if !files.is_empty() || set_aside > 0 {
                    let at_ms = commit.timestamp_ms.unwrap_or_default();
                    erasure.commits.push(ErasedCommit { table: name.clone(), version, at_ms, files, set_aside });
                }
            }
        }
        Ok(())
    }
}

impl<'w> Work<'w> {
    fn new(name: &'w TableName, folder: TableFolder, wanted: &'w Pseudonyms, deed: Deed) -> Self {
        let (looked, asides) = (BTreeMap::new(), (AsideChange::default(), Vec::new()));
        Self { name, folder, wanted, deed, looked, asides }
    }

    fn count(&self, people: &mut [BTreeMap<TableName, u64>]) {
        let found = self.looked.values().filter_map(Looked::held).map(|held| &held.found.people);
        for counts in found.chain([&self.asides.1]) {
            for (person, rows) in people.iter_mut().zip(counts).filter(|(_, rows)| **rows > 0) {
                *person.entry(self.name.clone()).or_default() += rows;
            }
        }
    }

    /// Forgets what was written.
    fn discard(&self) -> Result<(), TableError> {
        discard_asides(&self.folder, &self.asides.0.added)?;
        self.looked.values().try_for_each(|looked| looked.discard(&self.folder))
    }
}

impl Looked {
    fn held(&self) -> Option<&Held> {
        match self {
            Self::Clean => None,
            Self::Held(held) => Some(held),
        }
    }

    fn after(&self) -> Option<&WrittenFile> {
        self.held().and_then(|held| held.after.as_ref())
    }

    fn discard(&self, folder: &TableFolder) -> Result<(), TableError> {
        let Some(Held { after, aside, .. }) = self.held() else { return Ok(()) };
        discard_asides(folder, aside.as_slice())?;
        after.iter().try_for_each(|after| folder.discard(&after.place)).map_err(TableError::Store)
    }
}

/// Returns the files of batches of which the coverage has not decided that they count.
fn open_batches(log: &TableLog, decided: &Decided) -> Result<BTreeMap<String, Uuid>, LakeError> {
    let mut open: BTreeMap<String, Uuid> = BTreeMap::new();
    for cell in decided.cells(log)? {
        if cell.batch().is_some() && !decided.is_claimed(&log.name, &cell) {
            open.extend(cell.files.iter().map(|file| (file.path.clone(), cell.id)));
        }
        for file in cell.replaced() {
            if let (Some(batch), Some(after)) = (open.get(&file.before.path).copied(), &file.after) {
                open.insert(after.clone(), batch);
            }
        }
    }
    Ok(open)
}

fn erased_file(file: &Replaced, cell: &Cell) -> ErasedFile {
    let after = file.after.as_ref().and_then(|path| cell.files.iter().find(|file| file.path == *path));
    ErasedFile { before: mark(&file.before), after: after.map(mark), erased: file.erased }
}

fn mark(file: &FileMark) -> DataFileMark {
    let FileMark { path, rows, bytes, sha256 } = file.clone();
    DataFileMark { path, rows, bytes, sha256 }
}

/// The time of the new files, at the precision of the purpose, as at a commit.
pub(crate) fn modified_ms(table: &TableName, request: &Request<'_>) -> i64 {
    let now_ms = (request.now_ms)();
    let floor = |purpose| request.purposes.floor_time(purpose, now_ms.saturating_mul(1000)) / 1000;
    table.purpose().map_or(now_ms, floor)
}
