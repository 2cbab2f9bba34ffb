//! `cargo xtask test`: every test of the tree, against the real components.
//!
//! The compiler, the broker's start and the readers' installation run beside each other; then the tests run once, with
//! one profile and one set of features, so that nothing is built twice. A component that cannot start is a failure:
//! a test that is skipped because its broker is missing would pass for the wrong reason. At the end of a run of the whole
//! tree a model checker walks the interleavings of consent and commit, in a build of its own, and the filter's instructions
//! are counted, which is the bench that a busy machine can run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::broker::{self, Broker, Wish};
use crate::machine::{self, Install, Need};
use crate::tree::{self, Package};
use crate::{count, go, jars, model, node, process, python, report};

/// Runs the tests.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    run_with(arguments, &[])
}

/// Runs the tests with more in their environment.
pub(crate) fn run_with(arguments: &[String], environment: &[(&str, &OsStr)]) -> Result<()> {
    let started = Instant::now();
    // Asked before the build, which puts a new file in the place of the one that runs.
    let xtask = std::env::current_exe()?;
    let wish = Order::parse(arguments)?;
    let selection = Selection::of(&tree::packages()?, &wish.stages)?;
    machine::require(&selection.needs(), wish.install)?;
    if let Some(address) = given_broker().filter(|address| !broker::answers(address)) {
        bail!("no Kafka answers at {address}, which WEIR_TEST_KAFKA names");
    }

    let (built, kafka, readers, vault, store) = thread::scope(|scope| {
        let kafka = scope.spawn(|| selection.wants_broker().then(Kafka::find_or_start).transpose());
        let readers = scope.spawn(|| selection.has(READERS).then(install_readers).transpose());
        let vault = scope.spawn(|| selection.has(VAULT).then(python::vault).transpose());
        let store = scope.spawn(|| selection.has(STORE).then(build_store).transpose());
        let built = build(&selection);
        (built, join(kafka), join(readers), join(vault), join(store))
    });
    let (kafka, readers, vault, store) = (kafka?, readers?, vault?, store?);
    built?;
    let checks = wish.checks.then(|| Checks::start(&xtask)).transpose()?;

    let mut tests = selection.cargo("test");
    tests.arg("--no-fail-fast").args(&wish.rest);
    // Most tests wait for a broker, so two processors can do with more of them at a time.
    let threads = thread::available_parallelism().map_or(1, usize::from) * 2;
    tests.env("RUST_TEST_THREADS", std::env::var("RUST_TEST_THREADS").unwrap_or_else(|_| threads.to_string()));
    tests.envs(environment.iter().copied());
    if let Some(kafka) = &kafka {
        // With xtask itself a test starts a broker of its own, to kill it.
        tests.env("WEIR_TEST_KAFKA", kafka.address()).env("WEIR_TEST_XTASK", xtask);
        if let Kafka::Ours(_) = kafka {
            tests.env("WEIR_TEST_JARS", jars::kafka()?);
        }
    }
    if let Some((python, provider)) = &readers {
        tests.env("WEIR_TEST_PYTHON", python).env("WEIR_TEST_DELTA_JARS", jars::delta()?);
        tests.env("PYTHONDONTWRITEBYTECODE", "1").env("WEIR_TEST_PROVIDER", provider);
    }
    if let Some(vault) = &vault {
        tests.env("WEIR_TEST_VAULT", vault);
    }
    if let Some(store) = &store {
        tests.env("WEIR_TEST_STORE", store);
    }
    let tally = run_tests(&mut tests)?;
    report::done("tests, with their build and the start of what they need", started.elapsed());
    let is_more = tally.verdict().is_ok() && selection.is_whole() && wish.rest.is_empty();
    let counted = if is_more { model::check().and_then(|()| count::check()) } else { Ok(()) };
    let checked = checks.map_or(Ok(()), Checks::finish);
    // Said again behind all the rest: of a long log it is the end that people read, and that is kept.
    tally.failures.iter().for_each(|line| report::line(line));
    report::line(&format!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped));
    tally.verdict().and(counted).and(checked)
}

/// `cargo xtask check`, under way beside the tests: these wait for half a processor's time, and it takes that and gives way to them.
struct Checks {
    child: Child,
    said: PathBuf,
}

impl Checks {
    fn start(xtask: &Path) -> Result<Self> {
        let said = tree::target()?.join("checks.txt");
        let file = File::create(&said)?;
        let mut checks = Command::new("nice");
        checks.arg(xtask).arg("check").stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        report::step(&format!("{}, beside the tests", process::shown(&checks)));
        Ok(Self { child: checks.spawn().context("could not start the checks")?, said })
    }

