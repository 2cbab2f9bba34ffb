//! Permitted events become rows: the fields that the purpose may have, coarsened as their contract says.
//!
//! It takes the permission by value: one row for one permission. What the purpose may not have is not skipped here but never
//! looked for: the table's columns are the contract's fields for `P`.

use crate::batch::{
    BITS, Batch, Group, Head, Hidden, ITEM_WORDS, Item, Layout, Made, NewRow, Plain, Pool, Rows, Sealed, Word, halves,
    small,
};
use crate::decode::{Decoded, Kind, Value, unpack_version};
use crate::json::usize_of;
use crate::plan::Plan;
use crate::pseudonymize::{Keyed, KeyedEvent, Pseudonyms};
use crate::tally::Tally;
use std::sync::Arc;
use weir_policy::{Coarsen, Coarser, Contract, ContractIx, Field, FieldType, Policy, Purpose, Storage};

/// How the tables of a purpose are made.
pub(crate) struct Tables<P: Purpose> {
    /// By contract.
    layouts: Vec<Arc<Layout<P>>>,
    pool: Pool<P>,
}

impl<P: Purpose> Tables<P> {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut coarsens = Coarsens::default();
        let layout = |contract: &Contract| Arc::new(Layout::new(contract, policy, &mut coarsens));
        Self { layouts: policy.contracts().iter().map(layout).collect(), pool: Pool::default() }
    }

    fn rows(&self, contract: ContractIx, policy: &Policy, date: i32) -> Rows<P> {
        let version = policy.contract(contract).version;
        Rows::new((contract, version), date, Arc::clone(&self.layouts[contract.index()]), &self.pool)
    }
}

/// Makes the rows of permitted events; counts the numbers that their purpose's buckets have no place for.
pub(crate) fn project<P: Purpose>(
    keyed: Keyed<'_, P>,
    mut pseudonyms: Pseudonyms<'_, P>,
    batch: &mut Batch<P>,
    tables: &Tables<P>,
    tally: &mut Tally,
) {
    let decoded = keyed.decoded;
    let place = |table: &[KeyedEvent<'_, P>]| {
        let event = table[0].permitted.event;
        let (contract, date) = (event.contract, event.date());
        batch.place(contract, date, || tables.rows(contract, decoded.policy, date))
    };
    let places: Vec<_> = keyed.tables().map(place).collect();
    if places.len() > NEAR_TABLES {
        for place in &places {
            batch.tables()[*place].bring_near();
        }
    }
    for (table, place) in keyed.tables().zip(places) {
        let event = table[0].permitted.event;
        let (contract, rows) = (event.contract, &mut batch.tables_mut()[place]);
        let layout = &*tables.layouts[contract.index()];
        let mut filling = Filling { decoded, plan: decoded.plan(event), pseudonyms: &mut pseudonyms, unplaced: 0 };
        for keyed in table {
            let head = filling.head(keyed);
            let row = rows.push(head, keyed.permitted.others);
            filling.fill(row, layout, decoded.values(keyed.permitted.event));
        }
        let unplaced = filling.unplaced;
        if unplaced > 0 {
            tally.add_out_of_range(contract, unplaced);
        }
    }
    pseudonyms.end();
}

/// As many tables as a core's caches hold the ends of.
const NEAR_TABLES: usize = 64;

/// The filling of rows with what events of one contract hold.
struct Filling<'f, 'k, P: Purpose> {
    decoded: Decoded<'f>,
    plan: &'f Plan,
    pseudonyms: &'f mut Pseudonyms<'k, P>,
    unplaced: u64,
}

impl<P: Purpose> Filling<'_, '_, P> {
    #[inline]
    fn head(&mut self, keyed: &KeyedEvent<'_, P>) -> Head<P> {
        let (decoded, permitted) = (self.decoded, &keyed.permitted);
        let event = permitted.event;
        Head {
            tenant: permitted.tenant,
            subject: decoded.subject(event).map(|_| self.pseudonyms.next()),
            subject_epoch: keyed.epoch,
            event_id: self.pseudonyms.next(),
            time: decoded.policy.purposes().floor_time(P::ID, event.envelope.time_us),
            hidden: Hidden {
                origin: decoded.record(event).origin(),
                event_ms: event.event_ms(),
                person: permitted.person,
                others: small(permitted.others.len()),
            },
        }
    }

    #[inline]
    fn fill(&mut self, row: NewRow<'_>, layout: &Layout<P>, values: &[Value]) {
        let NewRow { wide, narrow, made, items } = row;
        fill_plain(wide, &layout.wide, values, halves);
        fill_plain(narrow, &layout.narrow, values, |bits| [halves(bits)[0]]);
        let Group { there, mut words } = made;
        for (made, at) in layout.made.iter().zip(0..) {
            let (cell, rest) = words.split_at_mut(made.words.into());
            words = rest;
            let value = values[usize_of(made.field)];
            let found = if made.is_list { self.list(made, value, items) } else { self.make(made, value) };
            if let Some(found) = found {
                cell.iter_mut().zip(found).for_each(|(cell, word)| *cell = word);
                there[at / BITS] |= 1 << (at % BITS);
            }
        }
    }

