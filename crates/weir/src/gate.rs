//! `weir gate`: a read-only S3 endpoint over the lake.

use std::sync::Arc;

use anyhow::anyhow;
use weir_daemon::http::{self, Pages};
use weir_daemon::{Health, Metrics, SystemClock, lake};
use weir_gate::{GateFault, Setup};

use crate::cli::Global;
use crate::confine;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::setup;

/// Arguments of `weir gate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Serves the gate until the process is told to end.
///
/// # Errors
/// When a setting, a grant or a file cannot be used, or an address cannot be bound.
pub(crate) fn gate(global: &Global, _: &Args) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let Some(settings) = config.gate.clone() else {
        return Err(Failure::new(Exit::Config, anyhow!("no [gate] in the configuration")));
    };
    setup::confine(confine::folders(&config))?;
    let store_keys = lake::store_keys(&config).or_exit(Exit::NotAllowed)?;
    // Of the ring the gate keeps the key that signs the ledger, and nothing by which anybody could be found.
    let ledger = lake::ledger(&config, &setup::key_ring(&config)?);
    ledger.check().or_exit(Exit::NotAllowed)?;
    let (clock, metrics) = (SystemClock::start(), Arc::new(Metrics::new()));
    let pages = Pages { health: Health::default(), metrics: Arc::clone(&metrics), clock: Arc::clone(&clock) };
    http::serve(settings.rules.pages, pages).or_exit(Exit::Io)?;
    let setup = Setup {
        settings,
        policy: setup::policy_source(&config),
        lake: config.lake.root.0,
        region: config.general.region,
        store_keys,
        ledger,
        metrics,
        clock,
    };
    weir_gate::serve(setup).map(|()| Exit::Done).map_err(|fault| refused(global, fault))
}

/// Says why a gate cannot be opened, with the lines of files that have faults.
pub(crate) fn refused(global: &Global, fault: GateFault) -> Failure {
    match fault {
        GateFault::Report(report) => setup::faults(global, &report),
        GateFault::File { .. } => Failure::new(Exit::NoInput, fault),
        GateFault::Open(_) => Failure::new(Exit::Io, fault),
        GateFault::Tls(_) => Failure::new(Exit::NotAllowed, fault),
    }
}
