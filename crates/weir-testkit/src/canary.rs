//! Canaries: markers that must not leave weir, and the search for them in everything that it wrote.
//!
//! A test plants one marker a place (a content field, a record key, a header, …), drives the events through weir and
//! searches all bytes that came out: files, logs, replies. A finding names the place and the form. The forms are the
//! marker itself in the spellings that software makes of text, and its digests without a key, whole or cut: a hash of
//! an identifier that anybody can compute is the identifier (LK-36).

pub mod digest;
mod places;
pub mod search;
pub mod spelling;

pub use places::{Planted, plant};
pub use search::{Finding, Searcher};

use crate::random::Random;

/// The markers of one test, and what each stands for.
#[derive(Clone, Debug)]
pub struct Canaries {
    random: Random,
    needles: Vec<Needle>,
}

/// Something to search for.
#[derive(Clone, Debug)]
struct Needle {
    place: String,
    kind: NeedleKind,
}

#[derive(Clone, Debug)]
enum NeedleKind {
    /// Unique text.
    Text(String),
    /// A unique number, which may also leave as eight bytes.
    Number(i64),
}

impl Canaries {
    /// Starts a set of markers that differs from those of other seeds.
    pub const fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), needles: Vec::new() }
    }

    /// Makes a marker: twenty lower-case letters and digits that stand nowhere else.
    pub fn marker(&mut self, place: impl Into<String>) -> String {
        let letters = b"abcdefghijkmnpqrstuvwxyz23456789";
        let marker: String = (0..MARKER_BYTES).map(|_| char::from(self.random.pick(letters))).collect();
        self.remember(place.into(), NeedleKind::Text(marker.clone()));
        marker
    }

    /// Makes a text with a marker in it, where `template` has `{}`; marker and whole text are both searched.
    pub fn text(&mut self, place: impl Into<String>, template: &str) -> String {
        let place = place.into();
        let text = template.replace("{}", &self.marker(place.clone()));
        self.watch(place, &text);
        text
    }

    /// Makes a number of 18 digits that stands nowhere else.
    pub fn number(&mut self, place: impl Into<String>) -> i64 {
        let number = self.random.between(100_000_000_000_000_000, 999_999_999_999_999_999);
        self.remember(place.into(), NeedleKind::Number(number));
        number
    }

    /// Adds a text that was made elsewhere and must not leave either.
    ///
    /// # Panics
    /// Panics when the text is too short to be told from chance.
    pub fn watch(&mut self, place: impl Into<String>, text: &str) {
        assert!(text.len() >= MARKER_BYTES, "a text of fewer bytes than a marker would be found by chance");
        self.remember(place.into(), NeedleKind::Text(text.to_owned()));
    }

    /// Returns the number of things to search for.
    pub const fn len(&self) -> usize {
        self.needles.len()
    }

    /// Tells whether nothing was planted, in which case a search proves nothing.
    pub const fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Compiles the search for everything planted so far.
    pub fn searcher(&self) -> Searcher {
        Searcher::new(self.needles.iter().flat_map(|needle| {
            let spellings = match &needle.kind {
                NeedleKind::Text(text) => spelling::of_text(text),
                NeedleKind::Number(number) => spelling::of_number(*number),
            };
            spellings.into_iter().map(|(form, bytes)| (needle.place.clone(), form, bytes))
        }))
    }

    fn remember(&mut self, place: String, kind: NeedleKind) {
        self.needles.push(Needle { place, kind });
    }
}

/// A hundred random bits: no chance of a false alarm in any amount of output.
const MARKER_BYTES: usize = 20;
