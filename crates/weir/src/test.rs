//! `weir test`: runs the contract tests that stand beside the contracts.
//!
//! Each case goes through the real filter in a [sandbox](crate::sandbox): its own keys, its own consent, its own clock. What comes
//! out is compared with what the case says, cell by cell. A test that fails ends the verb with 65, a faulty file with 78.

mod compare;
mod junit;
mod trial;

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_policy::Policy;
use weir_policy::contract_test::{self, TestCase, TestSuite};
use weir_policy::diagnostic::render;

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::setup::ContractsArgs;
use crate::{output, setup};

use compare::Difference;
use trial::Trial;

/// Arguments of `weir test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which contracts.
    #[command(flatten)]
    contracts: ContractsArgs,
    /// Writes a report that CI systems read.
    #[arg(long, env = "WEIR_JUNIT", value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Fails on warnings too, such as a contract without tests.
    #[arg(long, env = "WEIR_DENY_WARNINGS")]
    deny_warnings: bool,
}

/// Runs every case and prints what it found.
///
/// # Errors
/// When contracts or tests have faults, or the report cannot be written.
pub(crate) fn test(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let source = args.contracts.source(global)?;
    let (policy, mut warnings) = setup::load_policy(global, &source)?;
    let (suites, untested) =
        contract_test::load(&policy, &source.contracts).map_err(|report| setup::faults(global, &report))?;
    warnings.extend(untested);
    let has_warnings = !warnings.is_empty();
    if has_warnings {
        output::remark(render(&warnings, setup::look(global)));
    }
    let run = Run::of(&Arc::new(policy), suites)?;
    if let Some(file) = &args.junit {
        write_report(file, &run)?;
    }
    output::print(&run)?;
    Ok(match (run.failed(), has_warnings && args.deny_warnings) {
        (0, false) => Exit::Done,
        (0, true) => Exit::Config,
        (_, _) => Exit::Data,
    })
}

fn write_report(file: &Path, run: &Run) -> Result<(), Failure> {
    use anyhow::Context as _;
    std::fs::write(file, junit::report(run))
        .with_context(|| format!("cannot write {}", file.display()))
        .or_exit(Exit::CannotCreate)
}

/// Every suite with what came of its cases.
pub(crate) struct Run {
    suites: Vec<(TestSuite, Vec<Vec<Difference>>)>,
}

impl Run {
    /// Runs the cases of `suites`.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    fn of(policy: &Arc<Policy>, suites: Vec<TestSuite>) -> Result<Self, Failure> {
        let mut trial = Trial::new(policy)?;
        let run = suites.into_iter().map(|suite| {
            let outcomes: Result<Vec<_>, Failure> =
                suite.cases.iter().map(|case| trial.run(suite.contract, case)).collect();
            Ok((suite, outcomes?))
        });
        Ok(Self { suites: run.collect::<Result<_, Failure>>()? })
    }

    /// Returns every case with its differences, in the order of the files.
    fn cases(&self) -> impl Iterator<Item = (&TestCase, &[Difference])> {
        self.suites.iter().flat_map(|(suite, outcomes)| suite.cases.iter().zip(outcomes.iter().map(Vec::as_slice)))
    }

    fn failed(&self) -> usize {
        self.cases().filter(|(_, differences)| !differences.is_empty()).count()
    }
}

/// Writes a line for each file, then each failed case with its differences, then the sum.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suite, outcomes) in &self.suites {
            let failed = outcomes.iter().filter(|differences| !differences.is_empty()).count();
            let verdict = if failed == 0 { "ok  " } else { "FAIL" };
            let name = suite.source.name().display();
            writeln!(f, "{verdict}  {}/{}  {name}", outcomes.len() - failed, outcomes.len())?;
        }
        for (case, differences) in self.cases().filter(|(_, differences)| !differences.is_empty()) {
            writeln!(f, "\n{}: {}", case.place, case.name)?;
            f.write_str(&details(differences))?;
        }
        let cases = self.cases().count();
        let (passed, failed) = (cases - self.failed(), self.failed());
        writeln!(f, "\n{cases} cases in {} files: {passed} passed, {failed} failed", self.suites.len())
    }
}

/// Writes differences under one another, expected above found.
fn details(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences {
        let Difference { at, line, expected, found } = difference;
        write!(text, "  {at} (line {line})\n    expected  {expected}\n    found     {found}\n")
            .expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use weir_policy::PolicySource;

    use super::*;
    use crate::sandbox;

    fn run(contract: &str, cases: &str) -> Run {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("paid.toml"), contract).unwrap();
        std::fs::write(folder.path().join("paid.test.toml"), cases).unwrap();
        let source = PolicySource { contracts: folder.path().to_owned(), purposes: None };
        let (policy, _) = Policy::load(&source).unwrap();
        let (suites, _) = contract_test::load(&policy, folder.path()).unwrap();
        Run::of(&Arc::new(policy), suites).unwrap()
    }

    /// Every contract that the repository ships does what its tests say.
    #[test]
    fn shipped_contracts_pass_their_tests() {
        let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let (policy, _) = Policy::load(&PolicySource { contracts: contracts.clone(), purposes: None }).unwrap();
        let (suites, _) = contract_test::load(&policy, &contracts).unwrap();
        let run = Run::of(&Arc::new(policy), suites).unwrap();
        assert_eq!(run.failed(), 0, "{run}");
        assert!(run.cases().count() > 20);
    }

    /// A difference of every kind is found and said where it stands; the report for people is the golden text.
    #[test]
    fn every_difference_is_reported() {
        let run = run(sandbox::PAID, include_str!("test/differences.test.toml"));
        let shown = run.to_string();
        let (_, report) = shown.split_once("\n\n").unwrap();
        let relative = report.lines().map(|line| line.rsplit('/').next().unwrap()).collect::<Vec<_>>().join("\n");
        assert_eq!(relative.trim(), include_str!("test/differences.txt").trim());
    }
}
