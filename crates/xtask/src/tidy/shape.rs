//! The shape of files: how long they and their functions are, how they begin, what they must not hold.

use super::lexer::{self, Kind, Token};
use super::{Finding, Text};

/// Checks one file of any kind.
pub(crate) fn check(file: &Text, findings: &mut Vec<Finding>) {
    size(file, findings);
    unfinished(file, findings);
    if file.is_rust() {
        lines(file, findings);
        head(file, findings);
        functions(file, findings);
        if file.path.contains("/src/") {
            placeholders(file, findings);
        }
    }
}

/// Large files are downloads or generated, and neither belongs in a repository that people read.
fn size(file: &Text, findings: &mut Vec<Finding>) {
    if file.text.len() > BYTES_MAX && file.path != "Cargo.lock" {
        findings.push(Finding::new(file, 1, format!("{} bytes; at most {BYTES_MAX}", file.text.len())));
    }
}

/// What is left to do stands in an issue, where it can be found and closed.
fn unfinished(file: &Text, findings: &mut Vec<Finding>) {
    for (at, line) in file.text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if let Some(word) = words.find(|word| UNFINISHED.contains(word)) {
            findings.push(Finding::new(file, at + 1, format!("{word}: finish it, or file an issue")));
        }
    }
}

fn lines(file: &Text, findings: &mut Vec<Finding>) {
    let all = file.text.lines().count();
    let production = lexer::test_line(&file.text).map_or(all, |line| line - 1);
    if all > LINES_MAX {
        findings.push(Finding::new(file, LINES_MAX, format!("{all} lines; at most {LINES_MAX}")));
    }
    if file.path.contains("/src/") && production > PRODUCTION_MAX {
        findings.push(Finding::new(
            file,
            PRODUCTION_MAX,
            format!("{production} lines before the tests; at most {PRODUCTION_MAX}"),
        ));
    }
}

fn head(file: &Text, findings: &mut Vec<Finding>) {
    if !file.text.starts_with("//! ") {
        findings.push(Finding::new(file, 1, "a file begins with `//!`: what it takes, gives and promises"));
    }
}

fn functions(file: &Text, findings: &mut Vec<Finding>) {
    let mut tokens = lexer::tokens(&file.text);
    tokens.retain(|token| token.kind != Kind::Comment);
    for (at, pair) in tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        // `fn` in a type has no name.
        if !keyword.is_ident("fn") || name.kind != Kind::Ident {
            continue;
        }
        let Some(open) = body(&tokens, at) else { continue };
        let end = tokens.get(lexer::closing(&tokens, open)).map_or(keyword.line, |brace| brace.line);
        let length = end - keyword.line + 1;
        if length > FUNCTION_MAX {
            let message = format!("function {} has {length} lines; at most {FUNCTION_MAX}", name.text);
            findings.push(Finding::new(file, keyword.line, message));
        }
    }
}

/// Returns the brace that opens the body of the function at `start`; a declaration without a body has none.
fn body(tokens: &[Token<'_>], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        match tokens.get(at)?.text {
            "(" | "[" => at = lexer::closing(tokens, at),
            "{" => return Some(at),
            ";" => return None,
            _ => {}
        }
        at += 1;
    }
}

fn placeholders(file: &Text, findings: &mut Vec<Finding>) {
    for pair in lexer::tokens(&file.text).windows(2) {
        if let [name, mark] = pair
            && mark.is_punct("!")
            && (name.is_ident("todo") || name.is_ident("unimplemented"))
        {
            findings.push(Finding::new(file, name.line, format!("{}! stands where code is missing", name.text)));
        }
    }
}

/// More than this takes a reviewer's screen and patience.
const LINES_MAX: usize = 800;
/// Without its tests, a file holds one stage or one type.
const PRODUCTION_MAX: usize = 500;
/// A function fits on a screen.
const FUNCTION_MAX: usize = 70;
const BYTES_MAX: usize = 256 * 1024;
/// In two pieces, so that this file keeps its own rule.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&file(path, text), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    fn only(path: &str, text: &str, part: &str) {
        let found = found(path, text);
        assert!(matches!(&found[..], [one] if one.contains(part)), "{part}: {found:?}");
    }

    #[test]
    fn good_file_has_no_findings() {
        assert_eq!(
            found("crates/a/src/b.rs", "//! Adds.\nfn add(a: [u8; 2]) {}\ntrait T { fn t(f: fn(u8) -> u8); }\n"),
            [""; 0]
        );
    }

    #[test]
    fn long_files_are_found() {
        let text = |lines: usize| format!("//! Long.\n{}", "const A: u8 = 1;\n".repeat(lines - 1));
        only("crates/a/src/b.rs", &text(501), "501 lines before the tests");
        only("crates/a/tests/b.rs", &text(801), "801 lines");
        assert_eq!(found("crates/a/tests/b.rs", &text(800)), [""; 0]);
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", text(500), "const B: u8 = 1;\n".repeat(200));
        assert_eq!(found("crates/a/src/b.rs", &tested), [""; 0]);
    }

    #[test]
    fn long_functions_are_found() {
        let text = |lines: usize| {
            format!("//! Long.\nfn long() where [u8; 2]: Sized {{\n{}}}\n", "    f(\"}\");\n".repeat(lines - 2))
        };
        only("crates/a/src/b.rs", &text(71), "b.rs:2: function long has 71 lines");
        assert_eq!(found("crates/a/src/b.rs", &text(70)), [""; 0]);
    }

    #[test]
    fn file_without_words_is_found() {
        only("crates/a/src/b.rs", "fn a() {}\n", "begins with `//!`");
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            only("a.md", &format!("see below\n{word}: more\n"), "a.md:2");
        }
        only("crates/a/src/b.rs", concat!("//! Later.\nfn a() { to", "do!() }\n"), "code is missing");
        assert_eq!(found("a.md", concat!("a METHO", "TO", "DO of ours")), [""; 0]);
    }

    #[test]
    fn huge_file_is_found() {
        only("data.json", &"x".repeat(BYTES_MAX + 1), "at most 262144");
        assert_eq!(found("Cargo.lock", &"x".repeat(BYTES_MAX + 1)), [""; 0]);
    }
}
