//! Which files may hold a person: a sealed index of the pseudonyms in each, so that nobody else's files are read for them.
//!
//! An index is a Bloom filter over everything that an identifier column of the file holds. Pseudonyms are keyed hashes, so their
//! own bits say where to look. Its size is a power of two, and it lies sealed under a key of weir's own, bound to the
//! file's path: it tells nobody who is in the file, and one that was exchanged or changed does not open. What has no index that
//! opens is read itself, so a lost index costs time and never hides a row (LK-23).
//!
//! ```text
//! index = 24 bytes of nonce ‖ XChaCha20-Poly1305(bits, bound to "<table>/<path of the file>")
//! bits  = 2ⁿ, at least 24 for each pseudonym; 16 of them are set for each
//! ```

use std::fmt;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field};

use crate::lake::Lake;
use crate::layout::TableName;
use crate::seal::WrittenFile;
use crate::store::TableFolder;
use crate::table_log::TableError;

/// The pseudonyms of a file that is being written, in short.
#[derive(Default)]
pub(crate) struct Members {
    prints: Vec<u64>,
    /// How many there were after the last clearing of doubles.
    distinct: usize,
}

/// A filter over the pseudonyms of a file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Index(Vec<u8>);

impl Members {
    /// Takes the pseudonyms of a batch.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        each_pseudonym(batch, |_, pseudonym| {
            let print = print(pseudonym);
            // Rows are in the order of their subjects, so most doubles are neighbours.
            if self.prints.last() != Some(&print) {
                self.prints.push(print);
            }
        });
        if self.prints.len() > 2 * self.distinct.max(CLEARED_MIN) {
            self.clear_doubles();
        }
    }

    /// Makes the index.
    pub(crate) fn index(mut self) -> Index {
        self.clear_doubles();
        let bytes = (self.prints.len() * BITS_EACH).div_ceil(8).next_power_of_two().max(BYTES_MIN);
        let mut index = Index(vec![0; bytes]);
        for print in &self.prints {
            for (byte, bit) in places(*print, bytes) {
                index.0[byte] |= bit;
            }
        }
        index
    }

    fn clear_doubles(&mut self) {
        self.prints.sort_unstable();
        self.prints.dedup();
        self.distinct = self.prints.len();
    }
}

impl Index {
    /// Reads an index; `None` if it cannot be one.
    pub(crate) fn of(bytes: Vec<u8>) -> Option<Self> {
        bytes.len().is_power_of_two().then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether the file may hold a pseudonym; "no" is exact.
    pub(crate) fn may_hold(&self, pseudonym: &[u8; 16]) -> bool {
        places(print(pseudonym), self.0.len()).all(|(byte, bit)| self.0[byte] & bit != 0)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index of {} bytes", self.0.len())
    }
}

impl Lake {
    /// Writes the indexes of sealed files, before a commit names them.
    pub(crate) fn write_indexes(
        &self,
        (table, folder): (&TableName, &TableFolder),
        files: &[WrittenFile],
    ) -> Result<(), TableError> {
        for file in files {
            let Some(index) = &file.index else { continue };
            let path = file.place.path();
            let sealed = self.secrets.seal_index(table, &path, index.bytes()).map_err(TableError::Sealing)?;
            folder.write_index(&path, &sealed)?;
        }
        Ok(())
    }

    /// Returns the index of a file; `None` if it has none that can be trusted.
    pub(crate) fn index(&self, (table, folder): (&TableName, &TableFolder), path: &str) -> Option<Index> {
        Index::of(self.secrets.open_index(table, path, &folder.index_of(path).ok()??).ok()?)
    }
}

/// Tells whether a column holds pseudonyms of people: all binary ones do, but the event's own.
pub(crate) fn is_identifier(field: &Field) -> bool {
    let item = if let DataType::List(item) = field.data_type() { item.data_type() } else { field.data_type() };
    *item == DataType::Binary && field.name() != EVENT_ID
}

/// Hands out each pseudonym of a batch with its row.
pub(crate) fn each_pseudonym(batch: &RecordBatch, mut take: impl FnMut(usize, &[u8])) {
    let schema = batch.schema();
    for (field, column) in schema.fields().iter().zip(batch.columns()).filter(|(field, _)| is_identifier(field)) {
        debug_assert_eq!(field.data_type(), column.data_type());
        if let Some(values) = column.as_binary_opt::<i32>() {
            let rows = values.iter().enumerate();
            rows.filter_map(|(row, value)| Some((row, value?))).for_each(|(row, value)| take(row, value));
        } else if let Some(lists) = column.as_list_opt::<i32>() {
            for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
                let items = lists.value(row);
                items.as_binary::<i32>().iter().flatten().for_each(|value| take(row, value));
            }
        }
    }
}

/// The first half: the rest of a keyed hash adds nothing to a filter.
fn print(pseudonym: &[u8]) -> u64 {
    pseudonym.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// Returns the byte and the bit of each place that a pseudonym has in an index of this many bytes.
fn places(print: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let mask = u64::try_from(bytes * 8 - 1).unwrap_or(u64::MAX);
    // An odd step walks through a power of two without meeting a place twice.
    let step = print.rotate_left(32) | 1;
    (0..PLACES).map(move |place| {
        let bit = print.wrapping_add(step.wrapping_mul(place)) & mask;
        (usize::try_from(bit / 8).expect("an index is in memory"), 1 << (bit % 8))
    })
}

/// The event's own pseudonym; it is nobody's.
const EVENT_ID: &str = "event_id";
/// One in a hundred thousand questions is answered with a wrong "perhaps", and one in ten thousand in the smallest class, where the
/// steps of two pseudonyms meet more often: a thousand people are looked for at once.
const BITS_EACH: usize = 24;
const PLACES: u64 = 16;
/// The smallest class: files of up to 170 pseudonyms look alike.
const BYTES_MIN: usize = 512;
const CLEARED_MIN: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray};

    use super::*;

    fn pseudonym(number: u32) -> [u8; 16] {
        *blake3::hash(&number.to_le_bytes()).as_bytes().first_chunk().unwrap()
    }

    fn index(numbers: std::ops::Range<u32>) -> Index {
        let subjects: ArrayRef = Arc::new(BinaryArray::from_iter_values(numbers.map(pseudonym)));
        let mut members = Members::default();
        members.add(&RecordBatch::try_from_iter([("subject", subjects)]).unwrap());
        members.index()
    }

    #[test]
    fn whoever_is_in_a_file_is_found_and_hardly_anybody_else() {
        for count in [1, 170, 171, 50_000] {
            let index = index(0..count);
            assert!((0..count).all(|number| index.may_hold(&pseudonym(number))), "{count}");
            let wrong = (1 << 20..(1 << 20) + 200_000).filter(|number| index.may_hold(&pseudonym(*number))).count();
            assert!(wrong < 40, "{wrong} of 200,000 strangers are taken for one of {count}");
        }
    }

    #[test]
    fn sizes_are_classes() {
        let bytes = |count| index(0..count).bytes().len();
        assert_eq!([bytes(0), bytes(1), bytes(170), bytes(171), bytes(340)], [512, 512, 512, 1024, 1024]);
    }

    #[test]
    fn an_events_own_pseudonym_is_nobodys() {
        let ids: ArrayRef = Arc::new(BinaryArray::from_iter_values([pseudonym(1)]));
        let mut members = Members::default();
        members.add(&RecordBatch::try_from_iter([("event_id", ids)]).unwrap());
        assert!(!members.index().may_hold(&pseudonym(1)));
    }
}
