//! Types without `Debug`: the list in the code equals the list that reviewers read.
//!
//! A type that holds a raw value must not be printable, or a log line is one `{:?}` away from a leak. The compiler
//! turns red when such a type gains `Debug`, but not when its `expect` goes as well: that changes the page, and so
//! shows in a review.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{self, Kind, Token};
use super::{Finding, Text};

/// The page with the list.
pub(crate) const PAGE: &str = "crates/weir/docs/ARCHITECTURE.md";

/// Checks that the page lists exactly the types of the code.
pub(crate) fn check(files: &[Text], findings: &mut Vec<Finding>) {
    for file in files {
        unnamed(file, findings);
    }
    let wanted = section(files);
    let page = files.iter().find(|file| file.path == PAGE);
    if page.and_then(|page| listed(&page.text)) == Some(&wanted) || (page.is_none() && wanted.is_empty()) {
        return;
    }
    let missing = Text { path: PAGE.to_owned(), text: String::new() };
    let message = "the types without Debug are not those of the code: `cargo xtask tidy --bless`, and have it reviewed";
    findings.push(Finding::new(page.unwrap_or(&missing), 1, message));
}

/// Returns the list as the page should hold it.
pub(crate) fn section(files: &[Text]) -> String {
    let mut types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        if let Some(package) = file.product() {
            let named = exceptions(&lexer::production(&file.text)).into_iter().filter_map(|(_, name)| name);
            types.entry(package).or_default().extend(named);
        }
    }
    types.retain(|_, names| !names.is_empty());
    let line = |(package, names): (_, BTreeSet<&str>)| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("- {package}: {}\n", names.join(", "))
    };
    types.into_iter().map(line).collect::<Vec<_>>().concat()
}

/// Returns the page with `list` in place of what it had.
pub(crate) fn blessed(page: &str, list: &str) -> String {
    match listed(page) {
        Some(old) => page.replacen(&format!("{START}\n{old}"), &format!("{START}\n{list}"), 1),
        None => format!("{}\n\n## Types that cannot be printed\n\n{REASON}\n\n{START}\n{list}{END}\n", page.trim_end()),
    }
}

fn listed(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(&format!("{START}\n"))?;
    rest.split_once(END).map(|(list, _)| list)
}

fn unnamed(file: &Text, findings: &mut Vec<Finding>) {
    if file.product().is_some() {
        for (line, name) in exceptions(&lexer::production(&file.text)) {
            if name.is_none() {
                findings.push(Finding::new(file, line, "a type without Debug is declared in plain sight, by its name"));
            }
        }
    }
}

/// Returns the line and the type of each `expect(missing_debug_implementations)`.
fn exceptions<'s>(tokens: &[Token<'s>]) -> Vec<(usize, Option<&'s str>)> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_ident("missing_debug_implementations")) {
        let after = tokens.get(at..).unwrap_or(&[]).windows(2);
        let mut declared = after.filter_map(|pair| match pair {
            [keyword, name] if ["struct", "enum", "union"].contains(&keyword.text) => Some(name),
            _ => None,
        });
        let name = declared.next().filter(|name| name.kind == Kind::Ident).map(|name| name.text);
        found.push((token.line, name));
    }
    found
}

const START: &str = "<!-- types without Debug: cargo xtask tidy --bless -->";
const END: &str = "<!-- end -->";
const REASON: &str = "\
These hold raw values, secrets or what still is a person's. They have no `Debug`, so that a holder cannot derive it and a
log cannot show them; each says why beside its declaration.";

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn code() -> Text {
        let text = "#[expect(missing_debug_implementations, reason = \"raw\")]\n#[derive(Clone)]\npub struct Record<'r> { a: &'r [u8] }\n";
        file("crates/weir-filter/src/record.rs", text)
    }

    #[test]
    fn new_type_makes_the_page_wrong_until_it_is_blessed() {
        let mut findings = Vec::new();
        check(&[code(), file(PAGE, "# Architecture\n")], &mut findings);
        assert!(matches!(&findings[..], [one] if one.message.contains("--bless")));

        let page = blessed("# Architecture\n", &section(&[code()]));
        assert!(page.contains("- weir-filter: `Record`\n"), "{page}");
        let mut findings = Vec::new();
        check(&[code(), file(PAGE, &page)], &mut findings);
        assert_eq!(findings, []);

        let mut findings = Vec::new();
        check(&[file(PAGE, &page)], &mut findings);
        assert_eq!(findings.len(), 1, "a type that gained Debug is still on the page");
        assert!(!blessed(&page, "").contains("Record"));
    }

    #[test]
    fn type_that_a_macro_names_is_found() {
        let hidden = "macro_rules! m { ($n:ident) => { #[expect(missing_debug_implementations, reason = \"raw\")] struct $n; } }";
        let mut findings = Vec::new();
        unnamed(&file("crates/weir-keys/src/a.rs", hidden), &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