    /// Waits for their end, and shows what they said.
    fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        report::line(&fs::read_to_string(&self.said)?);
        if status.success() { Ok(()) } else { bail!("the checks failed: {status}") }
    }
}

/// What the command line asks for.
struct Order {
    checks: bool,
    install: Install,
    stages: Vec<String>,
    rest: Vec<String>,
}

impl Order {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut order = Self { checks: false, install: Install::Nothing, stages: Vec::new(), rest: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => order.checks = true,
                "--install" => order.install = Install::Missing,
                "--" => order.rest = arguments.by_ref().cloned().collect(),
                flag if flag.starts_with('-') => bail!("no such option: {flag}"),
                stage => order.stages.push(stage.to_owned()),
            }
        }
        Ok(order)
    }
}

/// The packages to test and the features that bring in the tests on real components.
pub(crate) struct Selection {
    /// Nothing for the whole workspace.
    packages: Vec<String>,
    features: Vec<String>,
}

impl Selection {
    /// Selects the packages that `stages` name, or all.
    pub(crate) fn of(all: &[Package], stages: &[String]) -> Result<Self> {
        let mut packages = Vec::new();
        for stage in stages {
            let package = all.iter().find(|package| package.is_stage(stage));
            packages.push(package.with_context(|| format!("no crate is called {stage}"))?.name.clone());
        }
        let wanted: &[&str] = if given_broker().is_some() {
            &[KAFKA, READERS, STORE, VAULT]
        } else {
            &[KAFKA, OWN_KAFKA, READERS, STORE, VAULT]
        };
        let mut features = Vec::new();
        for package in all.iter().filter(|package| packages.is_empty() || packages.contains(&package.name)) {
            let real = package.features.iter().filter(|feature| wanted.contains(&feature.as_str()));
            features.extend(real.map(|feature| format!("{}/{feature}", package.name)));
        }
        Ok(Self { packages, features })
    }

    /// Returns a cargo command for the selection.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        let mut cargo = cargo(verb);
        if self.packages.is_empty() {
            cargo.arg("--workspace");
        }
        for package in &self.packages {
            cargo.args(["--package", package]);
        }
        if !self.features.is_empty() {
            cargo.args(["--features", &self.features.join(",")]);
        }
        cargo
    }

    fn is_whole(&self) -> bool {
        self.packages.is_empty()
    }

    fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|of_package| of_package.split('/').next_back() == Some(feature))
    }

    fn wants_broker(&self) -> bool {
        self.has(KAFKA) || self.has(OWN_KAFKA)
    }

    fn needs(&self) -> Vec<Need> {
        let mut needs = Need::BUILD.to_vec();
        if self.wants_broker() && given_broker().is_none() {
            needs.extend(Need::KAFKA);
        }
        if self.is_whole() {
            needs.extend(Need::COUNT);
        }
        if self.has(READERS) {
            needs.extend(Need::READERS);
        }
        if self.has(STORE) {
            needs.extend(Need::STORE);
        }
        if self.has(VAULT) {
            needs.extend(Need::VAULT);
        }
        needs
    }
}

/// Returns a cargo command that asks nothing and uses colours only for a person.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(verb).env("CARGO_TERM_COLOR", if report::colours() { "always" } else { "never" });
    cargo
}

/// The broker that the tests talk to.
enum Kafka {
    Given(String),
    Ours(Broker),
}

impl Kafka {
    fn find_or_start() -> Result<Self> {
        let started = Instant::now();
        let kafka = match given_broker() {
            Some(address) => Self::Given(address),
            None => Self::Ours(Broker::start(&Wish::default())?),
        };
        report::done(&format!("Apache Kafka {} at {}", jars::KAFKA_VERSION, kafka.address()), started.elapsed());
        Ok(kafka)
    }

    fn address(&self) -> &str {
        match self {
            Self::Given(address) => address,
            Self::Ours(broker) => &broker.address,
        }
    }
}

fn given_broker() -> Option<String> {
    std::env::var("WEIR_TEST_KAFKA").ok().filter(|address| !address.is_empty())
}

fn install_readers() -> Result<(PathBuf, PathBuf)> {
    let started = Instant::now();
    let (python, provider) = (python::readers()?, node::provider()?);
    jars::delta()?;
    report::done("DuckDB, deltalake, pyarrow, Spark and oauth2-mock-server", started.elapsed());
    Ok((python, provider))
}

