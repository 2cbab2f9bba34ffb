//! What one table gets of a batch: rows that can still be taken out, until they are written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use weir_consent::{ConsentView, TenantIx};
use weir_filter::{Coordinates, Filtered, Origin, Rows};
use weir_policy::{DenyReason, Policy, Purpose};

use crate::columns::Schemas;
use crate::delta_type::{ColumnType, DeltaType};
use crate::layout::TableName;
use crate::partition::{PartitionId, Span};
use crate::schema;
use crate::seal::{Append, OpenFile, SealError, WrittenFile, write_plain};
use crate::store::TableFolder;

/// Rows that left, by partition and reason.
pub(crate) type Removals = Vec<(Origin, DenyReason, u64)>;

/// What one table gets of a batch.
pub(crate) trait Work: Send {
    fn is_empty(&self) -> bool;

    /// Distinct people in the rows.
    fn people(&self) -> usize;

    /// Drops the rows of partitions whose part of the batch the table has already.
    fn drop_origins(&mut self, origins: &BTreeSet<Origin>);

    /// Asks consent again and takes out what it no longer permits.
    fn recheck(&mut self, consent: &ConsentView<'_>, now_ms: i64) -> Removals;

    /// Drops all rows, as the operator asked.
    fn refuse(&mut self) -> Removals;

    fn columns(&self) -> Vec<ColumnType>;

    /// Writes the rows to staged files.
    fn write(&self, folder: &TableFolder) -> Result<Vec<WrittenFile>, SealError>;
}

/// What is the same for all tables of a batch.
pub(crate) struct Shared {
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) region: String,
    pub(crate) tenants: HashMap<TenantIx, String>,
    /// For each span, the origin of its rows.
    pub(crate) origins: Vec<Origin>,
    pub(crate) spans: Vec<Span>,
    pub(crate) now_ms: i64,
}

impl Shared {
    pub(crate) fn policy(&self) -> &Policy {
        self.schemas.policy()
    }
}

/// Sorts a batch by table.
pub(crate) fn by_table(filtered: Filtered, shared: &Arc<Shared>) -> BTreeMap<TableName, Box<dyn Work>> {
    let mut work = BTreeMap::new();
    sort_rows(filtered.troubleshooting.into_tables(), shared, &mut work);
    sort_rows(filtered.reliability.into_tables(), shared, &mut work);
    sort_rows(filtered.personalization.into_tables(), shared, &mut work);
    if !filtered.quarantine.is_empty() {
        let quarantine = QuarantineWork { coordinates: filtered.quarantine, shared: shared.clone() };
        work.insert(TableName::Quarantine, Box::new(quarantine));
    }
    work
}

fn sort_rows<P: Purpose>(tables: Vec<Rows<P>>, shared: &Arc<Shared>, work: &mut BTreeMap<TableName, Box<dyn Work>>) {
    let mut sorted: BTreeMap<TableName, Vec<Rows<P>>> = BTreeMap::new();
    for rows in tables.into_iter().filter(|rows| !rows.is_empty()) {
        let event_type = shared.policy().contract(rows.contract()).event_type.as_str();
        sorted.entry(TableName::events(P::ID, event_type)).or_default().push(rows);
    }
    for (table, rows) in sorted {
        work.insert(table, Box::new(EventWork { rows, shared: shared.clone() }));
    }
}

struct EventWork<P: Purpose> {
    /// One for each contract version and day.
    rows: Vec<Rows<P>>,
    shared: Arc<Shared>,
}

impl<P: Purpose> Work for EventWork<P> {
    fn is_empty(&self) -> bool {
        self.rows.iter().all(Rows::is_empty)
    }

    fn people(&self) -> usize {
        // Two days may name the same person; the audit's warning is about small commits, where one day is the rule.
        self.rows.iter().map(Rows::people).sum()
    }

    fn drop_origins(&mut self, origins: &BTreeSet<Origin>) {
        self.rows.iter_mut().for_each(|rows| rows.retain_origins(|origin| !origins.contains(&origin)));
    }

    fn recheck(&mut self, consent: &ConsentView<'_>, now_ms: i64) -> Removals {
        let (policy, region) = (self.shared.policy(), &self.shared.region);
        let again = |rows: &mut Rows<P>| rows.retain_permitted(consent, policy, region, now_ms);
        self.rows.iter_mut().map(again).flat_map(|removed| removed.iter().collect::<Vec<_>>()).collect()
    }

