//! Manifests: one chain of crates, a trusted core that cannot log, and a reason for each dependency.

use super::{Finding, Text};

/// Checks one file, if it is the manifest of a crate.
pub(crate) fn check(file: &Text, findings: &mut Vec<Finding>) {
    let Some(package) = file.path.strip_prefix("crates/").and_then(|rest| rest.strip_suffix("/Cargo.toml")) else {
        return;
    };
    for dependency in dependencies(&file.text) {
        let mut report = |message: String| findings.push(Finding::new(file, dependency.line, message));
        if !may_name(package, &dependency) {
            report(format!(
                "{package} stands before {} in the chain, or beside it, and must not name it",
                dependency.name
            ));
        }
        if package == CORE && dependency.table == Table::Product && BANNED_IN_CORE.contains(&dependency.name) {
            report(format!(
                "{CORE} cannot log, wait, tell the time or serialise, so it cannot name {}",
                dependency.name
            ));
        }
        if !dependency.has_reason && !dependency.name.starts_with("weir-") {
            report(format!("{} needs a comment that says why it is here", dependency.name));
        }
        if !dependency.is_inherited {
            report(format!("the version of {} stands in the workspace: `workspace = true`", dependency.name));
        }
    }
    if !file.text.contains("[lints]\nworkspace = true\n") {
        findings.push(Finding::new(file, 1, "a crate takes the lints of the workspace"));
    }
}

/// Whether the order of the story lets `package` depend on the other crate.
fn may_name(package: &str, dependency: &Dependency<'_>) -> bool {
    let place = |name: &str| CHAIN.iter().position(|&link| link == name);
    match (place(package), place(dependency.name)) {
        // The program carries the corpus, for `weir demo`; everyone else's tests may use it.
        _ if dependency.name == TESTKIT => package == "weir" || dependency.table == Table::Tests,
        (Some(own), Some(other)) => other < own,
        // The commands of developers must work while the product does not compile.
        (None, Some(_)) => package == TESTKIT,
        (_, None) => true,
    }
}

/// A line of a manifest's tables of dependencies.
#[derive(Debug, PartialEq)]
struct Dependency<'t> {
    name: &'t str,
    table: Table,
    line: usize,
    has_reason: bool,
    is_inherited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Table {
    Product,
    Tests,
}

/// Reads the dependencies, each of which our manifests keep on a line of its own.
fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut table = None;
    let mut commented = false;
    for (at, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            table = match line.trim_matches(['[', ']']) {
                header if header.ends_with("dev-dependencies") => Some(Table::Tests),
                header if header.ends_with("dependencies") => Some(Table::Product),
                _ => None,
            };
        }
        if let Some(table) = table
            && let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', '[']))
        {
            let (key, value) = (key.trim(), value.trim());
            let is_inherited = key.ends_with(".workspace") || value.contains("workspace = true");
            let name = key.split('.').next().unwrap_or(key);
            found.push(Dependency {
                name,
                table,
                line: at + 1,
                has_reason: commented || value.contains('#'),
                is_inherited,
            });
        }
        commented = line.starts_with('#');
    }
    found
}

/// The order of the story: each crate may name only those before it.
const CHAIN: [&str; 13] = [
    "weir-policy",
    "weir-keys",
    "weir-bucket",
    "weir-vault",
    "weir-consent",
    CORE,
    "weir-ledger",
    "weir-lake",
    "weir-source",
    "weir-daemon",
    "weir-portal",
    "weir-gate",
    "weir",
];
/// The trusted core.
const CORE: &str = "weir-filter";
const TESTKIT: &str = "weir-testkit";
/// Loggers, runtimes, clocks, serialisers and I/O: what raw values could leave the core by.
const BANNED_IN_CORE: [&str; 14] = [
    "async-std",
    "chrono",
    "futures",
    "log",
    "object_store",
    "rdkafka",
    "reqwest",
    "serde",
    "serde_json",
    "slog",
    "time",
    "tokio",
    "tracing",
    "tracing-subscriber",
];

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn found(package: &str, dependencies: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{package}\"\n\n[lints]\nworkspace = true\n\n{dependencies}");
        let mut findings = Vec::new();
        check(&file(&format!("crates/{package}/Cargo.toml"), &text), &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    fn only(package: &str, dependencies: &str, part: &str) {
        let found = found(package, dependencies);
        assert!(matches!(&found[..], [one] if one.contains(part)), "{part}: {found:?}");
    }

    #[test]
    fn good_manifest_passes() {
        let dependencies = "[dependencies]\nweir-policy.workspace = true\n# reads time\njiff = { workspace = true }\n\
                            [dev-dependencies]\nweir-testkit.workspace = true\nserde_json.workspace = true # vectors\n";
        assert_eq!(found("weir-filter", dependencies), [""; 0]);
        assert_eq!(found("weir-testkit", "[dependencies]\nweir-lake.workspace = true\n"), [""; 0]);
        assert_eq!(found("weir", "[dependencies]\nweir-testkit.workspace = true\n"), [""; 0]);
    }

    #[test]
    fn link_against_the_chain_is_found() {
        only("weir-keys", "[dependencies]\nweir-lake.workspace = true\n", "stands before weir-lake");
        only("weir-keys", "[target.'cfg(unix)'.dependencies]\nweir-keys.workspace = true\n", "stands before weir-keys");
        only("weir-keys", "[dev-dependencies]\nweir-lake.workspace = true\n", "stands before weir-lake");
        only("weir-lake", "[dependencies]\nweir-testkit.workspace = true\n", "weir-testkit");
        only("xtask", "[dependencies]\nweir-policy.workspace = true\n", "weir-policy");
    }

    #[test]
    fn core_that_could_log_is_found() {
        for name in BANNED_IN_CORE {
            only("weir-filter", &format!("[dependencies]\n{name}.workspace = true # why\n"), "cannot log");
            assert_eq!(found("weir-filter", &format!("[dev-dependencies]\n{name}.workspace = true # why\n")), [""; 0]);
        }
    }

    #[test]
    fn dependency_without_reason_is_found() {
        only("weir-keys", "[dependencies]\nblake3 = { workspace = true }\n", "says why");
        only(
            "weir-keys",
            "[dependencies]\nblake3.workspace = true # hash\nserde.workspace = true\n",
            "serde needs a comment",
        );
    }

    #[test]
    fn version_of_its_own_is_found() {
        only("weir-keys", "[dependencies]\nblake3 = \"1\" # hash\n", "stands in the workspace");
    }

    #[test]
    fn crate_with_lints_of_its_own_is_found() {
        let mut findings = Vec::new();
        check(&file("crates/weir-keys/Cargo.toml", "[package]\nname = \"weir-keys\"\n"), &mut findings);
        assert!(matches!(&findings[..], [one] if one.message.contains("lints")));
    }
}
