//! What most verbs need first: the configuration and the policy that it names.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tracing::{info, warn};
use weir_daemon::config::Kafka;
use weir_daemon::{Config, SystemClock};
use weir_keys::{KeyError, KeyRing};
use weir_lake::{Lake, LakeConfig, LakeError, TableName};
use weir_ledger::LedgerError;
use weir_policy::diagnostic::{Diagnostic, Look, Report, render};
use weir_policy::values::time;
use weir_policy::{Policy, PolicySource};
use weir_source::{Brokers, Cluster};

use crate::cli::Global;
use crate::confine;
use crate::exit::{Exit, Failure, OrExit as _};

/// Contracts that are named on the command line, for those who have no configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct ContractsArgs {
    /// Folder of the contracts; without it, the one that the configuration names.
    contracts: Option<PathBuf>,
    /// File of the purposes, for a folder that is named here; without it, the built-in defaults.
    #[arg(long, requires = "contracts", value_name = "FILE")]
    purposes: Option<PathBuf>,
}

impl ContractsArgs {
    /// Returns where the contracts are.
    ///
    /// # Errors
    /// When no folder is named and the configuration has faults.
    pub(crate) fn source(&self, global: &Global) -> Result<PolicySource, Failure> {
        match &self.contracts {
            Some(contracts) => Ok(PolicySource { contracts: contracts.clone(), purposes: self.purposes.clone() }),
            None => Ok(policy_source(&config(global)?)),
        }
    }
}

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
    load_policy(global, &policy_source(config))
}

/// Returns where the configuration says that contracts and purposes are.
pub(crate) fn policy_source(config: &Config) -> PolicySource {
    let general = &config.general;
    PolicySource { contracts: general.contracts.clone(), purposes: general.purposes.clone() }
}

/// Reads contracts and purposes; returns the warnings too.
///
/// # Errors
/// With every fault in them.
pub(crate) fn load_policy(global: &Global, source: &PolicySource) -> Result<(Policy, Vec<Diagnostic>), Failure> {
    Policy::load(source).map_err(|report| faults(global, &report))
}

/// Opens the key ring that the configuration names.
///
/// # Errors
/// When there is none, others may read it, or its vault does not open it.
pub(crate) fn key_ring(config: &Config) -> Result<KeyRing, Failure> {
    weir_daemon::keys::open(config).map_err(key_failure)
}

/// Gives an error of the key ring its exit code.
pub(crate) fn key_failure(why: KeyError) -> Failure {
    Failure::new(key_exit(&why), why)
}

/// Returns the exit code of an error of the key ring: what may pass by itself is not what is refused.
pub(crate) fn key_exit(why: &KeyError) -> Exit {
    // A disk or a mount that fails may come back; that somebody else owns the file stays.
    let is_away = matches!(why, KeyError::Io { source, .. } if source.kind() != io::ErrorKind::PermissionDenied);
    if why.may_pass() {
        Exit::Unavailable
    } else if is_away {
        Exit::Io
    } else {
        Exit::NotAllowed
    }
}

/// Returns the wall clock's time in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemClock::start().now_ms()
}

/// Reads an instant of the command line, in milliseconds since 1970.
///
/// # Errors
/// When it is not RFC 3339.
pub(crate) fn instant(text: &str) -> Result<i64, String> {
    let micros = time::parse(text.as_bytes()).ok_or("not an instant such as 2026-11-23T10:15:30Z")?;
    Ok(micros.div_euclid(1_000))
}

/// Opens the lake that the configuration names; one that is not there is not made.
///
/// # Errors
/// When there is none, or it belongs to another key ring or consumer group.
pub(crate) fn lake(config: &Config) -> Result<Lake, Failure> {
    let ring = key_ring(config)?;
    if !has_lake(config)? {
        let root = weir_daemon::lake::root(config);
        return Err(Failure::new(Exit::NoInput, anyhow::anyhow!("no lake in {root}")));
    }
    weir_daemon::lake::open(config, &ring).map_err(lake_failure)
}

/// Tells whether there is anything where the lake of a configuration lies.
///
/// # Errors
/// When its store does not answer.
pub(crate) fn has_lake(config: &Config) -> Result<bool, Failure> {
    let root = weir_daemon::lake::root(config);
    root.is_there().with_context(|| format!("look into {root}")).or_exit(Exit::Unavailable)
}

