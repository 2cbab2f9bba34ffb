//! One batch becomes visible: its tables in parallel, then the coverage, then a receipt.
//!
//! Read `Lake::commit` first: it is the order of things. The rows of a table are committed by `commit_table`, which may have
//! to start over: because someone else committed first, because a zombie's rows have to go, or because consent ended
//! meanwhile. Whatever happens in between, the batch counts only when the coverage says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;
use weir_consent::{ConsentStore, ConsentView, Stale};
use weir_filter::{Filtered, Origin};
use weir_policy::Policy;

use crate::accounts::{Accounts, Total, Unbalanced};
use crate::cell::{BatchCell, Body, Cell, CellPart, Claim, Count, Entry};
use crate::coverage::{Stamp, write_lines};
use crate::delta_type::ColumnType;
use crate::kernel::{Change, TableVersion, type_text};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::partition::{PartitionId, Span};
use crate::positions::Owned;
use crate::seal::WrittenFile;
use crate::table_log::{Attempt, TableError, TableLog};
use crate::work::{Removals, Shared, Work, by_table};

/// A batch that takes no more records.
#[expect(missing_debug_implementations, reason = "holds values of events")]
pub struct ClosedBatch {
    /// What the filter made of the records.
    pub filtered: Filtered,
    /// The offsets accounted for, by the rows' [`Origin`].
    pub spans: Vec<(Origin, Span)>,
    /// The policy that the records were judged by.
    pub policy: Arc<Policy>,
    /// How far the consent state had been read, as a number for the record.
    pub consent_position: i64,
}

/// Where consent is asked again, and what time it is then.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds the consent store")]
pub struct Recheck<'c> {
    /// The store.
    pub store: &'c ConsentStore,
    /// How old the store may be.
    pub max_staleness_ms: i64,
    /// The clock that the store's age is measured by; it never goes back.
    pub elapsed_ms: &'c (dyn Fn() -> i64 + Sync),
    /// The clock, in milliseconds since 1970.
    pub now_ms: &'c (dyn Fn() -> i64 + Sync),
}

/// Proof that a batch is durable and accounted for.
///
/// Only [`Lake::commit`] makes one, and whoever acknowledges offsets takes it away.
#[derive(Debug)]
#[must_use = "offsets are acknowledged with the receipt"]
pub struct Receipt {
    spans: Vec<Span>,
    written: Written,
    totals: Vec<Total>,
}

/// What a commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Tables that got a commit.
    pub tables: u64,
    /// Data files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl<'c> Recheck<'c> {
    fn view(&self) -> Result<ConsentView<'c>, Stale> {
        self.store.view((self.elapsed_ms)(), self.max_staleness_ms)
    }
}

impl Receipt {
    /// Returns the offsets that are accounted for.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Returns what was written.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Returns what became of the records: for each purpose they add up to the records consumed.
    pub fn totals(&self) -> &[Total] {
        &self.totals
    }
}

/// A batch could not be committed. Whatever of it was written counts for nothing until its partitions are taken anew.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another process owns a partition by now: the batch must be dropped and the partition read anew.
    #[error("another process took {partition}")]
    Fenced {
        /// The partition.
        partition: PartitionId,
    },
    /// The lake or a table of it stands in the way.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Nobody knows what people want now.
    #[error("ask consent again before the commit")]
    Stale(#[from] Stale),
    /// The counts do not add up: a fault of this program.
    #[error(transparent)]
    Unbalanced(#[from] Unbalanced),
    /// A span does not continue where the lake ends: a fault of this program.
    #[error("{span} does not continue where the lake ends")]
    WrongSpan {
        /// The span.
        span: Span,
    },
}

/// What the threads of one commit share.
struct Batch<'b> {
    id: Uuid,
    shared: Arc<Shared>,
    recheck: Recheck<'b>,
    owned: Vec<Owned>,
    policy_hash: String,
    consent_position: i64,
}

/// What became of one table.
struct TableDone {
    table: TableName,
    removals: Removals,
    /// The partitions whose rows this commit holds; none if no row was left.
    committed: Option<Cell>,
    written: Written,
}

