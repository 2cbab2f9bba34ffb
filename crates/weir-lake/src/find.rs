//! The rows of a file that hold somebody: looked for in every identifier column, and only where the index says "perhaps".

use arrow::array::{BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use parquet::arrow::ProjectionMask;

use crate::encryption::{batches, open, unless_destroyed};
use crate::index::{each_pseudonym, is_identifier};
use crate::lake::Lake;
use crate::layout::TableName;
use crate::person::Pseudonyms;
use crate::store::TableFolder;
use crate::table_log::TableError;

/// The rows of a file that hold one of the pseudonyms that were looked for.
pub(crate) struct Found {
    /// One bit for each row of the file.
    pub(crate) rows: BooleanBuffer,
    /// How many rows hold each person, by their place.
    pub(crate) people: Vec<u64>,
}

impl Found {
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.rows.count_set_bits()).unwrap_or(u64::MAX)
    }
}

impl Lake {
    /// Looks for people in a file; `None` if no row holds any.
    pub(crate) fn find(
        &self,
        table: (&TableName, &TableFolder),
        path: &str,
        wanted: &Pseudonyms,
        people: usize,
    ) -> Result<Option<Found>, TableError> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let index = self.index(table, path);
        if index.is_some_and(|index| !wanted.keys().any(|pseudonym| index.may_hold(pseudonym))) {
            return Ok(None);
        }
        let Some(builder) = unless_destroyed(open(table.1, path), wanted)? else { return Ok(None) };
        let columns = builder.schema().fields().iter().enumerate().filter(|(_, field)| is_identifier(field));
        let columns: Vec<_> = columns.map(|(place, _)| place).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
        let mut bits = BooleanBufferBuilder::new(0);
        let mut people = vec![0; people];
        for batch in batches(builder.with_projection(mask), path)? {
            let batch = batch?;
            let start = bits.len();
            bits.append_n(batch.num_rows(), false);
            for (row, person) in hits(&batch, wanted) {
                bits.set_bit(start + row, true);
                people[person] += 1;
            }
        }
        let rows = bits.finish();
        Ok((rows.count_set_bits() > 0).then_some(Found { rows, people }))
    }
}

/// Returns the rows that hold people, each with the place of the person, in order.
pub(crate) fn hits(batch: &RecordBatch, wanted: &Pseudonyms) -> Vec<(usize, usize)> {
    let mut hits = Vec::new();
    each_pseudonym(batch, |row, pseudonym| {
        let whose = pseudonym.try_into().ok().and_then(|pseudonym: [u8; 16]| wanted.get(&pseudonym));
        hits.extend(whose.into_iter().flatten().map(|person| (row, *person)));
    });
    // A row that holds a person twice is one row of theirs.
    hits.sort_unstable();
    hits.dedup();
    hits
}
