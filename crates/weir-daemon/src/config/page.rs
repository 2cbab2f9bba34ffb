//! The documented default file, generated from the sections.
//!
//! `config/weir.toml` in the repository is this text; a test compares them, so that the file cannot drift from the code.

use std::fmt::Write as _;

use super::PAGES;
use super::section::SectionPage;

/// Returns the text of `config/weir.toml`: every key with its meaning and its default.
pub fn default_file() -> String {
    let mut text = String::from(HEAD);
    for page in &PAGES {
        write_section(&mut text, page);
    }
    text
}

fn write_section(text: &mut String, page: &SectionPage) {
    text.push('\n');
    for line in page.doc {
        push_line(text, format_args!("#{line}"));
    }
    if page.path.is_empty() {
        text.push('\n');
    } else {
        push_line(text, format_args!("[{}]", page.path));
    }
    for key in page.keys {
        for line in key.doc {
            push_line(text, format_args!("#{line}"));
        }
        let comment = if key.mode == "optional" { "# " } else { "" };
        push_line(text, format_args!("{comment}{} = {}", key.key, key.sample));
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes all that is written");
}

const HEAD: &str = "# weir's configuration. Generated from crates/weir-daemon/src/config.rs;\n\
    # `WEIR_BLESS=1 cargo test -p weir-daemon` rewrites it.\n";
