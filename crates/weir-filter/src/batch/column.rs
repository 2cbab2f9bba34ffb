//! One declared field of many rows.

use super::cells::{Cells, Validity};
use crate::pseudonymize::Pseudonym;
use weir_policy::{Network, Purpose, Token};

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

    /// Makes the lists of rows, by their lengths; `None` for an absent one.
    pub(super) fn collect(lengths: impl ExactSizeIterator<Item = Option<usize>>) -> Self {
        let (mut end, mut offsets) = (0_i32, vec![0]);
        let validity = Validity::collect(lengths.map(|length| {
            // Each item takes a byte or more, and a batch closes long before it holds 2 GiB.
            let more = i32::try_from(length.unwrap_or_default()).ok().and_then(|length| end.checked_add(length));
            end = more.expect("open columns are bounded well below 2^31 items");
            offsets.push(end);
            length.is_some()
        }));
        Self { offsets, validity }
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
