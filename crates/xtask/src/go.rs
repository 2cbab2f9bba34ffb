//! Programs that are written in Go, built from the source that its module proxy has.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{process, tree};

/// Returns the object store, built by the first run that needs it.
pub(crate) fn store() -> Result<PathBuf> {
    let folder = tree::home()?.join(format!("versitygw-{}", STORE_VERSION.replace('.', "-")));
    tree::once(&folder, |folder| {
        let mut install = Command::new("go");
        install.env("GOBIN", folder).env("CGO_ENABLED", "0").args(["install", "-trimpath"]);
        install.arg(format!("{STORE}@v{STORE_VERSION}"));
        process::quietly(&mut install).map(drop)
    })?;
    Ok(folder.join("versitygw"))
}

/// The release that tests run against.
pub(crate) const STORE_VERSION: &str = "1.8.0";
const STORE: &str = "github.com/versity/versitygw/cmd/versitygw";
