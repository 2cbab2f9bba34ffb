//! Standard output and standard error, the only places in the binary that print.
//!
//! A reader that closes the pipe (`weir audit | head`) ends the verb quietly instead of with a panic.

use std::fmt;
use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, StdoutLock, Write as _};

use crate::exit::{Exit, Failure, OrExit as _};

/// Prints `text` on standard output, as it is.
///
/// # Errors
/// When standard output cannot be written, unless its reader just left.
pub(crate) fn print(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.or_exit(Exit::Io),
    }
}

/// Prints a value on standard output as JSON.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).or_exit(Exit::Software)?;
    print(format_args!("{text}\n"))
}

/// Prints values as lines of JSON, however many there are.
pub(crate) struct Lines(BufWriter<StdoutLock<'static>>);

impl Lines {
    /// Takes standard output.
    pub(crate) fn start() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When standard output cannot be written; a reader that left is an end, not a failure, but an end all the same.
    pub(crate) fn push(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        writeln!(self.0, "{value}").or_exit(Exit::Io)
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.0.flush().or_exit(Exit::Io)
    }
}

/// Asks on a terminal whether that is meant; elsewhere nobody is there to answer, and whoever wrote the script meant it.
///
/// # Errors
/// When the terminal cannot be written or read.
pub(crate) fn is_meant(what: impl fmt::Display) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    write!(io::stderr(), "{what}? [y/N] ").or_exit(Exit::Io)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).or_exit(Exit::Io)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Says on standard error why a verb failed.
pub(crate) fn complain(failure: &Failure) {
    // With standard error gone there is nobody left to tell; the exit code still says it.
    drop(writeln!(io::stderr().lock(), "{failure}"));
}

/// Says something on standard error that is no failure.
pub(crate) fn remark(text: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}
