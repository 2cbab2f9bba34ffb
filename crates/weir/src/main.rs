//! The binary: reads the command line, starts the logs, runs one verb, ends with its exit code.

mod audit;
mod bench;
mod cells;
mod cli;
mod completions;
mod confine;
mod consent;
mod demo;
mod exit;
mod explain;
mod filter;
mod gate;
mod keys;
mod lake;
mod memory;
mod output;
mod portal;
mod quarantine;
mod reasons;
mod receipt;
mod run;
mod sandbox;
mod setup;
mod subject;
mod table;
mod test;
mod validate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use cli::{Cli, Verb};
use exit::{Exit, Failure, OrExit as _};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return help_or_usage(&usage),
    };
    weir_daemon::logging::start(cli.level(), cli.global.log_format(), cli.global.color());
    let kept = memory::keep_to_ourselves().context("cannot keep memory out of core dumps").or_exit(Exit::NotAllowed);
    // Nothing is used any more of what a panic left half done; the log has said where it was.
    match catch_unwind(AssertUnwindSafe(|| kept.and_then(|()| verb(&cli)))) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            output::complain(&failure);
            failure.exit().into()
        }
        Err(_) => Exit::Software.into(),
    }
}

fn verb(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.verb {
        Verb::Audit(args) => audit::audit(&cli.global, args),
        Verb::Bench(args) => bench::bench(&cli.global, args),
        Verb::Completions(args) => completions::completions(args),
        Verb::Consent(verb) => consent::consent(&cli.global, verb),
        Verb::Demo(args) => demo::demo(&cli.global, args),
        Verb::Explain(args) => explain::explain(&cli.global, args),
        Verb::Filter(args) => filter::filter(&cli.global, args),
        Verb::Gate(args) => gate::gate(&cli.global, args),
        Verb::Keys(keys) => keys::keys(&cli.global, keys),
        Verb::Lake(lake) => lake::lake(&cli.global, lake),
        Verb::Portal(args) => portal::portal(&cli.global, args),
        Verb::Quarantine(quarantine) => quarantine::quarantine(&cli.global, quarantine),
        Verb::Receipt(verb) => receipt::receipt(&cli.global, verb),
        Verb::Run(args) => run::run(&cli.global, args),
        Verb::Subject(verb) => subject::subject(&cli.global, verb),
        Verb::Test(args) => test::test(&cli.global, args),
        Verb::Validate(args) => validate::validate(&cli.global, args),
    }
}

/// Prints help as asked for, or what is wrong with the command line; clap's own code for that is not sysexits'.
fn help_or_usage(usage: &clap::Error) -> ExitCode {
    let printed = usage.print();
    if usage.use_stderr() || printed.is_err() { Exit::Usage.into() } else { Exit::Done.into() }
}
