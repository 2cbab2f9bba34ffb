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

/// Every load has a row: more types, more consents, more dates, more cores.
#[test]
fn small_scale_prints_all_rows() {
    let mut out = Vec::new();
    let reach = Reach { types: 16, records: 100_000 };
    scale::print(&Size::SMALL, reach, &mut out).expect("a small world fits anywhere");
    let out = String::from_utf8(out).expect("text");
    let rows = ["8 types", "16 types", "10^5 consent records", "28 dates"].map(|load| format!("filter, {load}"));
    for row in rows.iter().map(String::as_str).chain(["filter by the clock, cores: 1"]) {
        assert!(out.contains(&format!("| {row} | ")), "no row {row} in\n{out}");
    }
}
