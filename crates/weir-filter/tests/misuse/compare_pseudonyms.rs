//! Two purposes' pseudonyms could be joined.

use weir_filter::Pseudonym;
use weir_policy::{Reliability, Troubleshooting};

fn is_same(one: Pseudonym<Troubleshooting>, other: Pseudonym<Reliability>) -> bool {
    one == other
}

fn main() {}
