//! A record could end up in a log.

fn log(record: &weir_filter::Record<'_>) -> String {
    format!("could not read {record:?}")
}

fn main() {}
