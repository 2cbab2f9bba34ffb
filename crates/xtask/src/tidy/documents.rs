//! Documents that point at code: the test behind a guarantee exists, a metric on the page is in the code.

use std::collections::BTreeSet;

use super::lexer::{self, Kind, Token};
use super::{Finding, Text};

/// Checks the links of one file, if it is a document.
pub(crate) fn check(file: &Text, files: &[Text], findings: &mut Vec<Finding>) {
    if !file.is_document() {
        return;
    }
    for (at, line) in prose(&file.text) {
        let mut tests = 0;
        for (label, target) in links(line) {
            match resolve(file, label, target, files) {
                Ok(is_test) => tests += usize::from(is_test),
                Err(message) => findings.push(Finding::new(file, at, message)),
            }
        }
        if line.starts_with("| LK-") && tests == 0 {
            findings.push(Finding::new(file, at, "a leak names the test that holds it: [`test`](path.rs)"));
        }
    }
    if file.path == LEAKS_PAGE {
        check_leaks(file, findings);
    }
}

/// Checks that the page of leaks has each of the catalogue: in a row, or in a line that says why in none.
fn check_leaks(page: &Text, findings: &mut Vec<Finding>) {
    let number = |line: &str| {
        let rest = ["| LK-", "**LK-", "- LK-"].iter().find_map(|start| line.strip_prefix(start))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()
    };
    let told: BTreeSet<u32> = page.text.lines().filter_map(number).collect();
    for number in (1..=LEAKS).filter(|number| !told.contains(number)) {
        findings.push(Finding::new(page, 1, format!("LK-{number} is not on this page")));
    }
}

/// Checks that the page of metrics and the code name the same ones.
pub(crate) fn check_metrics(files: &[Text], findings: &mut Vec<Finding>) {
    let find = |path| files.iter().find(|file: &&Text| file.path == path);
    let (Some(code), Some(page)) = (find(METRICS_CODE), find(METRICS_PAGE)) else { return };
    let in_code: BTreeSet<&str> = lexer::production(&code.text)
        .iter()
        .filter(|token| token.kind == Kind::Text && is_metric(token.text))
        .map(|token| token.text)
        .collect();
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let on_page: BTreeSet<&str> = rows.collect();
    for name in in_code.difference(&on_page) {
        findings.push(Finding::new(page, 1, format!("metric {name} is in the code and not on this page")));
    }
    for name in on_page.difference(&in_code) {
        findings.push(Finding::new(page, 1, format!("metric {name} is on this page and not in the code")));
    }
    for file in files.iter().filter(|file| file.is_document() && file.path != page.path) {
        for (at, line) in file.text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|name| is_metric(name) && has_unit(name)) {
                if !in_code.contains(name) {
                    findings.push(Finding::new(file, at + 1, format!("there is no metric {name}")));
                }
            }
        }
    }
}

/// Checks that the index of decisions lists each of them.
pub(crate) fn check_decisions(files: &[Text], findings: &mut Vec<Finding>) {
    let index = files.iter().find(|file| file.path == format!("{DECISIONS}README.md"));
    for file in files {
        let Some(name) = file.path.strip_prefix(DECISIONS).filter(|name| *name != "README.md") else { continue };
        if !index.is_some_and(|index| index.text.contains(&format!("({name})"))) {
            findings.push(Finding::new(file, 1, "this decision is not in the index beside it"));
        }
    }
}

/// Returns the lines that are not in a fenced block, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((at + 1, line))
    })
}

/// Returns label and target of each link of a line.
fn links(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, tail)) = after.split_once(')') else { break };
        let label = before.rsplit_once('[').map_or(before, |(_, label)| label);
        found.push((label.trim_matches('`'), target));
        rest = tail;
    }
    found
}

/// Returns whether the link points at a test, or what is wrong with it.
fn resolve(file: &Text, label: &str, target: &str, files: &[Text]) -> Result<bool, String> {
    let path = target.split('#').next().unwrap_or(target);
    if target.contains("://") || target.starts_with("mailto:") || path.is_empty() {
        return Ok(false);
    }
    let place = join(&file.path, path);
    let inside = |other: &Text| other.path == place || other.path.starts_with(&format!("{place}/")) || place.is_empty();
    if !files.iter().any(inside) {
        return Err(format!("the link to {target} leads nowhere"));
    }
    // A label in snake case, on Rust, is the name of the function behind the sentence.
    let is_name =
        label.contains('_') && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let code = files.iter().find(|other| other.path == place && other.is_rust());
    match code {
        Some(code) if is_name => match is_test(&code.text, label) {
            Some(is_test) => Ok(is_test),
            None => Err(format!("{path} has no function {label}")),
        },
        Some(_) | None => Ok(false),
    }
}

