//! `cargo xtask model`: every order in which a withdrawal and a commit can meet, walked by a model checker.
//!
//! The checker's locks and numbers take the place of the consent store's, so the crates from there to the lake are built once more.
//! What it walks and what it must find out stands in `crates/weir-lake/src/attempt/model.rs`.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::machine::{self, Install, Need};
use crate::test::cargo;
use crate::{process, report};

/// Walks them all.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("model takes no arguments");
    }
    machine::require(&Need::BUILD, Install::Nothing)?;
    check()
}

/// Walks them all, on a machine that has what it takes.
pub(crate) fn check() -> Result<()> {
    let started = Instant::now();
    let mut walk = cargo("test");
    // The whole workspace is named, so that other people's crates keep the features that they were built with.
    walk.args(["--workspace", "--features", "weir-lake/model", "--test", "model"]);
    report::step(&process::shown(&walk));
    process::loudly(&mut walk)?;
    report::done("interleavings of consent and commit", started.elapsed());
    Ok(())
}
