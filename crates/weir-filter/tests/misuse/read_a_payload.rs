//! A later stage could read what the filter dropped.

fn payload<'r>(record: &weir_filter::Record<'r>) -> &'r [u8] {
    record.value()
}

fn main() {}
