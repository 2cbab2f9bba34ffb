//! Permitted events become rows: the fields that the purpose may have, coarsened as their contract says.
//!
//! It takes the permission by value: one row for one permission. What the purpose may not have is not skipped here but never
//! looked for: the table's columns are the contract's fields for `P`, and rows are made column by column, so that each
//! column's type is asked once for many rows.

use crate::batch::{Batch, Column, Head, Pool, Storable, Values};
use crate::decode::{Decoded, Kind, Value, unpack_version};
use crate::plan::Plan;
use crate::pseudonymize::{Keyed, KeyedEvent, Pseudonyms};
use crate::tally::Tally;
use weir_policy::{Coarsen, Field, FieldType, Policy, Purpose};

/// Makes the rows of permitted events; counts the numbers that their purpose's buckets have no place for.
pub(crate) fn project<P: Purpose>(
    keyed: Keyed<'_, P>,
    mut pseudonyms: Pseudonyms<'_, P>,
    batch: &mut Batch<P>,
    pool: &Pool<P>,
    tally: &mut Tally,
) {
    let decoded = keyed.decoded;
    for table in keyed.tables() {
        let Some(event) = table.first().map(|keyed| keyed.permitted.event) else { continue };
        let rows = batch.table(event.contract, decoded.policy, event.date(), pool);
        let heads: Vec<_> = table.iter().map(|keyed| head(decoded, keyed)).collect();
        let columns = rows.extend(&heads, &mut pseudonyms);
        let mut filling = Filling {
            decoded,
            plan: decoded.plan(event),
            starts: table.iter().map(|keyed| keyed.permitted.event.values).collect(),
            items: Vec::new(),
            pseudonyms: &mut pseudonyms,
            unplaced: 0,
        };
        for column in columns {
            filling.fill(column);
        }
        let unplaced = filling.unplaced;
        tally.add_out_of_range(event.contract, unplaced);
    }
}

fn head<'j, P: Purpose>(decoded: Decoded<'_>, keyed: &KeyedEvent<'j, P>) -> Head<'j> {
    let permitted = &keyed.permitted;
    Head {
        tenant: permitted.tenant,
        has_subject: decoded.subject(permitted.event).is_some(),
        subject_epoch: keyed.epoch,
        time: decoded.policy.purposes().floor_time(P::ID, permitted.event.envelope.time_us),
        origin: decoded.record(permitted.event).origin(),
        person: permitted.person,
        others: permitted.others,
        event_ms: permitted.event.event_ms(),
    }
}

/// The filling of columns with what many events of one contract hold.
struct Filling<'f, 'k, P: Purpose> {
    decoded: Decoded<'f>,
    plan: &'f Plan,
    /// Where each event's values start.
    starts: Vec<usize>,
    /// The items of a column's lists.
    items: Vec<Value>,
    pseudonyms: &'f mut Pseudonyms<'k, P>,
    unplaced: u64,
}

impl<P: Purpose> Filling<'_, '_, P> {
    fn fill(&mut self, column: &mut Column<P>) {
        let (decoded, field) = (self.decoded, column.field());
        if column.is_list() {
            return self.fill_lists(column);
        }
        let starts = std::mem::take(&mut self.starts);
        self.push(column, &starts, |start| decoded.value_at(*start, field));
        self.starts = starts;
    }

    fn fill_lists(&mut self, column: &mut Column<P>) {
        let mut items = std::mem::take(&mut self.items);
        for start in &self.starts {
            let value = self.decoded.value_at(*start, column.field());
            if value.kind() == Kind::List {
                items.extend(self.decoded.items(self.plan, column.field(), value));
                column.push_list(Some(value.as_list().1));
            } else {
                column.push_list(None);
            }
        }
        self.push(column, &items, |item| *item);
        items.clear();
        self.items = items;
    }

    /// Adds values to a column, whose type says what they are.
    #[inline]
    fn push<E>(&mut self, column: &mut Column<P>, from: &[E], value_of: impl Fn(&E) -> Value) {
        let Self { decoded, pseudonyms, unplaced, .. } = self;
        let (cells, rounding) = column.parts();
        macro_rules! extend {
            ($cells:ident, $kind:ident, $value:ident => $cell:expr) => {
                $cells.extend(from, |element| {
                    let $value = value_of(element);
                    match $value.kind() {
                        Kind::$kind => $cell,
                        _ => $value.must_be_nothing(),
                    }
                })
            };
        }
        match cells {
            Values::Bool(cells) => extend!(cells, Bool, value => Some(value.as_bool())),
            Values::Decimal(cells) => {
                extend!(cells, Wide, value => placed(rounding.wide(decoded.wide(value)), unplaced));
            }
            Values::Float(cells) => extend!(cells, Float, value => placed(rounding.float(value.as_float()), unplaced)),
            Values::Int(cells) => extend!(cells, Int, value => placed(rounding.long(value.as_int()), unplaced)),
            Values::Network(cells) => extend!(cells, Network, value => Some(value.as_network())),
            Values::Pseudonym(cells) => extend!(cells, Identifier, value => Some(pseudonyms.next())),
            Values::Semver(cells) => extend!(cells, Semver, value => Some(unpack_version(decoded.wide(value)))),
            Values::Token(cells) => extend!(cells, Token, value => Some(value.as_token())),
            Values::UserAgent(cells) => extend!(cells, UserAgent, value => Some(value.as_user_agent())),
        }
    }
}

/// Counts a number that its purpose's buckets have no place for.
#[inline]
fn placed<T>(number: Option<T>, unplaced: &mut u64) -> Option<T> {
    *unplaced += u64::from(number.is_none());
    number
}

impl Value {
    /// Returns the null that stands for a value that is not there.
    #[inline]
    fn must_be_nothing<T: Storable>(self) -> Option<T> {
        assert!(!self.is_something(), "a field's type gives both its value and its column");
        None
    }
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