impl Lake {
    /// Makes a batch durable and accounted for.
    ///
    /// # Errors
    ///
    /// After any error the partitions must be taken anew with [`Self::positions`] before they are read on: part of
    /// the batch may be in the tables, and is then finished first.
    pub fn commit(&self, closed: ClosedBatch, recheck: Recheck<'_>) -> Result<Receipt, CommitError> {
        let ClosedBatch { filtered, spans, policy, consent_position } = closed;
        let (origins, spans): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
        let owned = self.admit(&spans)?;
        let mut accounts = Accounts::new(&filtered.tally, &policy);
        let batch = self.batch(owned, (origins, spans), policy, consent_position, recheck)?;
        let mut work = by_table(filtered, &batch.shared);
        self.refuse_skipped(&mut work, &mut accounts);
        let done = self.commit_tables(&batch, work, &accounts)?;
        let (claims, written) = settle(&batch, &mut accounts, done)?;
        self.commit_coverage(&batch, &accounts, claims)?;
        self.forget_interrupted(&batch.shared.spans);
        Ok(Receipt { spans: batch.shared.spans.clone(), written, totals: accounts.totals() })
    }

    /// Checks that each span is ours, continues where the lake ends, and ends where an interrupted batch did.
    fn admit(&self, spans: &[Span]) -> Result<Vec<Owned>, CommitError> {
        let mut coverage = self.coverage.lock();
        coverage.refresh().map_err(|source| at(&TableName::Coverage, source))?;
        let owned = self.owned.lock();
        let mut admitted = Vec::new();
        for span in spans {
            let fenced = || CommitError::Fenced { partition: span.partition.clone() };
            let ours = owned.get(&span.partition).ok_or_else(fenced)?;
            if coverage.generation(&span.partition) != ours.generation {
                return Err(fenced());
            }
            let continues = coverage.watermark(&span.partition).is_none_or(|watermark| watermark == span.from);
            if !continues || span.to < span.from || ours.end.is_some_and(|end| end != span.to) {
                return Err(CommitError::WrongSpan { span: span.clone() });
            }
            admitted.push(ours.clone());
        }
        Ok(admitted)
    }

