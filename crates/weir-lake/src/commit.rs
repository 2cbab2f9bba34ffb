//! One batch becomes visible: its tables in parallel, then the coverage, then the ledger, then a receipt.
//!
//! [`Lake::commit`] is the order of things. Whatever happens in between, the batch counts only when the coverage says so:
//! rows of a batch that did not come so far are finished by the partitions' next owner, or declared void.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;
use weir_consent::{ConsentStore, ConsentView, Stale};
use weir_filter::{Filtered, Origin};
use weir_policy::Policy;

use crate::accounts::{Accounts, Total, Unbalanced};
use crate::cell::{Cell, Claim, Entry};
use crate::commit_table::{Batch, TableDone};
use crate::coverage::Stamp;
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::partition::{PartitionId, Span};
use crate::positions::Owned;
use crate::work::{Shared, Work, by_table};

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
    pub(crate) fn view(&self) -> Result<ConsentView<'c>, Stale> {
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
        // What the ledger cannot be told must not be written.
        self.tell_ledger(batch.shared.now_ms)?;
        let mut work = by_table(filtered, &batch.shared);
        self.refuse_skipped(&mut work, &mut accounts);
        let done = self.commit_tables(&batch, work, &accounts)?;
        let (claims, written) = settle(&batch, &mut accounts, done)?;
        self.commit_coverage(&batch, &accounts, claims)?;
        self.forget_interrupted(&batch.shared.spans);
        self.tell_ledger((recheck.now_ms)())?;
        Ok(Receipt { spans: batch.shared.spans.clone(), written, totals: accounts.totals() })
    }

    /// Checks that each span is ours, continues where the lake ends, and ends where an interrupted batch did.
    fn admit(&self, spans: &[Span]) -> Result<Vec<Owned>, CommitError> {
        let mut coverage = self.coverage.lock();
        coverage.refresh().map_err(|source| at(&TableName::Coverage, source))?;
        self.check_settings(&coverage)?;
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
        let (schemas, region) = (self.schemas(policy), self.config.region.clone());
        let shared = Arc::new(Shared { schemas, region, tenants, origins, spans, now_ms });
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

    /// Makes the batch count, if it still may.
    fn commit_coverage(&self, batch: &Batch<'_>, accounts: &Accounts, claims: Vec<Claim>) -> Result<(), CommitError> {
        let shared = &batch.shared;
        let spans: Vec<_> = shared.origins.iter().copied().zip(shared.spans.iter().cloned()).collect();
        let now_ms = (batch.recheck.now_ms)();
        let group = &self.config.group;
        let stamp = Stamp { group, policy: &batch.policy_hash, consent: batch.consent_position, now_ms };
        self.put_lines(batch.id, &accounts.lines(&spans), &stamp, |coverage| {
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
            Ok(Some((Entry::Batch { spans: shared.spans.clone(), claims: claims.clone() }, txns)))
        })
    }

    /// Forgets what was interrupted of these partitions: it is finished, or given up.
    pub(crate) fn forget_interrupted(&self, spans: &[Span]) {
        let mut owned = self.owned.lock();
        for span in spans {
            if let Some(owned) = owned.get_mut(&span.partition) {
                owned.end = None;
                owned.accepted = BTreeMap::new();
            }
        }
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
