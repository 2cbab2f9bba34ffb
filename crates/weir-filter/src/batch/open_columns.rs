//! Columns that are being made of rows, a tile of rows at a time.
//!
//! A column alone would pass over all rows for one word of each. So a few rows are laid side by side, as many as stay in a
//! core's first cache, and every column takes its values out of these before the next ones come.

use super::column::{Column, Lists, Values};
use super::layout::{BITS, Layout, Place, Word};
use super::rows::Item;
use weir_policy::Purpose;

/// Columns of a table, which rows are added to.
pub(super) struct OpenColumns<'r, P: Purpose> {
    columns: Vec<(Place, Values<P>, Option<Lists>)>,
    /// The items of the rows' lists.
    items: &'r [Item],
    tile: Tile,
}

/// Rows side by side.
pub(super) struct Tile {
    words: Vec<Word>,
    /// Words of a row.
    stride: usize,
    /// For each validity bit of a row, those of all the rows: the first row's is the lowest.
    there: Vec<u64>,
}

/// The rows of a tile: as many as a word has bits.
pub(super) const TILE_ROWS: usize = 64;

impl<'r, P: Purpose> OpenColumns<'r, P> {
    /// Makes room for so many rows.
    pub(super) fn new(layout: &Layout<P>, items: &'r [Item], rows: usize) -> Self {
        let open = |place: &Place| {
            // Nobody knows how many items there are.
            let values = Values::for_values(place.storage, if place.is_list { 0 } else { rows });
            (*place, values, place.is_list.then(|| Lists::for_rows(rows)))
        };
        let tile = Tile {
            words: Vec::with_capacity(layout.stride * TILE_ROWS.min(rows)),
            stride: layout.stride,
            there: vec![0; layout.validity_words().iter().sum::<usize>() * BITS],
        };
        Self { columns: layout.places.iter().map(open).collect(), items, tile }
    }

    /// Adds up to [`TILE_ROWS`] rows, by their words; only the last call may add fewer.
    pub(super) fn push<'w>(&mut self, rows: impl Iterator<Item = &'w [Word]>) {
        let Self { columns, items, tile } = self;
        tile.fill(rows);
        for (place, values, lists) in columns {
            match lists {
                None => values.push(tile, *place),
                Some(lists) => {
                    let of_rows = || tile.rows().map(|row| place.items(row, items));
                    lists.push(of_rows().map(<[Item]>::len), tile.are_there(*place));
                    of_rows().for_each(|items| values.push_items(items));
                }
            }
        }
    }

    /// Returns the columns.
    pub(super) fn close(self) -> impl Iterator<Item = Column<P>> {
        self.columns.into_iter().map(|(place, values, lists)| Column::new(place.field, values, lists))
    }
}

impl Tile {
    fn fill<'w>(&mut self, rows: impl Iterator<Item = &'w [Word]>) {
        self.words.clear();
        rows.for_each(|row| self.words.extend_from_slice(row));
        for (word, there) in self.there.as_chunks_mut::<BITS>().0.iter_mut().enumerate() {
            // Rows that are not there have no values.
            let mut of_rows = [0; TILE_ROWS];
            for (of_row, row) in of_rows.iter_mut().zip(self.words.chunks_exact(self.stride)) {
                *of_row = row[word];
            }
            *there = turned(&of_rows);
        }
    }

    /// Returns the words of each row.
    fn rows(&self) -> impl ExactSizeIterator<Item = &[Word]> {
        self.words.chunks_exact(self.stride)
    }

    /// Returns the words of each row from the start of a column's cell.
    #[inline]
    pub(super) fn cells(&self, place: Place) -> impl ExactSizeIterator<Item = &[Word]> {
        // The last of these parts is shorter, and holds the cell all the same.
        self.words[place.word..].chunks(self.stride)
    }

    /// Tells which rows have a value in a column.
    #[inline]
    pub(super) fn are_there(&self, place: Place) -> u64 {
        self.there[place.bit]
    }
}

/// Returns for each bit of a word those of all words, the first word's lowest.
fn turned(words: &[Word; TILE_ROWS]) -> [u64; BITS] {
    let mut bits = [0; BITS];
    for (at, bit) in bits.iter_mut().enumerate() {
        *bit = u64::from(words[at + BITS]) << BITS | u64::from(words[at]);
    }
    // Blocks of bits change places across the diagonal, of 16 x 16 first: what is not on it lies half a block away.
    for (step, low) in [(16, 0x0000_FFFF), (8, 0x00FF_00FF), (4, 0x0F0F_0F0F), (2, 0x3333_3333), (1, 0x5555_5555)] {
        let low = low << BITS | low;
        for block in bits.chunks_exact_mut(2 * step) {
            let (above, below) = block.split_at_mut(step);
            for (above, below) in above.iter_mut().zip(below) {
                let other = (*above >> step ^ *below) & low;
                *below ^= other;
                *above ^= other << step;
            }
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_words_become_words_of_bits() {
        let words = std::array::from_fn(|at| Word::try_from(at).unwrap().wrapping_mul(0x9E37_79B9));
        for (bit, of_words) in turned(&words).iter().enumerate() {
            for (at, word) in words.iter().enumerate() {
                assert_eq!(of_words >> at & 1, u64::from(word >> bit & 1));
            }
        }
    }
}
