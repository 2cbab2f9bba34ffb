//! Closed word lists; the only maker of [`Token`].
//!
//! Whatever text an event brings, what leaves this module is a number that stands for a word somebody declared. The
//! lookups take bytes, allocate nothing and keep nothing.

pub mod age;
pub mod country;
pub mod currency;
pub mod geo;
pub mod http;
pub mod locale;
pub mod network;
pub mod route;
pub mod semver;
mod subtags;
pub mod user_agent;
pub mod words;

pub use age::AgeBands;
pub use network::Network;
pub use route::Routes;
pub use words::WordList;

/// A word of a closed list, as a number that only its list can make and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub(crate) u32);

impl Token {
    /// Stands for every text that the list does not hold.
    pub const OTHER: Self = Self(0);

    /// The text of [`Token::OTHER`]; no list may declare it.
    pub const OTHER_TEXT: &'static str = "__other__";

    /// Returns the number: an index of the list for most vocabularies, from 1.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Returns the token of a [`number`](Self::number).
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Returns the token of the word at `place` of a list.
    fn at(place: usize) -> Self {
        Self(u32::try_from(place + 1).expect("lists are shorter than u32 counts"))
    }

    /// Returns the place in the list, unless the token is [`Token::OTHER`].
    fn place(self) -> Option<usize> {
        self.0.checked_sub(1).and_then(|place| usize::try_from(place).ok())
    }
}

/// Returns the token of `word` in a sorted list.
fn token_in(list: &[&str], word: &[u8]) -> Option<Token> {
    list.binary_search_by(|entry| entry.as_bytes().cmp(word)).ok().map(Token::at)
}

/// Returns the word of a token that `token_in` made from the same list.
fn word_in<'l>(list: &[&'l str], token: Token) -> &'l str {
    token.place().and_then(|place| list.get(place)).copied().unwrap_or(Token::OTHER_TEXT)
}
