//! The bytes of an event: its record's, and those that had to be written anew.

use crate::names::Within;
use std::fmt::Arguments;
use std::io::Write;

/// A range of an event's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    start: u32,
    /// Its length, and in the highest bit whether it is in the written bytes.
    length: u32,
}

const WRITTEN: u32 = 1 << 31;

impl Place {
    /// Names a range of the record.
    #[inline]
    pub(crate) fn of_record(start: u32, end: u32) -> Self {
        Self { start, length: end - start }
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        wide(self.length & !WRITTEN)
    }

    /// Returns the place in one word.
    #[inline]
    pub(super) fn bits(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.length)
    }

    /// Returns the place that was put into a word.
    #[inline]
    pub(super) fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
        Self { start: half(bits >> 32), length: half(bits) }
    }

    #[inline]
    fn is_written(self) -> bool {
        self.length & WRITTEN != 0
    }
}

/// A record, and a buffer for what is not in it as it stands: unescaped strings, headers, canonical forms.
pub(crate) struct Bytes<'b> {
    record: &'b [u8],
    written: &'b mut Vec<u8>,
}

impl<'b> Bytes<'b> {
    /// Takes a record of less than 2 GiB.
    pub(crate) fn new(record: &'b [u8], written: &'b mut Vec<u8>) -> Self {
        Self { record, written }
    }

    /// Returns the record.
    #[inline]
    pub(crate) fn record(&self) -> &'b [u8] {
        self.record
    }

    /// Returns the bytes of a place.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> &[u8] {
        at(self.record, self.written, place)
    }

    /// Returns what is at a place, within its text.
    #[inline]
    pub(crate) fn around(&self, place: Place) -> Within<'_> {
        around(self.record, self.written, place)
    }

    /// Writes text; returns its place.
    pub(crate) fn write(&mut self, text: Arguments<'_>) -> Place {
        let start = self.written.len();
        self.written.write_fmt(text).expect("a vector takes what it is given");
        self.written_since(start)
    }

    /// Copies text; returns its place.
    pub(crate) fn copy(&mut self, text: &str) -> Place {
        let start = self.written.len();
        self.written.extend_from_slice(text.as_bytes());
        self.written_since(start)
    }

    /// Lets `append` write; returns the place of what it wrote, or none if it gave up.
    pub(crate) fn append(&mut self, append: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Place> {
        let start = self.written.len();
        append(self.written).then(|| self.written_since(start))
    }

    fn written_since(&self, start: usize) -> Place {
        Place { start: small(start), length: small(self.written.len() - start) | WRITTEN }
    }
}

/// Returns the bytes of a place of an event.
#[inline]
pub(super) fn at<'b>(record: &'b [u8], written: &'b [u8], place: Place) -> &'b [u8] {
    let Within(text, start, end) = around(record, written, place);
    &text[start..end]
}

/// Returns what is at a place of an event, within its text.
#[inline]
pub(super) fn around<'b>(record: &'b [u8], written: &'b [u8], place: Place) -> Within<'b> {
    let start = wide(place.start);
    let text = if place.is_written() { written } else { record };
    Within(text, start, start + place.len())
}

#[inline]
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).expect("events that are read together are shorter than 2 GiB")
}

#[inline]
fn wide(number: u32) -> usize {
    #[expect(clippy::as_conversions, reason = "no target of weir has a usize below 32 bits")]
    let wide = number as usize;
    wide
}