    fn batch<'b>(
        &self,
        owned: Vec<Owned>,
        (origins, spans): (Vec<Origin>, Vec<Span>),
        policy: Arc<Policy>,
        consent_position: i64,
        recheck: Recheck<'b>,
    ) -> Result<Batch<'b>, CommitError> {
        let now_ms = (recheck.now_ms)();
        let view = recheck.view()?;
        let tenants = view.tenants().map(|(tenant, name)| (tenant, name.to_owned())).collect();
        let policy_hash = policy.hash().to_string();
        let shared = Arc::new(Shared { policy, region: self.config.region.clone(), tenants, origins, spans, now_ms });
        Ok(Batch { id: Uuid::new_v4(), shared, recheck, owned, policy_hash, consent_position })
    }

    fn refuse_skipped(&self, work: &mut BTreeMap<TableName, Box<dyn Work>>, accounts: &mut Accounts) {
        for table in &self.config.skip {
            for (origin, reason, count) in work.remove(table).map(|mut work| work.refuse()).unwrap_or_default() {
                accounts.deny(table, origin, reason, count);
            }
        }
    }

    /// Commits the tables of a batch, a few at a time.
    fn commit_tables(
        &self,
        batch: &Batch<'_>,
        work: BTreeMap<TableName, Box<dyn Work>>,
        accounts: &Accounts,
    ) -> Result<Vec<TableDone>, CommitError> {
        let threads = self.config.commit_threads.clamp(1, work.len().max(1));
        let queue = Mutex::new(VecDeque::from_iter(work));
        let done = Mutex::new(Vec::new());
        let failed = Mutex::new(None);
        let next = || if failed.lock().is_some() { None } else { queue.lock().pop_front() };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((table, work)) = next() {
                        match self.commit_table(batch, table, work, accounts) {
                            Ok(table) => done.lock().push(table),
                            Err(error) => *failed.lock() = Some(error),
                        }
                    }
                });
            }
        });
        failed.into_inner().map_or_else(|| Ok(done.into_inner()), Err)
    }

    /// Commits one table's rows; starts over for as long as others commit first.
    fn commit_table(
        &self,
        batch: &Batch<'_>,
        table: TableName,
        mut work: Box<dyn Work>,
        accounts: &Accounts,
    ) -> Result<TableDone, CommitError> {
        let log = self.table(&table)?;
        let mut log = log.lock();
        let mut done = TableDone { table, removals: Vec::new(), committed: None, written: Written::default() };
        let mut files: Vec<WrittenFile> = Vec::new();
        work.drop_origins(&batch.accepted(&done.table));
        let result = loop {
            match self.try_table(batch, &mut log, &mut *work, &mut files, accounts, &mut done) {
                Ok(Attempt::Done) => break Ok(done),
                Ok(Attempt::Lost) => {}
                Err(error) => break Err(error),
            }
        };
        if !matches!(&result, Ok(done) if done.committed.is_some()) {
            // Nothing names the files. After an error the last put may still have landed, so those stay for vacuum.
            if result.is_ok() {
                discard(&log, &mut files)?;
            }
        }
        result
    }

    fn try_table(
        &self,
        batch: &Batch<'_>,
        log: &mut TableLog,
        work: &mut dyn Work,
        files: &mut Vec<WrittenFile>,
        accounts: &Accounts,
        done: &mut TableDone,
    ) -> Result<Attempt, CommitError> {
        let table = done.table.clone();
        let at_table = |source| at(&table, source);
        let exists = log.refresh().map_err(at_table)?;
        if exists && self.yields_to_zombies(batch, log)? {
            return Ok(Attempt::Lost);
        }
        let removals = self.recheck(batch, work)?;
        if !removals.is_empty() {
            done.removals.extend(removals);
            discard(log, files)?;
        }
        if work.is_empty() {
            return Ok(Attempt::Done);
        }
        if !exists {
            log.create(&self.kernel, &work.columns(), true, batch.shared.now_ms).map_err(at_table)?;
            return Ok(Attempt::Lost);
        }
        if files.is_empty() {
            *files = work.write(&log.folder).map_err(|error| at_table(error.into()))?;
        }
        let Some(head) = log.head(&self.kernel).map_err(at_table)? else { return Ok(Attempt::Lost) };
        let new_columns = missing_columns(&head, &work.columns()).map_err(at_table)?;
        let cell = batch.cell(&table, work, files, accounts, &done.removals);
        self.check_generations(batch)?;
        log.folder.publish(files.iter().map(|file| &file.place)).map_err(|error| at_table(error.into()))?;
        let change = Change {
            adds: files.iter().map(|file| file.added(batch.modified_ms(&table))).collect(),
            new_columns,
            txns: cell.spans().iter().map(|span| log.offset_txn(&span.partition, span.to)).collect(),
            ..Change::default()
        };
        let attempt = log.put(&self.kernel, change, &cell).map_err(at_table)?;
        if attempt == Attempt::Done {
            done.written = Written {
                tables: 1,
                files: count(files.len()),
                rows: cell.rows(),
                bytes: files.iter().map(|file| file.bytes).sum(),
            };
            done.committed = Some(cell);
        }
        Ok(attempt)
    }

    /// Looks for rows of our spans that an older owner committed after we took over, and removes them.
    ///
    /// Tells whether the table changed. A newer owner's rows mean that we are the zombie.
    fn yields_to_zombies(&self, batch: &Batch<'_>, log: &mut TableLog) -> Result<bool, CommitError> {
        let mut zombies = BTreeSet::new();
        for (span, owned) in batch.shared.spans.iter().zip(&batch.owned) {
            if log.watermark(&span.partition).is_none_or(|own| own <= span.from) {
                continue;
            }
            let accepted = owned.accepted.get(&log.name).into_iter().flatten();
            let accepted: BTreeSet<_> = accepted.map(|cell| cell.id).collect();
            for cell in log.cells() {
                let Some(part) = cell.part(&span.partition).filter(|part| part.span.to > span.from) else { continue };
                if part.generation >= owned.generation {
                    return Err(CommitError::Fenced { partition: span.partition.clone() });
                }
                if !accepted.contains(&cell.id) {
                    zombies.insert(cell.id);
                }
            }
        }
        for zombie in &zombies {
            if !self.void(&log.name, *zombie, (batch.recheck.now_ms)())? {
                // Someone counts on that commit, so its end is the batch's end: find out anew.
                return Err(CommitError::Fenced { partition: batch.shared.spans[0].partition.clone() });
            }
        }
        if zombies.is_empty() { Ok(false) } else { Ok(self.sweep(log)? > 0) }
    }

    fn recheck(&self, batch: &Batch<'_>, work: &mut dyn Work) -> Result<Removals, CommitError> {
        let view = batch.recheck.view()?;
        Ok(work.recheck(&view, (batch.recheck.now_ms)()))
    }

    /// Reads the generations right before a put: a process that slept must not wake up and write.
    fn check_generations(&self, batch: &Batch<'_>) -> Result<(), CommitError> {
        let mut coverage = self.coverage.lock();
        coverage.refresh().map_err(|source| at(&TableName::Coverage, source))?;
        for (span, owned) in batch.shared.spans.iter().zip(&batch.owned) {
            if coverage.generation(&span.partition) != owned.generation {
                return Err(CommitError::Fenced { partition: span.partition.clone() });
            }
        }
        Ok(())
    }

    /// Makes the batch count, if it still may.
    fn commit_coverage(&self, batch: &Batch<'_>, accounts: &Accounts, claims: Vec<Claim>) -> Result<(), CommitError> {
        let at_coverage = |source| CommitError::Lake(at(&TableName::Coverage, source));
        let shared = &batch.shared;
        let spans: Vec<_> = shared.origins.iter().copied().zip(shared.spans.iter().cloned()).collect();
        let lines = accounts.lines(&spans);
        let mut coverage = self.coverage.lock();
        let now_ms = (batch.recheck.now_ms)();
        let group = &self.config.group;
        let stamp = Stamp { group, policy: &batch.policy_hash, consent: batch.consent_position, now_ms };
        let file = write_lines(&coverage.log, &lines, &stamp).map_err(|error| at_coverage(error.into()))?;
        coverage.log.folder.publish([&file.place]).map_err(|error| at_coverage(error.into()))?;
        loop {
            coverage.refresh().map_err(at_coverage)?;
            if coverage.is_of_another_group(group) {
                return Err(LakeError::OtherGroup { group: group.clone() }.into());
            }
            for (span, owned) in shared.spans.iter().zip(&batch.owned) {
                let is_ours = coverage.generation(&span.partition) == owned.generation
                    && coverage.watermark(&span.partition).is_none_or(|watermark| watermark == span.from)
                    && !coverage.others_claimed(span, &claims);
                if !is_ours {
                    return Err(CommitError::Fenced { partition: span.partition.clone() });
                }
            }
            if !coverage.admits(&claims) {
                return Err(CommitError::Fenced { partition: shared.spans[0].partition.clone() });
            }
            let txns = shared.spans.iter().map(|span| coverage.log.offset_txn(&span.partition, span.to)).collect();
            let entry = Entry::Batch { spans: shared.spans.clone(), claims: claims.clone() };
            match coverage.put(&self.kernel, batch.id, entry, txns, Some(&file), now_ms).map_err(at_coverage)? {
                Attempt::Done => return Ok(()),
                Attempt::Lost => {}
            }
        }
    }

    fn forget_interrupted(&self, spans: &[Span]) {
        let mut owned = self.owned.lock();
        for span in spans {
            if let Some(owned) = owned.get_mut(&span.partition) {
                owned.end = None;
                owned.accepted = BTreeMap::new();
            }
        }
    }
}

