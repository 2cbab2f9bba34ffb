//! A permitted event becomes a row: the fields that the purpose may have, coarsened as its contract says.
//!
//! It takes the permission by value: one row for one permission. What the purpose may not have is not skipped here but never
//! looked for: the table's columns are the contract's fields for `P`, and the row is made column by column.

use crate::batch::{Batch, Cells, Column, Head, Storable, Values};
use crate::consent::Judged;
use crate::decode::{Event, Value};
use crate::pseudonymize::{Keyed, OfRow};
use crate::record::Origin;
use weir_policy::{Coarsen, Field, FieldClass, FieldType, Policy, Purpose, PurposeSet};

/// Makes the row of a permitted event; returns how many numbers its buckets have no place for.
pub(crate) fn project<P: Purpose>(
    keyed: Keyed<'_, P>,
    mut pseudonyms: OfRow<'_, P>,
    policy: &Policy,
    origin: Origin,
    batch: &mut Batch<P>,
) -> u64 {
    let Judged { classified, event, tenant, person, others, .. } = keyed.permitted.judged();
    let time_us = classified.envelope.time_us;
    let head = Head {
        tenant: *tenant,
        subject: event.subject().map(|_| pseudonyms.next()),
        subject_epoch: keyed.epoch,
        event_id: pseudonyms.next(),
        time: policy.purposes().floor_time(P::ID, time_us),
        origin,
        person: *person,
        others,
        event_ms: classified.event_ms(),
    };
    let rows = batch.table(classified.contract, event.contract, policy, date(time_us));
    let mut row = Row { event, pseudonyms, unplaced: 0 };
    for column in rows.push(head) {
        row.push(column);
    }
    row.unplaced
}

/// What is done to a number or an instant before it is stored for a purpose.
pub(crate) enum Rounding {
    None,
    Number(Coarsen),
    /// Down to a multiple of so many µs.
    Time(i64),
}

impl Rounding {
    pub(crate) fn of<P: Purpose>(field: &Field, policy: &Policy) -> Self {
        if let FieldType::Timestamp { precision, .. } = &field.field_type {
            let purpose = policy.purposes().rules(P::ID).time_precision;
            let own = precision[P::ID.index()].unwrap_or(purpose);
            return Self::Time(own.max(purpose).micros());
        }
        match field.coarsen(P::ID) {
            Coarsen::Exact => Self::None,
            coarsen @ (Coarsen::Buckets(_)
            | Coarsen::FloatBuckets(_)
            | Coarsen::FloatMultiple(_)
            | Coarsen::Multiple(_)) => Self::Number(coarsen.clone()),
        }
    }

    fn long(&self, value: i64) -> Option<i64> {
        match self {
            Self::None => Some(value),
            Self::Number(coarsen) => coarsen.whole(value.into()).and_then(|value| i64::try_from(value).ok()),
            Self::Time(step) => value.checked_sub(value.rem_euclid(*step)),
        }
    }

    fn wide(&self, value: i128) -> Option<i128> {
        match self {
            Self::None | Self::Time(_) => Some(value),
            Self::Number(coarsen) => coarsen.whole(value),
        }
    }

    fn float(&self, value: f64) -> Option<f64> {
        match self {
            Self::None | Self::Time(_) => Some(value),
            Self::Number(coarsen) => coarsen.float(value),
        }
    }
}

struct Row<'r, P: Purpose> {
    event: &'r Event<'r>,
    pseudonyms: OfRow<'r, P>,
    unplaced: u64,
}

impl<P: Purpose> Row<'_, P> {
    #[inline]
    fn push(&mut self, column: &mut Column<P>) {
        let field = column.field();
        let value = self.event.values[field];
        if !column.is_list() {
            return self.cell(column, value);
        }
        let is_present = matches!(value, Value::List);
        if is_present {
            for item in &self.event.lists[field] {
                self.cell(column, *item);
            }
        }
        column.end_list(is_present);
    }

    #[inline]
    fn cell(&mut self, column: &mut Column<P>, value: Value) {
        let (values, rounding) = column.parts();
        match (values, value) {
            (values, Value::Nothing(_)) => values.push_null(),
            (Values::Bool(cells), Value::Bool(value)) => cells.push(Some(value)),
            (Values::Decimal(cells), Value::Decimal(value)) => self.rounded(cells, rounding.wide(value)),
            (Values::Float(cells), Value::Float(value)) => self.rounded(cells, rounding.float(value)),
            (Values::Int(cells), Value::Int(value)) => self.rounded(cells, rounding.long(value)),
            (Values::Network(cells), Value::Network(value)) => cells.push(Some(value)),
            (Values::Pseudonym(cells), Value::Identifier(_)) => cells.push(Some(self.pseudonyms.next())),
            (Values::Semver(cells), Value::Semver(value)) => cells.push(Some(value)),
            (Values::Token(cells), Value::Token(value)) => cells.push(Some(value)),
            (Values::UserAgent(cells), Value::UserAgent(value)) => cells.push(Some(value)),
            (_, _) => unreachable!("a field's type gives both its value and its column"),
        }
    }

    #[inline]
    fn rounded<T: Storable>(&mut self, cells: &mut Cells<T>, value: Option<T>) {
        self.unplaced += u64::from(value.is_none());
        cells.push(value);
    }
}

impl Event<'_> {
    /// Counts the values that no row carries: those whose purposes are not among the `written`.
    pub(crate) fn not_permitted(&self, written: PurposeSet) -> u64 {
        if written == self.contract.purposes {
            return 0;
        }
        // Content is counted as that, also where it stands in an array.
        let fields =
            self.contract.fields.iter().zip(self.values).filter(|(field, _)| field.class != FieldClass::Content);
        let lost = fields.filter(|(field, value)| value.is_something() && field.purposes.and(written).is_empty());
        lost.map(|_| 1).sum()
    }
}

/// Returns the UTC day of an instant.
fn date(time_us: i64) -> i32 {
    i32::try_from(time_us.div_euclid(DAY_US)).expect("the time was checked to be near now")
}

const DAY_US: i64 = 86_400_000_000;
