//! `weir subject erase`: nothing of the person is let in any more, then everything that is there goes.
//!
//! The steps are those of [`rights::erase`]; here `erased_before` goes to the inbox, and who asked is told what was done.

use std::path::PathBuf;
use std::time::Duration;

use weir_daemon::Config;
use weir_daemon::rights::{self, Account, Erased, Removal, Subject};
use weir_keys::KeySet;
use weir_lake::{Erasure, Vacuumed};

use crate::cli::{Global, OutputFormat};
use crate::consent::{Place, patience};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::table::Table;
use crate::{output, setup};

use super::bar::Bar;
use super::named::People;
use super::{Ground, keys_now, save, until_all_know};

/// Arguments of `weir subject erase`.
#[derive(Debug, clap::Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    people: People,
    /// Does not ask whether that is meant; it asks on a terminal only.
    #[arg(long)]
    yes: bool,
    /// Removes the replaced files at once, although a query that is under way may still read them.
    #[arg(long)]
    vacuum_now: bool,
    /// File for the signed receipts, one a line; without it they are printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long to wait until every daemon keeps the person out.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = patience)]
    patience: Duration,
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Erases one person, or many in one pass.
///
/// # Errors
/// When a name cannot be one, before anything is done; or when consent, lake or ledger cannot be read or written.
pub(super) fn erase(global: &Global, args: &EraseArgs) -> Result<Exit, Failure> {
    let Ground { config, policy, keys } = Ground::of(global)?;
    let subjects = args.people.subjects(&keys)?;
    let lake = setup::lake(&config)?;
    if !args.yes && !is_meant(subjects.len())? {
        output::remark("nothing was erased");
        return Ok(Exit::Done);
    }
    let before_ms = setup::now_ms();
    keep_out(&config, &keys, &subjects, before_ms, args.patience)?;
    let keys = keys_now(&config)?;
    let bar = Bar::start("erasing");
    let removal = Removal {
        lake: &lake,
        policy: &policy,
        keys: &keys,
        region: &config.general.region,
        before_ms,
        now_ms: &setup::now_ms,
        progress: &|progress| bar.show(progress),
        vacuum: args.vacuum_now,
    };
    let erased = rights::erase(&subjects, &removal);
    bar.done();
    let erased = erased.map_err(setup::lake_failure)?;
    hand_out(args, &erased)?;
    setup::unless_skipped(&erased.account.erasure.skipped)
}

/// Publishes `erased_before` for every name, and waits until no daemon can judge by anything older.
fn keep_out(
    config: &Config,
    keys: &KeySet,
    subjects: &[Subject],
    before_ms: i64,
    patience: Duration,
) -> Result<(), Failure> {
    let records = rights::erased_before(subjects, before_ms).or_exit(Exit::Usage)?;
    // A file is locked for as long as its place is open.
    Place::open(config, keys)?.say(&records, keys, patience)?;
    until_all_know(config);
    Ok(())
}

fn is_meant(people: usize) -> Result<bool, Failure> {
    let whom = if people == 1 { "this person".to_owned() } else { format!("these {people} people") };
    output::is_meant(format_args!("erase everything about {whom}, for good"))
}

fn hand_out(args: &EraseArgs, erased: &Erased) -> Result<(), Failure> {
    let Erased { account, receipts, vacuumed } = erased;
    save(receipts, args.out.as_deref())?;
    match args.format {
        OutputFormat::Json => {
            let mut json = account.json();
            json["receipts"] = receipts.lines().into();
            output::print_json(&json)
        }
        OutputFormat::Text => {
            output::print(format_args!("{}{}", summary(account), deadline(vacuumed.as_ref())))?;
            if args.out.is_none() { output::print(receipts.text()) } else { Ok(()) }
        }
    }
}

/// Draws what was removed, for people.
fn summary(account: &Account) -> String {
    let Erasure { commits, tables, .. } = &account.erasure;
    let mut drawn = Table::new(["table", "version", "files", "rows"]);
    for commit in commits {
        drawn.push([
            commit.table.to_string(),
            commit.version.to_string(),
            commit.files.len().to_string(),
            commit.rows().to_string(),
        ]);
    }
    format!("{drawn}{} rows left; {tables} tables were looked into\n", account.rows())
}

fn deadline(vacuumed: Option<&Vacuumed>) -> String {
    match vacuumed {
        Some(vacuumed) => format!("{} files of {} bytes are removed\n", vacuumed.files, vacuumed.bytes),
        None => "the replaced files go with `weir lake vacuum`\n".to_owned(),
    }
}
