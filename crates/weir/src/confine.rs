//! What a daemon may do to the machine, whatever becomes of it: write below its own folders, and start no program.
//!
//! By Landlock, where the kernel has it (Linux 5.13). Reading is left as it is. A rule holds for the folder that is there at the start: one that is
//! mounted anew later is another, and wants a restart.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use weir_daemon::Config;
use weir_daemon::config::LakeUrl;

/// Returns the folders that the daemons of a configuration write to, as far as they are there.
///
/// # Errors
/// When there is no lake and none can be made: who confined themselves now could never write to it.
pub(crate) fn folders(config: &Config) -> io::Result<Vec<PathBuf>> {
    let mut folders = vec![config.keys.provider.0.clone(), std::env::temp_dir()];
    if let LakeUrl::Folder(root) = &config.lake.root {
        std::fs::create_dir_all(root)?;
        folders.push(root.clone());
    }
    folders.extend(config.lake.store_keys.as_ref().map(|keys| keys.0.clone()));
    if let Some(answers) = config.api.as_ref().and_then(|api| api.rules.answers.clone()) {
        // Made later it could not be written to; what is wrong with it the API says.
        drop(DirBuilder::new().recursive(true).mode(0o700).create(&answers));
        folders.push(answers);
    }
    folders.extend(config.snapshot.as_ref().and_then(|snapshot| snapshot.path.parent()).map(Path::to_path_buf));
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}

/// Confines this thread, and all that it starts, to writing below some folders; tells whether the kernel can.
///
/// # Errors
/// When a folder cannot be opened, or the kernel refuses a rule.
#[cfg(target_os = "linux")]
pub(crate) fn to(folders: &[PathBuf]) -> io::Result<bool> {
    use landlock::{
        ABI, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
    };

    let abi = ABI::V5;
    let here = AccessFs::MakeDir | AccessFs::MakeReg | AccessFs::Refer | AccessFs::RemoveDir | AccessFs::RemoveFile;
    let rule = |path: &Path, access: BitFlags<AccessFs>| {
        let opened = PathFd::new(path).map_err(io::Error::other)?;
        Ok::<_, io::Error>(PathBeneath::new(opened, access))
    };
    let content = AccessFs::Truncate | AccessFs::WriteFile;
    let mut rules = vec![rule(Path::new("/dev/null"), content)?];
    for folder in folders {
        rules.push(rule(folder, here | content)?);
    }
    let confined = Ruleset::default()
        .handle_access(AccessFs::from_write(abi) | AccessFs::Execute)
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rules(rules.into_iter().map(Ok::<_, landlock::RulesetError>)))
        .and_then(landlock::RulesetCreated::restrict_self);
    Ok(confined.map_err(io::Error::other)?.ruleset != RulesetStatus::NotEnforced)
}

/// Other systems have nothing of the kind.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
pub(crate) fn to(_: &[PathBuf]) -> io::Result<bool> {
    Ok(false)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::process::Command;

    #[test]
    fn daemons_write_to_their_folders_only_and_start_nothing() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("there"), "x").unwrap();
        let folders = [own.path().to_owned()];
        // The rest of the tests go on in threads that are not confined.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if !super::to(&folders).unwrap() {
                    // Nothing is promised on a kernel without Landlock, and the log says so.
                    return;
                }
                fs::create_dir_all(own.path().join("new/day")).unwrap();
                fs::write(own.path().join("new/day/one"), "x").unwrap();
                fs::hard_link(own.path().join("new/day/one"), own.path().join("two")).unwrap();
                fs::rename(own.path().join("two"), own.path().join("three")).unwrap();
                fs::remove_file(own.path().join("three")).unwrap();
                assert_eq!(fs::read_to_string(other.path().join("there")).unwrap(), "x");
                fs::write(other.path().join("there"), "y").unwrap_err();
                fs::write(other.path().join("new"), "y").unwrap_err();
                fs::remove_file(other.path().join("there")).unwrap_err();
                fs::rename(own.path().join("new/day/one"), other.path().join("one")).unwrap_err();
                Command::new("/bin/true").status().unwrap_err();
                fs::write("/dev/null", "x").unwrap();
            });
        });
        assert_eq!(fs::read_to_string(other.path().join("there")).unwrap(), "x");
    }
}
