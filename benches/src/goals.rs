//! The ratios that must come out, and whether they did.

use std::fmt::Write as _;

use crate::contestants::{FILTER, IGNORED_ANY, REFERENCE, SIMD_JSON, TO_ARROW, VALUE};
use crate::race::{Result, find};

/// A ratio of two contestants, and its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The contestant above the line.
    over: &'static str,
    /// The contestant below the line.
    under: &'static str,
    /// What the ratio must not exceed.
    must: f64,
    /// What it should not exceed.
    stretch: f64,
}

/// Ratios of the filter and what bounds it.
pub const FILTER_GOALS: &[Goal] = &[
    Goal { over: TO_ARROW, under: SIMD_JSON, must: 1.3, stretch: 0.8 },
    Goal { over: TO_ARROW, under: IGNORED_ANY, must: 1.4, stretch: 0.9 },
    Goal { over: TO_ARROW, under: "filter → Arrow, one shape", must: 1.8, stretch: 1.3 },
    Goal { over: TO_ARROW, under: "filter → Arrow, stable", must: 1.3, stretch: 1.1 },
    Goal { over: TO_ARROW, under: VALUE, must: 1.0 / 3.3, stretch: 1.0 / 5.0 },
    Goal { over: TO_ARROW, under: REFERENCE, must: 0.1, stretch: 1.0 / 16.0 },
    Goal { over: FILTER, under: SIMD_JSON, must: 1.3, stretch: 0.8 },
];

/// Ratios of the filter under a larger load and a small one.
pub const SCALE_GOALS: &[Goal] = &[
    Goal { over: "filter, 1000 types", under: "filter, 8 types", must: 1.5, stretch: 1.2 },
    Goal { over: "filter → Arrow, 1000 types", under: "filter → Arrow, 8 types", must: 1.5, stretch: 1.2 },
    Goal { over: "filter, 10^8 consent records", under: "filter, 10^5 consent records", must: 1.25, stretch: 1.1 },
    Goal { over: "filter, 10^7 consent records", under: "filter, 10^5 consent records", must: 1.25, stretch: 1.1 },
];

/// Writes goals as a table of Markdown; those whose contestants did not run are left out.
pub fn table(goals: &[Goal], results: &[Result]) -> String {
    let mut out = "| ratio | measured | must | stretch | |\n|---|--:|--:|--:|---|\n".to_owned();
    for Goal { over, under, must, stretch } in goals {
        let (Some(above), Some(below)) = (find(results, over), find(results, under)) else { continue };
        let measured = above.nanos / below.nanos;
        let verdict = match measured {
            low if low <= *stretch => "stretch",
            low if low <= *must => "must",
            _ => "**missed**",
        };
        writeln!(out, "| {over} / {under} | {measured:.2} | ≤ {must:.2} | ≤ {stretch:.2} | {verdict} |")
            .expect("a string has room");
    }
    out
}