fn build_store() -> Result<PathBuf> {
    let started = Instant::now();
    let store = go::store()?;
    report::done(&format!("VersityGW {}", go::STORE_VERSION), started.elapsed());
    Ok(store)
}

fn build(selection: &Selection) -> Result<()> {
    let started = Instant::now();
    let mut build = selection.cargo("test");
    build.arg("--no-run");
    report::step(&process::shown(&build));
    process::loudly(&mut build)?;
    report::done("build", started.elapsed());
    Ok(())
}

/// Runs the tests, shows what they print, and adds up their results.
fn run_tests(tests: &mut Command) -> Result<Tally> {
    report::step(&process::shown(tests));
    let mut child = tests.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("could not start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        report::line(&line);
        tally.add(&line);
    }
    tally.cargo_failed = !child.wait()?.success();
    Ok(tally)
}

/// The sum of the closing lines of all test programs.
#[derive(Default, Debug, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    cargo_failed: bool,
    /// What the failed tests printed and their names: each program's lines from `failures:` up to its result.
    failures: Vec<String>,
    in_failures: bool,
}

impl Tally {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …`.
    fn add(&mut self, line: &str) {
        self.in_failures = (self.in_failures || line == "failures:") && !line.starts_with("test result: ");
        if self.in_failures {
            self.failures.push(line.to_owned());
        }
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|result| result.split_once(". ")) else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, word)) = count.split_once(' ') else { continue };
            let number = number.parse().unwrap_or(0);
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    fn verdict(&self) -> Result<()> {
        match self {
            Self { failed: 0, cargo_failed: false, passed: 1.., .. } => Ok(()),
            Self { failed: 0, cargo_failed: false, .. } => bail!("no test ran"),
            _ => bail!("tests failed"),
        }
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The feature of a package that has tests on a real broker.
const KAFKA: &str = "real-kafka";
/// The feature of a package that tests how a broker is started, which needs no broker that is there already.
const OWN_KAFKA: &str = "own-kafka";
/// The feature of a package that has tests with DuckDB, deltalake, pyarrow and Spark.
const READERS: &str = "real-readers";
/// The feature of a package that has tests on an object store.
const STORE: &str = "real-store";
/// The feature of a package that has tests with OpenBao.
const VAULT: &str = "real-vault";

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> Vec<Package> {
        let package = |name: &str, features: &[&str]| Package {
            name: name.to_owned(),
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
        };
        vec![
            package("weir", &["real-kafka", "real-readers"]),
            package("weir-keys", &["other"]),
            package("weir-lake", &["real-readers"]),
        ]
    }

    #[test]
    fn whole_tree_has_every_real_component() {
        let all = Selection::of(&packages(), &[]).expect("there are packages");
        assert_eq!(all.features, ["weir/real-kafka", "weir/real-readers", "weir-lake/real-readers"]);
        assert!(all.has(KAFKA) && all.has(READERS));
        assert!(
            process::shown(&all.cargo("test"))
                .ends_with("test --workspace --features weir/real-kafka,weir/real-readers,weir-lake/real-readers")
        );
    }

    #[test]
    fn stage_needs_only_its_own_components() {
        let keys = Selection::of(&packages(), &["keys".to_owned()]).expect("there is such a crate");
        assert!(!keys.has(KAFKA) && !keys.has(READERS));
        assert!(process::shown(&keys.cargo("test")).ends_with("test --package weir-keys"));
        assert!(Selection::of(&packages(), &["kees".to_owned()]).is_err());
    }

    #[test]
    fn results_of_all_programs_add_up() {
        let mut tally = Tally::default();
        tally.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.05s");
        tally.add("test a_test ... ok");
        tally.add("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s");
        assert_eq!(tally, Tally { passed: 7, failed: 2, skipped: 1, ..Tally::default() });
        assert!(tally.verdict().is_err());
    }

    #[test]
    fn what_failed_tests_said_is_kept_for_the_end() {
        let mut tally = Tally::default();
        let said = ["failures:", "---- a_test stdout ----", "it failed", "failures:", "    a_test"];
        tally.add("test b_test ... ok");
        for line in said {
            tally.add(line);
        }
        tally.add("test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.05s");
        tally.add("test c_test ... ok");
        assert_eq!(tally.failures, said);
    }

    #[test]
    fn run_without_tests_is_no_success() {
        assert!(Tally::default().verdict().is_err());
        assert!(Tally { passed: 1, ..Tally::default() }.verdict().is_ok());
        assert!(Tally { passed: 1, cargo_failed: true, ..Tally::default() }.verdict().is_err());
    }
}
