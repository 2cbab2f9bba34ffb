//! The provider of `OpenID` Connect that tests sign in with: a program of Node.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, tree};

/// Returns the program, installed as the lock file in the tree says, digests included.
pub(crate) fn provider() -> Result<PathBuf> {
    let wanted = tree::root()?.join("crates/weir/tests/provider");
    let folder = tree::home()?.join("node");
    let program = folder.join("node_modules/.bin/oauth2-mock-server");
    // Another run may be at it, and `npm ci` begins with an empty folder.
    let lock = fs::File::create(folder.with_extension("lock"))?;
    lock.lock().context("could not wait for another run")?;
    let is_same = |name: &str| {
        let (had, wanted) = (fs::read(folder.join(name)).ok()?, fs::read(wanted.join(name)).ok()?);
        (had == wanted).then_some(())
    };
    if program.exists() && is_same(MANIFEST).is_some() && is_same(LOCK).is_some() {
        return Ok(program);
    }
    tree::remove(&folder)?;
    fs::create_dir_all(&folder)?;
    fs::copy(wanted.join(MANIFEST), folder.join(MANIFEST))?;
    let mut install = Command::new("npm");
    install.args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
    let copied = fs::copy(wanted.join(LOCK), folder.join(LOCK)).context("could not read the lock file");
    copied.and_then(|_| process::quietly(&mut install))?;
    Ok(program)
}

const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
