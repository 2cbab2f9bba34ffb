//! What was permitted for a purpose could end up in a log.

fn log(rows: &weir_filter::Rows<weir_policy::Reliability>) -> String {
    format!("{rows:?}")
}

fn main() {}
