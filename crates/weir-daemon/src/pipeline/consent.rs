//! The consent worker: what people want, into the store.
//!
//! With topics it turns the crank of [`ConsentTopics`]: inbox to state topic, state topic to store, and the store is
//! vouched for only while both were read to their ends. What may pass by itself is waited for and said in `/readyz`; a
//! state topic that cannot be trusted any more stops the flow until a person has looked and started the daemon anew.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tracing::{debug, error, info, warn};
use weir_consent::InboxFault;
use weir_source::{
    AskError, Clocks, ConsentStop, ConsentTopics, ConsentTopicsSettings, FeedStop, Snapshot, SnapshotRefusal,
    StateTopicPolicy, Turned,
};

use crate::health::{Heart, Obstacle};
use crate::logging::Throttle;
use crate::metrics::labels::{RefusalLabels, SnapshotLabels};
use crate::pipeline::line::Line;
use crate::pipeline::receipts::ReceiptClerk;
use crate::pipeline::shared::{Shared, chain, seconds};

/// Follows the consent topics until the run is over.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    heart: Heart,
    line: Arc<Line>,
    settings: ConsentTopicsSettings,
    repeats: Throttle,
}

impl Follower {
    /// Prepares the worker.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        line: Arc<Line>,
        inbox: String,
        group: String,
        creates: StateTopicPolicy,
    ) -> Self {
        let snapshot = shared.config.snapshot.clone();
        let settings = ConsentTopicsSettings { inbox, group, creates, ask_every: ASK_EVERY, snapshot };
        let (heart, repeats) = (shared.heart("consent", STILL_MAX), Throttle::new(REPEAT_MIN));
        Self { shared: Arc::clone(shared), heart, line, settings, repeats }
    }

    /// Follows the topics; opens them again for as long as that may help.
    pub(crate) fn run(mut self) {
        while !self.shared.is_over() {
            // It finds people, and makes no pseudonyms.
            let keys = Arc::new(self.shared.rules.keys().without_pseudonyms());
            let store = Arc::clone(&self.shared.consent);
            let now_ms = self.shared.clock.now_ms();
            let (number, brokers) = self.line.current();
            let opened = ConsentTopics::open(&brokers, self.settings.clone(), store, keys, now_ms);
            let opened = opened.and_then(|(topics, loaded)| Ok((self.with_receipts(topics)?, loaded)));
            let stop = match opened {
                Ok((topics, loaded)) => {
                    if let Some(loaded) = loaded {
                        self.note_loaded(loaded);
                    }
                    self.follow(topics, number)
                }
                Err(stop) => Some(stop),
            };
            let Some(stop) = stop else { continue };
            self.say(&stop);
            if is_final(&stop) {
                error!(error = chain(&stop), "consent cannot be followed any more: the flow stops");
                self.stand_still();
            }
            self.rest();
        }
    }

    fn with_receipts(&self, topics: ConsentTopics) -> Result<ConsentTopics, ConsentStop> {
        match ReceiptClerk::new(&self.shared) {
            Some(clerk) => topics.with_receipts(Box::new(clerk)),
            None => Ok(topics),
        }
    }

    /// Turns the crank until something stops it, or (`None`) the run is over or the line to the brokers another.
    fn follow(&mut self, mut topics: ConsentTopics, number: u64) -> Option<ConsentStop> {
        while !self.shared.is_over() && number == self.line.number() {
            self.heart.beat(self.shared.clock.elapsed_ms());
            if !self.shared.ring_is_current() {
                self.rest();
                continue;
            }
            match topics.turn(self.clocks(), WAIT) {
                Ok(turned) => self.note(turned),
                Err(stop) => return Some(stop),
            }
            self.note_snapshot(topics.snapshot());
        }
        topics.close(self.clocks()).into_iter().for_each(note_saved);
        None
    }

    fn clocks(&self) -> Clocks {
        Clocks { wall_ms: self.shared.clock.now_ms(), monotonic_ms: self.shared.clock.elapsed_ms() }
    }

    /// Says whether the store was filled from its snapshot.
    fn note_loaded(&self, loaded: Result<Snapshot, SnapshotRefusal>) {
        let shared = &self.shared;
        let outcome = match loaded {
            Ok(snapshot) => {
                let age_ms = shared.clock.now_ms() - snapshot.written_ms;
                info!(people = shared.consent.people(), age_ms, "the consent store is filled from its snapshot");
                "loaded"
            }
            Err(SnapshotRefusal::Absent) => {
                info!("there is no snapshot of the consent store: the whole state topic is read");
                SnapshotRefusal::Absent.code()
            }
            Err(refusal) => {
                warn!(code = refusal.code(), %refusal, "the snapshot is not used: the whole state topic is read");
                refusal.code()
            }
        };
        shared.metrics.snapshot_loads.get_or_create_owned(&SnapshotLabels { outcome }).inc();
    }

    fn note_snapshot(&self, snapshot: Option<&Snapshot>) {
        let Some(snapshot) = snapshot else { return };
        let metrics = &self.shared.metrics;
        metrics.snapshot_age_seconds.set(seconds(self.shared.clock.now_ms() - snapshot.written_ms));
        metrics.snapshot_bytes.set(i64::try_from(snapshot.bytes).unwrap_or(i64::MAX));
    }

    fn note(&mut self, turned: Turned) {
        let Turned { applied, published, receipts, refused, problems, current, saved, .. } = turned;
        saved.into_iter().for_each(note_saved);
        let shared = &self.shared;
        if applied + published > 0 || current {
            shared.consent_news.send_replace(());
        }
        shared.consent_position.fetch_add(i64::try_from(applied).unwrap_or(0), Ordering::Relaxed);
        shared.metrics.consent_published.inc_by(published);
        shared.metrics.consent_receipts.inc_by(receipts);
        count_refused(shared, refused);
        if let Some(age_ms) = shared.consent.age_ms(shared.clock.elapsed_ms()) {
            shared.metrics.consent_age_seconds.set(seconds(age_ms));
        }
        if current {
            shared.metrics.consent_people.set(i64::try_from(shared.consent.people()).unwrap_or(i64::MAX));
            shared.metrics.consent_bytes.set(i64::try_from(shared.consent.memory()).unwrap_or(i64::MAX));
            if shared.health.clear(Obstacle::ConsentTopic) {
                info!("the consent topics are read to their ends");
            }
        }
        for problem in problems {
            shared.health.raise(Obstacle::ConsentTopic, &problem);
            if let Some(num_suppressed) = self.repeats.admit(shared.clock.elapsed_ms()) {
                warn!(code = problem.code(), %problem, num_suppressed, "consent does not come");
            }
        }
    }

    fn say(&mut self, stop: &ConsentStop) {
        self.shared.health.raise(Obstacle::ConsentTopic, chain(stop));
        if let Some(num_suppressed) = self.repeats.admit(self.shared.clock.elapsed_ms()) {
            warn!(error = chain(stop), num_suppressed, "the consent topics cannot be followed");
        }
    }

    /// Waits for the end of the run: opening the topics again would take what is left for everything.
    fn stand_still(&self) {
        while !self.shared.is_over() {
            self.rest();
        }
    }

    fn rest(&self) {
        self.heart.beat(self.shared.clock.elapsed_ms());
        thread::sleep(REST);
    }
}

