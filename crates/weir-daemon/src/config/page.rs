//! The documented default file, generated from the sections.
//!
//! `config/weir.toml` in the repository is this text; a test compares them, so that the file cannot drift from the code.

use std::fmt::Write as _;

use super::section::SectionPage;
use super::{PAGES, SPARE_PAGES};

/// Returns the text of `config/weir.toml`: every key with its meaning and its default.
pub fn default_file() -> String {
    let mut text = String::from(HEAD);
    for page in &PAGES {
        write_section(&mut text, page, "");
    }
    for page in &SPARE_PAGES {
        write_section(&mut text, page, "# ");
    }
    text
}

/// Writes a section; `mark` stands before what counts.
fn write_section(text: &mut String, page: &SectionPage, mark: &str) {
    text.push('\n');
    for line in page.doc {
        push_line(text, format_args!("#{line}"));
    }
    if page.path.is_empty() {
        text.push('\n');
    } else {
        push_line(text, format_args!("{mark}[{}]", page.path));
    }
    for key in page.keys {
        for line in key.doc {
            push_line(text, format_args!("#{line}"));
        }
        let mark = if key.mode == "optional" { "# " } else { mark };
        push_line(text, format_args!("{mark}{} = {}", key.key, key.sample));
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes all that is written");
}

const HEAD: &str = "# weir's configuration. Generated from crates/weir-daemon/src/config.rs;\n\
    # `WEIR_BLESS=1 cargo test -p weir-daemon` rewrites it.\n";
