//! Values of one type, one after another, with a bit for each that says whether it is there.
//!
//! [`Storable`] is the list of what may be written: numbers, words of closed lists and pseudonyms. Text is not on it, and
//! nobody can add to it, so free text has no way into a column.

use super::layout::{ITEM_WORDS, Word};
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

    /// Returns the values in order, `None` for null.
    pub fn iter(&self) -> impl Iterator<Item = Option<T>> + Clone {
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

    /// Hands out the values and which of them are there.
    pub fn into_parts(self) -> (Vec<T>, Validity) {
        (self.values, self.validity)
    }

    /// Puts values and which of them are there together; the others are blank.
    pub(crate) fn new(values: Vec<T>, validity: Validity) -> Self {
        Self { values, validity }
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

    /// Makes the bitmap of so many verdicts.
    #[inline]
    pub(crate) fn collect(mut are_valid: impl ExactSizeIterator<Item = bool>) -> Self {
        let len = are_valid.len();
        let (mut bits, mut valid) = (Vec::with_capacity(len.div_ceil(8)), 0);
        for _ in 0..len.div_ceil(8) {
            let byte =
                are_valid.by_ref().take(8).zip(0..).fold(0, |byte, (is_valid, at)| byte | u8::from(is_valid) << at);
            valid += usize::try_from(byte.count_ones()).expect("a byte has 8 bits");
            bits.push(byte);
        }
        Self { bits, len, nulls: len - valid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_counted() {
        let validity = Validity::collect((0..20).map(|n| n % 3 != 0));
        assert_eq!((validity.len(), validity.nulls()), (20, 7));
        assert_eq!(validity.bits(), [0b1011_0110, 0b0110_1101, 0b0000_1011]);
        assert!(Validity::collect(std::iter::empty()).is_empty());
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