/// Ends well, unless there are tables that nobody looked into.
///
/// # Errors
/// When there are.
pub(crate) fn unless_skipped(skipped: &[TableName]) -> Result<Exit, Failure> {
    if skipped.is_empty() {
        return Ok(Exit::Done);
    }
    let skipped: Vec<_> = skipped.iter().map(ToString::to_string).collect();
    let why = anyhow::anyhow!("nobody looked into tables that the configuration skips: {}", skipped.join(", "));
    Err(Failure::new(Exit::Retry, why))
}

/// Confines a daemon to some folders, before it starts its first thread.
///
/// # Errors
/// When the kernel refuses a rule.
pub(crate) fn confine(folders: io::Result<Vec<PathBuf>>) -> Result<(), Failure> {
    match folders {
        Ok(folders) if confine::to(&folders).or_exit(Exit::Io)? => info!("writes to its own folders only"),
        Ok(_) => warn!("the kernel has no Landlock: nothing keeps the daemon to its own folders"),
        Err(error) => warn!(%error, "there is no lake yet, so nothing keeps the daemon to its own folders"),
    }
    Ok(())
}

/// Returns the brokers that the configuration names, and what it says about them.
///
/// # Errors
/// When it names none, or has options for them that librdkafka refuses.
pub(crate) fn brokers(config: &Config) -> Result<(&Kafka, Brokers), Failure> {
    let why = || Failure::new(Exit::Config, anyhow::anyhow!("no brokers: the configuration has no [source.kafka]"));
    let kafka = config.kafka.as_ref().ok_or_else(why)?;
    Ok((kafka, kafka.connection().or_exit(Exit::Config)?))
}

/// Returns a line for questions to the brokers that the configuration names.
///
/// # Errors
/// As [`brokers`], or when the client cannot be made.
pub(crate) fn cluster(config: &Config) -> Result<Cluster, Failure> {
    Cluster::connect(&brokers(config)?.1).or_exit(Exit::Unavailable)
}

/// Returns what the configuration says about the lake.
///
/// # Errors
/// When the store's keys cannot be read.
pub(crate) fn lake_settings(config: &Config, ring: &KeyRing) -> Result<LakeConfig, Failure> {
    weir_daemon::lake::settings(config, ring).map_err(lake_failure)
}

/// Gives an error of the lake its exit code.
pub(crate) fn lake_failure(why: LakeError) -> Failure {
    Failure::new(lake_exit(&why), why)
}

/// Returns the exit code of an error of the lake.
pub(crate) fn lake_exit(why: &LakeError) -> Exit {
    match why {
        LakeError::Kernel(_) => Exit::Software,
        LakeError::MadeAnew { .. } | LakeError::NoCoverage => Exit::Data,
        LakeError::Ledger(ledger) => ledger_exit(ledger),
        LakeError::StoreKeys(keys) => key_exit(keys),
        LakeError::Encrypted | LakeError::OtherGroup { .. } => Exit::NotAllowed,
        LakeError::KeysLapsed | LakeError::OpenBatch { .. } => Exit::Retry,
        LakeError::Store(_) | LakeError::Table { .. } => Exit::Io,
    }
}

/// Returns the exit code of an error of the ledger: a ledger that is not what it was is not one that cannot be reached.
pub(crate) fn ledger_exit(why: &LedgerError) -> Exit {
    if why.is_refusal() { Exit::NotAllowed } else { Exit::Io }
}

/// Makes a report the failure of a verb.
pub(crate) fn faults(global: &Global, report: &Report) -> Failure {
    Failure::faults(render(&report.diagnostics, look(global)))
}

/// Returns how diagnostics may look on standard error.
pub(crate) fn look(global: &Global) -> Look {
    if global.color().on_stderr() { Look::Coloured } else { Look::Plain }
}

/// A hundred million states come in this time, beside everything else that a broker does.
pub(crate) const STATES_PATIENCE: Duration = Duration::from_mins(5);

/// How long the brokers may take to answer a question.
pub(crate) const BROKER_PATIENCE: Duration = Duration::from_secs(10);
