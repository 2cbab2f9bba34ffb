//! `weir demo`: the whole path with nothing set up.
//!
//! A broker inside the process, generated events and consents on its topics, and from there on what `weir run` is: the real
//! source, keeper, filter and lake. The folder stays, so that the lake can be queried; everything in it is invented.

mod example;
mod progress;
mod world;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;

use weir_daemon::SystemClock;
use weir_daemon::pipeline::{self, Setup, StateTopicPolicy, Until};
use weir_lake::{Dialect, Lake, TableSummary, views};
use weir_policy::{DenyReason, MalformedCode};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::table::Table;
use crate::{lake, output, reasons, setup};

use progress::Progress;
use world::World;

/// Arguments of `weir demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of events.
    #[arg(long, env = "WEIR_DEMO_EVENTS", default_value_t = 100_000, value_name = "N")]
    events: u64,
    /// Folder to make for the demo; without it, one among the temporary files.
    #[arg(long, env = "WEIR_DEMO_FOLDER", value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Runs the demo and shows what became of the events.
///
/// # Errors
/// When the folder cannot be made or the pipeline fails.
pub(crate) fn demo(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let world = World::make(global, args.folder.as_deref(), args.events)?;
    output::remark(format_args!("everything is in {}", world.folder.display()));
    let progress = Progress::new(args.events);
    world.produce(&progress)?;
    run(&world, &progress)?;
    let opened = setup::lake(&world.config)?;
    output::print(accounts(&opened)?)?;
    output::print(example::before_and_after(&world)?)?;
    output::print(what_next(&world, &opened)?)?;
    Ok(Exit::Done)
}

/// Runs the pipeline on a thread of its own until it has caught up, and shows how far it is.
fn run(world: &World, progress: &Progress) -> Result<(), Failure> {
    let setup = Setup {
        config: world.config.clone(),
        policy: world.policy()?,
        ring: setup::key_ring(&world.config)?,
        clock: SystemClock::start(),
        until: Until::CaughtUp,
        state_topic: StateTopicPolicy::Trust,
    };
    let pipeline = thread::spawn(move || pipeline::run(setup));
    while !pipeline.is_finished() {
        progress.look(world.config.http.listen);
    }
    progress.done();
    match pipeline.join() {
        Ok(ended) => ended.or_exit(Exit::Software),
        Err(_panic) => Err(Failure::new(Exit::Software, anyhow::anyhow!("the pipeline panicked"))),
    }
}

/// Says what became of the events, by purpose, fate and reason.
fn accounts(lake: &Lake) -> Result<String, Failure> {
    let report = lake.audit(false).map_err(setup::lake_failure)?;
    let mut table = Table::new(["purpose", "fate", "reason", "events", "why"]);
    for ((purpose, fate, reason), count) in &report.fates {
        let reason = reason.clone().unwrap_or_default();
        let why = why(&reason).to_owned();
        table.push([purpose.clone(), fate.clone(), reason, count.to_string(), why]);
    }
    let verdict = if report.is_sound() { "every event has one fate for each purpose" } else { "the lake is NOT sound" };
    Ok(format!("\nWhat became of the events\n\n{table}\nweir audit: {verdict}\n"))
}

fn why(reason: &str) -> &'static str {
    use weir_filter::Fate;
    let denied = DenyReason::parse(reason).map(Fate::Denied);
    let fate = denied.or_else(|| MalformedCode::parse(reason).map(Fate::Quarantined)).unwrap_or(Fate::Written);
    reasons::sentence(fate)
}

/// Says where everything is and what to try.
fn what_next(world: &World, lake: &Lake) -> Result<String, Failure> {
    let mut tables = lake.tables().map_err(setup::lake_failure)?;
    let config = world.folder.join("weir.toml");
    let mut text = format!("\nThe lake: {}\n\n{}\n", lake.folder(), lake::table(&tables));
    tables.retain(|table| table.table.purpose().is_some());
    if let Some(fullest) = tables.into_iter().max_by_key(|table| table.rows) {
        text += &lines_to_paste(&fullest);
    }
    write!(
        text,
        "\nTry\n  weir lake ls -c {0} --sql duckdb     all tables as views\n  weir audit -c {0}                    the proof\n  \
         weir quarantine ls -c {0}            what could not be used\n\nThe folder stays until you remove it.\n",
        config.display()
    )
    .expect("a String takes all");
    Ok(text)
}

fn lines_to_paste(table: &TableSummary) -> String {
    let one = std::slice::from_ref(table);
    format!(
        "DuckDB\n{}\nPolars\n{}\nSpark (with delta-spark)\n{}",
        views(one, Dialect::DuckDb),
        views(one, Dialect::Polars),
        views(one, Dialect::Spark)
    )
}
