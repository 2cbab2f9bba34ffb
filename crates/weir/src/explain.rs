//! `weir explain`: why did this event not arrive?
//!
//! Says for each purpose what becomes of one event and by which rule, and for each declared field what becomes of its value.
//! It never repeats a value: what the event says stays where it was. The filter itself explains; here it is given the
//! consent that a daemon would judge by.

mod show;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_daemon::Config;
use weir_daemon::config::ConsentSource;
use weir_keys::KeySet;
use weir_policy::{Policy, PurposeId};
use weir_source::States;

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output;
use crate::sandbox::{self, Sandbox};
use crate::setup;

use show::Explained;

/// Arguments of `weir explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with one `CloudEvent` in structured mode, or `-` for standard input.
    #[arg(default_value = "-")]
    event: PathBuf,
    /// Consent records, one a line, in place of what the configuration names.
    #[arg(long, value_name = "FILE", conflicts_with = "assume_consent")]
    consent: Option<PathBuf>,
    /// Explains as if tenant and person had agreed to everything.
    #[arg(long)]
    assume_consent: bool,
    /// The instant at which the event is judged; without it, now.
    #[arg(long, value_name = "RFC3339", value_parser = setup::instant)]
    now: Option<i64>,
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

/// Explains one event.
///
/// # Errors
/// When configuration or contracts have faults, or the event or the consents cannot be read.
pub(crate) fn explain(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let config = setup::config(global)?;
    let (policy, _) = setup::policy(global, &config)?;
    let policy = Arc::new(policy);
    let record = read(&args.event)?;
    let now_ms = args.now.unwrap_or_else(setup::now_ms);
    let mut sandbox = Sandbox::like(Arc::clone(&policy), config.limits.for_filter(), config.general.region.clone())?;
    let World { keys, consent } = World::new(&config, args, &mut sandbox, &record, now_ms)?;
    let explained = Explained::new(&policy, sandbox.explain(&record, keys, &consent, now_ms));
    match args.format {
        OutputFormat::Json => output::print_json(&explained.json())?,
        OutputFormat::Text => output::print(&explained)?,
    }
    Ok(Exit::Done)
}

fn read(event: &Path) -> Result<Vec<u8>, Failure> {
    let mut record = Vec::new();
    let read = if event == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut record)
    } else {
        std::fs::File::open(event).and_then(|mut file| file.read_to_end(&mut record))
    };
    read.with_context(|| format!("cannot read {}", event.display())).or_exit(Exit::NoInput)?;
    Ok(record)
}

/// The keys and the consent by which an event is judged.
struct World {
    keys: Arc<KeySet>,
    consent: ConsentStore,
}

impl World {
    fn new(config: &Config, args: &Args, sandbox: &mut Sandbox, record: &[u8], now_ms: i64) -> Result<Self, Failure> {
        let text = str::from_utf8(record).unwrap_or_default();
        let tenant = sandbox::tenant(text);
        if args.assume_consent {
            let keys = sandbox.keys(&tenant, now_ms)?;
            let keys = match setup::key_ring(config) {
                Ok(ring) => Arc::new(keys.with_sealing_of(&ring.snapshot())),
                Err(_no_ring) => keys,
            };
            let opened = sandbox::in_clear(text, &keys);
            return Ok(Self {
                consent: agreed(sandbox.policy(), opened.as_deref().unwrap_or(text), &tenant, &keys),
                keys,
            });
        }
        match (&args.consent, &config.consent) {
            (Some(file), _) | (None, ConsentSource::Path(file)) => {
                let keys = keys(config, sandbox, &tenant, now_ms)?;
                let consent = ConsentStore::load_ndjson(file, &keys, now_ms)
                    .with_context(|| format!("consent of {}", file.display()))
                    .or_exit(Exit::NoInput)?;
                Ok(Self { keys, consent })
            }
            (None, ConsentSource::Topic(inbox)) => {
                // The state topic names people by a hash under a key of this ring, and of no other.
                let keys = setup::key_ring(config)?.snapshot();
                Ok(Self { keys, consent: states(config, inbox)? })
            }
        }
    }
}

/// Reads what the daemons know now.
fn states(config: &Config, inbox: &str) -> Result<ConsentStore, Failure> {
    let (kafka, brokers) = setup::brokers(config)?;
    let store = States::read(&brokers, inbox, &kafka.group, setup::STATES_PATIENCE)
        .with_context(|| format!("consent of topic {inbox}.state; --consent names a file instead"))
        .or_exit(Exit::Unavailable)?
        .into_store();
    store.mark_current(i64::MAX);
    Ok(store)
}

/// Returns the ring's keys where it knows the tenant; else those that a daemon would make as soon as it met it.
fn keys(config: &Config, sandbox: &mut Sandbox, tenant: &str, now_ms: i64) -> Result<Arc<KeySet>, Failure> {
    match setup::key_ring(config).map(|ring| ring.snapshot()) {
        Ok(keys) if keys.has_tenant(tenant) => Ok(keys),
        Ok(of_ring) => Ok(Arc::new(sandbox.keys(tenant, now_ms)?.with_sealing_of(&of_ring))),
        Err(_no_ring) => sandbox.keys(tenant, now_ms),
    }
}

/// Returns a store in which the tenant and the person of an event have agreed to everything, since ever.
fn agreed(policy: &Policy, record: &str, tenant: &str, keys: &KeySet) -> ConsentStore {
    let consent = sandbox::consent_store();
    let standing = Standing::new(Status::Given, 0, None).expect("1970 can be known");
    // Which contract the event has is not known yet; those of other subjects give people whom it does not name.
    let people: Vec<_> =
        policy.contracts().iter().filter_map(|contract| sandbox::person(contract, record, tenant, keys)).collect();
    for purpose in PurposeId::ALL {
        sandbox::agree(&consent, tenant, purpose);
        for person in &people {
            consent.apply(StateRecord::Choice { person: *person, purpose, standing });
        }
    }
    consent
}

#[cfg(test)]
mod tests;
