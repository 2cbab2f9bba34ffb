//! What a filter made of some records, in a form in which two filters can be compared.

use std::collections::{BTreeMap, BTreeSet};

use weir_consent::ConsentView;
use weir_filter::{Batch, Cells, Column, Coordinates, FieldCounts, Filtered, Head, Rows, Storable, TallyKey, Values};
use weir_policy::{ContractIx, Field, FieldType, Policy, Purpose, PurposeId, Token};

use super::cell::{Cell, Names, Row, canonical, is_same};

/// Rows, counts and coordinates.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The rows of each table and day.
    pub rows: BTreeMap<Table, Vec<Row>>,
    /// Records by fate.
    pub fates: BTreeMap<TallyKey, u64>,
    /// Fields by what was done to them.
    pub fields: BTreeMap<ContractIx, FieldCounts>,
    /// Records that could not be read or have no contract.
    pub quarantine: Vec<Coordinates>,
}

/// A table's rows of one day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// The purpose.
    pub purpose: PurposeId,
    /// The event type.
    pub event_type: String,
    /// The day, counted from 1970-01-01.
    pub date: i64,
}

impl Outcome {
    /// Counts a record.
    pub fn count(&mut self, key: TallyKey) {
        *self.fates.entry(key).or_default() += 1;
    }

    /// Adds counts of fields.
    pub fn count_fields(&mut self, contract: ContractIx, counts: &FieldCounts) {
        let sum = self.fields.entry(contract).or_default();
        sum.undeclared += counts.undeclared;
        sum.content += counts.content;
        sum.not_permitted += counts.not_permitted;
        sum.wrong_type += counts.wrong_type;
        sum.out_of_range += counts.out_of_range;
        sum.other_word += counts.other_word;
    }

    /// Returns what the fast filter made of some records, in the same form.
    pub fn of(filtered: &Filtered, policy: &Policy, consent: &ConsentView<'_>) -> Self {
        let mut outcome = Self {
            rows: BTreeMap::new(),
            fates: filtered.tally.fates().into_iter().collect(),
            fields: BTreeMap::new(),
            quarantine: filtered.quarantine.clone(),
        };
        for (place, _) in policy.iter() {
            outcome.count_fields(place, &filtered.tally.fields(place));
        }
        outcome.add_batch(&filtered.troubleshooting, policy, consent);
        outcome.add_batch(&filtered.reliability, policy, consent);
        outcome.add_batch(&filtered.personalization, policy, consent);
        outcome
    }

    fn add_batch<P: Purpose>(&mut self, batch: &Batch<P>, policy: &Policy, consent: &ConsentView<'_>) {
        for rows in batch.tables().iter().filter(|rows| !rows.is_empty()) {
            let event_type = policy.contract(rows.contract()).event_type.clone();
            let table = Table { purpose: P::ID, event_type, date: rows.date().into() };
            self.rows.entry(table).or_default().extend(rows_of(rows, policy, consent));
        }
    }

    /// Adds another outcome to this one.
    pub fn absorb(&mut self, other: Self) {
        for (table, rows) in other.rows {
            self.rows.entry(table).or_default().extend(rows);
        }
        for (key, count) in other.fates {
            *self.fates.entry(key).or_default() += count;
        }
        for (place, counts) in &other.fields {
            self.count_fields(*place, counts);
        }
        self.quarantine.extend(other.quarantine);
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// Tells whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns every difference from another outcome, as text; the order of rows does not count.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let tables: BTreeSet<&Table> = self.rows.keys().chain(other.rows.keys()).collect();
        for table in tables {
            if are_same(self.rows.get(table), other.rows.get(table)) {
                continue;
            }
            let lines = |outcome: &Self| -> Vec<String> {
                let mut lines: Vec<String> = outcome.rows.get(table).into_iter().flatten().map(canonical).collect();
                lines.sort_unstable();
                lines
            };
            let (ours, theirs) = (lines(self), lines(other));
            found.extend(only_in(&ours, &theirs).map(|row| format!("{table:?}: only the first has {row}")));
            found.extend(only_in(&theirs, &ours).map(|row| format!("{table:?}: only the second has {row}")));
        }
        compare("count", &self.fates, &other.fates, &mut found);
        let counted = |outcome: &Self| -> BTreeMap<ContractIx, FieldCounts> {
            let fields = outcome.fields.iter().filter(|(_, counts)| **counts != FieldCounts::default());
            fields.map(|(place, counts)| (*place, *counts)).collect()
        };
        compare("fields", &counted(self), &counted(other), &mut found);
        let quarantine = |outcome: &Self| -> BTreeSet<Coordinates> { outcome.quarantine.iter().copied().collect() };
        let (ours, theirs) = (quarantine(self), quarantine(other));
        found.extend(ours.symmetric_difference(&theirs).map(|place| format!("only one has {place:?}")));
        if self.quarantine.len() != other.quarantine.len() {
            found.push("coordinates stand twice".to_owned());
        }
        found
    }

