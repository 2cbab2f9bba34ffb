//! The running pipeline: threads and bounded queues, in the order in which an event passes them.
//!
//! ```text
//!  consent: inbox ─▶ keeper ─▶ state topic ─▶ store ┐ asked for every event, and again before each commit
//!                                                     ▼
//!  Kafka ─▶ source: poll ─▶ filter ─▶ open batch ─[closed 1]─▶ commit: re-check ─▶ seal ─▶ tables ─▶ coverage
//!              ▲ acknowledge ◀──────────────[receipts 1]◀──────────────┘ receipt
//! ```
//! A record is judged on the thread that polled it and never copied. At most one batch is open and one being committed;
//! together they stay below `lake.memory`, and when both are full the brokers are the buffer. Whatever is not
//! committed when the process ends is read again: the offsets that count are in the lake.

pub(crate) mod batch;
pub(crate) mod commit;
pub(crate) mod consent;
pub(crate) mod consent_file;
pub(crate) mod custody;
pub(crate) mod fill;
mod intake;
pub(crate) mod line;
mod receipts;
mod rules;
pub(crate) mod shared;
mod signals;
mod supervise;
mod tell;
mod workers;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use weir_consent::LoadError;
use weir_keys::{KeyError, KeyRing};
use weir_lake::{CommitError, LakeError};
use weir_ledger::{Collector, LedgerError};
use weir_policy::Policy;
use weir_source::{AskError, FirstOffset, Membership, Problem};

use crate::api::clerk::Clerk;
use crate::api::desk::{Batch, Ground};
use crate::api::inbox::Sender;
use crate::api::serve::Listener;
use crate::api::{Api, ApiFault};
use crate::clock::SharedClock;
use crate::config::{Api as Settings, BrokersFault, Config, ConsentSource, Kafka, Start};
use crate::http::{self, HttpError, Pages};
use crate::metrics::labels::BuildLabels;
use crate::{Health, Metrics, Obstacle, VERSION};
use consent::Follower;
use consent_file::FileFollower;
use intake::Intake;
use intake::retention::{REMEDY, Retention};
use line::Line;
use shared::Shared;
use supervise::Supervisor;

pub use weir_source::StateTopicPolicy;

/// Everything that a run needs, checked.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// The first policy.
    pub policy: Policy,
    /// The key ring.
    pub ring: KeyRing,
    /// Where time comes from.
    pub clock: SharedClock,
    /// When the run ends by itself.
    pub until: Until,
    /// What to do about a state topic that is missing.
    pub state_topic: StateTopicPolicy,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When all that was there at its start is committed.
    CaughtUp,
    /// When it is asked to.
    Stopped,
}

/// Runs the pipeline until it is asked to end, or has caught up.
///
/// # Errors
/// When something is wrong that no waiting mends; what passes by itself is waited for, and `/readyz` says so.
pub fn run(setup: Setup) -> Result<(), RunError> {
    let kafka = setup.config.kafka.clone().ok_or(RunError::NoSource)?;
    let (until, state_topic) = (setup.until, setup.state_topic);
    let line = Arc::new(Line::new(kafka.clone()).map_err(RunError::Brokers)?);

    let (events, inbox) = sync_channel(EVENTS_MAX);
    let health = Health::default();
    // Before the pages are served: nobody may take a daemon for ready that has not begun.
    health.raise(Obstacle::Assignment, "no partition is assigned yet");
    let metrics = Arc::new(Metrics::new());
    metrics.build.get_or_create_owned(&BuildLabels { version: VERSION }).set(1);
    let pages = Pages { health: health.clone(), metrics: Arc::clone(&metrics), clock: Arc::clone(&setup.clock) };
    http::serve(setup.config.http.listen, pages)?;
    signals::forward(&events)?;
    let supervisor = Supervisor::new(events, inbox);
    let Some(lake) = supervisor.open_lake(&setup, &health)? else { return Ok(()) };
    let Setup { config, policy, ring, clock, .. } = setup;
    let shared = Arc::new(Shared::new((config, policy, ring, clock), lake, health, metrics)?);
    shared.tell_rules(Collector::Run).map_err(RunError::Ledger)?;

    let (closed, batches) = sync_channel(CLOSED_MAX);
    let (outcomes, receipts) = sync_channel(RECEIPTS_MAX);
    let mut api = None;
    if let ConsentSource::Topic(inbox) = &shared.config.consent {
        api = open_api(&supervisor, &shared, &line, inbox)?;
        let (inbox, group) = (inbox.clone(), kafka.group.clone());
        let follower = Follower::new(&shared, Arc::clone(&line), inbox, group, state_topic);
        supervisor.spawn("consent", move || {
            follower.run();
            Ok(())
        })?;
    }
    if let (ConsentSource::Path(path), Some(read)) = (&shared.config.consent, &shared.consent_file) {
        let follower = FileFollower::new(&shared, path.clone(), read.clone());
        supervisor.spawn("consent", move || {
            follower.run();
            Ok(())
        })?;
    }
    let retention = Retention {
        is_checked: state_topic != StateTopicPolicy::Trust,
        deadline: kafka.erasure_deadline,
        allow_longer: kafka.allow_longer_retention,
    };
    let intake = Intake::new(&shared, (Arc::clone(&line), membership(kafka), retention), until, closed, receipts);
    supervisor.spawn("source", move || intake.run())?;
    let (for_commit, heart) = (Arc::clone(&shared), shared.heart("commit", COMMIT_STILL_MAX));
    supervisor.spawn("commit", move || commit::commit(&for_commit, &heart, &batches, &outcomes))?;
    supervisor.keep_secrets(&shared)?;
    let ended = supervisor.watch(&shared, &line, api.as_deref());
    shared.over.store(true, Ordering::Relaxed);
    if let ConsentSource::Topic(_) = shared.config.consent {
        supervisor.see_off(&shared);
    }
    ended
}

