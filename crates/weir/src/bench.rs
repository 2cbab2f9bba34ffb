//! `weir bench`: how fast this machine filters and stores events of these contracts.
//!
//! One thread that filters, the real filter, a real lake in a temporary folder, which seals with as many threads as the machine has. Events are generated from the contracts, as odd as those of a
//! service in the field, or read from a file. Of several rounds the fastest counts: it is the one that was disturbed least.

mod fields;
mod load;
mod measure;

use std::path::PathBuf;
use std::sync::Arc;

use weir_policy::PurposeId;

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::setup::ContractsArgs;
use crate::table::Table;
use crate::{output, setup};

use load::Load;
use measure::{Measured, measure};

/// Arguments of `weir bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which contracts.
    #[command(flatten)]
    contracts: ContractsArgs,
    /// Number of events in a round.
    #[arg(long, env = "WEIR_BENCH_EVENTS", default_value_t = 100_000, value_name = "N")]
    events: u64,
    /// Size that generated events are padded to.
    #[arg(long, env = "WEIR_BENCH_BYTES", default_value_t = 1000, value_name = "N")]
    bytes: usize,
    /// File with one `CloudEvent` a line, in place of generated ones; judged as if everybody had agreed.
    #[arg(long, env = "WEIR_BENCH_SAMPLE", value_name = "FILE")]
    sample: Option<PathBuf>,
    /// Measures each field too: the filter's time that is gone without it, and its bytes in the tables.
    #[arg(long, env = "WEIR_BENCH_FIELDS")]
    fields: bool,
    /// Number of rounds.
    #[arg(long, env = "WEIR_BENCH_ROUNDS", default_value_t = 5, value_name = "N")]
    rounds: u32,
}

/// Measures and prints a table.
///
/// # Errors
/// When contracts have faults, the sample cannot be read, or there is no room for temporary files.
pub(crate) fn bench(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let (policy, _) = setup::load_policy(global, &args.contracts.source(global)?)?;
    let policy = Arc::new(policy);
    let now_ms = setup::now_ms();
    let load = match &args.sample {
        Some(file) => Load::sample(&policy, file, args.events, now_ms)?,
        None => Load::generated(&policy, args.events, args.bytes, now_ms)?,
    };
    let rounds = args.rounds.max(1);
    let lake = load.lake()?;
    let measured = measure(&lake, &policy, &load, rounds)?;
    if cfg!(debug_assertions) {
        output::remark("this is a development build: `cargo run --release -- bench` is several times faster");
    }
    output::print(report(&load, &measured))?;
    if args.fields {
        let fields = fields::table(&lake, &policy, &load, rounds)?;
        output::print(format_args!(
            "\n{fields}\nfilter: time on a processor that is gone without the field; rounds scatter, so a small figure tells nothing; \
             bytes: in the tables of all purposes (t, r, p); the subject cannot be left out\n"
        ))?;
    }
    Ok(Exit::Done)
}

fn report(load: &Load, measured: &Measured) -> String {
    let mut stages = Table::new(["stage", "ns/event", "of a processor", "events/s", "MB/s"]);
    let (filter, commit) = (measured.filter, measured.commit);
    for (stage, took) in [("filter", filter), ("commit", commit), ("both", filter.and(commit))] {
        let (events, bytes) = (number(load.records.len()), number(load.bytes));
        let [wall, processor] = [took.wall, took.processor].map(|nanos| nanos / events.max(1));
        let per_second = events.saturating_mul(NANOS) / took.wall.max(1);
        let megabytes = bytes.saturating_mul(1_000) / took.wall.max(1);
        stages.push([
            stage.to_owned(),
            wall.to_string(),
            processor.to_string(),
            per_second.to_string(),
            megabytes.to_string(),
        ]);
    }
    let mut rows = Table::new(["purpose", "rows", "of events"]);
    for purpose in PurposeId::ALL {
        let written = measured.rows[purpose.index()];
        let share = written * 100 / number(load.records.len()).max(1);
        rows.push([purpose.name().to_owned(), written.to_string(), format!("{share}%")]);
    }
    let written = measured.written;
    format!(
        "{} events of {} bytes; the fastest of {} rounds\n\n{stages}\n\
         filter: records to permitted columns, pseudonyms included; commit: to Arrow, Parquet, disk and Delta log\n\n{rows}\n\
         {} bytes in {} files of {} tables: {} bytes a row\n",
        load.records.len(),
        load.bytes / load.records.len().max(1),
        measured.rounds,
        written.bytes,
        written.files,
        written.tables,
        written.bytes / written.rows.max(1),
    )
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const NANOS: u64 = 1_000_000_000;