    /// Returns the rows of an event type's table as [`crate::readers`] show it: `date` is a column, and columns of other
    /// versions of the contract are null.
    pub fn lake_lines(&self, policy: &Policy, purpose: PurposeId, event_type: &str) -> Vec<String> {
        let versions = policy.contracts().iter().filter(|contract| contract.event_type == event_type);
        let columns: BTreeSet<&str> =
            versions.flat_map(|contract| contract.columns(purpose)).map(|(_, field)| field.column.as_str()).collect();
        let mut lines = Vec::new();
        let tables = self.rows.iter().filter(|(table, _)| table.purpose == purpose && table.event_type == event_type);
        for (table, rows) in tables {
            for row in rows {
                let mut row = row.clone();
                for column in &columns {
                    row.entry((*column).into()).or_insert(Cell::Null);
                }
                let date = crate::corpus::rfc_3339(table.date * 86_400_000);
                let day = date.split('T').next().unwrap_or_default();
                row.insert("date".into(), Cell::Text(day.to_owned()));
                lines.push(canonical(&row));
            }
        }
        lines.sort_unstable();
        lines
    }
}

/// Returns what one sorted list has more often than another.
fn only_in<'l>(one: &'l [String], other: &[String]) -> impl Iterator<Item = &'l String> {
    let mut left = other.iter().peekable();
    one.iter().filter(move |line| {
        while left.next_if(|other| other < line).is_some() {}
        left.next_if_eq(line).is_none()
    })
}

fn compare<K, V>(what: &str, ours: &BTreeMap<K, V>, theirs: &BTreeMap<K, V>, found: &mut Vec<String>)
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for key in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let (one, other) = (ours.get(key), theirs.get(key));
        if one != other {
            found.push(format!("{what} {key:?}: the first has {one:?}, the second {other:?}"));
        }
    }
}

/// Tells whether a table has the same rows twice, side by side in the order of their event ids.
///
/// False may be wrong where rows share an id: then the rows' text has the last word.
fn are_same(ours: Option<&Vec<Row>>, theirs: Option<&Vec<Row>>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return false };
    let sorted = |rows: &'_ Vec<Row>| -> Vec<usize> {
        let mut places: Vec<usize> = (0..rows.len()).collect();
        places.sort_by_cached_key(|place| event_id(&rows[*place]));
        places
    };
    ours.len() == theirs.len()
        && sorted(ours).iter().zip(sorted(theirs)).all(|(place, other)| is_same(&ours[*place], &theirs[other]))
}

fn event_id(row: &Row) -> Option<[u8; 16]> {
    if let Some(Cell::Bytes(id)) = row.get("event_id") { Some(*id) } else { None }
}

/// Returns the rows that the fast filter made for one table and day.
fn rows_of<P: Purpose>(rows: &Rows<P>, policy: &Policy, consent: &ConsentView<'_>) -> Vec<Row> {
    let contract = policy.contract(rows.contract());
    let names = Names::of(contract);
    let head = |head: &Head<P>| {
        names.head([
            Cell::Text(consent.tenant_name(head.tenant()).to_owned()),
            head.subject().map_or(Cell::Null, |subject| Cell::Bytes(subject.bytes())),
            Cell::Int(head.subject_epoch().into()),
            Cell::Bytes(head.event_id().bytes()),
            Cell::Int(head.time()),
            Cell::Int(rows.contract_version().into()),
        ])
    };
    let mut made: Vec<Row> = rows.heads().iter().map(head).collect();
    let all: Vec<usize> = (0..made.len()).collect();
    for column in rows.columns(&all) {
        let place = column.field();
        for (row, cells) in made.iter_mut().enumerate() {
            cells.insert(names.field(place), column_cell(&column, &contract.fields[place], row));
        }
    }
    made
}

