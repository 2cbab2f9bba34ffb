//! `_coverage`: what the lake accounts for, and the one place where writers agree on it.
//!
//! Delta commits one table at a time, and a batch has many. So a batch counts when its entry is here, and not before:
//! an entry moves the partitions' watermarks and *claims* the commits of the tables. A commit that no entry claims is
//! declared *void* here, and only then removed. Owners of partitions are numbered here too. All of it is decided by who
//! gets the next version of this one log.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use crate::cell::{Body, Cell, Claim, Entry};
use crate::commit_table::missing_columns;
use crate::delta_type::{ColumnType, DeltaType};
use crate::kernel::{Change, Kernel};
use crate::lake::{Lake, LakeError, at};
use crate::layout::TableName;
use crate::partition::{PartitionId, Span};
use crate::seal::{SealError, WrittenFile, write_plain};
use crate::secrets::Secrets;
use crate::table_log::{Attempt, TableError, TableLog};

/// The coverage as far as it has been read.
pub(crate) struct Coverage {
    pub(crate) log: TableLog,
    secrets: Arc<Secrets>,
    /// Commits that some partitions count as theirs and others do not yet; those that all do need no more thought.
    claims: HashMap<(TableName, Uuid), Claimed>,
    voids: HashSet<(TableName, Uuid)>,
    /// Commits that removed or moved rows and have an entry.
    removals: HashSet<Uuid>,
}

/// Who claimed a commit.
#[derive(Default)]
struct Claimed {
    by: BTreeSet<PartitionId>,
    parts: Vec<Span>,
}

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) span: Option<Span>,
    pub(crate) purpose: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) fate: String,
    pub(crate) reason: Option<String>,
    pub(crate) count: u64,
    /// The cell whose commit the line is about; none where no commit was needed.
    pub(crate) batch: Option<Uuid>,
    /// The count, sealed, where a plain one would tell when somebody was erased; `count` is then 0.
    pub(crate) sealed: Option<String>,
}

/// What all lines of one entry share.
pub(crate) struct Stamp<'s> {
    pub(crate) group: &'s str,
    pub(crate) policy: &'s str,
    pub(crate) consent: i64,
    pub(crate) now_ms: i64,
}

impl Coverage {
    pub(crate) fn new(log: TableLog, secrets: Arc<Secrets>) -> Self {
        Self { log, secrets, claims: HashMap::new(), voids: HashSet::new(), removals: HashSet::new() }
    }

    /// Reads what is new; tells whether the table exists.
    pub(crate) fn refresh(&mut self) -> Result<bool, TableError> {
        let exists = self.log.load_whole()?;
        for cell in self.log.take_cells() {
            self.apply(cell);
        }
        Ok(exists)
    }

    /// Makes the table unless it exists.
    pub(crate) fn create(&mut self, kernel: &Kernel, now_ms: i64) -> Result<(), TableError> {
        if !self.refresh()? {
            self.log.create(kernel, &columns(), false, now_ms)?;
        }
        Ok(())
    }

    /// Tries once to put an entry on top of what was read last.
    pub(crate) fn put(
        &mut self,
        kernel: &Kernel,
        id: Uuid,
        entry: Entry,
        txns: Vec<(String, i64)>,
        file: Option<&WrittenFile>,
        now_ms: i64,
    ) -> Result<Attempt, TableError> {
        let mut new_columns = Vec::new();
        if matches!(entry, Entry::Erased { .. } | Entry::Expired { .. } | Entry::Moved { .. }) {
            // A table that was made before anybody was erased lacks the column of sealed counts.
            let Some(head) = self.log.head(kernel)? else { return Ok(Attempt::Lost) };
            new_columns = missing_columns(&head, &columns())?;
        }
        let mut cell = Cell::new(id, Body::Coverage(entry));
        cell.files = file.iter().map(|file| file.mark()).collect();
        let adds = file.iter().map(|file| file.added(now_ms)).collect();
        let attempt = self.log.put(kernel, Change { adds, new_columns, txns, ..Change::default() }, &cell)?;
        for cell in self.log.take_cells() {
            self.apply(cell);
        }
        Ok(attempt)
    }

    pub(crate) fn watermark(&self, partition: &PartitionId) -> Option<i64> {
        self.log.watermark(partition)
    }

    /// Returns the owner generation of a partition; 0 before the first owner.
    pub(crate) fn generation(&self, partition: &PartitionId) -> u64 {
        let number = self.log.number(&self.secrets.generation_id(partition));
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    }

