//! What the tests need on a machine, how to tell that it is there, and how to get it.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, report};

/// Something that cannot come with the source tree.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Need {
    /// For librdkafka, zstd and OpenSSL, which are built from source.
    Compiler,
    /// Runs Apache Kafka and Apache Spark.
    Java,
    /// Builds the object store, and peers of the bench that are written in it.
    Go,
    /// Runs the build of OpenSSL and librdkafka.
    Make,
    /// Fetches Apache Kafka, and Delta for Spark.
    Maven,
    /// Runs who signs people in.
    Node,
    /// Configures the build of OpenSSL.
    Perl,
    /// Runs the readers that check the tables.
    Python,
    /// Shows the portal as people see it.
    Chromium,
    /// Counts instructions.
    Valgrind,
}

impl Need {
    /// What every build needs.
    pub(crate) const BUILD: [Self; 3] = [Self::Compiler, Self::Make, Self::Perl];
    /// What a broker of our own needs.
    pub(crate) const KAFKA: [Self; 2] = [Self::Java, Self::Maven];
    /// What counting instructions needs.
    pub(crate) const COUNT: [Self; 1] = [Self::Valgrind];
    /// What the bench's peers need beside Python.
    pub(crate) const PEERS: [Self; 1] = [Self::Go];
    /// What the readers of tables and pages need.
    pub(crate) const READERS: [Self; 5] = [Self::Python, Self::Chromium, Self::Java, Self::Maven, Self::Node];

    /// What the object store needs, which is built from its source.
    pub(crate) const STORE: [Self; 1] = [Self::Go];
    /// What the vault needs, which comes as a package of Python's.
    pub(crate) const VAULT: [Self; 1] = [Self::Python];

    /// The name that a person would search for, and where to get it.
    fn advice(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium named chromium",
            Self::Compiler => "a C compiler named cc (gcc or clang)",
            Self::Java => "Java 17 or newer named java (OpenJDK from your system's packages, or adoptium.net)",
            Self::Go => "Go 1.21 or newer named go (go.dev)",
            Self::Make => "GNU make",
            Self::Node => "Node 20 or newer named node, with npm (nodejs.org)",
            Self::Maven => "Apache Maven named mvn (maven.apache.org)",
            Self::Perl => "Perl 5 with its core modules",
            Self::Valgrind => "Valgrind, which counts instructions",
            Self::Python => "Python 3.10 or newer named python3, with its modules venv and ensurepip",
        }
    }

    /// Debian's packages for it, the best first: releases differ in which of them they have.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium"],
            Self::Compiler => &["gcc libc6-dev"],
            Self::Java => &["openjdk-21-jre-headless", "openjdk-17-jre-headless", "default-jre-headless"],
            Self::Go => &["golang-go"],
            Self::Make => &["make"],
            Self::Maven => &["maven"],
            Self::Node => &["nodejs npm"],
            Self::Perl => &["perl"],
            Self::Python => &["python3 python3-venv"],
            // Without the symbols of libc it cannot replace what it must.
            Self::Valgrind => &["valgrind libc6-dbg", "valgrind"],
        }
    }

    fn is_met(self) -> bool {
        let said = |program: &str, arguments: &[&str]| {
            let output =
                Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        match self {
            Self::Chromium => said("chromium", &["--version"]).is_some(),
            Self::Compiler => said("cc", &["--version"]).is_some(),
            Self::Java => {
                said("java", &["-version"]).and_then(|text| java_version(&text)).is_some_and(|major| major >= 17)
            }
            // From then on it fetches a newer one by itself, where a program asks for it.
            Self::Go => said("go", &["version"]).and_then(|text| go_version(&text)).is_some_and(|minor| minor >= 21),
            Self::Make => said("make", &["--version"]).is_some(),
            Self::Maven => said("mvn", &["--version"]).is_some(),
            Self::Node => {
                let is_new =
                    said("node", &["--version"]).and_then(|text| node_version(&text)).is_some_and(|major| major >= 20);
                is_new && said("npm", &["--version"]).is_some()
            }
            Self::Perl => said("perl", &["-MIPC::Cmd", "-MFindBin", "-MFile::Compare", "-e", "1"]).is_some(),
            Self::Valgrind => said("valgrind", &["--version"]).is_some(),
            Self::Python => {
                said("python3", &["-c", "import sys, venv, ensurepip; assert sys.version_info >= (3, 10)"]).is_some()
            }
        }
    }
}

/// Makes sure that the machine has all `needs`: installs what it lacks, or says what that is.
pub(crate) fn require(needs: &[Need], install: Install) -> Result<()> {
    let lacking = || needs.iter().copied().filter(|need| !need.is_met()).collect::<Vec<_>>();
    let missing = lacking();
    if missing.is_empty() {
        return Ok(());
    }
    if install == Install::Missing {
        apt_get(&["update"])?;
        for need in missing {
            get(need)?;
        }
    }
    let missing = lacking();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.iter().map(|need| need.advice()).collect::<Vec<_>>().join("\n  - ");
    let first = missing.iter().filter_map(|need| need.packages().last().copied()).collect::<Vec<_>>().join(" ");
    bail!(
        "this machine lacks:\n  - {list}\n\
         On Debian and Ubuntu, `cargo xtask test --install` installs them; by hand: apt-get install {first}"
    )
}

/// Whether a command may change the machine.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Install {
    /// Install what is missing.
    Missing,
    /// Only tell.
    Nothing,
}

fn get(need: Need) -> Result<()> {
    report::step(&format!("installing {}", need.advice()));
    let mut failure = None;
    for packages in need.packages() {
        let arguments: Vec<&str> =
            ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages.split(' ')).collect();
        match apt_get(&arguments) {
            Ok(()) => return Ok(()),
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(()), Err)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let root = process::quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = Command::new(if root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"]).args(arguments);
    process::quietly(&mut command).context("apt could not install").map(drop)
}

/// Reads the major version from `openjdk version "17.0.15" 2025-04-15`; Java 8 called itself 1.8.
fn java_version(text: &str) -> Option<u32> {
    let quoted = text.split('"').nth(1)?;
    quoted.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads the minor version from `go version go1.26.8 linux/amd64`.
fn go_version(text: &str) -> Option<u32> {
    text.split("go1.").nth(1)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Reads the major version from `v20.20.2`.
fn node_version(text: &str) -> Option<u32> {
    text.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_tells_its_major_version() {
        assert_eq!(java_version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK …"), Some(17));
        assert_eq!(java_version("java version \"1.8.0_292\""), Some(1));
        assert_eq!(java_version("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(java_version("no java here"), None);
    }

    #[test]
    fn go_tells_its_minor_version() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some(26));
        assert_eq!(go_version("go version go1.19.8 linux/amd64"), Some(19));
        assert_eq!(go_version("go: not found"), None);
    }

    #[test]
    fn node_tells_its_major_version() {
        assert_eq!(node_version("v20.20.2\n"), Some(20));
        assert_eq!(node_version("node: not found"), None);
    }
}