/// Returns what a column holds in one row.
fn column_cell<P: Purpose>(column: &Column<P>, field: &Field, row: usize) -> Cell {
    let Some(lists) = column.lists() else { return value_cell(column.values(), field, row) };
    if !lists.validity().is_valid(row) {
        return Cell::Null;
    }
    let [start, end] = [row, row + 1].map(|at| usize::try_from(lists.offsets()[at]).expect("offsets are not negative"));
    Cell::List((start..end).map(|item| value_cell(column.values(), field, item)).collect())
}

fn value_cell<P: Purpose>(values: &Values<P>, field: &Field, at: usize) -> Cell {
    let text = |token: Token| Cell::Text(field.field_type.render(token).into_owned());
    let scale = if let FieldType::Decimal { scale, .. } = field.field_type { scale } else { 0 };
    let cell = match values {
        Values::Bool(cells) => get(cells, at).map(Cell::Bool),
        Values::Decimal(cells) => get(cells, at).map(|value| Cell::Decimal(value, scale)),
        Values::Float(cells) => get(cells, at).map(Cell::Float),
        Values::Int(cells) => get(cells, at).map(Cell::Int),
        Values::Network(cells) => get(cells, at).map(|network| Cell::Text(network.to_string())),
        Values::Pseudonym(cells) => get(cells, at).map(|pseudonym| Cell::Bytes(pseudonym.bytes())),
        Values::Semver(cells) => get(cells, at).map(|version| {
            let [major, minor, patch] = version.map(|part| Cell::Int(part.into()));
            Cell::Struct(vec![("major", major), ("minor", minor), ("patch", patch)])
        }),
        Values::Token(cells) => get(cells, at).map(text),
        Values::UserAgent(cells) => get(cells, at)
            .map(|(family, major)| Cell::Struct(vec![("family", text(family)), ("major", Cell::Int(major.into()))])),
    };
    cell.unwrap_or(Cell::Null)
}

fn get<T: Storable>(cells: &Cells<T>, at: usize) -> Option<T> {
    cells.validity().is_valid(at).then(|| cells.values()[at])
}

#[cfg(test)]
mod tests {
    use super::{Cell, Outcome, PurposeId, Row, Table};

    fn row(id: u8, cell: Cell) -> Row {
        Row::from([("event_id".into(), Cell::Bytes([id; 16])), ("cell".into(), cell)])
    }

    fn outcome(rows: Vec<Row>) -> Outcome {
        let table = Table { purpose: PurposeId::Reliability, event_type: "a".to_owned(), date: 1 };
        Outcome { rows: [(table, rows)].into(), ..Outcome::default() }
    }

    #[test]
    fn rows_differ_in_what_they_hold_and_how_often_but_not_in_order() {
        let one = outcome(vec![row(1, Cell::Int(1)), row(2, Cell::Float(0.0)), row(2, Cell::Int(2))]);
        let other = outcome(vec![row(2, Cell::Int(2)), row(2, Cell::Float(0.0)), row(1, Cell::Int(1))]);
        assert_eq!(one.differences(&one), Vec::<String>::new());
        assert_eq!(one.differences(&other), Vec::<String>::new());
        for (rows, found) in [
            (vec![row(1, Cell::Int(1)), row(2, Cell::Float(-0.0)), row(2, Cell::Int(2))], 2),
            (vec![row(1, Cell::Int(1)), row(2, Cell::Float(0.0)), row(3, Cell::Int(2))], 2),
            (vec![row(1, Cell::Int(1)), row(2, Cell::Float(0.0))], 1),
            (vec![row(1, Cell::Int(1)), row(2, Cell::Float(0.0)), row(2, Cell::Int(2)), row(2, Cell::Int(2))], 1),
            (vec![], 3),
        ] {
            let other = outcome(rows);
            assert_eq!(one.differences(&other).len(), found, "{:?}", other.rows);
            assert_eq!(other.differences(&one).len(), found, "{:?}", other.rows);
        }
        assert_eq!(one.differences(&Outcome::default()).len(), 3);
    }
}
