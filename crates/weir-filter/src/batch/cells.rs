//! Values of one type, one after another, with a bit for each that says whether it is there.
//!
//! [`Storable`] is the list of what may be written: numbers, words of closed lists and pseudonyms. Text is not on it, and
//! nobody can add to it, so free text has no way into a column.

use crate::pseudonymize::Pseudonym;
use weir_policy::{Network, Purpose, Token};

mod sealed {
    pub trait Sealed {}
}

/// What a column may hold; sealed.
pub trait Storable: sealed::Sealed + Copy {
    /// Stands where there is no value, so that nothing of another event lies under a null.
    const BLANK: Self;
}

macro_rules! storable {
    ($($type:ty = $blank:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Storable for $type {
            const BLANK: Self = $blank;
        }
    )*};
}

storable! {
    bool = false;
    f64 = 0.0;
    i64 = 0;
    i128 = 0;
    Network = Network::BLANK;
    Token = Token::OTHER;
    [i32; 3] = [0; 3];
    (Token, i32) = (Token::OTHER, 0);
}

impl<P: Purpose> sealed::Sealed for Pseudonym<P> {}
impl<P: Purpose> Storable for Pseudonym<P> {
    const BLANK: Self = Self::BLANK;
}

/// A column's values; written by this crate only.
#[expect(missing_debug_implementations, reason = "values of events must not be printable")]
pub struct Cells<T: Storable> {
    values: Vec<T>,
    validity: Validity,
}

impl<T: Storable> Cells<T> {
    /// Returns the values; a null's is blank.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Tells which values are there.
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Returns the values in order, `None` for null.
    pub fn iter(&self) -> impl Iterator<Item = Option<T>> {
        self.values.iter().enumerate().map(|(at, value)| self.validity.is_valid(at).then_some(*value))
    }

    /// Returns the number of values, nulls included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Tells whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn new() -> Self {
        Self { values: Vec::new(), validity: Validity::default() }
    }

    pub(crate) fn push(&mut self, value: Option<T>) {
        self.values.push(value.unwrap_or(T::BLANK));
        self.validity.push(value.is_some());
    }

    /// Keeps the values whose place is true in `keep`, which has one place for each.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        assert_eq!(keep.len(), self.len(), "one verdict for each value");
        let mut validity = Validity::default();
        let kept = keep.iter().enumerate().filter(|(_, kept)| **kept);
        kept.for_each(|(at, _)| validity.push(self.validity.is_valid(at)));
        retain(&mut self.values, keep);
        self.validity = validity;
    }

    pub(crate) fn memory(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.validity.bits.capacity()
    }
}

/// Keeps the elements whose place is true in `keep`.
pub(crate) fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut kept = keep.iter();
    values.retain(|_| *kept.next().expect("one verdict for each value"));
}

/// A bit for each value, least significant first: Arrow's validity bitmap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    bits: Vec<u8>,
    len: usize,
    nulls: usize,
}

impl Validity {
    /// Returns the bitmap; bits past [`len`](Self::len) are 0.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Tells whether the value at `at` is there.
    pub fn is_valid(&self, at: usize) -> bool {
        self.bits[at / 8] >> (at % 8) & 1 == 1
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of nulls.
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    pub(crate) fn push(&mut self, valid: bool) {
        let bit = u8::from(valid) << (self.len % 8);
        if self.len.is_multiple_of(8) {
            self.bits.push(bit);
        } else if let Some(last) = self.bits.last_mut() {
            *last |= bit;
        }
        self.len += 1;
        self.nulls += usize::from(!valid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_blank_and_counted() {
        let mut cells = Cells::new();
        (0..20_i64).for_each(|n| cells.push((n % 3 != 0).then_some(n)));
        assert_eq!(cells.len(), 20);
        assert_eq!(cells.validity().nulls(), 7);
        assert_eq!(&cells.values()[..4], [0, 1, 2, 0]);
        assert_eq!(cells.validity().bits(), [0b1011_0110, 0b0110_1101, 0b0000_1011]);
    }

    #[test]
    fn retained_values_keep_their_order_and_validity() {
        let mut cells = Cells::new();
        (0..20_i64).for_each(|n| cells.push((n % 3 != 0).then_some(n)));
        let keep: Vec<bool> = (0..20).map(|n| n % 2 == 0).collect();
        cells.retain(&keep);
        let left: Vec<_> = cells.iter().collect();
        let want = [None, Some(2), Some(4), None, Some(8), Some(10), None, Some(14), Some(16), None];
        assert_eq!(left, want);
        assert_eq!(cells.validity().nulls(), 4);
    }
}
