//! `cargo xtask tidy`: rules of the house that no compiler checks.
//!
//! Each rule is a function from a file's text to findings, with a test that shows it a bad sample. A rule is here
//! because breaking it once let a value leak, a document lie or a file grow past what a reviewer can hold in mind.

use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{process, report, tree};

mod documents;
mod lexer;
mod manifest;
mod messages;
mod shape;
mod unprintable;

/// Checks every file of the tree; with `--bless`, first rewrites the list that is generated from the code.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let started = Instant::now();
    let files = tracked_files()?;
    let files = match arguments {
        [] => files,
        [flag] if flag == "--bless" => bless(&files)?,
        _ => bail!("tidy takes nothing but --bless"),
    };
    let findings = check(&files);
    for finding in &findings {
        report::line(&finding.to_string());
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    report::done(&format!("tidy: {} files", files.len()), started.elapsed());
    Ok(())
}

/// Returns everything that breaks a rule.
fn check(files: &[Text]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        shape::check(file, &mut findings);
        messages::check(file, &mut findings);
        manifest::check(file, &mut findings);
        documents::check(file, files, &mut findings);
    }
    unprintable::check(files, &mut findings);
    documents::check_metrics(files, &mut findings);
    documents::check_decisions(files, &mut findings);
    findings
}

/// A text file of the tree.
#[derive(Clone)]
pub(crate) struct Text {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl Text {
    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    /// Whether it is a document.
    pub(crate) fn is_document(&self) -> bool {
        self.has_extension("md")
    }

    /// The name of the crate whose product it is part of; none for tests and for what only developers run.
    pub(crate) fn product(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        (rest.starts_with("src/") && self.is_rust() && !["weir-testkit", "xtask"].contains(&name)).then_some(name)
    }

    fn has_extension(&self, wanted: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, extension)| extension == wanted)
    }
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// Says what is wrong at a line of a file; lines count from 1.
    pub(crate) fn new(file: &Text, line: usize, message: impl Into<String>) -> Self {
        Self { path: file.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Reads every text file that git tracks or would track.
fn tracked_files() -> Result<Vec<Text>> {
    let root = tree::root()?;
    let mut git = Command::new("git");
    git.current_dir(&root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut files = Vec::new();
    for path in process::quietly(&mut git)?.split('\0').filter(|path| !path.is_empty()) {
        let place = root.join(path);
        // A file that was deleted and not yet staged is listed still.
        if place.is_file() {
            let bytes = fs::read(&place).with_context(|| format!("could not read {path}"))?;
            files.push(Text { path: path.to_owned(), text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    Ok(files)
}

fn bless(files: &[Text]) -> Result<Vec<Text>> {
    let root = tree::root()?;
    let mut files = files.to_vec();
    let list = unprintable::section(&files);
    let page = files.iter_mut().find(|file| file.path == unprintable::PAGE);
    let page = page.with_context(|| format!("{} is missing", unprintable::PAGE))?;
    page.text = unprintable::blessed(&page.text, &list);
    fs::write(root.join(&page.path), &page.text)?;
    Ok(files)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes a file for a rule's test.
    pub(crate) fn file(path: &str, text: &str) -> Text {
        Text { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn product_leaves_out_tests_and_tools() {
        let product = |path| file(path, "").product().map(str::to_owned);
        assert_eq!(product("crates/weir-lake/src/seal.rs").as_deref(), Some("weir-lake"));
        assert_eq!(product("crates/weir-lake/tests/crash.rs"), None);
        assert_eq!(product("crates/weir-testkit/src/random.rs"), None);
        assert_eq!(product("crates/weir/src/page.md"), None);
    }

    #[test]
    fn finding_names_its_place() {
        let finding = Finding::new(&file("a/b.rs", ""), 7, "too long");
        assert_eq!(finding.to_string(), "a/b.rs:7: too long");
    }
}
