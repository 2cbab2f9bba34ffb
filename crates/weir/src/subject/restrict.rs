//! `weir subject restrict`: nothing more is collected for some purposes, and what is there is hidden until that is lifted.
//!
//! The order is what makes it hold, as with an erasure: first the person's consent is withdrawn and every daemon knows, then rows are
//! set aside, and each table gets a commit that whatever was judged before has to give way to. Lifting brings the rows back and grants
//! nothing: what may be collected from then on is the person's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde_json::json;
use weir_consent::{Decision as Said, InboxRecord, StateKey, StateRecord, instant_text};
use weir_daemon::Config;
use weir_daemon::rights::{self, Receipts, Subject};
use weir_keys::KeySet;
use weir_lake::{Lake, Person, Request, Restriction, TableName};
use weir_ledger::Entry;
use weir_policy::{Policy, PurposeId, PurposeSet};

use crate::cli::{Global, OutputFormat};
use crate::consent::{Place, Purposes, patience};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::{output, setup};

use super::bar::Bar;
use super::named::People;
use super::{Ground, keys_now, save, until_all_know};

/// Arguments of `weir subject restrict`.
#[derive(Debug, clap::Args)]
pub(crate) struct RestrictArgs {
    #[command(flatten)]
    people: People,
    #[command(flatten)]
    purposes: Purposes,
    /// Brings the rows back instead; collection starts again when the person agrees again.
    #[arg(long)]
    lift: bool,
    /// Removes the replaced files at once, although a query that is under way may still read them.
    #[arg(long, conflicts_with = "lift")]
    vacuum_now: bool,
    /// File for the signed receipts, one a line; without it they are printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How long to wait until every daemon knows, and until interrupted batches are settled.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = patience)]
    patience: Duration,
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Restricts one person, or many in one pass; or lifts that.
///
/// # Errors
/// When a name cannot be one, before anything is done; or when consent, lake or ledger cannot be read or written.
pub(super) fn restrict(global: &Global, args: &RestrictArgs) -> Result<Exit, Failure> {
    let Ground { config, policy, keys } = Ground::of(global)?;
    let subjects = args.people.subjects(&keys)?;
    let purposes: PurposeSet = args.purposes.iter().collect();
    let lake = setup::lake(&config)?;
    let keys = if args.lift {
        keys
    } else {
        stop_collection(&config, &keys, &subjects, purposes, args.patience)?;
        keys_now(&config)?
    };
    let restriction = move_rows(args, &lake, &policy, &keys, &subjects)?;
    if args.vacuum_now {
        rights::vacuum_now(&lake, &setup::now_ms).map_err(setup::lake_failure)?;
    }
    let receipts = sign(args, &config.general.region, &restriction, &subjects, &keys);
    let told = receipts.tell(&lake, &setup::now_ms, |digests| Entry::Restriction { digests });
    told.map_err(setup::lake_failure)?;
    hand_out(args, &restriction, &receipts)?;
    setup::unless_skipped(&restriction.skipped)
}

/// Takes down a no for every purpose under every name, unless it stands, and waits until no daemon can judge by anything older.
fn stop_collection(
    config: &Config,
    keys: &KeySet,
    subjects: &[Subject],
    purposes: PurposeSet,
    patience: Duration,
) -> Result<(), Failure> {
    // A file is locked for as long as its place is open.
    let mut place = Place::open(config, keys)?;
    let now_ms = setup::now_ms();
    let mut records: Vec<InboxRecord> = Vec::new();
    for subject in subjects {
        for (name, purpose) in subject.names().flat_map(|name| purposes.iter().map(move |purpose| (name, purpose))) {
            let key = StateKey::of_person(keys, name, purpose).or_exit(Exit::Usage)?;
            let stands = place.store().current(&key).as_ref().and_then(StateRecord::standing);
            // Whoever was never asked refuses: under another lawful basis than consent that is what keeps them out.
            let said = if stands.is_some() { Said::Withdraw } else { Said::Refuse };
            let Some(standing) = said.take(stands, now_ms, None).or_exit(Exit::Data)? else { continue };
            let (tenant, kind, id) = name;
            records.push(InboxRecord::choice(tenant, kind, id, purpose, standing).or_exit(Exit::Usage)?);
        }
    }
    if !records.is_empty() {
        place.say(&records, keys, patience)?;
    }
    until_all_know(config);
    Ok(())
}

/// Sets rows aside, or brings them back; waits for batches whose rows do not count yet.
fn move_rows(
    args: &RestrictArgs,
    lake: &Lake,
    policy: &Policy,
    keys: &KeySet,
    subjects: &[Subject],
) -> Result<Restriction, Failure> {
    let people: Vec<Person> = subjects.iter().map(Subject::person).collect();
    let patience_ms = i64::try_from(args.patience.as_millis()).unwrap_or(i64::MAX);
    let until_ms = setup::now_ms().saturating_add(patience_ms);
    let bar = Bar::start(if args.lift { "bringing back" } else { "setting aside" });
    let request =
        Request { purposes: policy.purposes(), now_ms: &setup::now_ms, progress: &|progress| bar.show(progress) };
    let purposes = args.purposes.iter().collect();
    let moved = if args.lift {
        lake.lift(keys, &people, purposes, &request)
    } else {
        let wait = || {
            thread::sleep(AGAIN);
            setup::now_ms() < until_ms
        };
        lake.restrict(keys, &people, purposes, &request, &wait)
    };
    bar.done();
    moved.map_err(setup::lake_failure)
}

/// Signs what each person is given, as consent receipts are.
fn sign(args: &RestrictArgs, region: &str, restriction: &Restriction, subjects: &[Subject], keys: &KeySet) -> Receipts {
    let finished = instant_text(setup::now_ms());
    let purposes: Vec<_> = args.purposes.iter().map(PurposeId::name).collect();
    let one = |(subject, tables): (&Subject, &BTreeMap<TableName, u64>)| {
        let rows: serde_json::Map<_, _> = tables.iter().map(|(table, rows)| (table.to_string(), json!(rows))).collect();
        json!({
            "restricted": !args.lift,
            "person": subject.pseudonyms(keys),
            "purposes": purposes,
            "region": region,
            "finished_at": finished,
            "rows": rows,
        })
    };
    Receipts::of_restriction(subjects.iter().zip(&restriction.people).map(one), keys)
}

fn hand_out(args: &RestrictArgs, restriction: &Restriction, receipts: &Receipts) -> Result<(), Failure> {
    save(receipts, args.out.as_deref())?;
    let rows: u64 = restriction.people.iter().flat_map(BTreeMap::values).sum();
    match args.format {
        OutputFormat::Json => output::print_json(&json!({
            "restricted": !args.lift,
            "people": restriction.people.len(),
            "rows": rows,
            "tables": restriction.tables,
            "skipped": restriction.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "receipts": receipts.lines(),
        })),
        OutputFormat::Text => {
            let touched: BTreeSet<_> = restriction.people.iter().flat_map(BTreeMap::keys).collect();
            let what = if args.lift { "came back" } else { "are set aside" };
            output::print(format_args!(
                "{rows} rows of {} tables {what}; {} tables were looked into\n",
                touched.len(),
                restriction.tables
            ))?;
            if args.out.is_none() { output::print(receipts.text()) } else { Ok(()) }
        }
    }
}

/// A commit takes less than this.
const AGAIN: Duration = Duration::from_millis(500);
