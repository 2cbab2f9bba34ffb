//! `cargo xtask count`: guards the filter against getting slower, by instructions and not by time.
//!
//! Callgrind runs the filter on a part of the bench's corpus and counts. The count is the same on a busy machine, so that CI
//! can compare it with the one that is committed. It is not time: Valgrind 3.19 knows no AVX-512, so what is counted is the
//! path for AVX2, and a cache miss counts as much as a hit. Times are what `cargo xtask bench` is for.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::machine::{self, Install, Need};
use crate::test::cargo;
use crate::{process, report, tree};

/// Counts, and compares with the counts that are committed; with `--bless`, commits to the new ones.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if let Some(other) = arguments.iter().find(|argument| !["--bless", "--install"].contains(&argument.as_str())) {
        bail!("no such option: {other}");
    }
    let install = if has("--install") { Install::Missing } else { Install::Nothing };
    machine::require(&[&Need::BUILD[..], &Need::COUNT].concat(), install)?;
    let counts = count()?;
    if has("--bless") {
        return fs::write(baseline_file()?, written(&counts)).context("could not write the counts");
    }
    compare(&counts)
}

/// Counts, and compares with the counts that are committed.
pub(crate) fn check() -> Result<()> {
    compare(&count()?)
}

/// The instructions per event, by the name of a corpus.
type Counts = Vec<(String, u64)>;

fn count() -> Result<Counts> {
    let started = Instant::now();
    let mut build = cargo("build");
    build.args(["--release", "--package", "weir-bench", "--bin", "count", "--no-default-features"]);
    report::step(&process::shown(&build));
    process::loudly(&mut build)?;
    let program = tree::target()?.join("release/count");
    let mut counts = Counts::new();
    for mode in MODES {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_pass*"]);
        let output = valgrind.arg(&program).args([mode, EVENTS]).output().context("could not start valgrind")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("valgrind failed ({}):\n{}", output.status, process::tail(&said));
        }
        let collected = collected(&said).with_context(|| format!("valgrind counted nothing:\n{said}"))?;
        let passes: u64 = PASSES * EVENTS.parse::<u64>()?;
        counts.push((mode.to_owned(), collected / passes));
    }
    report::done("instructions counted", started.elapsed());
    Ok(counts)
}

/// Reads `==7== Collected : 123456`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected : "))?;
    line.1.trim().parse().ok().filter(|count| *count > 0)
}

fn compare(counts: &Counts) -> Result<()> {
    let file = baseline_file()?;
    let text = fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let mut slower = String::new();
    for (mode, count) in counts {
        let before = expected(&text, mode).with_context(|| format!("{} has no count of {mode}", file.display()))?;
        let line = format!("{mode}: {count} instructions an event, {before} before");
        report::line(&line);
        if count * 100 > before * (100 + TOLERANCE_PERCENT) {
            writeln!(slower, "  {line}")?;
        } else if count * (100 + TOLERANCE_PERCENT) < before * 100 {
            report::step("the filter got faster: keep it so with `cargo xtask count --bless`");
        }
    }
    if slower.is_empty() {
        return Ok(());
    }
    bail!(
        "the filter needs over {TOLERANCE_PERCENT} % more instructions than {} says:\n{slower}\
         If that is its price, or the compiler's, `cargo xtask count --bless` accepts it",
        file.display()
    )
}

fn expected(text: &str, mode: &str) -> Option<u64> {
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == mode).find_map(|(_, count)| count.parse().ok())
}

fn written(counts: &Counts) -> String {
    let lines = counts.iter().map(|(mode, count)| format!("{mode} {count}\n"));
    format!(
        "# Instructions of the filter for an event; `cargo xtask count --bless` renews them.\n{}",
        lines.collect::<String>()
    )
}

fn baseline_file() -> Result<PathBuf> {
    Ok(tree::root()?.join("benches/instructions.txt"))
}

/// The corpora that are counted: the hardest and the easiest.
const MODES: [&str; 2] = ["mixed", "one"];
/// Enough for all types and most flaws, and done in seconds.
const EVENTS: &str = "5000";
/// The program filters all events twice, and both count.
const PASSES: u64 = 2;
/// More than what random keys and a libc for another processor make of it.
const TOLERANCE_PERCENT: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valgrind_says_what_it_collected() {
        assert_eq!(collected("==7== \n==7== Collected : 123456\n"), Some(123_456));
        assert_eq!(collected("==7== Collected : 0\n"), None);
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }

    #[test]
    fn written_counts_are_read_again() {
        let text = written(&vec![("mixed".to_owned(), 17), ("one".to_owned(), 4)]);
        assert_eq!(
            (expected(&text, "mixed"), expected(&text, "one"), expected(&text, "two")),
            (Some(17), Some(4), None)
        );
    }
}
