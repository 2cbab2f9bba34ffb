//! `cargo xtask check`: everything that can be said about the tree without running it.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::machine::{self, Install, Need};
use crate::test::{Selection, cargo};
use crate::{process, report, tidy, tree};

/// Formats, lints, the house's own rules, documentation, and dependencies where the tool for them is installed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("check takes no arguments");
    }
    machine::require(&Need::BUILD, Install::Nothing)?;
    // The cheap steps come first; clippy leaves behind what rustdoc needs of other people's crates.
    step("formatting", || process::loudly(cargo("fmt").args(["--all", "--check"])))?;
    tidy::run(&[])?;
    step("clippy", clippy)?;
    step("documentation", documentation)?;
    dependencies()
}

fn clippy() -> Result<()> {
    let mut clippy = Selection::of(&tree::packages()?, &[])?.cargo("clippy");
    process::loudly(clippy.args(["--all-targets", "--", "--deny", "warnings"]))
}

fn documentation() -> Result<()> {
    let mut doc = cargo("doc");
    doc.args(["--workspace", "--no-deps", "--document-private-items"]);
    process::loudly(doc.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Licences, bans and duplicates; advisories come from a database that not every machine reaches.
fn dependencies() -> Result<()> {
    let is_installed = Command::new("cargo-deny").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !is_installed.is_ok_and(|status| status.success()) {
        report::step("cargo-deny is not installed, so licences and bans are not checked: cargo install cargo-deny");
        return Ok(());
    }
    step("dependencies", || {
        process::loudly(cargo("deny").args(["--config", ".config/deny.toml", "check", "bans", "licenses", "sources"]))
    })
}

fn step(name: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    report::step(name);
    act()?;
    report::done(name, started.elapsed());
    Ok(())
}
