//! Words of closed lists that were looked up lately.
//!
//! Telemetry says the same few words again and again, and a vocabulary's own search costs tens of comparisons. Only words
//! that their list declares are remembered, never a text that an event alone brought.

use super::value::Value;
use crate::names::Probe;

/// Recent words of all vocabularies, each in the one place where it can be.
pub(super) struct Words {
    places: Vec<Remembered>,
}

#[derive(Clone, Copy)]
struct Remembered {
    field: u32,
    probe: Probe,
    value: Value,
}

/// Enough for the words in use at a time; 64 KiB, which leave room in a core's second cache.
const PLACES: usize = 1024;
/// A field that no plan has.
const NOBODY: u32 = u32::MAX;

impl Default for Words {
    fn default() -> Self {
        let empty = Remembered { field: NOBODY, probe: Probe::of(&[], 0, 0), value: Value::ABSENT };
        Self { places: vec![empty; PLACES] }
    }
}

impl Words {
    /// Returns the value of a text for a field (by its number in the policy), or finds and remembers it.
    ///
    /// What is longer than a probe sees is always looked for.
    #[inline]
    pub(super) fn find<E>(
        &mut self,
        field: u32,
        text: &[u8],
        find: impl FnOnce() -> Result<Value, E>,
    ) -> Result<Value, E> {
        if text.len() > Probe::SEEN {
            return find();
        }
        let probe = Probe::of(text, 0, text.len());
        let place = &mut self.places[probe.place(MULTIPLIER ^ u64::from(field) << 1, 64 - PLACES.trailing_zeros())];
        if place.field == field && place.probe == probe {
            return Ok(place.value);
        }
        let value = find()?;
        if value.is_declared_word() {
            *place = Remembered { field, probe, value };
        }
        Ok(value)
    }
}

/// The odd number nearest 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
