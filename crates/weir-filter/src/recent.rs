//! Texts that were looked up lately, with what they were found to be.
//!
//! Telemetry says the same few words again and again, and a vocabulary's own search costs tens of comparisons. Only texts
//! that a closed list or the consent store names are remembered, never one that an event alone brought.

use crate::names::{Name, Probe};

/// Recent texts of all lists, each in the one place where it can be.
pub(crate) struct Recent<T> {
    places: Vec<Remembered<T>>,
}

#[derive(Clone, Copy)]
struct Remembered<T> {
    probe: Probe,
    list: u32,
    found: T,
}

/// Enough for the words in use at a time; 32 KiB, which leave room in a core's second cache.
const PLACES: usize = 1024;
/// A list that does not exist.
const NO_LIST: u32 = u32::MAX;

impl<T: Copy> Recent<T> {
    /// Makes one that knows nothing; `blank` is never returned.
    pub(crate) fn new(blank: T) -> Self {
        let empty = Remembered { probe: Probe::of(&[]), list: NO_LIST, found: blank };
        Self { places: vec![empty; PLACES] }
    }

    /// Returns what a text is in a list, by the list's number, or finds and remembers it.
    ///
    /// What is longer than a probe sees is always looked for.
    #[inline]
    pub(crate) fn find(&mut self, list: u32, text: impl Name, find: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        if text.len() > Probe::SEEN {
            return find(text.bytes());
        }
        let probe = Probe::short(&text);
        let place = &mut self.places[probe.place(MULTIPLIER ^ u64::from(list) << 1, 64 - PLACES.trailing_zeros())];
        if place.list == list && place.probe == probe {
            return Some(place.found);
        }
        let found = find(text.bytes())?;
        *place = Remembered { probe, list, found };
        Some(found)
    }
}

/// The odd number nearest 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
