//! `cargo xtask bench`: how fast weir is, as ratios against other programs in the same run.
//!
//! `cargo xtask bench peers` first builds programs of other people, each from its own registry, below the target folder. CI
//! never does: their builds take longer than weir's, and their figures change with the machine. `cargo xtask bench flow` sends
//! events through a real broker into tables, `cargo xtask bench effect` lets people withdraw meanwhile, `cargo xtask bench
//! changes` lets many change their minds while daemons and broker are killed, `cargo xtask bench gate` reads through the gate.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::machine::{self, Install, Need};
use crate::test::{self, cargo};
use crate::{process, report, tree};

/// Builds the bench as weir is released and runs it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    machine::require(&Need::BUILD, Install::Nothing)?;
    let mut bench = cargo("run");
    bench.args(["--release", "--package", PACKAGE, "--"]);
    match arguments {
        [peers, rest @ ..] if peers == "peers" => {
            let folder = tree::target()?.join("peers");
            build_peers(&folder)?;
            process::loudly(bench.arg("peers").arg(folder).args(rest))
        }
        [what, rest @ ..] if MEASURES.iter().any(|measure| measure.name == what) => {
            MEASURES.iter().filter(|measure| measure.name == what).try_for_each(|measure| measure.take(rest.first()))
        }
        _ => process::loudly(bench.args(arguments)),
    }
}

/// A test on a real broker that is long, and a measurement, when it runs with the program as it is released.
struct Measure {
    name: &'static str,
    test: &'static str,
    /// What in its environment says how much to do.
    variable: &'static str,
    usual: &'static str,
}

const MEASURES: [Measure; 4] = [
    Measure { name: "changes", test: "changes_in_any_order", variable: "WEIR_TEST_CHANGES", usual: "1000000" },
    Measure { name: "effect", test: "person_who_withdrew", variable: "WEIR_TEST_EVENTS", usual: "2000000" },
    Measure { name: "flow", test: "events_flow", variable: "WEIR_TEST_EVENTS", usual: "2000000" },
    Measure { name: "gate", test: "objects_come", variable: "WEIR_TEST_BYTES", usual: "1000000000" },
];

impl Measure {
    fn take(&self, number: Option<&String>) -> Result<()> {
        process::loudly(cargo("build").args(["--release", "--package", "weir"]))?;
        let binary = tree::target()?.join("release/weir");
        // The whole workspace is named, so that other people's crates keep the features that the tests built them with.
        let arguments = ["--", "--test", "whole", "--", self.test, "--nocapture"].map(str::to_owned);
        let number = number.map_or(self.usual, String::as_str);
        test::run_with(&arguments, &[("WEIR_TEST_BINARY", binary.as_os_str()), (self.variable, number.as_ref())])
    }
}

/// Builds each program in a folder of its own and leaves it there under the name `run`.
fn build_peers(folder: &Path) -> Result<()> {
    machine::require(&[&Need::READERS[..], &Need::PEERS].concat(), Install::Nothing)?;
    let sources = tree::root()?.join("benches/peers");
    fs::create_dir_all(folder)?;
    for name in ["duckdb.py", "polars.py", "requirements.txt"] {
        copy(&sources.join(name), &folder.join(name))?;
    }
    report::step("building VRL");
    let vrl = copied(&sources, folder, "vrl", &["Cargo.toml", "main.rs"])?;
    let mut build = cargo("build");
    build
        .args(["--release", "--manifest-path"])
        .arg(vrl.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(vrl.join("target"));
    process::quietly(&mut build)?;
    copy(&vrl.join("target/release/peer-vrl"), &vrl.join("run"))?;
    for name in ["ottl", "bento"] {
        report::step(&format!("building {name}"));
        let place = copied(&sources, folder, name, &["go.mod", "main.go"])?;
        let go = |arguments: &[&str]| process::quietly(Command::new("go").current_dir(&place).args(arguments));
        go(&["mod", "tidy"])?;
        go(&["build", "-buildvcs=false", "-o", "run", "."])?;
    }
    report::step("installing DuckDB and Polars");
    let python = folder.join("python");
    process::quietly(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
    let mut install = Command::new(python.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    process::quietly(install.arg(folder.join("requirements.txt"))).map(drop)
}

fn copied(sources: &Path, folder: &Path, name: &str, files: &[&str]) -> Result<std::path::PathBuf> {
    let place = folder.join(name);
    fs::create_dir_all(&place)?;
    for file in files {
        copy(&sources.join(name).join(file), &place.join(file))?;
    }
    Ok(place)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("could not copy {}", from.display())).map(drop)
}

const PACKAGE: &str = "weir-bench";
