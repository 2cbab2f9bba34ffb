//! How the rows of a table lie in memory: one after the other, each a few words of 32 bits.
//!
//! A row is written in one go and in one place, however many tables are open; columns are taken out of the rows when they are
//! written. First come the bits that say which columns have a value, then the cells: those of two words that need no look,
//! those of one, and last those that are made from what an event holds: rounded, pseudonyms, lists.

use super::cells::sealed::Sealed;
use super::rows::{Item, small};
use crate::decode::Kind;
use crate::json::usize_of;
use crate::project::{Coarsens, Rounding};
use crate::pseudonymize::Pseudonym;
use std::marker::PhantomData;
use weir_policy::{Contract, Network, Policy, Purpose, Storage, Token};

/// Words of 32 bits that hold one value.
pub(crate) type Word = u32;

/// How the rows of one contract lie, for one purpose.
pub(crate) struct Layout<P> {
    /// Words of a row.
    pub(super) stride: usize,
    /// Columns of two words that hold what the event's value does.
    pub(crate) wide: Vec<Plain>,
    /// Columns of one word that do.
    pub(crate) narrow: Vec<Plain>,
    /// All other columns.
    pub(crate) made: Vec<Made>,
    /// Every column, in the order of [`Contract::columns`].
    pub(super) places: Vec<Place>,
    purpose: PhantomData<fn() -> P>,
}

/// A column whose values are stored as they are; small, because with many tables they are seldom near.
pub(crate) struct Plain {
    pub(crate) field: u32,
    /// What a value must be.
    pub(crate) kind: Kind,
}

/// A column whose values become something else, or are several.
pub(crate) struct Made {
    pub(crate) field: u32,
    pub(crate) storage: Storage,
    pub(crate) is_list: bool,
    /// Words of a cell.
    pub(crate) words: u8,
    pub(crate) rounding: Rounding,
}

/// Where a column's cells are in each row.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) field: usize,
    pub(super) storage: Storage,
    pub(super) is_list: bool,
    /// The word where its cell starts.
    pub(super) word: usize,
    /// The number of its validity bit.
    pub(super) bit: usize,
}

/// Validity bits in a word.
pub(crate) const BITS: usize = 32;
/// Words of a cell that says where a list's items start and how many there are.
const LIST_WORDS: usize = 2;

impl<P: Purpose> Layout<P> {
    pub(crate) fn new(contract: &Contract, policy: &Policy, coarsens: &mut Coarsens) -> Self {
        let (mut wide, mut narrow, mut made) = (Vec::new(), Vec::new(), Vec::new());
        for (field, declared) in contract.columns(P::ID) {
            let (field, storage, is_list) = (small(field), declared.field_type.storage(), declared.array.is_some());
            let rounding = Rounding::of::<P>(declared, policy, coarsens);
            match kind_of(storage).filter(|_| !is_list && matches!(rounding, Rounding::None)) {
                Some(kind) if words_of::<P>(storage) == 1 => narrow.push(Plain { field, kind }),
                Some(kind) => wide.push(Plain { field, kind }),
                None => {
                    let words = if is_list { LIST_WORDS } else { words_of::<P>(storage) };
                    let words = u8::try_from(words).expect("a value has few words");
                    made.push(Made { field, storage, is_list, words, rounding });
                }
            }
        }
        let mut layout = Self { stride: 0, wide, narrow, made, places: Vec::new(), purpose: PhantomData };
        layout.place(contract);
        layout
    }

    /// Gives each column its word and its bit, and the rows their length.
    fn place(&mut self, contract: &Contract) {
        let groups: [Vec<(u32, u8)>; 3] = [
            self.wide.iter().map(|plain| (plain.field, 2)).collect(),
            self.narrow.iter().map(|plain| (plain.field, 1)).collect(),
            self.made.iter().map(|made| (made.field, made.words)).collect(),
        ];
        let (mut word, mut first_bit) = (self.validity_words().iter().sum(), 0);
        for group in groups {
            for ((field, words), at) in group.iter().zip(0..) {
                let field = usize_of(*field);
                let declared = &contract.fields[field];
                let (storage, is_list) = (declared.field_type.storage(), declared.array.is_some());
                self.places.push(Place { field, storage, is_list, word, bit: first_bit + at });
                word += usize::from(*words);
            }
            first_bit += group.len().div_ceil(BITS) * BITS;
        }
        self.stride = word;
        // The contract's columns are in the order of their fields.
        self.places.sort_unstable_by_key(|place| place.field);
    }

    /// Looks at all columns.
    pub(super) fn bring_near(&self) {
        let Self { wide, narrow, made, .. } = self;
        // A line of the cache holds so many.
        let plain = [wide, narrow].map(|plain| plain.chunks(8).map(|line| line[0].field).sum::<u32>());
        std::hint::black_box((plain, made.chunks(2).map(|line| line[0].field).sum::<u32>()));
    }

    /// Returns how many words of validity bits each group of columns has.
    pub(super) fn validity_words(&self) -> [usize; 3] {
        [self.wide.len(), self.narrow.len(), self.made.len()].map(|columns| columns.div_ceil(BITS))
    }
}

impl Place {
    /// Tells whether a row has a value here.
    #[inline]
    pub(super) fn is_there(self, row: &[Word]) -> bool {
        row[self.bit / BITS] >> (self.bit % BITS) & 1 == 1
    }

    /// Returns the items of a row's list; a row without one has none.
    #[inline]
    pub(super) fn items<'i>(self, row: &[Word], items: &'i [Item]) -> &'i [Item] {
        let [first, length] = [0, 1].map(|word| usize_of(row[self.word + word]));
        &items[first..first + length]
    }
}

/// Returns what a value is that is stored as it stands in an event.
fn kind_of(storage: Storage) -> Option<Kind> {
    match storage {
        Storage::Bool => Some(Kind::Bool),
        Storage::Float => Some(Kind::Float),
        Storage::Int => Some(Kind::Int),
        Storage::Network => Some(Kind::Network),
        Storage::Token => Some(Kind::Token),
        Storage::UserAgent => Some(Kind::UserAgent),
        Storage::Decimal | Storage::Nothing | Storage::Pseudonym | Storage::Semver => None,
    }
}

/// Returns how many words a value takes.
#[expect(clippy::match_same_arms, reason = "each type is asked, also where two answer the same")]
const fn words_of<P: Purpose>(storage: Storage) -> usize {
    match storage {
        Storage::Bool => bool::WORDS,
        Storage::Decimal => i128::WORDS,
        Storage::Float => f64::WORDS,
        Storage::Int => i64::WORDS,
        Storage::Network => Network::WORDS,
        Storage::Nothing => 0,
        Storage::Pseudonym => Pseudonym::<P>::WORDS,
        Storage::Semver => <[i32; 3]>::WORDS,
        Storage::Token => Token::WORDS,
        Storage::UserAgent => <(Token, i32)>::WORDS,
    }
}

/// Words of the longest value.
pub(crate) const ITEM_WORDS: usize = 4;