/// Tells whether a function is a test; none if there is no such function.
fn is_test(code: &str, name: &str) -> Option<bool> {
    let tokens = lexer::tokens(code);
    let is_it = |pair: &[Token<'_>]| matches!(pair, [keyword, named] if keyword.is_ident("fn") && named.is_ident(name));
    let at = tokens.windows(2).position(is_it)?;
    // Its attributes stand behind the end of whatever comes before.
    let own = tokens[..at].rsplit(|token| ["{", "}", ";"].contains(&token.text)).next().unwrap_or_default();
    Some(own.iter().any(|token| token.is_ident("test")))
}

/// Follows a relative path from the folder of a document.
fn join(document: &str, path: &str) -> String {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}

fn is_metric(name: &str) -> bool {
    let prefixed = name.starts_with("weir_") || name.starts_with("kafka_");
    prefixed && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

fn has_unit(name: &str) -> bool {
    ["_total", "_seconds", "_bytes", "_lag"].iter().any(|unit| name.ends_with(unit))
}

const METRICS_CODE: &str = "crates/weir-daemon/src/metrics.rs";
const METRICS_PAGE: &str = "crates/weir/docs/metrics.md";
const LEAKS_PAGE: &str = "crates/weir/docs/leaks.md";
/// Leaks in the catalogue.
const LEAKS: u32 = 46;
const DECISIONS: &str = "crates/weir/docs/adr/";

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn tree() -> Vec<Text> {
        vec![
            file(
                "crates/weir/tests/canary.rs",
                "#[test]\nfn no_marker_is_written() {}\n#[cfg(test)]\nmod tests { fn of_a_test() {} }",
            ),
            file("crates/weir/docs/leaks.md", ""),
            file("README.md", ""),
        ]
    }

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&file(path, text), &tree(), &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn links_that_hold_pass() {
        let text = "[leaks](crates/weir/docs/leaks.md#top), [`no_marker_is_written`](crates/weir/tests/canary.rs),\n\
                    [docs](crates/weir/docs), [out](https://example.org/x), [here](#here)\n```\n[no](none.md)\n```\n";
        assert_eq!(found("README.md", text), [""; 0]);
        assert_eq!(found("crates/weir/docs/a.md", "[up](../../../README.md) [near](leaks.md)"), [""; 0]);
    }

    #[test]
    fn broken_links_are_found() {
        assert_eq!(found("README.md", "[a](crates/none.md)"), ["the link to crates/none.md leads nowhere"]);
        let gone = found("README.md", "[`no_marker_at_all`](crates/weir/tests/canary.rs)");
        assert_eq!(gone, ["crates/weir/tests/canary.rs has no function no_marker_at_all"]);
    }

    #[test]
    fn leak_without_test_is_found() {
        let row = |link: &str| found("crates/weir/docs/other.md", &format!("| LK-1 | free text | {link} |"));
        assert_eq!(row("[`no_marker_is_written`](../tests/canary.rs)"), [""; 0]);
        assert_eq!(row("[`of_a_test`](../tests/canary.rs)").len(), 1, "what helps a test fails by itself never");
        assert_eq!(row("[the tests](../tests/canary.rs)").len(), 1);
        assert_eq!(row("soon").len(), 1);
    }

    #[test]
    fn leak_that_is_left_out_is_found() {
        let rows = (1..=LEAKS).filter(|number| ![4, 18, 40].contains(number));
        let rows: Vec<_> =
            rows.map(|number| format!("| LK-{number} | [`no_marker_is_written`](../tests/canary.rs) |")).collect();
        let page = format!("{}\n**LK-18**, by the compiler.\n- LK-40, later.\n", rows.join("\n"));
        assert_eq!(found(LEAKS_PAGE, &page), ["LK-4 is not on this page"]);
    }

    #[test]
    fn metrics_apart_from_their_page_are_found() {
        let code = file(METRICS_CODE, r#"a: Counter = "weir_a_total", b: Counter = "weir_b_total","#);
        let page = file(METRICS_PAGE, "| metric |\n| `weir_a_total` | counter |\n| `weir_c_total` | counter |\n");
        let readme = file("README.md", "watch `weir_a_total` and `weir_d_seconds`, not `weir_lake`");
        let mut findings = Vec::new();
        check_metrics(&[code, page, readme], &mut findings);
        let messages: Vec<_> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "metric weir_b_total is in the code and not on this page",
                "metric weir_c_total is on this page and not in the code",
                "there is no metric weir_d_seconds",
            ]
        );
    }

    #[test]
    fn decision_outside_the_index_is_found() {
        let index = file("crates/weir/docs/adr/README.md", "[0001](0001-a.md)");
        let files = [index, file("crates/weir/docs/adr/0001-a.md", ""), file("crates/weir/docs/adr/0002-b.md", "")];
        let mut findings = Vec::new();
        check_decisions(&files, &mut findings);
        assert!(matches!(&findings[..], [one] if one.path.ends_with("0002-b.md")));
    }
}
