//! `weir lake`: what is in the tables, and what keeps them in order.

mod accept_gap;
mod verify;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use weir_daemon::Config;
use weir_daemon::config::parse_duration;
use weir_lake::{Dialect, Lake, TableName, TableSummary, Upkeep, views};
use weir_ledger::{Decision, Entry};
use weir_policy::Policy;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure};
use crate::table::Table;
use crate::{output, setup};
use accept_gap::AcceptGapArgs;
use verify::VerifyArgs;

/// What to do with the lake.
#[derive(Debug, Subcommand)]
pub(crate) enum LakeVerb {
    /// Records that offsets which the broker no longer has are lost, so that their partition can go on.
    AcceptGap(AcceptGapArgs),
    /// Removes the days that are past their purpose's retention; the files go with the next vacuum.
    Expire,
    /// Lists the tables and says which of them no contract declares, or prints views of them to paste into an engine.
    Ls(LsArgs),
    /// Seals anew what older versions of the store's keys sealed, while everything goes on.
    Reseal,
    /// Gives the lake to the configured consumer group, whoever had it.
    TakeOver(TakeOverArgs),
    /// Removes files and log entries that nothing needs any more.
    Vacuum(VacuumArgs),
    /// Reads every object to its end, and holds the lake against its ledger: what was changed, swapped, cut or set back is named.
    Verify(VerifyArgs),
}

/// Arguments of `weir lake ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Form of the list.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
    /// Prints ready views for an engine instead, pseudonyms as hex.
    #[arg(long, value_enum, value_name = "ENGINE")]
    sql: Option<Engine>,
}

/// An engine that reads the lake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// SQL.
    Duckdb,
    /// Python.
    Polars,
    /// SQL.
    Spark,
}

impl Engine {
    pub(crate) const fn dialect(self) -> Dialect {
        match self {
            Self::Duckdb => Dialect::DuckDb,
            Self::Polars => Dialect::Polars,
            Self::Spark => Dialect::Spark,
        }
    }
}

/// Arguments of `weir lake take-over`.
#[derive(Debug, clap::Args)]
pub(crate) struct TakeOverArgs {
    /// Confirms that no daemon of the former group runs any more.
    #[arg(long, required = true)]
    yes: bool,
}

/// Arguments of `weir lake vacuum`.
#[derive(Debug, clap::Args)]
pub(crate) struct VacuumArgs {
    /// How long a file must have been of no use.
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = duration)]
    older_than: Duration,
    /// Takes less than a day, which readers of older versions may still need.
    #[arg(long)]
    force: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a time such as 7d, 12h or 0s".to_owned())
}

/// Runs one of the verbs below `weir lake`.
///
/// # Errors
/// When the configuration has faults, or the lake cannot be read or written.
pub(crate) fn lake(global: &Global, verb: &LakeVerb) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    match verb {
        LakeVerb::AcceptGap(args) => accept_gap::accept_gap(&config, args)?,
        LakeVerb::Expire => {
            let (policy, _) = setup::policy(global, &config)?;
            let expired = setup::lake(&config)?.expire(policy.purposes(), setup::now_ms());
            let upkeep = expired.map_err(setup::lake_failure)?;
            let mut table = Table::new(["table", "files", "rows"]);
            for left in &upkeep.done {
                table.push([left.table.to_string(), left.files.to_string(), left.rows.to_string()]);
            }
            output::print(format_args!("{table}{} tables had days past their retention\n", upkeep.done.len()))?;
            return whole(upkeep);
        }
        LakeVerb::Ls(args) => ls(global, &config, args)?,
        LakeVerb::Reseal => {
            if config.lake.store_keys.is_none() {
                return Err(Failure::new(Exit::Config, anyhow!("the lake is not sealed: it has no lake.store_keys")));
            }
            let resealed = setup::lake(&config)?.reseal().map_err(setup::lake_failure)?;
            output::print(format_args!("{resealed} objects are sealed with the newest version now\n"))?;
        }
        LakeVerb::TakeOver(args) => {
            assert!(args.yes, "the command line requires it");
            let ring = setup::key_ring(&config)?;
            let lake = setup::lake_settings(&config, &ring)?;
            let group = lake.group.clone();
            let (key, ledger) = (weir_daemon::lake::key(&ring), weir_daemon::lake::ledger(&config, &ring));
            let taken = Lake::take_over(lake, &key, &ledger, setup::now_ms());
            taken.map_err(setup::lake_failure)?;
            output::print(format_args!("the lake belongs to group {group} now\n"))?;
        }
        LakeVerb::Vacuum(args) => return vacuum(&setup::lake(&config)?, args),
        LakeVerb::Verify(args) => return verify::verify(&config, args),
    }
    Ok(Exit::Done)
}

