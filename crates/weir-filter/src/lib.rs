//! The hot path and the trusted core: records in, permitted rows out.

mod batch;
mod json;
mod pseudonymize;
mod record;
mod tally;

pub use batch::{Batch, Cells, Column, Coordinates, Filtered, Lists, Rows, Storable, Validity, Values};
pub use pseudonymize::Pseudonym;
pub use record::{Headers, Limits, Origin, Record};
pub use tally::{Fate, FieldCounts, Removed, Tally, TallyKey};
