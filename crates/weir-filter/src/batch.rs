//! Rows for one purpose, by table and day, as columns.
//!
//! A [`Batch<P>`] holds what may be written for `P` and cannot be given to a file of another purpose: the types differ.
//! Only this crate pushes rows. Beside what is stored, each row keeps who it is about, in the consent domain and in memory
//! only, so that consent can be asked again right before a commit.

mod cells;
mod column;
mod layout;
mod open_columns;
mod pool;
mod recheck;
mod rows;

pub(crate) use cells::halves;
pub(crate) use cells::sealed::Sealed;
pub use cells::{Cells, Storable, Validity};
pub use column::{Column, Lists, Values};
pub(crate) use layout::{BITS, ITEM_WORDS, Layout, Made, Plain, Word};
pub(crate) use pool::Pool;
pub(crate) use rows::{Group, Hidden, Item, NewRow, small};
pub use rows::{Head, Rows};

use crate::hash::FastMap;
use crate::record::{Origin, Record};
use crate::tally::Tally;
use weir_policy::{ContractIx, MalformedCode, Personalization, Purpose, Reliability, Troubleshooting};

/// What the filter made of some records: rows for each purpose, the accounting, and what it could not read.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Filtered {
    /// Rows for troubleshooting.
    pub troubleshooting: Batch<Troubleshooting>,
    /// Rows for reliability.
    pub reliability: Batch<Reliability>,
    /// Rows for personalization.
    pub personalization: Batch<Personalization>,
    /// What became of every record and field.
    pub tally: Tally,
    /// Where the records are that could not be read or have no contract.
    pub quarantine: Vec<Coordinates>,
}

impl Filtered {
    /// Returns the number of rows, of all purposes together.
    pub fn rows(&self) -> usize {
        self.troubleshooting.rows() + self.reliability.rows() + self.personalization.rows()
    }

    /// Tells whether there is no row and no coordinate, so that only counts would be committed.
    pub fn is_empty(&self) -> bool {
        self.rows() == 0 && self.quarantine.is_empty()
    }

    /// Returns the bytes that open columns and coordinates occupy.
    pub fn memory(&self) -> usize {
        let coordinates = self.quarantine.capacity() * size_of::<Coordinates>();
        coordinates + self.troubleshooting.memory() + self.reliability.memory() + self.personalization.memory()
    }

    pub(crate) fn quarantine(&mut self, record: &Record<'_>, code: MalformedCode) {
        self.quarantine.push(Coordinates::of(record, code));
        self.tally.add_quarantined(record.origin(), code);
    }
}

/// Where a record is that was not filtered; never what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinates {
    /// The partition.
    pub origin: Origin,
    /// The offset, or the byte position in a file.
    pub position: i64,
    /// Why.
    pub code: MalformedCode,
    /// How many bits the size of its value has: 0 for none, 10 for 512 to 1023 bytes.
    pub size_class: u8,
}

impl Coordinates {
    fn of(record: &Record<'_>, code: MalformedCode) -> Self {
        let bits = usize::BITS - record.value().len().leading_zeros();
        let size_class = u8::try_from(bits).expect("a length has at most 64 bits");
        Self { origin: record.origin(), position: record.position(), code, size_class }
    }
}

/// Rows for one purpose.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Batch<P: Purpose> {
    tables: Vec<Rows<P>>,
    /// Where the rows of each contract and day are.
    places: FastMap<(ContractIx, i32), usize>,
}

impl<P: Purpose> Batch<P> {
    /// Returns the rows of each contract and day, in the order in which the first of them came.
    pub fn tables(&self) -> &[Rows<P>] {
        &self.tables
    }

    /// Returns the same for taking rows out again.
    pub fn tables_mut(&mut self) -> &mut [Rows<P>] {
        &mut self.tables
    }

    /// Hands out the rows of each contract and day.
    pub fn into_tables(self) -> Vec<Rows<P>> {
        self.tables
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(Rows::len).sum()
    }

    /// Returns the bytes that the rows occupy.
    pub fn memory(&self) -> usize {
        self.tables.iter().map(Rows::memory).sum()
    }

    /// Returns the place of the rows of a contract and day, made when they are asked for first.
    pub(crate) fn place(&mut self, contract: ContractIx, date: i32, make: impl FnOnce() -> Rows<P>) -> usize {
        let Self { tables, places } = self;
        *places.entry((contract, date)).or_insert_with(|| {
            tables.push(make());
            tables.len() - 1
        })
    }
}

impl<P: Purpose> Default for Batch<P> {
    fn default() -> Self {
        Self { tables: Vec::new(), places: FastMap::default() }
    }
}