/// Opens the API, if there is to be one: a thread that answers, and one that sends.
fn open_api(
    supervisor: &Supervisor,
    shared: &Arc<Shared>,
    line: &Arc<Line>,
    inbox: &str,
) -> Result<Option<Arc<Api>>, RunError> {
    let Some(settings) = shared.config.api.clone() else { return Ok(None) };
    let (batches, to_send) = sync_channel(BATCHES_MAX);
    let sender = Sender::new(shared, Arc::clone(line), inbox.to_owned(), to_send).map_err(RunError::Kafka)?;
    let listen = settings.rules.listen;
    let ground = Ground {
        store: Arc::clone(&shared.consent),
        news: shared.consent_news.subscribe(),
        keys: Arc::new(shared.rules.keys().without_pseudonyms()),
        clock: Arc::clone(&shared.clock),
        health: shared.health.clone(),
        max_staleness: shared.config.max_staleness,
    };
    let clerk = engage(shared, &settings, &batches).map_err(RunError::Api)?;
    let requests = clerk.as_ref().map(Clerk::requests);
    let api = Api::new(settings, ground, batches, Arc::clone(&shared.metrics), requests);
    let api = Arc::new(api.map_err(RunError::Api)?);
    let listener = Listener::open(listen).map_err(|source| HttpError { listen, source })?;
    supervisor.spawn("inbox", move || {
        sender.run();
        Ok(())
    })?;
    if let Some(clerk) = clerk {
        supervisor.spawn("rights", move || {
            clerk.run();
            Ok(())
        })?;
    }
    let answers = Arc::clone(&api);
    supervisor.spawn("api", move || {
        listener.serve(answers);
        Ok(())
    })?;
    Ok(Some(api))
}

/// Engages the clerk who does what people ask for, where there is a folder for answers.
fn engage(shared: &Arc<Shared>, settings: &Settings, inbox: &SyncSender<Batch>) -> Result<Option<Clerk>, ApiFault> {
    let Some(folder) = &settings.rules.answers else { return Ok(None) };
    Clerk::new(shared, settings.rules.answers_kept, inbox.clone(), folder.clone()).map(Some)
}

fn membership(kafka: Kafka) -> Membership {
    let start = match kafka.start {
        Start::Earliest => FirstOffset::Earliest,
        Start::Latest => FirstOffset::Latest,
    };
    Membership { rules: kafka.rules(), topics: kafka.topics, group: kafka.group, instance: kafka.instance_id, start }
}

/// Why a run ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file of the API cannot be used.
    #[error("failed to open the api")]
    Api(#[source] ApiFault),
    /// The counts of a batch do not add up, or its offsets do not join: a bug.
    #[error("failed to account for a batch")]
    Accounting(#[source] CommitError),
    /// The consent records cannot be read.
    #[error("failed to read consent")]
    Consent(#[source] LoadError),
    /// The pages cannot be served.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The Kafka client cannot be set up, or the brokers were away when an answer could not wait.
    #[error("failed to ask the brokers")]
    Kafka(#[source] AskError),
    /// The key ring cannot be written.
    #[error("failed to tend the key ring")]
    Keys(#[source] KeyError),
    /// The lake belongs to another group or key ring, or is none.
    #[error("failed to open the lake")]
    Lake(#[source] LakeError),
    /// The ledger cannot be written, or is not what it was.
    #[error("failed to tell the ledger what is in force")]
    Ledger(#[source] LedgerError),
    /// The configuration has no `[source.kafka]`.
    #[error("failed to find [source.kafka] in the configuration")]
    NoSource,
    /// An option of `[source.kafka] client` is refused, or a secret that it names cannot be had.
    #[error("failed to set up the Kafka client")]
    Brokers(#[source] BrokersFault),
    /// A worker panicked: a bug.
    #[error("worker {worker} panicked; what is not committed will be read again")]
    Panicked {
        /// The worker.
        worker: &'static str,
    },
    /// The brokers may keep raw records for longer than they may stay.
    #[error("failed to accept how long raw records stay on the brokers: {0}; {REMEDY}")]
    RawRetention(String),
    /// The source cannot go on.
    #[error("failed to read on: {0}")]
    Source(Problem),
    /// What was held when the daemon was asked to end could not be committed in time.
    #[error("failed to commit within {} s of being asked to end; what is not committed will be read again", .0.as_secs())]
    Late(Duration),
    /// A thread cannot be started.
    #[error("failed to start worker {worker}")]
    Thread {
        /// The worker.
        worker: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Decisions that wait to be sent, each about one person; more are refused.
const BATCHES_MAX: usize = 256;
/// The batch that waits for the commit worker; the source closes no further one before its receipt is back.
const CLOSED_MAX: usize = 1;
const RECEIPTS_MAX: usize = 1;
/// Signals and ends of workers; far more than there are workers.
const EVENTS_MAX: usize = 32;
/// A commit of hundreds of tables on a slow disk; longer, and an operator should look.
const COMMIT_STILL_MAX: Duration = Duration::from_mins(10);
