//! The command that prints the table of ratios runs, in a small form.

use weir_bench::ratios::{self, Size};

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
