//! The bytes of one event: the record's, and those that had to be written anew.

use std::fmt::Arguments;
use std::io::Write;

/// A range of an event's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    start: usize,
    end: usize,
    is_written: bool,
}

impl Place {
    /// Names a range of the record.
    pub(crate) const fn of_record(start: usize, end: usize) -> Self {
        Self { start, end, is_written: false }
    }

    pub(crate) const fn len(self) -> usize {
        self.end - self.start
    }
}

/// A record, and a buffer for what is not in it as it stands: unescaped strings, headers, canonical forms.
pub(crate) struct Bytes<'b> {
    record: &'b [u8],
    written: &'b mut Vec<u8>,
}

impl<'b> Bytes<'b> {
    pub(crate) fn new(record: &'b [u8], written: &'b mut Vec<u8>) -> Self {
        Self { record, written }
    }

    /// Returns the record.
    pub(crate) fn record(&self) -> &'b [u8] {
        self.record
    }

    /// Returns the bytes of a place.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> &[u8] {
        let bytes = if place.is_written { &self.written[..] } else { self.record };
        &bytes[place.start..place.end]
    }

    /// Writes text; returns its place.
    pub(crate) fn write(&mut self, text: Arguments<'_>) -> Place {
        let start = self.written.len();
        self.written.write_fmt(text).expect("a vector takes what it is given");
        self.written_since(start)
    }

    /// Lets `append` write; returns the place of what it wrote, or none if it gave up.
    pub(crate) fn append(&mut self, append: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<Place> {
        let start = self.written.len();
        append(self.written).then(|| self.written_since(start))
    }

    fn written_since(&self, start: usize) -> Place {
        Place { start, end: self.written.len(), is_written: true }
    }
}
