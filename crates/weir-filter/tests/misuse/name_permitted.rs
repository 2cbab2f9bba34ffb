//! A permission could be made by somebody else.

fn permit(_: weir_filter::consent::Permitted<'_, weir_policy::Reliability>) {}

fn main() {}
