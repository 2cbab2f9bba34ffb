//! What came out of a run, counted: to compare corpora with what they should be, and other programs with weir.

use weir_filter::{Batch, Column, Filtered, Values};
use weir_policy::Purpose;

/// Rows and values of one purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Values that are not null: declared columns, and of the system's tenant, subject, event id and time.
    pub cells: u64,
    /// Those of the cells that are pseudonyms.
    pub pseudonyms: u64,
}

/// Counts each purpose's tables, by [`weir_policy::PurposeId::index`].
pub fn counts(filtered: &Filtered) -> [Counts; 3] {
    [of_batch(&filtered.troubleshooting), of_batch(&filtered.reliability), of_batch(&filtered.personalization)]
}

fn of_batch<P: Purpose>(batch: &Batch<P>) -> Counts {
    let mut sum = Counts::default();
    for rows in batch.tables() {
        let all: Vec<_> = (0..rows.len()).collect();
        let columns: Vec<_> = rows.columns(&all).collect();
        let of_kind = columns.iter().filter(|column| matches!(column.values(), Values::Pseudonym(_)));
        let system = number(rows.len());
        sum.rows += system;
        sum.cells += columns.iter().map(present).sum::<u64>() + 4 * system;
        sum.pseudonyms += of_kind.map(present).sum::<u64>() + 2 * system;
    }
    sum
}

fn present<P: Purpose>(column: &Column<P>) -> u64 {
    number(column.values().len() - column.values().validity().nulls())
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
