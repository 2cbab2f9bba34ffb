//! The commands that print tables run, in a small form.

use weir_bench::ratios::{self, Size};
use weir_bench::scale::{self, Reach};

/// Every contestant has a row, and every goal a verdict.
#[test]
fn small_run_prints_all_rows() {
    let mut out = Vec::new();
    ratios::print(&Size::SMALL, &mut out).expect("a small world fits anywhere");
    let out = String::from_utf8(out).expect("text");
    for row in ["filter → Arrow", "filter → Arrow, one shape", "simd-json tape", "reference filter", "memcpy"] {
        assert!(out.contains(&format!("| {row} | ")), "no row {row} in\n{out}");
    }
    assert!(out.contains("| filter → Arrow / simd-json tape | "), "no verdict in\n{out}");
}

/// Every load has a row: more types, more consents, more dates.
#[test]
fn small_scale_prints_all_rows() {
    let mut out = Vec::new();
    let reach = Reach { types: 16, records: 100_000 };
    scale::print(&Size::SMALL, reach, &mut out).expect("a small world fits anywhere");
    let out = String::from_utf8(out).expect("text");
    for row in ["filter, 8 types", "filter, 16 types", "filter, 10^5 consent records", "filter, 28 dates"] {
        assert!(out.contains(&format!("| {row} | ")), "no row {row} in\n{out}");
    }
}
