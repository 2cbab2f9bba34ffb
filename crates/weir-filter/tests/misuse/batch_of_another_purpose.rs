//! Rows for troubleshooting could be written to personalization's files.

use weir_filter::{Batch, Filtered};
use weir_policy::Personalization;

fn seal(_: Batch<Personalization>) {}

fn close(filtered: Filtered) {
    seal(filtered.troubleshooting);
}

fn main() {}