/// Says no where something was not done to all tables.
fn whole<T>(upkeep: Upkeep<T>) -> Result<Exit, Failure> {
    match upkeep.refused {
        Some(error) => Err(setup::lake_failure(error)),
        None => setup::unless_skipped(&upkeep.skipped),
    }
}

fn vacuum(lake: &Lake, args: &VacuumArgs) -> Result<Exit, Failure> {
    if args.older_than < SAFE && !args.force {
        let why =
            anyhow!("readers may need files that left a table less than a day ago; --force removes them all the same");
        return Err(Failure::new(Exit::Usage, why));
    }
    let older_than_ms = i64::try_from(args.older_than.as_millis()).unwrap_or(i64::MAX);
    if args.older_than < SAFE {
        let decision = Entry::Decision(Decision::Vacuum { older_than_ms });
        lake.ledger().append(setup::now_ms(), decision).map_err(|why| setup::lake_failure(why.into()))?;
    }
    let upkeep = lake.vacuum(older_than_ms, setup::now_ms()).map_err(setup::lake_failure)?;
    let removed = &upkeep.done;
    output::print(format_args!(
        "removed {} files of {} bytes, {} entries of logs, {} commits that nobody claims\n",
        removed.files, removed.bytes, removed.log_files, removed.commits
    ))?;
    whole(upkeep)
}

fn ls(global: &Global, config: &Config, args: &LsArgs) -> Result<(), Failure> {
    let lake = setup::lake(config)?;
    let tables = lake.tables().map_err(setup::lake_failure)?;
    if let Some(engine) = args.sql {
        return output::print(views(&tables, engine.dialect()));
    }
    let policy = setup::policy(global, config).map(|(policy, _)| policy).ok();
    if policy.is_none() {
        output::remark("the contracts have faults, so nobody knows which tables they declare: see `weir validate`");
    }
    match args.format {
        OutputFormat::Json => {
            output::print_json(&tables.iter().map(|table| json(table, policy.as_ref())).collect::<Vec<_>>())
        }
        OutputFormat::Text => {
            let undeclared = policy.map(|policy| undeclared(&tables, &policy)).unwrap_or_default();
            output::print(format_args!("{}\n{}{undeclared}", lake.folder(), table(&tables)))
        }
    }
}

fn json(table: &TableSummary, policy: Option<&Policy>) -> serde_json::Value {
    let columns = table.columns.iter().map(|(name, delta_type)| json!({ "name": name, "type": delta_type }));
    json!({
        "table": table.table.to_string(),
        "declared": policy.and_then(|policy| is_declared(&table.table, policy)),
        "version": table.version,
        "files": table.files,
        "rows": table.rows,
        "bytes": table.bytes,
        "first_day": table.days.as_ref().map(|(first, _)| first),
        "last_day": table.days.as_ref().map(|(_, last)| last),
        "columns": columns.collect::<Vec<_>>(),
        "path": table.path,
    })
}

/// Tells whether a contract declares a table; none for weir's own.
fn is_declared(table: &TableName, policy: &Policy) -> Option<bool> {
    table.purpose().zip(table.event_type()).map(|(purpose, event_type)| policy.declares(purpose, event_type))
}

/// Names the tables that no contract declares, for people; nothing if there are none.
fn undeclared(tables: &[TableSummary], policy: &Policy) -> String {
    let mut text = String::new();
    for table in tables.iter().filter(|table| is_declared(&table.table, policy) == Some(false)) {
        if text.is_empty() {
            text.push_str(
                "\nNo contract declares these tables. The gate shows them to nobody; retention and erasure go on:\n",
            );
        }
        writeln!(text, "  {}", table.table).expect("a text takes everything");
    }
    text
}

/// Draws the tables for people.
pub(crate) fn table(tables: &[TableSummary]) -> Table {
    let mut drawn = Table::new(["table", "rows", "files", "bytes", "version", "first day", "last day"]);
    for table in tables {
        let (first, last) = table.days.clone().unwrap_or_default();
        drawn.push([
            table.table.to_string(),
            table.rows.to_string(),
            table.files.to_string(),
            table.bytes.to_string(),
            table.version.to_string(),
            first,
            last,
        ]);
    }
    drawn
}

/// A query that reads an older version of a table should be over by then.
const SAFE: Duration = Duration::from_hours(24);
