//! One declared field of many rows.

use super::cells::{Cells, Validity};
use super::layout::Place;
use super::open_columns::Tile;
use super::rows::Item;
use crate::pseudonymize::Pseudonym;
use weir_policy::{Network, Purpose, Storage, Token};

/// One declared field of a table's rows.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Column<P: Purpose> {
    field: usize,
    values: Values<P>,
    lists: Option<Lists>,
}

impl<P: Purpose> Column<P> {
    /// Returns the place of the field in its contract.
    pub fn field(&self) -> usize {
        self.field
    }

    /// Returns the values: one a row, or one an item where the path has `[]`.
    pub fn values(&self) -> &Values<P> {
        &self.values
    }

    /// Returns which items are a row's, where the path has `[]`.
    pub fn lists(&self) -> Option<&Lists> {
        self.lists.as_ref()
    }

    /// Hands out the values, and which items are a row's.
    pub fn into_parts(self) -> (Values<P>, Option<Lists>) {
        (self.values, self.lists)
    }

    pub(super) fn new(field: usize, values: Values<P>, lists: Option<Lists>) -> Self {
        Self { field, values, lists }
    }
}

/// Where each row's items start and end: Arrow's list layout.
#[derive(Clone, Debug)]
pub struct Lists {
    offsets: Vec<i32>,
    validity: Validity,
}

impl Lists {
    /// Returns the offsets into the items, one more than there are rows.
    pub fn offsets(&self) -> &[i32] {
        &self.offsets
    }

    /// Tells which rows have a list; an empty one counts.
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Hands out the offsets, and which rows have a list.
    pub fn into_parts(self) -> (Vec<i32>, Validity) {
        (self.offsets, self.validity)
    }

    /// Makes room for the lists of so many rows.
    pub(super) fn for_rows(count: usize) -> Self {
        let mut offsets = Vec::with_capacity(count + 1);
        offsets.push(0);
        Self { offsets, validity: Validity::for_values(count) }
    }

    /// Adds the lists of some rows, by their lengths; the bits tell which rows have one.
    pub(super) fn push(&mut self, lengths: impl ExactSizeIterator<Item = usize>, are_there: u64) {
        self.validity.push_all(are_there, lengths.len());
        let mut end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.extend(lengths.map(|length| {
            // Each item takes a byte or more, and a batch closes long before it holds 2 GiB.
            let more = i32::try_from(length).ok().and_then(|length| end.checked_add(length));
            end = more.expect("open columns are bounded well below 2^31 items");
            end
        }));
    }
}

macro_rules! values {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// The values of a column, by what they are to a machine.
        #[expect(missing_debug_implementations, reason = "values of events must not be printable")]
        pub enum Values<P: Purpose> {
            $($(#[$doc])* $variant(Cells<$type>),)*
        }

        impl<P: Purpose> Values<P> {
            /// Makes room for so many values.
            pub(super) fn for_values(storage: Storage, count: usize) -> Self {
                match storage {
                    $(Storage::$variant => Self::$variant(Cells::for_values(count)),)*
                    Storage::Nothing => unreachable!("content has no column"),
                }
            }

            /// Adds the values of a tile's rows.
            pub(super) fn push(&mut self, tile: &Tile, place: Place) {
                match self { $(Self::$variant(cells) => cells.push_all(tile.cells(place), tile.are_there(place)),)* }
            }

            /// Adds the items of lists.
            pub(super) fn push_items(&mut self, items: &[Item]) {
                match self { $(Self::$variant(cells) => cells.push_items(items),)* }
            }

            /// Returns the number of values, nulls included.
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(cells) => cells.len(),)* }
            }

            /// Tells whether there are no values.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Tells which values are there.
            pub fn validity(&self) -> &Validity {
                match self { $(Self::$variant(cells) => cells.validity(),)* }
            }
        }
    };
}

values! {
    /// Truth values.
    Bool(bool),
    /// Decimals at their scale, and unsigned integers of 64 bits.
    Decimal(i128),
    /// Floating point numbers, always finite.
    Float(f64),
    /// Integers that fit 64 bits; durations and timestamps in µs.
    Int(i64),
    /// IP networks.
    Network(Network),
    /// Pseudonyms of identifiers.
    Pseudonym(Pseudonym<P>),
    /// Versions: major, minor, patch.
    Semver([i32; 3]),
    /// Words of closed lists.
    Token(Token),
    /// Browsers and clients: family and major version, 0 where it names none.
    UserAgent((Token, i32)),
}
