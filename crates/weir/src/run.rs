//! `weir run`: the pipeline, until it is told to end or has caught up.

use tracing::{info, warn};
use weir_daemon::SystemClock;
use weir_daemon::pipeline::{self, RunError, Setup, StateTopicPolicy, Until};

use crate::cli::Global;
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
    let config = setup::config(global)?;
    let (policy, warnings) = setup::policy(global, &config)?;
    for warning in &warnings {
        warn!(code = warning.code, place = %warning.place, "{}", warning.message);
    }
    let ring = setup::key_ring(&config)?;
    pipeline::report_panics_by_place();
    info!(policy = %policy.hash(), contracts = policy.contracts().len(), "weir starts");
    let until = if args.until_caught_up { Until::CaughtUp } else { Until::Stopped };
    let clock = SystemClock::start();
    let ran = pipeline::run(Setup { config, policy, ring, clock, until, state_topic: StateTopicPolicy::Create });
    ran.map(|()| Exit::Done).map_err(|why| Failure::new(exit_of(&why), why))
}

fn exit_of(why: &RunError) -> Exit {
    match why {
        RunError::Accounting(_) | RunError::Panicked { .. } | RunError::Thread { .. } => Exit::Software,
        RunError::Consent(_) => Exit::Data,
        RunError::Http(_) => Exit::Io,
        RunError::Kafka(_) | RunError::Source(_) => Exit::Unavailable,
        RunError::Keys(_) | RunError::Lake(_) => Exit::NotAllowed,
        RunError::Ledger(ledger) => {
            if ledger.is_refusal() {
                Exit::NotAllowed
            } else {
                Exit::Io
            }
        }
        RunError::Late(_) => Exit::Retry,
        RunError::Api(_) | RunError::NoSource | RunError::Option(_) => Exit::Config,
    }
}