impl Batch<'_> {
    /// Returns the partitions whose rows of an interrupted batch the table has.
    fn accepted(&self, table: &TableName) -> BTreeSet<Origin> {
        let has = |owned: &Owned| owned.accepted.contains_key(table);
        let origins = self.shared.origins.iter().copied();
        origins.zip(&self.owned).filter(|(_, owned)| has(owned)).map(|(origin, _)| origin).collect()
    }

    /// Seals into words what one table's commit holds.
    fn cell(
        &self,
        table: &TableName,
        work: &dyn Work,
        files: &[WrittenFile],
        accounts: &Accounts,
        removals: &Removals,
    ) -> Cell {
        let accepted = if *table == TableName::Quarantine { BTreeSet::new() } else { self.accepted(table) };
        let mut parts = Vec::new();
        let origins = self.shared.origins.iter().copied();
        for ((origin, span), owned) in origins.zip(&self.shared.spans).zip(&self.owned) {
            if accepted.contains(&origin) {
                continue;
            }
            let mut counts = match table.purpose() {
                Some(_) => accounts.of_table(table, origin),
                None => accounts.of_quarantine(origin),
            };
            for (_, reason, count) in removals.iter().filter(|(of, _, _)| *of == origin) {
                *counts.entry(weir_filter::Fate::Written).or_default() -= count;
                *counts.entry(weir_filter::Fate::Denied(*reason)).or_default() += count;
            }
            parts.push(CellPart { span: span.clone(), generation: owned.generation, counts: Count::list(&counts) });
        }
        let people = count(work.people());
        let (policy, consent) = (self.policy_hash.clone(), self.consent_position);
        let mut cell = Cell::new(self.id, Body::Batch(BatchCell { policy, consent, people, parts }));
        cell.files = files.iter().map(WrittenFile::mark).collect();
        cell
    }

    /// The time of the files, at the precision of the purpose: a finer one would tell when events arrived.
    fn modified_ms(&self, table: &TableName) -> i64 {
        let micros = self.shared.now_ms.saturating_mul(1000);
        let floor = |purpose| self.shared.policy.purposes().floor_time(purpose, micros) / 1000;
        table.purpose().map_or(self.shared.now_ms, floor)
    }
}

