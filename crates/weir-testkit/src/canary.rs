//! Canaries: markers that must not leave weir, and the search for them in everything that it wrote.
//!
//! A test plants one marker a place (a content field, a record key, a header, …), drives the events through weir and
//! searches all bytes that came out: files, logs, replies. A finding names the place and the form. The forms are the
//! marker itself in the spellings that software makes of text, and its digests without a key, whole or cut: a hash of
//! an identifier that anybody can compute is the identifier (LK-36).
//!
//! All markers begin alike, so that one small automaton finds every spelling of all of them, however many there are.
//! Digests have nothing in common; a window of eight bytes is looked up at every position instead.

pub mod digest;
mod places;
pub mod seal;
pub mod search;
pub mod shapes;
pub mod spelling;

pub use places::{Planted, TENANT, plant};
pub use search::{Finding, Searcher};

use crate::random::Random;
use search::Instant;

/// The markers of one test, and what each stands for.
#[derive(Clone, Debug)]
pub struct Canaries {
    random: Random,
    markers: Vec<Marker>,
}

/// Something unique that was planted.
#[derive(Clone, Debug)]
struct Marker {
    place: String,
    kind: Kind,
    /// The one column of the lake that may hold it.
    column: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Milliseconds since 1970, in a minute in which nothing else happens.
    Instant(i64),
    /// A text of [`PREFIX`] and random letters.
    Letters(String),
    /// A number that begins as [`NUMBERS_FROM`] does.
    Number(i64),
    /// A text with a marker in it, of which only the digests are new.
    Text(String),
}

impl Canaries {
    /// Starts a set of markers that differs from those of other seeds.
    pub const fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), markers: Vec::new() }
    }

    /// Makes a marker: twenty lower-case letters and digits that stand nowhere else.
    pub fn marker(&mut self, place: impl Into<String>) -> String {
        self.letters(place.into(), None)
    }

    /// Makes a marker that may stand in one column of the lake, and nowhere else.
    pub fn marker_of_column(&mut self, place: impl Into<String>, column: &'static str) -> String {
        self.letters(place.into(), Some(column))
    }

    fn letters(&mut self, place: String, column: Option<&'static str>) -> String {
        let letters = b"abcdefghijkmnpqrstuvwxyz23456789";
        let random = (PREFIX.len()..MARKER_LETTERS).map(|_| char::from(self.random.pick(letters)));
        let marker: String = PREFIX.chars().chain(random).collect();
        self.markers.push(Marker { place, kind: Kind::Letters(marker.clone()), column });
        marker
    }

    /// Makes a text with a marker in it, where `template` has `{}`.
    pub fn text(&mut self, place: impl Into<String>, template: &str) -> String {
        let place = place.into();
        let text = template.replace("{}", &self.marker(place.clone()));
        self.markers.push(Marker { place, kind: Kind::Text(text.clone()), column: None });
        text
    }

    /// Makes a number of 18 digits that stands nowhere else.
    pub fn number(&mut self, place: impl Into<String>) -> i64 {
        let number = NUMBERS_FROM + self.random.between(0, NUMBERS - 1);
        self.markers.push(Marker { place: place.into(), kind: Kind::Number(number), column: None });
        number
    }

    /// Makes an instant in milliseconds: days before `now_ms`, in a minute in which nothing else happens.
    pub fn instant(&mut self, place: impl Into<String>, now_ms: i64) -> i64 {
        let earlier = self.markers.iter().filter(|marker| matches!(marker.kind, Kind::Instant(_))).count();
        let days = 2 + i64::try_from(earlier).expect("a few instants");
        let hour = (now_ms - days * DAY_MS).div_euclid(HOUR_MS) * HOUR_MS;
        let instant = hour + INSIDE_HOUR_MS;
        self.markers.push(Marker { place: place.into(), kind: Kind::Instant(instant), column: None });
        instant
    }

    /// Returns where markers were planted, in order.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.markers.iter().map(|marker| marker.place.as_str())
    }

    /// Returns the number of things to search for.
    pub const fn len(&self) -> usize {
        self.markers.len()
    }

    /// Tells whether nothing was planted, in which case a search proves nothing.
    pub const fn is_empty(&self) -> bool {
        self.markers.is_empty()
    }

    /// Compiles the search for everything planted so far.
    pub fn searcher(&self) -> Searcher {
        let mut instants = Vec::new();
        for Marker { place, kind, column: _ } in &self.markers {
            if let Kind::Instant(at_ms) = kind {
                instants.push(Instant { at_ms: *at_ms, place });
            }
        }
        let mut searcher = Searcher::new(&instants);
        for Marker { place, kind, column } in &self.markers {
            if let Some(column) = column {
                searcher.allow(place, column);
            }
            match kind {
                Kind::Instant(at_ms) => searcher.bytes_of_instant(*at_ms, place),
                Kind::Letters(marker) => {
                    searcher.name(marker, place);
                    searcher.digests_of(marker.as_bytes(), place);
                }
                Kind::Number(number) => {
                    searcher.name(&number.to_string(), place);
                    searcher.digests_of(number.to_string().as_bytes(), place);
                    searcher.bytes_of(*number, place);
                }
                Kind::Text(text) => searcher.digests_of(text.as_bytes(), place),
            }
        }
        searcher
    }
}

/// The beginning of every marker of letters: forty bits that occur in nothing else.
const PREFIX: &str = "qx7zk4vj";
/// Length of a marker of letters: sixty bits of it are random, so that no two are the same.
const MARKER_LETTERS: usize = 20;
/// Length of a number in decimal.
const MARKER_DIGITS: usize = 18;
/// The beginning of every number, in decimal.
const NUMBERS_PREFIX: &str = "7391846";
const NUMBERS_FROM: i64 = 739_184_600_000_000_000;
/// How many numbers begin so.
const NUMBERS: i64 = 100_000_000_000;
/// Where in its hour an instant lies: what is rounded to hours, or to days, is somewhere else.
const INSIDE_HOUR_MS: i64 = 17 * 60_000 + 23_457;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
