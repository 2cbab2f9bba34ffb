//! Whoever holds a record could be printed instead.

#[derive(Debug)]
struct Holder<'r> {
    record: weir_filter::Record<'r>,
}

fn main() {}
