//! `weir completions`: what a shell needs to complete weir's command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output;

/// Arguments of `weir completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell; bash reads the output from `~/.local/share/bash-completion/completions/weir`.
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn completions(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "weir", &mut script);
    output::print(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