    fn refuse(&mut self) -> Removals {
        self.rows.iter_mut().flat_map(|rows| rows.refuse().iter().collect::<Vec<_>>()).collect()
    }

    fn columns(&self) -> Vec<ColumnType> {
        let mut columns: Vec<ColumnType> = Vec::new();
        for rows in &self.rows {
            for column in schema::columns(self.shared.policy().contract(rows.contract()), P::ID) {
                if !columns.iter().any(|known| known.name == column.name) {
                    columns.push(column);
                }
            }
        }
        columns
    }

    fn write(&self, folder: &TableFolder) -> Result<Vec<WrittenFile>, SealError> {
        let mut append = Append::<P>::new();
        let tenant_name = |tenant| self.shared.tenants.get(&tenant).map_or("", String::as_str);
        for rows in self.rows.iter().filter(|rows| !rows.is_empty()) {
            let schemas = &self.shared.schemas;
            let mut file = OpenFile::create(folder, schemas, rows.contract(), (rows.date(), rows.len()))?;
            file.append(rows, schemas, &tenant_name)?;
            append.push(file.seal()?);
        }
        Ok(append.into_files())
    }
}

struct QuarantineWork {
    coordinates: Vec<Coordinates>,
    shared: Arc<Shared>,
}

impl Work for QuarantineWork {
    fn is_empty(&self) -> bool {
        self.coordinates.is_empty()
    }

    fn people(&self) -> usize {
        0
    }

    fn drop_origins(&mut self, _origins: &BTreeSet<Origin>) {
        // Coordinates of an interrupted batch were not judged again, so all of these are new.
    }

    fn recheck(&mut self, _consent: &ConsentView<'_>, _now_ms: i64) -> Removals {
        Vec::new()
    }

    fn refuse(&mut self) -> Removals {
        Vec::new()
    }

    fn columns(&self) -> Vec<ColumnType> {
        quarantine_columns()
    }

    fn write(&self, folder: &TableFolder) -> Result<Vec<WrittenFile>, SealError> {
        let fields: Vec<Field> = quarantine_columns().iter().map(ColumnType::field).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), self.arrays()).map_err(SealError::Columns)?;
        let day = i32::try_from(self.shared.now_ms.div_euclid(DAY_MS)).unwrap_or(i32::MAX);
        Ok(vec![write_plain(folder, Some(day), &batch)?])
    }
}

impl QuarantineWork {
    fn arrays(&self) -> Vec<ArrayRef> {
        let all = || self.coordinates.iter();
        let partitions: HashMap<Origin, &PartitionId> =
            self.shared.origins.iter().copied().zip(self.shared.spans.iter().map(|span| &span.partition)).collect();
        let span = |coordinates: &Coordinates| partitions[&coordinates.origin];
        vec![
            Arc::new(StringArray::from_iter_values(all().map(|one| &*span(one).source))),
            Arc::new(StringArray::from_iter_values(all().map(|one| &*span(one).topic))),
            Arc::new(Int32Array::from_iter_values(all().map(|one| span(one).partition))),
            Arc::new(Int64Array::from_iter_values(all().map(|one| one.position))),
            Arc::new(StringArray::from_iter_values(all().map(|one| one.code.code()))),
            Arc::new(Int64Array::from_iter_values(all().map(|one| size_limit(one.size_class)))),
        ]
    }
}

/// The columns of the quarantine table, without the partition column.
pub(crate) fn quarantine_columns() -> Vec<ColumnType> {
    vec![
        ColumnType::new("source", DeltaType::String),
        ColumnType::new("topic", DeltaType::String),
        ColumnType::new("partition", DeltaType::Integer),
        ColumnType::new("offset", DeltaType::Long),
        ColumnType::new("code", DeltaType::String),
        ColumnType::new("size_below", DeltaType::Long),
    ]
}

/// The power of two that is greater than the size: a class, so that a size can't be matched with a record's.
fn size_limit(bits: u8) -> i64 {
    1_i64.checked_shl(u32::from(bits)).filter(|limit| *limit > 0).unwrap_or(i64::MAX)
}

const DAY_MS: i64 = 86_400_000;
