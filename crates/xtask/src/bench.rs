//! `cargo xtask bench`: how fast weir is, as ratios against other programs in the same run.

use anyhow::Result;

use crate::machine::{self, Install, Need};
use crate::process;
use crate::test::cargo;

/// Builds the bench as weir is released and runs it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    machine::require(&Need::BUILD, Install::Nothing)?;
    process::loudly(cargo("run").args(["--release", "--package", PACKAGE, "--"]).args(arguments))
}

const PACKAGE: &str = "weir-bench";
