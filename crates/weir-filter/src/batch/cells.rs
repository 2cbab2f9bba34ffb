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

    /// Adds what is read from each element, `None` for null.
    #[inline]
    pub(crate) fn extend<E>(&mut self, from: &[E], mut read: impl FnMut(&E) -> Option<T>) {
        make_room(&mut self.values, from.len());
        // A few at a time, so that lengths and bits are counted in registers.
        let (blocks, rest) = from.as_chunks::<BLOCK>();
        for from in blocks {
            let (mut block, mut bits) = ([T::BLANK; BLOCK], 0);
            for (at, (place, element)) in block.iter_mut().zip(from).enumerate() {
                bits |= put(place, read(element)) << at;
            }
            self.values.extend_from_slice(&block);
            self.validity.append(bits, BLOCK);
        }
        let (mut block, mut bits) = ([T::BLANK; BLOCK], 0);
        for (at, (place, element)) in block.iter_mut().zip(rest).enumerate() {
            bits |= put(place, read(element)) << at;
        }
        self.values.extend_from_slice(&block[..rest.len()]);
        self.validity.append(bits, rest.len());
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
        size_of_val(&self.values[..]) + self.validity.bits.len()
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.validity.clear();
    }
}

/// Puts a value in its place; returns 1 if there is one.
#[inline(always)]
fn put<T: Storable>(place: &mut T, value: Option<T>) -> u16 {
    *place = value.unwrap_or(T::BLANK);
    u16::from(value.is_some())
}

/// A column of fewer values is small: 16 KiB at most.
const SMALL: usize = 1024;

/// Values that are added at once.
const BLOCK: usize = 16;

/// Grows a column where it is full, a small one by as much again and others by a quarter.
///
/// What is reserved counts against nobody's budget, so it must be little.
#[inline]
fn make_room<T>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() < more {
        let step = if values.len() < SMALL { values.len() } else { values.len() / 4 };
        values.reserve_exact(more.max(step).max(64));
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
        self.append(valid.into(), 1);
    }

    /// Adds the lowest `count` of 16 bits; the others are 0.
    fn append(&mut self, bits: u16, count: usize) {
        let used = self.len % 8;
        let open = if used == 0 { 0 } else { self.bits.pop().unwrap_or_default() };
        let [first, second, third, _] = (u32::from(bits) << used | u32::from(open)).to_le_bytes();
        let bytes = (used + count).div_ceil(8);
        self.bits.extend_from_slice(&[first, second, third][..bytes]);
        self.len += count;
        self.nulls += count - usize::try_from(bits.count_ones()).expect("usize has at least 32 bits");
    }

    pub(super) fn clear(&mut self) {
        self.bits.clear();
        (self.len, self.nulls) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_blank_and_counted() {
        let mut cells = Cells::new();
        let numbers: Vec<i64> = (0..20).collect();
        cells.extend(&numbers[..3], |n| (n % 3 != 0).then_some(*n));
        cells.extend(&numbers[3..], |n| (n % 3 != 0).then_some(*n));
        assert_eq!(cells.len(), 20);
        assert_eq!(cells.validity().nulls(), 7);
        assert_eq!(&cells.values()[..4], [0, 1, 2, 0]);
        assert_eq!(cells.validity().bits(), [0b1011_0110, 0b0110_1101, 0b0000_1011]);
    }

    #[test]
    fn retained_values_keep_their_order_and_validity() {
        let mut cells = Cells::new();
        let numbers: Vec<i64> = (0..20).collect();
        cells.extend(&numbers[..1], |n| (n % 3 != 0).then_some(*n));
        cells.extend(&numbers[1..], |n| (n % 3 != 0).then_some(*n));
        let keep: Vec<bool> = (0..20).map(|n| n % 2 == 0).collect();
        cells.retain(&keep);
        let left: Vec<_> = cells.iter().collect();
        let want = [None, Some(2), Some(4), None, Some(8), Some(10), None, Some(14), Some(16), None];
        assert_eq!(left, want);
        assert_eq!(cells.validity().nulls(), 4);
    }
}
