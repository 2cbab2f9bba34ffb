//! `weir filter`: CloudEvents from files or standard input, one a line, into the lake.

use std::path::PathBuf;

use serde::Serialize;
use weir_daemon::SystemClock;
use weir_daemon::files::{self, Accounting, FileSetup, FilesError, Input};
use weir_lake::CommitError;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure};
use crate::table::Table;
use crate::{output, run, setup};

/// Arguments of `weir filter`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files of events, one a line; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Names standard input, so that the same input is not taken twice; a file is named by its digest.
    #[arg(long, env = "WEIR_SOURCE", value_name = "NAME")]
    source: Option<String>,
    /// Takes from older events what was not exposed when they happened, by a decision that stands there; the ledger is told.
    #[arg(long, env = "WEIR_DECISION", value_name = "REFERENCE")]
    decision: Option<String>,
    /// Form of the accounting.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Filters every file and prints what became of the events.
///
/// # Errors
/// At the first thing that fails; what was committed before stays.
pub(crate) fn filter(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let inputs = inputs(args)?;
    let config = setup::config(global)?;
    let (policy, _) = setup::policy(global, &config)?;
    let ring = setup::key_ring(&config)?;
    let (clock, decision) = (SystemClock::start(), args.decision.clone().filter(|reference| !reference.is_empty()));
    let accounting = files::run(FileSetup { config, policy, ring, clock, decision }, &inputs)
        .map_err(|why| Failure::new(exit_of(&why), why))?;
    match args.format {
        OutputFormat::Json => output::print_json(&lines(&accounting))?,
        OutputFormat::Text => {
            let Accounting { rows, files, .. } = &accounting;
            output::print(format_args!("{}\n{rows} rows in {files} files\n", table(&accounting)))?;
        }
    }
    Ok(Exit::Done)
}

fn inputs(args: &Args) -> Result<Vec<Input>, Failure> {
    let input = |file: &PathBuf| {
        if file.as_os_str() != "-" {
            return Ok(Input::Path(file.clone()));
        }
        let source = args.source.clone().filter(|source| !source.is_empty());
        let why = || anyhow::anyhow!("standard input needs --source NAME, by which the lake knows it again");
        Ok(Input::Stdin { source: source.ok_or_else(|| Failure::new(Exit::Usage, why()))? })
    };
    args.files.iter().map(input).collect()
}

/// One line of the accounting.
#[derive(Serialize)]
struct Line<'l> {
    purpose: &'static str,
    event_type: Option<&'l str>,
    fate: &'static str,
    reason: Option<&'static str>,
    count: u64,
}

fn lines(accounting: &Accounting) -> Vec<Line<'_>> {
    let totals = accounting.totals.iter();
    let lines = totals.map(|((purpose, event_type, fate), count)| Line {
        purpose: purpose.name(),
        event_type: event_type.as_deref(),
        fate: fate.name(),
        reason: fate.code(),
        count: *count,
    });
    lines.collect()
}

fn table(accounting: &Accounting) -> Table {
    let mut table = Table::new(["records", "purpose", "fate", "reason", "event type"]);
    for Line { purpose, event_type, fate, reason, count } in lines(accounting) {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        table.push([count.to_string(), purpose.to_owned(), fate.to_owned(), text(reason), text(event_type)]);
    }
    table
}

fn exit_of(why: &FilesError) -> Exit {
    match why {
        FilesError::Broader(_) => Exit::NotAllowed,
        FilesError::Commit(CommitError::Lake(why)) | FilesError::Lake(why) => setup::lake_exit(why),
        FilesError::Commit(CommitError::Unbalanced(_) | CommitError::WrongSpan { .. }) => Exit::Software,
        FilesError::Input(_) => Exit::NoInput,
        FilesError::Ledger(why) => setup::ledger_exit(why),
        FilesError::Start(why) => run::exit_of(why),
        FilesError::Commit(CommitError::Fenced { .. } | CommitError::Stale(_)) | FilesError::Stopped(_) => Exit::Retry,
    }
}

#[cfg(test)]
mod tests {
    use weir_daemon::pipeline::RunError;
    use weir_lake::{LakeError, PartitionId, Span};

    use super::*;

    /// A script tells what is wrong with a lake by the code, whichever verb met it.
    #[test]
    fn fault_of_the_lake_ends_filter_as_it_ends_run() {
        let faults: [(fn() -> LakeError, Exit); 3] = [
            (|| LakeError::Encrypted, Exit::NotAllowed),
            (|| LakeError::OtherGroup { group: "weir-2".to_owned() }, Exit::NotAllowed),
            (|| LakeError::NoCoverage, Exit::Data),
        ];
        for (fault, exit) in faults {
            let ends = [
                run::exit_of(&RunError::Lake(fault())),
                exit_of(&FilesError::Start(RunError::Lake(fault()))),
                exit_of(&FilesError::Lake(fault())),
                exit_of(&FilesError::Commit(fault().into())),
            ];
            assert_eq!(ends, [exit; 4], "{}", fault());
        }
    }

    /// Counts that do not add up are a fault of this program, and nothing that another try would mend.
    #[test]
    fn fault_of_the_accounting_ends_filter_as_it_ends_run() {
        let partition = PartitionId { source: "c/t".into(), topic: "events".into(), partition: 0 };
        let fault = || CommitError::WrongSpan { span: Span { partition: partition.clone(), from: 0, to: 1 } };
        let ends = [run::exit_of(&RunError::Accounting(fault())), exit_of(&FilesError::Commit(fault()))];
        assert_eq!(ends, [Exit::Software; 2]);
    }
}