    /// Returns what an owner writes down: its generation, and of which incarnation of its topic the partition is.
    pub(crate) fn owner_txns(&self, partition: &PartitionId, generation: u64) -> Vec<(String, i64)> {
        let number = i64::try_from(generation).expect("owners are fewer than 2^63");
        let generation = self.log.txn(self.secrets.generation_id(partition), number);
        let incarnation = partition.is_of_topic().then(|| self.secrets.incarnation(partition));
        incarnation.into_iter().chain([generation]).collect()
    }

    /// Tells whether the lake knows the partition of another incarnation of its topic.
    pub(crate) fn is_made_anew(&self, partition: &PartitionId) -> bool {
        let (id, number) = self.secrets.incarnation(partition);
        partition.is_of_topic() && self.log.plain_txn(&id).is_some_and(|known| known != number)
    }

    /// Tells whether the lake belongs to another consumer group than this one.
    pub(crate) fn is_of_another_group(&self, group: &str) -> bool {
        let owner = self.log.plain_txn(&self.secrets.group_id());
        owner.is_some_and(|owner| owner != self.secrets.group_number(group))
    }

    pub(crate) fn group_txn(&self, group: &str) -> (String, i64) {
        (self.secrets.group_id(), self.secrets.group_number(group))
    }

    /// Tells whether the lake's files are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.log.plain_txn(&self.secrets.files_id()).is_some()
    }

    /// Returns what says so from then on.
    pub(crate) fn encrypted_txn(&self) -> (String, i64) {
        (self.secrets.files_id(), 1)
    }

    pub(crate) fn is_void(&self, table: &TableName, batch: Uuid) -> bool {
        self.voids.contains(&(table.clone(), batch))
    }

    /// Tells whether any partition claims the commit.
    pub(crate) fn is_claimed(&self, table: &TableName, batch: Uuid) -> bool {
        self.claims.contains_key(&(table.clone(), batch))
    }

    pub(crate) fn is_claimed_for(&self, table: &TableName, batch: Uuid, partition: &PartitionId) -> bool {
        self.claims.get(&(table.clone(), batch)).is_some_and(|claimed| claimed.by.contains(partition))
    }

    pub(crate) fn has_recorded(&self, removal: Uuid) -> bool {
        self.removals.contains(&removal)
    }

    /// Tells whether these claims agree with what others have decided.
    ///
    /// A commit holds rows of several partitions, and these may have different owners by now. It counts for all of them
    /// or for none, so a claim is refused when another part's owner has gone past the commit without it.
    pub(crate) fn admits(&self, claims: &[Claim]) -> bool {
        let own: BTreeSet<_> = claims.iter().map(|claim| &claim.partition).collect();
        claims.iter().all(|claim| {
            !self.is_void(&claim.table, claim.batch)
                && claim.parts.iter().filter(|part| !own.contains(&part.partition)).all(|part| {
                    self.is_claimed_for(&claim.table, claim.batch, &part.partition)
                        || self.watermark(&part.partition).is_none_or(|watermark| watermark <= part.from)
                })
        })
    }

    /// Tells whether another owner claimed a commit that holds rows of `span` and is not among `claims`.
    pub(crate) fn others_claimed(&self, span: &Span, claims: &[Claim]) -> bool {
        self.claims.iter().any(|((table, batch), claimed)| {
            let holds = claimed
                .parts
                .iter()
                .any(|part| part.partition == span.partition && part.from >= span.from && part.from < span.to);
            let is_ours = || claims.iter().any(|claim| claim.table == *table && claim.batch == *batch);
            holds && !claimed.by.contains(&span.partition) && !is_ours()
        })
    }

    fn apply(&mut self, cell: Cell) {
        let Body::Coverage(entry) = cell.body else { return };
        match entry {
            Entry::Batch { claims, .. } => {
                for claim in claims {
                    let key = (claim.table, claim.batch);
                    let claimed = self.claims.entry(key.clone()).or_default();
                    claimed.by.insert(claim.partition);
                    claimed.parts = claim.parts;
                    if claimed.parts.iter().all(|part| claimed.by.contains(&part.partition)) {
                        self.claims.remove(&key);
                    }
                }
            }
            Entry::Erased { removal, .. } | Entry::Expired { removal, .. } | Entry::Moved { removal, .. } => {
                self.removals.insert(removal);
            }
            Entry::Void { table, batch } => {
                self.voids.insert((table, batch));
            }
            Entry::Taken { .. } => {}
        }
    }
}

