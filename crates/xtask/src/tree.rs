//! Where things lie: the source tree, its crates, and the folder for everything a test run leaves behind.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;
use crate::test::cargo;

/// Returns the root of the source tree.
pub(crate) fn root() -> Result<PathBuf> {
    // Set by cargo at run time: a built xtask that was moved must not look where it was once compiled.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let root = manifest.ancestors().nth(2).context("could not find the root of the source tree")?;
    Ok(root.to_owned())
}

/// Returns the folder for downloads, logs and data, and makes it.
pub(crate) fn home() -> Result<PathBuf> {
    let home = match std::env::var_os("WEIR_TEST_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => root()?.join(".weir-test"),
    };
    fs::create_dir_all(&home).with_context(|| format!("could not make {}", home.display()))?;
    fs::canonicalize(&home).with_context(|| format!("could not find {}", home.display()))
}

/// Returns where cargo builds.
pub(crate) fn target() -> Result<PathBuf> {
    let mut metadata = cargo("metadata");
    metadata.args(["--format-version", "1", "--no-deps", "--offline"]);
    let said = process::quietly(&mut metadata)?;
    let folder = said.split("\"target_directory\":\"").nth(1).and_then(|rest| rest.split('"').next());
    folder.map(PathBuf::from).context("cargo names no target folder")
}

/// Makes `folder` once, even if several runs want it at the same moment.
///
/// `make` fills a folder of another name, which is renamed when it is whole: a run that was stopped halfway leaves
/// nothing that looks finished.
pub(crate) fn once(folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let lock = folder.with_extension("lock");
    let lock = File::create(&lock).with_context(|| format!("could not make {}", lock.display()))?;
    lock.lock().context("could not wait for another run")?;
    if folder.is_dir() {
        return Ok(());
    }
    let part = folder.with_extension("part");
    remove(&part)?;
    fs::create_dir_all(&part).with_context(|| format!("could not make {}", part.display()))?;
    make(&part)?;
    fs::rename(&part, folder).with_context(|| format!("could not name {}", folder.display()))
}

/// Removes a folder and all below it, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// A package of the workspace, as far as the commands need to know it.
pub(crate) struct Package {
    /// The name in its manifest.
    pub(crate) name: String,
    /// The names of its features.
    pub(crate) features: Vec<String>,
}

impl Package {
    /// Whether the package goes by this name on the command line: `lake` for `weir-lake`.
    pub(crate) fn is_stage(&self, stage: &str) -> bool {
        self.name == stage || self.name.strip_prefix("weir-") == Some(stage)
    }
}

/// Returns the folders of the workspace's packages.
pub(crate) fn package_folders() -> Result<Vec<PathBuf>> {
    let root = root()?;
    let folder = root.join("crates");
    let entries = fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))?;
    let mut folders = vec![root.join("benches")];
    for entry in entries {
        folders.push(entry?.path());
    }
    Ok(folders)
}

/// Returns the packages of the workspace, by name.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let mut packages = Vec::new();
    for folder in package_folders()? {
        let manifest = folder.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| format!("could not read {}", manifest.display()))?;
        packages.push(package(&text).with_context(|| format!("no package name in {}", manifest.display()))?);
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// Reads the two things of a manifest that matter here, which our manifests keep on lines of their own.
fn package(manifest: &str) -> Option<Package> {
    let mut section = "";
    let mut name = None;
    let mut features = Vec::new();
    for line in manifest.lines() {
        match line.split_once('=') {
            _ if line.starts_with('[') => section = line,
            Some((key, value)) if section == "[package]" && key.trim() == "name" => {
                name = Some(value.trim().trim_matches('"').to_owned());
            }
            Some((key, _)) if section == "[features]" && !line.starts_with('#') => features.push(key.trim().to_owned()),
            _ => {}
        }
    }
    Some(Package { name: name?, features })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_gives_name_and_features() {
        let package = package(
            "[package]\nname = \"weir-lake\"\n[features]\n# a = b\nreal-kafka = []\n[dependencies]\nx = \"1\"\n",
        );
        let package = package.expect("the manifest has a name");
        assert!(package.is_stage("lake") && package.is_stage("weir-lake") && !package.is_stage("weir"));
        assert_eq!(package.features, ["real-kafka"]);
    }

    #[test]
    fn folder_is_made_once_and_whole() {
        let folder = std::env::temp_dir().join(format!("xtask-once-{}", std::process::id()));
        remove(&folder).expect("the folder can go");
        assert!(
            once(&folder, |part| Ok(fs::write(part.join("half"), "")?).and(Err(anyhow::anyhow!("stopped")))).is_err()
        );
        assert!(!folder.exists());
        once(&folder, |part| Ok(fs::write(part.join("whole"), "")?)).expect("the folder can be made");
        once(&folder, |_| anyhow::bail!("made twice")).expect("it is there already");
        assert!(folder.join("whole").exists() && !folder.join("half").exists());
        remove(&folder).expect("the folder can go");
    }
}