    /// Adds the items of a list, if it is one; returns where they start and how many there are.
    fn list(&mut self, made: &Made, value: Value, items: &mut Vec<Item>) -> Option<[Word; ITEM_WORDS]> {
        if value.kind() != Kind::List {
            return None;
        }
        let start = items.len();
        items.extend(
            self.decoded
                .items(self.plan, usize_of(made.field), value)
                .map(|item| self.make(made, item).map_or((0, [0; ITEM_WORDS]), |value| (1, value))),
        );
        Some([small(start), small(items.len() - start), 0, 0])
    }

    /// Makes what is stored of a value, if there is one.
    #[inline]
    fn make(&mut self, made: &Made, value: Value) -> Option<[Word; ITEM_WORDS]> {
        let Self { decoded, pseudonyms, unplaced, .. } = self;
        let Made { storage, rounding, .. } = made;
        match (storage, value.kind()) {
            (Storage::Bool, Kind::Bool) => Some(value.as_bool().to_words()),
            (Storage::Decimal, Kind::Wide) => placed(rounding.wide(decoded.wide(value)), unplaced),
            (Storage::Float, Kind::Float) => placed(rounding.float(value.as_float()), unplaced),
            (Storage::Int, Kind::Int) => placed(rounding.long(value.as_int()), unplaced),
            (Storage::Network, Kind::Network) => Some(value.as_network().to_words()),
            (Storage::Pseudonym, Kind::Identifier) => Some(pseudonyms.next().to_words()),
            (Storage::Semver, Kind::Semver) => Some(unpack_version(decoded.wide(value)).to_words()),
            (Storage::Token, Kind::Token) => Some(value.as_token().to_words()),
            (Storage::UserAgent, Kind::UserAgent) => Some(value.as_user_agent().to_words()),
            (_, _) => {
                value.must_be_nothing();
                None
            }
        }
    }
}

/// Fills the cells of columns that hold what the event's values do.
#[inline(always)]
fn fill_plain<const WORDS: usize>(
    cells: Group<'_>,
    columns: &[Plain],
    values: &[Value],
    to_words: impl Fn(u64) -> [Word; WORDS],
) {
    let (words, _) = cells.words.as_chunks_mut();
    for ((there, words), columns) in cells.there.iter_mut().zip(words.chunks_mut(BITS)).zip(columns.chunks(BITS)) {
        let mut bits = 0;
        for ((cell, column), at) in words.iter_mut().zip(columns).zip(0..) {
            let (is_there, value) = values[usize_of(column.field)].plain(column.kind);
            bits |= Word::from(is_there) << at;
            *cell = to_words(value);
        }
        *there = bits;
    }
}

/// Counts a number that its purpose's buckets have no place for.
#[inline]
fn placed<T: Sealed>(number: Option<T>, unplaced: &mut u64) -> Option<[Word; ITEM_WORDS]> {
    *unplaced += u64::from(number.is_none());
    number.map(T::to_words)
}

impl Value {
    /// Checks that a value is not there where it is not of its column's kind.
    #[inline]
    fn must_be_nothing(self) {
        debug_assert!(!self.is_something(), "a field's type gives both its value and its column");
    }

    /// Tells whether this is a value of a kind, and returns its bits, else 0.
    #[inline(always)]
    fn plain(self, kind: Kind) -> (bool, u64) {
        let is_there = self.kind() == kind;
        if !is_there {
            self.must_be_nothing();
        }
        (is_there, if is_there { self.bits() } else { 0 })
    }
}

/// The ways to coarsen of all contracts, each once: they repeat each other's, so that what it takes is near.
#[derive(Default)]
pub(crate) struct Coarsens(Vec<Arc<Coarser>>);

impl Coarsens {
    fn of(&mut self, coarser: Coarser) -> Arc<Coarser> {
        if let Some(known) = self.0.iter().find(|known| ***known == coarser) {
            return Arc::clone(known);
        }
        let new = Arc::new(coarser);
        self.0.push(Arc::clone(&new));
        new
    }
}

/// What is done to a number or an instant before it is stored for a purpose.
pub(crate) enum Rounding {
    None,
    Number(Arc<Coarser>),
    /// Down to a multiple of so many µs.
    Time(i64),
}

impl Rounding {
    pub(crate) fn of<P: Purpose>(field: &Field, policy: &Policy, coarsens: &mut Coarsens) -> Self {
        if let FieldType::Timestamp { precision, .. } = &field.field_type {
            let purpose = policy.purposes().rules(P::ID).time_precision;
            let own = precision[P::ID.index()].unwrap_or(purpose);
            return Self::Time(own.max(purpose).micros());
        }
        match field.coarsen(P::ID) {
            Coarsen::Exact => Self::None,
            Coarsen::Buckets(_) | Coarsen::FloatBuckets(_) | Coarsen::FloatMultiple(_) | Coarsen::Multiple(_) => {
                Self::Number(coarsens.of(field.coarser(P::ID)))
            }
        }
    }

    fn long(&self, value: i64) -> Option<i64> {
        match self {
            Self::None => Some(value),
            Self::Number(coarser) => coarser.whole(value.into()).and_then(|value| i64::try_from(value).ok()),
            Self::Time(step) => value.checked_sub(value.rem_euclid(*step)),
        }
    }

    fn wide(&self, value: i128) -> Option<i128> {
        match self {
            Self::None | Self::Time(_) => Some(value),
            Self::Number(coarser) => coarser.whole(value),
        }
    }

    fn float(&self, value: f64) -> Option<f64> {
        match self {
            Self::None | Self::Time(_) => Some(value),
            Self::Number(coarser) => coarser.float(value),
        }
    }
}
