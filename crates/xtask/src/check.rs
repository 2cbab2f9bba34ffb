//! `cargo xtask check`: everything that can be said about the tree without running it.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::machine::{self, Install, Need};
use crate::test::{Selection, cargo};
use crate::{process, report, tidy, tools, tree};

/// Formats, lints, the house's own rules, documentation, dependencies, and what the program is made of.
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
    step("dependencies", dependencies)?;
    step("bill of materials", materials)
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

/// Licences, bans and sources; advisories come from a database that not every machine reaches.
fn dependencies() -> Result<()> {
    let mut deny = Command::new(tools::deny()?);
    deny.current_dir(tree::root()?);
    process::loudly(deny.args([
        "--log-level",
        "error",
        "--config",
        ".config/deny.toml",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Writes what the program is made of, as `CycloneDX`, and sees to it that nothing of it is missing there.
fn materials() -> Result<()> {
    let root = tree::root()?;
    let mut list = Command::new(tools::cyclonedx()?);
    list.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--override-filename", BILL]);
    process::loudly(list.arg("--manifest-path").arg(root.join("crates/weir/Cargo.toml")))?;
    // It writes one beside each manifest.
    let bill = fs::read_to_string(root.join("crates/weir").join(format!("{BILL}.json")))?;
    for folder in tree::package_folders()? {
        fs::remove_file(folder.join(format!("{BILL}.json")))?;
    }
    let mut depends = cargo("tree");
    depends.args(["--package", "weir", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    for package in process::quietly(&mut depends)?.lines() {
        let mut words = package.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let purl = format!("pkg:cargo/{name}@{}", version.trim_start_matches('v'));
        if !bill.contains(&purl) {
            bail!("the bill of materials lacks {purl}");
        }
    }
    let path = tree::target()?.join(format!("{BILL}.json"));
    fs::write(&path, bill)?;
    report::step(&format!("the bill of materials is {}", path.display()));
    Ok(())
}

fn step(name: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    report::step(name);
    act()?;
    report::done(name, started.elapsed());
    Ok(())
}

/// The name that releases give it, without its ending.
const BILL: &str = "weir.cdx";
