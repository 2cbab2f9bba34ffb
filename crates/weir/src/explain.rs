//! `weir explain`: why did this event not arrive?
//!
//! Says for each purpose what becomes of one event and by which rule, and for each declared field what becomes of its value.
//! It never repeats a value: what the event says stays where it was.

mod fields;
mod show;
mod slice;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_daemon::Config;
use weir_daemon::config::ConsentSource;
use weir_filter::{Fate, Filtered, Limits};
use weir_keys::KeySet;
use weir_policy::values::time;
use weir_policy::{ContractIx, Policy, PurposeId};

use crate::cli::{Global, OutputFormat};
use crate::exit::{Exit, Failure, OrExit as _};
use crate::output;
use crate::sandbox::{self, Sandbox};
use crate::setup;

use fields::Fields;
use show::Explanation;

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
    #[arg(long, value_name = "RFC3339", value_parser = instant)]
    now: Option<i64>,
    /// Form of the output.
    #[arg(long, env = "WEIR_FORMAT", value_enum, default_value = "text")]
    format: OutputFormat,
}

fn instant(text: &str) -> Result<i64, String> {
    let micros = time::parse(text.as_bytes()).ok_or("not an instant such as 2026-11-23T10:15:30Z")?;
    Ok(micros.div_euclid(1_000))
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
    let mut sandbox = Sandbox::like(Arc::clone(&policy), limits(&config), config.general.region.clone())?;
    let world = World::new(&config, args, &mut sandbox, &record, now_ms)?;
    let filtered = sandbox.filter(&record, Arc::clone(&world.keys), &world.consent, now_ms);
    let explanation = explanation(&policy, &mut sandbox, &record, &filtered)?;
    match args.format {
        OutputFormat::Json => output::print_json(&explanation.json())?,
        OutputFormat::Text => output::print(&explanation)?,
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

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        record_bytes: limits.record_bytes.as_usize(),
        depth: limits.depth.as_usize(),
        fields: limits.fields.as_usize(),
        array_items: limits.array_items.as_usize(),
    }
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
        let keys = keys(config, args, sandbox, &tenant, now_ms)?;
        let consent = match (&args.consent, &config.consent) {
            _ if args.assume_consent => agreed(sandbox.policy(), text, &tenant, &keys),
            (Some(file), _) | (None, ConsentSource::Path(file)) => ConsentStore::load_ndjson(file, &keys, now_ms)
                .with_context(|| format!("consent of {}", file.display()))
                .or_exit(Exit::NoInput)?,
            (None, ConsentSource::Topic(topic)) => {
                let why = anyhow::anyhow!(
                    "consent is on topic {topic}, which explain does not read: name a file of the records with --consent, \
                     or --assume-consent"
                );
                return Err(Failure::new(Exit::Usage, why));
            }
        };
        Ok(Self { keys, consent })
    }
}

/// Returns the ring's keys where it knows the tenant; else those that a daemon would make as soon as it met it.
fn keys(
    config: &Config,
    args: &Args,
    sandbox: &mut Sandbox,
    tenant: &str,
    now_ms: i64,
) -> Result<Arc<KeySet>, Failure> {
    let ring = if args.assume_consent { None } else { setup::key_ring(config).ok() };
    match ring.map(|ring| ring.snapshot()).filter(|keys| keys.has_tenant(tenant)) {
        Some(keys) => Ok(keys),
        None => sandbox.keys(tenant, now_ms),
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

fn explanation<'p>(
    policy: &'p Policy,
    sandbox: &mut Sandbox,
    record: &[u8],
    filtered: &Filtered,
) -> Result<Explanation<'p>, Failure> {
    let fates = sandbox::fates(filtered);
    let Some(place) = contract(filtered) else { return Ok(Explanation { fates, contract: None }) };
    let record = str::from_utf8(record).expect("what the filter does not quarantine is UTF-8");
    let fields = Fields::of(sandbox, place, record)?.fates();
    let fields = fields.into_iter().map(|(_, fate)| fate).collect();
    let contract = show::Declared { contract: policy.contract(place), fields, counts: filtered.tally.fields(place) };
    Ok(Explanation { fates, contract: Some(contract) })
}

fn contract(filtered: &Filtered) -> Option<ContractIx> {
    let fates = filtered.tally.fates();
    let (key, _) = fates.first()?;
    if matches!(key.fate, Fate::Quarantined(_)) { None } else { key.contract }
}

#[cfg(test)]
mod tests;
