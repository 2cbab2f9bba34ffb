//! How a verb ends: the exit codes, all of them, and the failure that carries one.
//!
//! The numbers are those of sysexits, so that a service manager and a script can tell a wrong file from a broker that is
//! away. A failure is said once, on standard error, with its chain of causes.

use std::fmt;
use std::process::ExitCode;

/// What a script learns from the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done,
    /// The command line makes no sense.
    Usage,
    /// What was read proves something wrong: an audit that does not add up, a contract test that fails.
    Data,
    /// A file to read is not there.
    NoInput,
    /// A service is away: brokers, the lake's store.
    Unavailable,
    /// A bug of ours: a worker ended in a panic.
    Software,
    /// A file cannot be made.
    CannotCreate,
    /// Reading or writing failed on the way.
    Io,
    /// Not now: it may work when tried again.
    Retry,
    /// Not allowed: a key ring with too wide a mode, a lake of another group.
    NotAllowed,
    /// Configuration, contracts or purposes have faults.
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Usage => 64,
            Exit::Data => 65,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::Software => 70,
            Exit::CannotCreate => 73,
            Exit::Io => 74,
            Exit::Retry => 75,
            Exit::NotAllowed => 77,
            Exit::Config => 78,
        })
    }
}

/// A verb that failed: the code for scripts and the words for people.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Error(anyhow::Error),
    /// Faults in files, rendered with the lines they stand in.
    Faults(String),
}

impl Failure {
    /// Fails with `exit` because of `why`.
    pub(crate) fn new(exit: Exit, why: impl Into<anyhow::Error>) -> Self {
        Self { exit, why: Why::Error(why.into()) }
    }

    /// Fails because files have faults, rendered for a terminal.
    pub(crate) fn faults(rendered: String) -> Self {
        Self { exit: Exit::Config, why: Why::Faults(rendered) }
    }

    /// Returns the code for scripts.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    /// Prints the whole chain: an error of ours never repeats its cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Error(error) => write!(f, "weir: {error:#}"),
            Why::Faults(rendered) => f.write_str(rendered),
        }
    }
}

/// Gives an error the exit code that its place knows.
pub(crate) trait OrExit<T> {
    /// Fails with `exit` on an error.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|why| Failure::new(exit, why))
    }
}
