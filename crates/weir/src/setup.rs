//! What most verbs need first: the configuration and the policy that it names.

use weir_daemon::Config;
use weir_keys::KeyRing;
use weir_policy::diagnostic::{Diagnostic, Look, Report, render};
use weir_policy::{Policy, PolicySource};

use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};

/// Reads the configuration that the command line names.
///
/// # Errors
/// When none is named, or with every fault in it.
pub(crate) fn config(global: &Global) -> Result<Config, Failure> {
    if global.config.is_empty() {
        let why = anyhow::anyhow!("no configuration: name a file with -c, or in WEIR_CONFIG");
        return Err(Failure::new(Exit::Usage, why));
    }
    Config::load(&global.config, &global.settings).map_err(|report| faults(global, &report))
}

/// Reads the contracts and purposes that the configuration names; returns the warnings too.
///
/// # Errors
/// With every fault in them.
pub(crate) fn policy(global: &Global, config: &Config) -> Result<(Policy, Vec<Diagnostic>), Failure> {
    let general = &config.general;
    let source = PolicySource { contracts: general.contracts.clone(), purposes: general.purposes.clone() };
    Policy::load(&source).map_err(|report| faults(global, &report))
}

/// Opens the key ring that the configuration names.
///
/// # Errors
/// When there is none, or others may read it.
pub(crate) fn key_ring(config: &Config) -> Result<KeyRing, Failure> {
    KeyRing::open(&config.keys.provider.0).or_exit(Exit::NotAllowed)
}

/// Makes a report the failure of a verb.
pub(crate) fn faults(global: &Global, report: &Report) -> Failure {
    Failure::faults(render(&report.diagnostics, look(global)))
}

/// Returns how diagnostics may look on standard error.
pub(crate) fn look(global: &Global) -> Look {
    if global.color().on_stderr() { Look::Coloured } else { Look::Plain }
}
