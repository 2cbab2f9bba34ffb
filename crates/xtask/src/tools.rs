//! Tools of the field that cargo builds: each at one version, once.

use std::path::PathBuf;

use anyhow::Result;

use crate::test::cargo;
use crate::{process, report, tree};

/// Returns what looks at dependencies: their licences, where they come from, who may use whom.
pub(crate) fn deny() -> Result<PathBuf> {
    built("cargo-deny", "0.20.2", &["--no-default-features"])
}

/// Returns what writes bills of materials.
pub(crate) fn cyclonedx() -> Result<PathBuf> {
    built("cargo-cyclonedx", "0.5.9", &[])
}

/// Returns a program that a crate of its name builds, with the versions that its authors tried.
fn built(name: &str, version: &str, options: &[&str]) -> Result<PathBuf> {
    let folder = tree::home()?.join(format!("{name}-{version}"));
    tree::once(&folder, |part| {
        report::step(&format!("building {name} {version}"));
        let mut install = cargo("install");
        install.args([name, "--version", &format!("={version}"), "--locked", "--quiet", "--profile", "dev"]);
        install.args(options).arg("--root").arg(part).arg("--target-dir").arg(part.join("target"));
        // It runs for seconds: what optimises it takes minutes.
        process::quietly(install.env("CARGO_PROFILE_DEV_DEBUG", "false"))?;
        tree::remove(&part.join("target"))
    })?;
    Ok(folder.join("bin").join(name))
}
