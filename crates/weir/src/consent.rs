//! `weir consent`: what people and tenants decided, and what they decide now.
//!
//! A verb takes a decision: it looks at what stands, asks whether DPV's state machine has such a step, and writes the result
//! to the inbox as any service does. It returns when the state topic says so, that is when every daemon will act on it. With a
//! consent file the file is both. No identifier that is named on the command line is ever printed.

mod decide;
mod export;
mod history;
mod import;
mod named;
mod place;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use weir_consent::Decision;
use weir_daemon::config::parse_duration;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure};

pub(crate) use named::Hidden;
use named::Named;
pub(crate) use named::Purposes;
pub(crate) use place::Place;

/// What to do about consent.
#[derive(Debug, Subcommand)]
pub(crate) enum ConsentVerb {
    /// Notes that the person is asked; every yes begins with it.
    Request(DecideArgs),
    /// Notes that the person, or the tenant, says yes.
    Grant(DecideArgs),
    /// Notes that the person says no.
    Refuse(DecideArgs),
    /// Takes a consent back for the person; that there is none is no fault.
    Withdraw(DecideArgs),
    /// Notes that the person says yes again, or for longer.
    Renew(DecideArgs),
    /// Notes that the person puts the answer off.
    Defer(DecideArgs),
    /// Takes a consent back for another party.
    Revoke(DecideArgs),
    /// Notes that a consent was found void.
    Invalidate(DecideArgs),
    /// Says what stands, and since and until when.
    Show(ShowArgs),
    /// Prints the receipts of a person, each checked.
    History(ShowArgs),
    /// Writes many records to the inbox, each checked before the first is sent.
    Import(ImportArgs),
    /// Prints what stands for everybody, without names, one JSON object a line.
    Export,
}

/// Arguments of a decision.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    purposes: Purposes,
    /// The end of a yes; without it, it holds until it is taken back.
    #[arg(long, value_name = "RFC3339", value_parser = crate::setup::instant)]
    until: Option<i64>,
    /// Where the decision can be proved; stays in the inbox.
    #[arg(long, value_name = "TEXT")]
    evidence: Option<Hidden>,
    /// Where the tenant's data may live; without it, where it may live already, and at first anywhere.
    #[arg(long, value_delimiter = ',', value_name = "REGION", conflicts_with = "id")]
    regions: Option<Vec<String>>,
    /// How long to wait until the decision counts: the keeper takes a tenth of a second, unless it catches up.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = patience)]
    patience: Duration,
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

pub(crate) fn patience(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("not a time such as 500ms, 30s or 5m")
}

/// Arguments of `weir consent show` and `history`.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    purposes: Purposes,
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Arguments of `weir consent import`.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Records of the inbox, one a line; `-` is standard input.
    file: PathBuf,
    /// Most records that are sent in a second, so that the decisions of people do not wait behind the import.
    #[arg(long, default_value = "5000", value_name = "RECORDS", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

/// Runs one of the verbs below `weir consent`.
///
/// # Errors
/// When the configuration has faults, the topics cannot be read or written, or the decision cannot be taken.
pub(crate) fn consent(global: &Global, verb: &ConsentVerb) -> Result<Exit, Failure> {
    let (decision, args) = match verb {
        ConsentVerb::Request(args) => (Decision::Request, args),
        ConsentVerb::Grant(args) => (Decision::Grant, args),
        ConsentVerb::Refuse(args) => (Decision::Refuse, args),
        ConsentVerb::Withdraw(args) => (Decision::Withdraw, args),
        ConsentVerb::Renew(args) => (Decision::Renew, args),
        ConsentVerb::Defer(args) => (Decision::Defer, args),
        ConsentVerb::Revoke(args) => (Decision::Revoke, args),
        ConsentVerb::Invalidate(args) => (Decision::Invalidate, args),
        ConsentVerb::Show(args) => return show::show(global, args),
        ConsentVerb::History(args) => return history::history(global, args),
        ConsentVerb::Import(args) => return import::import(global, args),
        ConsentVerb::Export => return export::export(global),
    };
    decide::decide(global, decision, args)
}