/// Tells whether opening the topics again could hide that records are missing.
fn is_final(stop: &ConsentStop) -> bool {
    match stop {
        ConsentStop::Ask(AskError::Client(_))
        | ConsentStop::Inbox(_)
        | ConsentStop::InboxForgotten { .. }
        | ConsentStop::StatesLost { .. } => true,
        ConsentStop::Ask(AskError::BrokersAway | AskError::Refused(_) | AskError::TopicMissing(_)) => false,
        ConsentStop::Feed(stop) => match stop {
            FeedStop::MadeAnew { .. } | FeedStop::Repartitioned { .. } | FeedStop::Shrank { .. } => true,
            FeedStop::Ask(_) | FeedStop::Forgets { .. } | FeedStop::Missing { .. } | FeedStop::NotCompacted { .. } => {
                false
            }
        },
    }
}

fn note_saved(saved: io::Result<()>) {
    match saved {
        Ok(()) => debug!("the snapshot of the consent store is written"),
        Err(error) => warn!(%error, "the snapshot of the consent store could not be written"),
    }
}

fn count_refused(shared: &Shared, refused: HashMap<InboxFault, u64>) {
    for (fault, count) in refused {
        shared.metrics.consent_refused.get_or_create_owned(&RefusalLabels { code: fault.code() }).inc_by(count);
        warn!(code = fault.code(), count, "consent records are refused");
    }
}

/// At least once a second, or `max_staleness` would mean little.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// What a decision waits for at most before the keeper looks into the inbox; fifty looks a second cost nothing that can be measured.
const WAIT: Duration = Duration::from_millis(20);
const REST: Duration = Duration::from_secs(1);
const REPEAT_MIN: Duration = Duration::from_secs(30);
/// A turn may wait for a producer's own time-out.
const STILL_MAX: Duration = Duration::from_mins(2);
