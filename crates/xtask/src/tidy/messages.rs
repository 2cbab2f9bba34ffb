//! What the product says: logs and errors name places, codes and counts, in one style.
//!
//! A log line that shows a value by its `Debug` form shows whatever that form grows to hold. So a log has no `Debug`
//! form at all, and no field whose name promises something of an event.

use super::lexer::{self, Kind, Token};
use super::{Finding, Text};

/// Checks the logs and errors of one file of the product.
pub(crate) fn check(file: &Text, findings: &mut Vec<Finding>) {
    if file.product().is_none() {
        return;
    }
    let tokens = lexer::production(&file.text);
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Ident) {
        let after = |steps| tokens.get(at + steps);
        let is_macro = after(1).is_some_and(|mark| mark.is_punct("!"));
        if is_macro && LOGS.contains(&token.text) {
            log(file, arguments(&tokens, at + 2), findings);
        } else if is_macro && FAILURES.contains(&token.text) {
            first_text(file, arguments(&tokens, at + 2), findings);
        } else if is_attribute(&tokens, at) && token.text == "error" || CONTEXTS.contains(&token.text) {
            first_text(file, arguments(&tokens, at + 1), findings);
        }
    }
}

/// Returns what stands between the bracket at `open` and its partner.
fn arguments<'t, 's>(tokens: &'t [Token<'s>], open: usize) -> &'t [Token<'s>] {
    let is_open = tokens.get(open).is_some_and(|token| token.kind == Kind::Punct && "([{".contains(token.text));
    let end = if is_open { lexer::closing(tokens, open) } else { open };
    tokens.get(open + 1..end).unwrap_or(&[])
}

fn is_attribute(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).and_then(|place| tokens.get(place));
    before(1).is_some_and(|token| token.is_punct("[")) && before(2).is_some_and(|token| token.is_punct("#"))
}

fn log(file: &Text, arguments: &[Token<'_>], findings: &mut Vec<Finding>) {
    let mut depth = 0_usize;
    for (at, token) in arguments.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|place| arguments.get(place));
        let starts = before.is_none_or(|token| token.is_punct(","));
        let ends = arguments.get(at + 1).is_none_or(|token| token.is_punct(",") || token.is_punct("="));
        match (token.kind, token.text) {
            (Kind::Punct, "(" | "[" | "{") => depth += 1,
            (Kind::Punct, ")" | "]" | "}") => depth = depth.saturating_sub(1),
            (Kind::Punct, "?") if starts || before.is_some_and(|token| token.is_punct("=")) => {
                findings.push(Finding::new(
                    file,
                    token.line,
                    "a log shows a Debug form; give it a position, a code or a count",
                ));
            }
            (Kind::Text, text) => {
                if text.contains("?}") {
                    findings.push(Finding::new(
                        file,
                        token.line,
                        "a log shows a Debug form; give it a position, a code or a count",
                    ));
                }
                if depth == 0 && starts {
                    style(file, token, findings);
                }
            }
            // A field is `name`, `%name` or `name = …`.
            (Kind::Ident, name) if depth == 0 && ends && VALUES.contains(&name) => {
                let sigil = before.is_some_and(|token| token.is_punct("%"));
                if starts || sigil {
                    findings.push(Finding::new(
                        file,
                        token.line,
                        format!("a log has a field `{name}`: values stay out of logs"),
                    ));
                }
            }
            _ => {}
        }
    }
}

