//! What a command says to the person (or the log) that runs it.
//!
//! The only file that prints. Colours are for terminals; a CI log gets plain text.

use std::io::IsTerminal;
use std::time::Duration;

/// Prints a line to standard output.
#[expect(clippy::print_stdout, reason = "a developer command speaks on its standard output")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints the start of a step, so that a slow one can be told from a stuck one.
pub(crate) fn step(text: &str) {
    note(&paint("1;36", "==>"), text);
}

/// Prints the end of a step and how long it took.
pub(crate) fn done(text: &str, took: Duration) {
    note(&paint("1;32", " ok"), &format!("{text} ({:.1} s)", took.as_secs_f64()));
}

/// Prints why the command failed.
pub(crate) fn failure(text: &str) {
    note(&paint("1;31", "error:"), text);
}

/// Whether children should be asked for colours.
pub(crate) fn colours() -> bool {
    let wanted = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
    wanted("CI") && wanted("NO_COLOR") && std::io::stderr().is_terminal()
}

#[expect(clippy::print_stderr, reason = "progress must not mix with what a command prints as its result")]
fn note(mark: &str, text: &str) {
    eprintln!("{mark} {text}");
}

fn paint(code: &str, text: &str) -> String {
    if colours() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}
