//! What all workers look at.
//!
//! Each part is made to be read from many threads; nothing here carries an event.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};
use weir_consent::{ConsentStore, ConsentView, Stale};
use weir_keys::KeyRing;
use weir_lake::{Lake, LakeError, TableError};
use weir_policy::Policy;

use crate::clock::{SharedClock, millis};
use crate::config::{Config, ConsentSource, Vault};
use crate::custody::{Custody, Layer};
use crate::health::{Health, Heart, Obstacle};
use crate::metrics::Metrics;
use crate::pipeline::rules::Rules;
use crate::pipeline::{RunError, consent_file};

/// What all workers look at.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: SharedClock,
    pub(crate) health: Health,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rules: Rules,
    pub(crate) consent: Arc<ConsentStore>,
    /// What of its file the store was made from, if that is where consent is.
    pub(crate) consent_file: Option<consent_file::Read>,
    /// Changes with the store, for who waits for it.
    pub(crate) consent_news: watch::Sender<()>,
    pub(crate) lake: Lake,
    pub(crate) stop: AtomicBool,
    pub(crate) over: AtomicBool,
    pub(crate) abandoned: AtomicBool,
    pub(crate) consent_position: AtomicI64,
    pub(crate) custody: Custody,
    pub(crate) store_custody: Custody,
}

impl Shared {
    /// Puts the first policy in force, makes the secrets that it needs, and opens the store of consent.
    pub(crate) fn new(
        (config, policy, ring, clock): (Config, Policy, KeyRing, SharedClock),
        lake: Lake,
        health: Health,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RunError> {
        let rules = Rules::new(&config.general, policy, ring, &metrics);
        let now_ms = clock.now_ms();
        let custody =
            |layer, vault: Option<&Vault>| Custody::new(layer, vault.map(|vault| vault.cache_ttl), clock.elapsed_ms());
        let custodies =
            (custody(Layer::Ring, config.vault.as_ref()), custody(Layer::Store, config.store_vault.as_ref()));
        rules.tend_secrets(now_ms, &metrics).map_err(RunError::Keys)?;
        lake.store_keys().map_or(Ok(()), |keys| keys.reload()).map_err(RunError::Keys)?;
        let (consent, consent_file) = match &config.consent {
            ConsentSource::Path(path) => {
                let (store, read) = consent_file::load(path, &rules.keys(), now_ms).map_err(RunError::Consent)?;
                (store, Some(read))
            }
            ConsentSource::Topic(_) => (ConsentStore::new(), None),
        };
        Ok(Self {
            config,
            clock,
            health,
            metrics,
            rules,
            consent: Arc::new(consent),
            consent_file,
            consent_news: watch::Sender::new(()),
            lake,
            stop: AtomicBool::new(false),
            over: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            consent_position: AtomicI64::new(0),
            custody: custodies.0,
            store_custody: custodies.1,
        })
    }

    /// Tells whether the daemon is asked to end.
    pub(crate) fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells whether the run is over, so that those who only served it may go.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Tells the commit worker to let go of its batch, or that the next one counts again.
    pub(crate) fn abandon(&self, abandoned: bool) {
        self.abandoned.store(abandoned, Ordering::Release);
    }

    /// Tells whether the batch in flight is to be let go.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Returns how many records of the state topic the consent store was made from.
    pub(crate) fn consent_position(&self) -> i64 {
        self.consent_position.load(Ordering::Relaxed)
    }

    /// Makes the heart of a worker.
    pub(crate) fn heart(&self, worker: &'static str, within: Duration) -> Heart {
        self.health.heart(worker, within, self.clock.elapsed_ms())
    }

    /// Opens the consent store, unless it is stale.
    pub(crate) fn consent_view(&self) -> Result<ConsentView<'_>, Stale> {
        self.consent.view(self.clock.elapsed_ms(), millis(self.config.max_staleness))
    }

    /// Tells whether the consent store is current; while it is not, that stands in the way.
    pub(crate) fn consent_is_current(&self) -> bool {
        let age_ms = self.consent.age_ms(self.clock.elapsed_ms());
        let is_current = age_ms.is_some_and(|age_ms| age_ms <= millis(self.config.max_staleness));
        if is_current {
            if self.health.clear(Obstacle::ConsentStale) {
                info!("the consent store is current");
            }
        } else if self.health.raise(Obstacle::ConsentStale, staleness(age_ms)) {
            warn!(age_ms, "the consent store is not current, the flow stops");
        }
        is_current
    }

    /// Notes that the lake does what it is asked.
    pub(crate) fn lake_answers(&self) {
        for obstacle in OF_THE_LAKE {
            if self.health.clear(obstacle) {
                info!(obstacle = obstacle.code(), "the lake answers again");
            }
        }
    }

    /// Notes that the lake does not do what it is asked, and why.
    pub(crate) fn lake_fails(&self, error: &LakeError) {
        let obstacle = obstacle_of(error);
        if self.health.raise(obstacle, chain(error)) {
            warn!(obstacle = obstacle.code(), error = chain(error), "the lake does not do what it is asked");
        }
    }
}

/// Returns milliseconds as seconds.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an age; exact below 285,000 years")]
pub(crate) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

/// Returns an error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What [`obstacle_of`] returns, but for a topic that was made anew.
pub(crate) const OF_THE_LAKE: [Obstacle; 4] =
    [Obstacle::DiskFull, Obstacle::Lake, Obstacle::Ledger, Obstacle::TableRefused];

/// Returns what an error of the lake stands for in `/readyz`.
pub(crate) fn obstacle_of(error: &LakeError) -> Obstacle {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            return Obstacle::DiskFull;
        }
        cause = error.source();
    }
    match error {
        LakeError::Table { source: TableError::Kernel(refusal), .. } if refusal.is_away() => Obstacle::Lake,
        LakeError::Table { source: TableError::Store(_) | TableError::Seal(_) | TableError::Log(_), .. }
        | LakeError::Encrypted
        | LakeError::Kernel(_)
        | LakeError::KeysLapsed
        | LakeError::NoCoverage
        | LakeError::OpenBatch { .. }
        | LakeError::OtherGroup { .. }
        | LakeError::Store(_)
        | LakeError::StoreKeys(_) => Obstacle::Lake,
        LakeError::Ledger(_) => Obstacle::Ledger,
        LakeError::MadeAnew { .. } => Obstacle::TopicMadeAnew,
        LakeError::Table { .. } => Obstacle::TableRefused,
    }
}

fn staleness(age_ms: Option<i64>) -> String {
    match age_ms {
        None => "the consent topics were not read to their ends yet".to_owned(),
        Some(age_ms) => format!("the consent store was current {} s ago, longer than max_staleness", age_ms / 1_000),
    }
}
