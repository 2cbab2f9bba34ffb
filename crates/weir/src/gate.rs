//! `weir gate`: a read-only S3 endpoint over the lake.

use std::sync::Arc;

use anyhow::anyhow;
use weir_daemon::config::Vault;
use weir_daemon::custody::{Custody, Layer, OwnFile, Secrets};
use weir_daemon::http::{self, Pages};
use weir_daemon::{Health, Metrics, SystemClock, keys, lake};
use weir_gate::{GateFault, Setup};
use weir_keys::StoreKeys;

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
    let (clock, metrics, health) = (SystemClock::start(), Arc::new(Metrics::new()), Health::default());
    let confirmed_ms = clock.elapsed_ms();
    let store_keys = lake::store_keys(&config).map_err(setup::key_failure)?;
    // Of the ring the gate keeps its own file, which signs the ledger, and nothing by which anybody could be found.
    let ring = keys::open_own(&config).map_err(setup::key_failure)?;
    let ledger = lake::ledger(&config, &ring);
    ledger.check().map_err(|why| Failure::new(setup::ledger_exit(&why), why))?;
    let custody =
        |layer, vault: &Option<Vault>| Custody::new(layer, vault.as_ref().map(|vault| vault.cache_ttl), confirmed_ms);
    let mut kept: Vec<(Custody, Arc<dyn Secrets>)> =
        vec![(custody(Layer::Ring, &config.vault), Arc::new(OwnFile::new(ring)))];
    if let Some(keys) = &store_keys {
        kept.push((custody(Layer::Store, &config.store_vault), Arc::<StoreKeys>::clone(keys)));
    }
    let pages = Pages { health: health.clone(), metrics: Arc::clone(&metrics), clock: Arc::clone(&clock) };
    http::serve(settings.rules.pages, pages).or_exit(Exit::Io)?;
    let setup = Setup {
        settings,
        policy: setup::policy_source(&config),
        lake: lake::root(&config),
        region: config.general.region,
        store_keys,
        ledger,
        kept,
        health,
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
