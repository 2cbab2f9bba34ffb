//! One declared field of many rows.

use super::cells::{Cells, Validity};
use crate::project::Rounding;
use crate::pseudonymize::Pseudonym;
use weir_policy::{Field, Network, Policy, Purpose, Storage, Token};

/// One declared field of a table's rows.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Column<P: Purpose> {
    field: usize,
    rounding: Rounding,
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

    /// Makes the empty column of a field; content has none.
    pub(crate) fn of(at: usize, field: &Field, policy: &Policy) -> Option<Self> {
        let values = Values::of(field.field_type.storage())?;
        let lists = field.array.is_some().then(Lists::default);
        Some(Self { field: at, rounding: Rounding::of::<P>(field, policy), values, lists })
    }

    pub(crate) fn is_list(&self) -> bool {
        self.lists.is_some()
    }

    /// Returns where to push values, and what is done to them before.
    pub(crate) fn parts(&mut self) -> (&mut Values<P>, &Rounding) {
        (&mut self.values, &self.rounding)
    }

    /// Adds a row's list, by its length, before its items are added; `None` for an absent one.
    pub(crate) fn push_list(&mut self, length: Option<u32>) {
        if let Some(lists) = &mut self.lists {
            lists.push(length);
        }
    }

    pub(crate) fn retain(&mut self, keep: &[bool]) {
        match &mut self.lists {
            None => self.values.retain(keep),
            Some(lists) => self.values.retain(&lists.retain(keep)),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        if let Some(lists) = &mut self.lists {
            lists.clear();
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.values.memory() + self.lists.as_ref().map_or(0, Lists::memory)
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

    fn push(&mut self, length: Option<u32>) {
        let start = self.offsets.last().copied().unwrap_or_default();
        // Each item takes a byte or more, and a batch closes long before it holds 2 GiB.
        let end = i32::try_from(length.unwrap_or_default()).ok().and_then(|length| start.checked_add(length));
        self.offsets.push(end.expect("open columns are bounded well below 2^31 items"));
        self.validity.push(length.is_some());
    }

    /// Keeps the rows that are true in `keep`; returns the same verdicts for the items.
    fn retain(&mut self, keep: &[bool]) -> Vec<bool> {
        let old = std::mem::take(self);
        let mut items = Vec::new();
        for (row, bounds) in old.offsets.windows(2).enumerate() {
            let length = u32::try_from(bounds[1] - bounds[0]).expect("offsets never fall");
            items.resize(items.len() + usize::try_from(length).expect("usize has 32 bits"), keep[row]);
            if keep[row] {
                self.push(old.validity.is_valid(row).then_some(length));
            }
        }
        items
    }

    fn memory(&self) -> usize {
        size_of_val(&self.offsets[..]) + self.validity.bits().len()
    }

    fn clear(&mut self) {
        self.offsets.truncate(1);
        self.validity.clear();
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self { offsets: vec![0], validity: Validity::default() }
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

            fn retain(&mut self, keep: &[bool]) {
                match self { $(Self::$variant(cells) => cells.retain(keep),)* }
            }

            fn clear(&mut self) {
                match self { $(Self::$variant(cells) => cells.clear(),)* }
            }

            fn memory(&self) -> usize {
                match self { $(Self::$variant(cells) => cells.memory(),)* }
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

impl<P: Purpose> Values<P> {
    fn of(storage: Storage) -> Option<Self> {
        match storage {
            Storage::Bool => Some(Self::Bool(Cells::new())),
            Storage::Decimal => Some(Self::Decimal(Cells::new())),
            Storage::Float => Some(Self::Float(Cells::new())),
            Storage::Int => Some(Self::Int(Cells::new())),
            Storage::Network => Some(Self::Network(Cells::new())),
            Storage::Nothing => None,
            Storage::Pseudonym => Some(Self::Pseudonym(Cells::new())),
            Storage::Semver => Some(Self::Semver(Cells::new())),
            Storage::Token => Some(Self::Token(Cells::new())),
            Storage::UserAgent => Some(Self::UserAgent(Cells::new())),
        }
    }
}
