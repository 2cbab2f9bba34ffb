//! A copy could outlive the filter.

fn keep<'r>(record: &weir_filter::Record<'r>) -> weir_filter::Record<'r> {
    record.clone()
}

fn main() {}
