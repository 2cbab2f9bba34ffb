//! `weir validate`: every fault of the configuration, the contracts and the purposes, at once.
//!
//! It checks what `weir run` checks before it reads the first record, and nothing that needs a broker, so that it runs in
//! CI. Faults end it with 78; with `--deny-warnings` warnings do too.

use weir_policy::diagnostic::render;

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::{output, setup};

/// Arguments of `weir validate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fails on warnings too; for CI.
    #[arg(long, env = "WEIR_DENY_WARNINGS")]
    deny_warnings: bool,
    /// Leaves out what depends on this machine: the key ring.
    #[arg(long, env = "WEIR_NO_ENVIRONMENT")]
    no_environment: bool,
}

/// Checks everything and prints what it found.
///
/// # Errors
/// With every fault of the first kind of file that has any: configuration, then contracts and purposes.
pub(crate) fn validate(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let (policy, warnings) = setup::policy(global, &config)?;
    if !warnings.is_empty() {
        let rendered = render(&warnings, setup::look(global));
        if args.deny_warnings {
            return Err(Failure::faults(rendered));
        }
        output::remark(&rendered);
    }
    if !args.no_environment {
        setup::key_ring(&config)?;
    }
    let contracts = policy.contracts().len();
    output::print(format_args!("{contracts} contracts, policy {}: no fault\n", policy.hash()))?;
    Ok(Exit::Done)
}
