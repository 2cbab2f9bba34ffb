//! The word list of a contract.

use std::fmt;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Token;

/// A closed list of words, looked up by bytes.
#[derive(Clone)]
pub struct WordList {
    words: Vec<Box<str>>,
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
}

impl WordList {
    /// Returns a list of these words; order and repetition do not count.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<Box<str>> = words.into_iter().map(String::into_boxed_str).collect();
        words.sort_unstable();
        words.dedup();
        let hasher = DefaultHashBuilder::default();
        let mut places = HashTable::with_capacity(words.len());
        for place in 0..words.len() {
            let hash = hasher.hash_one(words[place].as_bytes());
            places.insert_unique(hash, place, |other| hasher.hash_one(words[*other].as_bytes()));
        }
        Self { words, places, hasher }
    }

    /// Returns the token of a word, byte for byte.
    pub fn token(&self, text: &[u8]) -> Option<Token> {
        let hash = self.hasher.hash_one(text);
        self.places.find(hash, |place| self.words[*place].as_bytes() == text).map(|place| Token::at(*place))
    }

    /// Returns the word of a token that this list made.
    pub fn render(&self, token: Token) -> &str {
        token.place().and_then(|place| self.words.get(place)).map_or(Token::OTHER_TEXT, |word| &**word)
    }

    /// Returns the words, sorted.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &str> {
        self.words.iter().map(|word| &**word)
    }
}

impl PartialEq for WordList {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for WordList {}

impl fmt::Debug for WordList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WordList({} words)", self.words.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_words_have_a_token() {
        let list = WordList::new(["b", "a", "b", "Ä"].map(str::to_owned));
        assert_eq!(list.words().collect::<Vec<_>>(), ["a", "b", "Ä"]);
        for word in ["a", "b", "Ä"] {
            assert_eq!(list.token(word.as_bytes()).map(|token| list.render(token)), Some(word));
        }
        for text in ["", "A", "ab", "__other__", "a "] {
            assert_eq!(list.token(text.as_bytes()), None, "{text}");
        }
        assert_eq!(list.render(Token::OTHER), Token::OTHER_TEXT);
    }
}