/// Brings the accounting to what was written, and lists the commits that the batch counts on.
fn settle(
    batch: &Batch<'_>,
    accounts: &mut Accounts,
    done: Vec<TableDone>,
) -> Result<(Vec<Claim>, Written), CommitError> {
    let mut claims = Vec::new();
    let mut written = Written::default();
    let origins = || batch.shared.origins.iter().copied().zip(&batch.shared.spans).zip(&batch.owned);
    for table in done {
        for (origin, reason, count) in table.removals {
            accounts.deny(&table.table, origin, reason, count);
        }
        written = written.and(table.written);
        let Some(cell) = table.committed else { continue };
        for ((origin, span), _) in origins().filter(|((_, span), _)| cell.part(&span.partition).is_some()) {
            accounts.committed(&table.table, origin, cell.id);
            claims.push(claim(&table.table, &cell, &span.partition));
        }
    }
    for ((origin, span), owned) in origins() {
        for (table, cell) in
            owned.accepted.iter().flat_map(|(table, cells)| cells.iter().map(move |cell| (table, cell)))
        {
            if let Some(part) = cell.part(&span.partition) {
                accounts.copy(table, origin, cell.id, part);
                claims.push(claim(table, cell, &span.partition));
            }
        }
    }
    accounts.settle()?;
    Ok((claims, written))
}

fn claim(table: &TableName, cell: &Cell, partition: &PartitionId) -> Claim {
    Claim { table: table.clone(), batch: cell.id, partition: partition.clone(), parts: cell.spans() }
}

impl Written {
    fn and(self, other: Self) -> Self {
        Self {
            tables: self.tables + other.tables,
            files: self.files + other.files,
            rows: self.rows + other.rows,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Returns the columns that the table lacks; a column of another type is refused.
fn missing_columns(head: &TableVersion, wanted: &[ColumnType]) -> Result<Vec<ColumnType>, TableError> {
    let known = head.columns();
    let mut missing = Vec::new();
    for column in wanted {
        match known.get(&column.name) {
            None => missing.push(column.clone()),
            Some(stored) if *stored == type_text(column)? => {}
            Some(_) => return Err(TableError::ColumnType { column: column.name.clone() }),
        }
    }
    Ok(missing)
}

fn discard(log: &TableLog, files: &mut Vec<WrittenFile>) -> Result<(), CommitError> {
    for file in files.drain(..) {
        log.folder.discard(&file.place).map_err(|error| at(&log.name, error.into()))?;
    }
    Ok(())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
