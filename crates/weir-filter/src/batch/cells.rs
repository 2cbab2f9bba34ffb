//! Values of one type, one after another, with a bit for each that says whether it is there.
//!
//! [`Storable`] is the list of what may be written: numbers, words of closed lists and pseudonyms. Text is not on it, and
//! nobody can add to it, so free text has no way into a column.

use super::layout::{ITEM_WORDS, Word};
use super::rows::Item;
use crate::pseudonymize::Pseudonym;
use weir_policy::{Network, Purpose, Token};

pub(super) mod sealed {
    use super::super::layout::{ITEM_WORDS, Word};

    /// How a value lies in a row.
    pub trait Sealed: Sized {
        /// How many words hold a value.
        const WORDS: usize;

        /// Returns the value's words; those that it does not need are 0.
        fn to_words(self) -> [Word; ITEM_WORDS];

        /// Returns the value of as many words as it needs, or more.
        fn of_words(words: &[Word]) -> Self;
    }
}

/// What a column may hold; sealed.
pub trait Storable: sealed::Sealed + Copy {
    /// Stands where there is no value, so that nothing of another event lies under a null.
    const BLANK: Self;
}

macro_rules! storable {
    ($($type:ty = $blank:expr, $words:literal: $value:ident => $into:expr, $from:ident => $of:expr;)*) => {$(
        impl sealed::Sealed for $type {
            const WORDS: usize = $words;

            #[inline]
            fn to_words(self) -> [Word; ITEM_WORDS] {
                let ($value, mut all) = (self, [0; ITEM_WORDS]);
                let words: [Word; $words] = $into;
                all[..$words].copy_from_slice(&words);
                all
            }

            #[inline]
            fn of_words(words: &[Word]) -> Self {
                let $from: [Word; $words] = *words.first_chunk().expect("a cell has all words of its value");
                $of
            }
        }

        impl Storable for $type {
            const BLANK: Self = $blank;
        }
    )*};
}

storable! {
    bool = false, 1: truth => [truth.into()], words => words != [0];
    f64 = 0.0, 2: number => halves(number.to_bits()), words => f64::from_bits(joined(words));
    i64 = 0, 2: number => halves(number.cast_unsigned()), words => joined(words).cast_signed();
    i128 = 0, 4: number => quarters(number.to_le_bytes()), words => i128::from_le_bytes(bytes(words));
    Network = Network::BLANK, 2: network => halves(network.number()), words => Self::from_number(joined(words));
    Token = Token::OTHER, 1: token => [token.number()], words => Self::from_number(words[0]);
    [i32; 3] = [0; 3], 3: parts => parts.map(i32::cast_unsigned), words => words.map(u32::cast_signed);
    (Token, i32) = (Token::OTHER, 0), 2:
        agent => [agent.1.cast_unsigned(), agent.0.number()],
        words => (Token::from_number(words[1]), words[0].cast_signed());
}

impl<P: Purpose> sealed::Sealed for Pseudonym<P> {
    const WORDS: usize = 4;

    #[inline]
    fn to_words(self) -> [Word; ITEM_WORDS] {
        quarters(self.bytes())
    }

    #[inline]
    fn of_words(words: &[Word]) -> Self {
        Self::from_stored(bytes(*words.first_chunk().expect("a cell has all words of its value")))
    }
}

impl<P: Purpose> Storable for Pseudonym<P> {
    const BLANK: Self = Self::BLANK;
}

/// Returns the two words of a longer one, the lower first.
#[inline]
pub(crate) fn halves(bits: u64) -> [Word; 2] {
    let [low, high] = *bits.to_le_bytes().as_chunks().0 else { unreachable!("8 bytes are two words") };
    [low, high].map(Word::from_le_bytes)
}

#[inline]
fn joined([low, high]: [Word; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[inline]
fn quarters(bytes: [u8; 16]) -> [Word; 4] {
    let [a, b, c, d] = *bytes.as_chunks().0 else { unreachable!("16 bytes are four words") };
    [a, b, c, d].map(Word::from_le_bytes)
}

#[inline]
fn bytes(words: [Word; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.as_chunks_mut().0.copy_from_slice(&words.map(Word::to_le_bytes));
    bytes
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

    /// Returns the number of values, nulls included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Tells whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Hands out the values and which of them are there.
    pub fn into_parts(self) -> (Vec<T>, Validity) {
        (self.values, self.validity)
    }

    /// Makes room for so many values.
    pub(super) fn for_values(count: usize) -> Self {
        Self { values: Vec::with_capacity(count), validity: Validity::for_values(count) }
    }

    /// Adds the values of up to 64 cells; the bits tell which are there, and the words of the others are 0.
    #[inline]
    pub(super) fn push_all<'r>(&mut self, cells: impl ExactSizeIterator<Item = &'r [Word]>, are_there: u64) {
        self.validity.push_all(are_there, cells.len());
        // Where no value is, the words are 0, and that is blank for every type.
        self.values.extend(cells.map(T::of_words));
    }

    /// Adds items of a list.
    pub(super) fn push_items(&mut self, items: &[Item]) {
        for (is_there, words) in items {
            self.validity.push(*is_there != 0);
            self.values.push(T::of_words(words));
        }
    }
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

    /// Hands out the bitmap.
    pub fn into_bits(self) -> Vec<u8> {
        self.bits
    }

    /// Makes room for the bits of so many values.
    pub(super) fn for_values(count: usize) -> Self {
        Self { bits: Vec::with_capacity(count.div_ceil(8)), len: 0, nulls: 0 }
    }

    /// Adds the bits of up to 64 values, the lowest first; those past `count` are 0.
    #[inline]
    pub(super) fn push_all(&mut self, are_valid: u64, count: usize) {
        assert!(self.len.is_multiple_of(8) && count <= 64, "whole bytes come before");
        let valid = usize::try_from(are_valid.count_ones()).expect("64 bits at most");
        self.bits.extend_from_slice(&are_valid.to_le_bytes()[..count.div_ceil(8)]);
        self.len += count;
        self.nulls += count - valid;
    }

    /// Adds the bit of a value.
    #[inline]
    pub(super) fn push(&mut self, is_valid: bool) {
        let bit = u8::from(is_valid) << (self.len % 8);
        match self.bits.last_mut().filter(|_| !self.len.is_multiple_of(8)) {
            Some(byte) => *byte |= bit,
            None => self.bits.push(bit),
        }
        self.len += 1;
        self.nulls += usize::from(!is_valid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_counted() {
        let mut one_by_one = Validity::for_values(20);
        (0..20).for_each(|n| one_by_one.push(n % 3 != 0));
        assert_eq!((one_by_one.len(), one_by_one.nulls()), (20, 7));
        assert_eq!(one_by_one.bits(), [0b1011_0110, 0b0110_1101, 0b0000_1011]);
        let mut together = Validity::default();
        together.push_all(0b1011_0110, 8);
        together.push_all(0b1011_0110_1101, 12);
        assert_eq!(together, one_by_one);
        assert!(Validity::default().is_empty());
    }

    #[test]
    fn words_that_are_zero_are_blank() {
        fn is_blank<T: Storable + PartialEq>() -> bool {
            T::of_words(&[0; ITEM_WORDS]) == T::BLANK
        }
        assert!(is_blank::<bool>() && is_blank::<f64>() && is_blank::<i64>() && is_blank::<i128>());
        assert!(is_blank::<Network>() && is_blank::<Token>() && is_blank::<[i32; 3]>() && is_blank::<(Token, i32)>());
    }
}
