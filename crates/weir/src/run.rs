//! `weir run`: the pipeline, until it is told to end or has caught up.

use tracing::{info, warn};
use weir_daemon::SystemClock;
use weir_daemon::pipeline::{self, RunError, Setup, StateTopicPolicy, Until};

use crate::cli::Global;
use crate::confine;
use crate::exit::{Exit, Failure};
use crate::setup;

/// Arguments of `weir run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ends once everything up to the end offsets seen at start is committed; for cron and tests.
    #[arg(long, env = "WEIR_UNTIL_CAUGHT_UP")]
    until_caught_up: bool,
}

/// Runs the pipeline.
///
/// # Errors
/// When something is wrong that no waiting mends.
pub(crate) fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    share_heaps();
    let config = setup::config(global)?;
    setup::confine(confine::folders(&config))?;
    let (policy, warnings) = setup::policy(global, &config)?;
    for warning in &warnings {
        warn!(code = warning.code, place = %warning.place, "{}", warning.message);
    }
    let open = config.open_layers();
    if !open.is_empty() {
        warn!(
            off = open.join(", "),
            "layers of encryption are off: the lake's files can be read with less than two keys"
        );
    }
    let ring = setup::key_ring(&config)?;
    info!(policy = %policy.hash(), contracts = policy.contracts().len(), "weir starts");
    let until = if args.until_caught_up { Until::CaughtUp } else { Until::Stopped };
    let clock = SystemClock::start();
    let ran = pipeline::run(Setup { config, policy, ring, clock, until, state_topic: StateTopicPolicy::Create });
    ran.map(|()| Exit::Done).map_err(|why| Failure::new(exit_of(&why), why))
}

/// Starts the program anew in its own process with two heaps for all threads, unless it was told how many to have.
///
/// glibc makes a heap for each thread and reads how many are allowed only at its start. A batch is filled by one thread
/// and freed by another, which leaves every heap at its fullest: about 150 MB more than what is in use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn share_heaps() {
    use std::os::unix::process::CommandExt as _;

    const HEAPS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(HEAPS).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let failure = std::env::current_exe().map(|program| {
        let mut again = std::process::Command::new(program);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        again.args(arguments).env(HEAPS, "2").exec()
    });
    let (Ok(error) | Err(error)) = failure;
    warn!(%error, "could not start anew with {HEAPS}=2: the daemon will take more memory");
}

/// Returns the exit code of what ends the pipeline.
pub(crate) fn exit_of(why: &RunError) -> Exit {
    match why {
        RunError::Accounting(_) | RunError::Panicked { .. } | RunError::Thread { .. } => Exit::Software,
        RunError::Consent(_) => Exit::Data,
        RunError::Kafka(_) | RunError::Source(_) => Exit::Unavailable,
        RunError::Keys(keys) => setup::key_exit(keys),
        RunError::Lake(lake) => setup::lake_exit(lake),
        RunError::Ledger(ledger) => setup::ledger_exit(ledger),
        RunError::Http(_) => Exit::Io,
        RunError::Late(_) => Exit::Retry,
        RunError::Api(_) | RunError::NoSource | RunError::Brokers(_) | RunError::RawRetention(_) => Exit::Config,
    }
}