fn first_text(file: &Text, arguments: &[Token<'_>], findings: &mut Vec<Finding>) {
    if let Some(text) = arguments.iter().find(|token| token.kind == Kind::Text) {
        style(file, text, findings);
    }
}

/// A message completes "failed to …" or stands in a chain of causes: it is a part of a sentence.
fn style(file: &Text, message: &Token<'_>, findings: &mut Vec<Finding>) {
    let text = message.text;
    let word = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("");
    let mut letters = word.chars();
    let is_capitalised = letters.next().is_some_and(char::is_uppercase) && letters.all(char::is_lowercase);
    if is_capitalised && !NAMES.contains(&word) {
        findings.push(Finding::new(file, message.line, format!("a message starts lowercase: {word}")));
    }
    if text.ends_with('.') && !text.ends_with("..") {
        findings.push(Finding::new(file, message.line, "a message has no full stop"));
    }
}

const LOGS: [&str; 11] = [
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "event",
    "trace_span",
    "debug_span",
    "info_span",
    "warn_span",
    "error_span",
];
/// Macros that make an error from a message.
const FAILURES: [&str; 3] = ["anyhow", "bail", "ensure"];
/// Methods that add a message to an error.
const CONTEXTS: [&str; 2] = ["context", "with_context"];
/// Names of log fields that promise a value of an event, a person or a key.
const VALUES: [&str; 19] = [
    "body",
    "canonical",
    "data",
    "email",
    "event",
    "header",
    "headers",
    "identifier",
    "key",
    "payload",
    "person",
    "pseudonym",
    "raw",
    "record",
    "secret",
    "subject",
    "tenant",
    "text",
    "value",
];
/// Words that are written with a capital wherever they stand.
const NAMES: [&str; 9] = ["Arrow", "Debian", "Delta", "Kafka", "Linux", "Parquet", "Prometheus", "Spark", "Unicode"];

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn found(code: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(&file("crates/weir-daemon/src/a.rs", &format!("fn a() {{ {code} }}")), &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    fn only(code: &str, part: &str) {
        let found = found(code);
        assert!(matches!(&found[..], [one] if one.contains(part)), "{code}: {found:?}");
    }

    #[test]
    fn good_messages_pass() {
        for code in [
            r#"warn!(partition, offset, code = error.code(), num_suppressed, "record malformed");"#,
            r#"info!("Kafka is away");"#,
            r#"info!(target: "weir", seconds = took(value)?, "UTF-8 is broken");"#,
            r#"bail!("no such table: {name}");"#,
            r#"x.context("could not open the lake")?;"#,
            r#"let error = "Anything.";"#,
            r#"#[error("{name} is not a table...")] struct E;"#,
        ] {
            assert_eq!(found(code), [""; 0], "{code}");
        }
    }

    #[test]
    fn debug_forms_in_logs_are_found() {
        for code in [
            "debug!(?batch);",
            "debug!(partition, ?batch);",
            r#"debug!(batch = ?batch, "closed");"#,
            r#"info!("closed {batch:?}");"#,
            r#"info!("closed {:#?}", batch);"#,
            r#"tracing::error_span!("commit", ?table);"#,
        ] {
            only(code, "Debug form");
        }
    }

    #[test]
    fn fields_that_promise_values_are_found() {
        for code in ["warn!(tenant);", "warn!(offset, %subject);", r#"warn!(key = mask(k), "refused");"#] {
            only(code, "values stay out of logs");
        }
    }

    #[test]
    fn sentences_are_found() {
        only(r#"info!(offset, "Batch closed");"#, "starts lowercase");
        only(r#"info!("batch closed.");"#, "no full stop");
        only(r#"bail!("No table");"#, "starts lowercase");
        only(r#"x.with_context(|| format!("could not open {p}."))?;"#, "no full stop");
        only(r#"#[error("Table {0} is foreign")] struct E;"#, "starts lowercase");
    }

    #[test]
    fn tests_may_say_what_they_like() {
        let text = "#[cfg(test)]\nmod tests { fn a() { info!(\"{:?}.\", x) } }";
        let mut findings = Vec::new();
        check(&file("crates/weir-daemon/src/a.rs", text), &mut findings);
        check(&file("crates/weir-daemon/tests/a.rs", "fn a() { info!(?x) }"), &mut findings);
        assert_eq!(findings, []);
    }
}