impl Lake {
    /// Writes lines, and puts their entry on top of whatever others have put.
    ///
    /// `decide` looks at the coverage before each attempt. It gives the entry, with the numbers that it moves, or nothing
    /// when there is no need for it any more.
    pub(crate) fn put_lines<E: From<LakeError>>(
        &self,
        id: Uuid,
        lines: &[Line],
        stamp: &Stamp<'_>,
        decide: impl Fn(&Coverage) -> Result<Option<(Entry, Vec<(String, i64)>)>, E>,
    ) -> Result<(), E> {
        let at_coverage = |source| E::from(at(&TableName::Coverage, source));
        let mut coverage = self.coverage.lock();
        let file = write_lines(&coverage.log, lines, stamp).map_err(|error| at_coverage(error.into()))?;
        coverage.log.folder.publish([&file.place]).map_err(|error| at_coverage(error.into()))?;
        loop {
            coverage.refresh().map_err(at_coverage)?;
            self.check_settings(&coverage)?;
            let Some((entry, txns)) = decide(&coverage)? else {
                return coverage.log.folder.discard(&file.place).map_err(|error| at_coverage(error.into()));
            };
            match coverage.put(&self.kernel, id, entry, txns, Some(&file), stamp.now_ms).map_err(at_coverage)? {
                Attempt::Done => return Ok(()),
                Attempt::Lost => {}
            }
        }
    }
}

/// The columns of the table, tidy: one line for each partition, range, purpose, event type, fate and reason.
pub(crate) fn columns() -> Vec<ColumnType> {
    let text = |name: &str| ColumnType::new(name, DeltaType::String);
    let long = |name: &str| ColumnType::new(name, DeltaType::Long);
    vec![
        text("source"),
        text("topic"),
        ColumnType::new("partition", DeltaType::Integer),
        long("from"),
        long("to"),
        text("purpose"),
        text("event_type"),
        text("fate"),
        text("reason"),
        long("count"),
        text("policy_hash"),
        long("consent_watermark"),
        ColumnType::new("committed_at", DeltaType::Timestamp),
        text("consumer_group"),
        text("batch"),
        text(SEALED),
    ]
}

/// Writes lines as a staged file.
fn write_lines(log: &TableLog, lines: &[Line], stamp: &Stamp<'_>) -> Result<WrittenFile, SealError> {
    let mut columns = columns();
    // Few files have sealed counts; a column that a file lacks is null to every reader.
    columns.retain(|column| column.name != SEALED || lines.iter().any(|line| line.sealed.is_some()));
    let fields: Vec<Field> = columns.iter().map(ColumnType::field).collect();
    let mut arrays = arrays(lines, stamp);
    arrays.truncate(fields.len());
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    write_plain(&log.folder, None, &batch.map_err(SealError::Columns)?)
}

fn arrays(lines: &[Line], stamp: &Stamp<'_>) -> Vec<ArrayRef> {
    let text = |of: fn(&Line) -> Option<&str>| -> ArrayRef { Arc::new(lines.iter().map(of).collect::<StringArray>()) };
    let long = |of: fn(&Line) -> Option<i64>| -> ArrayRef { Arc::new(lines.iter().map(of).collect::<Int64Array>()) };
    let same = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; lines.len()])) };
    let partitions = lines.iter().map(|line| line.span.as_ref().map(|span| span.partition.partition));
    let batches = lines.iter().map(|line| line.batch.map(|batch| batch.to_string()));
    let committed = TimestampMicrosecondArray::from_value(stamp.now_ms.saturating_mul(1000), lines.len());
    vec![
        text(|line| line.span.as_ref().map(|span| &*span.partition.source)),
        text(|line| line.span.as_ref().map(|span| &*span.partition.topic)),
        Arc::new(partitions.collect::<Int32Array>()),
        long(|line| line.span.as_ref().map(|span| span.from)),
        long(|line| line.span.as_ref().map(|span| span.to)),
        text(|line| line.purpose.as_deref()),
        text(|line| line.event_type.as_deref()),
        text(|line| Some(&line.fate)),
        text(|line| line.reason.as_deref()),
        long(|line| Some(i64::try_from(line.count).unwrap_or(i64::MAX))),
        same(stamp.policy),
        Arc::new(Int64Array::from_value(stamp.consent, lines.len())),
        Arc::new(committed.with_timezone("UTC")),
        same(stamp.group),
        Arc::new(batches.collect::<StringArray>()),
        text(|line| line.sealed.as_deref()),
    ]
}

/// The column of sealed counts, the last one.
pub(crate) const SEALED: &str = "sealed";
