//! What the demo starts from: contracts, a configuration, a key ring, a broker, and full topics.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use weir_daemon::Config;
use weir_keys::KeyRing;
use weir_policy::{Policy, PolicySource};
use weir_source::{MockBroker, Outgoing, Producer};
use weir_testkit::corpus::{Corpus, Options, Produced};

use super::progress::Progress;
use crate::cli::Global;
use crate::exit::{Exit, Failure, OrExit as _};
use crate::setup;

/// Everything that the demo needs, while it lasts.
pub(crate) struct World {
    /// Where everything is.
    pub(crate) folder: PathBuf,
    /// The configuration, as in the folder's `weir.toml`.
    pub(crate) config: Config,
    /// The events and consents.
    pub(crate) corpus: Corpus,
    /// The instant up to which they happened.
    pub(crate) now_ms: i64,
    /// The contracts.
    pub(crate) shared_policy: Arc<Policy>,
    events: u64,
    broker: MockBroker,
}

impl World {
    /// Makes the folder and all that is in it, and starts the broker.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn make(global: &Global, folder: Option<&Path>, events: u64) -> Result<Self, Failure> {
        let folder = make_folder(folder).or_exit(Exit::CannotCreate)?;
        for (name, text) in CONTRACTS {
            write(&folder.join("schemas").join(name), text)?;
        }
        let broker = MockBroker::start().or_exit(Exit::Software)?;
        write(&folder.join("weir.toml"), &weir_toml(&broker.address(), free_port().or_exit(Exit::Io)?))?;
        let config = Self::read_config(global, &folder)?;
        KeyRing::init(&config.keys.provider.0).or_exit(Exit::CannotCreate)?;
        let shared_policy = Arc::new(setup::policy(global, &config)?.0);
        let now_ms = setup::now_ms();
        let options =
            Options { people: PEOPLE, tenants: TENANTS, bytes: EVENT_BYTES.into(), events, ..Options::ending(now_ms) };
        let corpus = Corpus::new(SEED, &shared_policy, options);
        Ok(Self { folder, config, corpus, now_ms, shared_policy, events, broker })
    }

    /// Reads the contracts again, for one that wants its own.
    ///
    /// # Errors
    /// Never, unless somebody changed the folder.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        let general = &self.config.general;
        let source = PolicySource { contracts: general.contracts.clone(), purposes: general.purposes.clone() };
        Policy::load(&source).map(|(policy, _)| policy).or_exit(Exit::Config)
    }

    /// Puts consents and events on the topics.
    ///
    /// # Errors
    /// When the broker does not take them.
    pub(crate) fn produce(&self, progress: &Progress) -> Result<(), Failure> {
        let partitions = i32::try_from(self.events.saturating_mul(EVENT_BYTES.into()) / ROOM).unwrap_or(i32::MAX);
        let partitions = partitions.max(PARTITIONS_MIN);
        for (topic, partitions) in [(EVENTS, partitions), (CONSENT, CONSENT_PARTITIONS), (STATE, CONSENT_PARTITIONS)] {
            self.broker.create(topic, partitions).or_exit(Exit::Software)?;
        }
        let producer = Producer::connect(&self.broker.brokers()).or_exit(Exit::Software)?;
        for consent in self.corpus.consents() {
            send(&producer, CONSENT, None, &consent)?;
        }
        let mut record = Produced::default();
        for (index, partition) in (0..self.events).zip((0..partitions).cycle()) {
            self.corpus.write(index, &mut record);
            send(&producer, EVENTS, Some(partition), &record)?;
            progress.produced(index);
        }
        producer.flush(FLUSH_MAX).or_exit(Exit::Software)
    }

    fn read_config(global: &Global, folder: &Path) -> Result<Config, Failure> {
        Config::load(&[folder.join("weir.toml")], &[]).map_err(|report| setup::faults(global, &report))
    }
}

fn send(producer: &Producer, topic: &str, partition: Option<i32>, record: &Produced) -> Result<(), Failure> {
    let headers = record.borrowed_headers();
    let outgoing =
        Outgoing { topic, partition, key: Some(&record.key), value: record.value.as_deref(), headers: &headers };
    producer.send(&outgoing).or_exit(Exit::Software)
}

fn make_folder(folder: Option<&Path>) -> anyhow::Result<PathBuf> {
    match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder.parent().unwrap_or(folder))?;
            std::fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            Ok(std::path::absolute(folder)?)
        }
        None => Ok(tempfile::Builder::new().prefix("weir-demo-").tempdir()?.keep()),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let written = file.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(file, text));
    written.with_context(|| format!("cannot write {}", file.display())).or_exit(Exit::CannotCreate)
}

/// Finds a port for the pages; between this and their start somebody else could take it, and the demo would say so.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn weir_toml(brokers: &str, port: u16) -> String {
    format!(
        r#"# What `weir demo` ran with. Its broker is gone; the lake stays.
contracts = "schemas"
region    = "eu"

[source.kafka]
brokers = "{brokers}"
topics  = ["{EVENTS}"]
group   = "weir-demo"

[consent]
topic = "{CONSENT}"

[lake]
root            = "file:lake"
commit_interval = "1m"

[keys]
provider = "file:keys"

[http]
listen = "127.0.0.1:{port}"
"#
    )
}

macro_rules! contracts {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../../schemas/", $name)))),*]
    };
}

/// The contracts that the repository ships.
const CONTRACTS: [(&str, &str); 9] = contracts![
    "checkout/completed.toml",
    "checkout/completed.v2.toml",
    "checkout/decline_codes.txt",
    "checkout/health.toml",
    "checkout/payment_failed.toml",
    "checkout/request.toml",
    "desktop/app_started.toml",
    "desktop/document_synced.toml",
    "desktop/feature_used.toml",
];

const EVENTS: &str = "telemetry";
const CONSENT: &str = "weir.consent";
const STATE: &str = "weir.consent.state";
const CONSENT_PARTITIONS: i32 = 4;
const PARTITIONS_MIN: i32 = 6;
const PEOPLE: u32 = 2_000;
const TENANTS: u32 = 20;
const EVENT_BYTES: u16 = 600;
/// The broker keeps 5 MB of a partition; half of that leaves room for events that are larger than most.
const ROOM: u64 = 2_500_000;
const SEED: u64 = 2026;
const FLUSH_MAX: Duration = Duration::from_mins(1);
