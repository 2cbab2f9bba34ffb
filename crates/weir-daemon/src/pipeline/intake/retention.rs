//! Whether the brokers let go of raw records in time, asked before one is read and every minute after.
//!
//! What was erased or has expired in the lake is still in the topic that it came from. So topics that may keep it for longer than
//! an erasure may take, or than the purpose that forgets first, are not read, unless an operator allowed that: then the ledger
//! knows before the first record is read, and `/readyz` says so.

use std::time::Duration;

use tracing::warn;
use weir_policy::PurposeId;
use weir_source::{AskError, RawLife};

use super::Intake;
use crate::config::ConsentSource;
use crate::health::Obstacle;
use crate::pipeline::{RunError, Until};

impl Intake {
    /// Waits until no topic keeps raw records for too long; `false` when the daemon is asked to end before.
    pub(super) fn await_retention(&mut self) -> Result<bool, RunError> {
        loop {
            match self.overstaying() {
                Ok(found) if found.is_empty() || self.retention.allow_longer => {
                    if self.shared.tell_longer_retention(&found) {
                        self.shared.health.clear(Obstacle::RawRetention);
                        self.shared.health.allow(found);
                        return Ok(true);
                    }
                }
                Ok(found) => {
                    let words = found.join("; ");
                    if self.until == Until::CaughtUp {
                        return Err(RunError::RawRetention(words));
                    }
                    if self.shared.health.raise(Obstacle::RawRetention, format!("{words}; {REMEDY}")) {
                        warn!(topics = words, "the brokers keep raw records for too long, so none are read");
                    }
                }
                Err(error) => drop(self.shared.health.raise(Obstacle::Kafka, error)),
            }
            if self.rest().is_none() {
                return Ok(false);
            }
        }
    }

    /// Tells whether the topics are still what they were: one that was missing may be there by now.
    pub(super) fn keeps_retention(&mut self) -> bool {
        loop {
            match self.overstaying() {
                Ok(found) => return found == self.shared.health.allowances(),
                Err(error) => drop(self.shared.health.raise(Obstacle::Kafka, error)),
            }
            if self.rest().is_none() {
                return false;
            }
        }
    }

    /// Tells, once a minute, whether somebody made topics keep records for longer; brokers that do not answer have not said so.
    pub(super) fn still_keeps_retention(&mut self) -> bool {
        let now_ms = self.shared.clock.elapsed_ms();
        if now_ms - self.retention_asked_ms < ASK_EVERY_MS {
            return true;
        }
        self.retention_asked_ms = now_ms;
        self.overstaying().map_or(true, |found| found == self.shared.health.allowances())
    }

    /// Returns in words which topics may keep records for too long.
    fn overstaying(&mut self) -> Result<Vec<String>, AskError> {
        if !self.retention.is_checked {
            return Ok(Vec::new());
        }
        let policy = &self.shared.rules.force().policy;
        let shortest = PurposeId::ALL.map(|purpose| policy.purposes().rules(purpose).retention_days).into_iter().min();
        let shortest = Duration::from_hours(24 * u64::from(shortest.unwrap_or_default()));
        let mut topics = self.membership.topics.clone();
        if let ConsentSource::Topic(inbox) = &self.shared.config.consent {
            topics.push(inbox.clone());
        }
        let raw_life = match &mut self.raw_life {
            Some(raw_life) => raw_life,
            empty => empty.insert(RawLife::connect(&self.brokers)?),
        };
        let asked = raw_life.overstays(&topics, shortest.min(self.retention.deadline));
        if asked.is_err() {
            // The files that its options name may be others by now, and a client reads them once.
            self.raw_life = None;
        }
        match asked {
            Ok(found) => Ok(found.iter().map(ToString::to_string).collect()),
            // Nobody may guess; who allows more need not be told how much it is.
            Err(error @ AskError::Refused(_)) => Ok(vec![format!("how long raw records stay is unknown: {error}")]),
            Err(error) => Err(error),
        }
    }
}

/// Records go by the hour at best, so a minute more changes nothing.
const ASK_EVERY_MS: i64 = 60_000;

/// For how long raw records may stay on the brokers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// Brokers inside the process end with it, and cannot be asked.
    pub(crate) is_checked: bool,
    /// `source.kafka.erasure_deadline`
    pub(crate) deadline: Duration,
    /// `source.kafka.allow_longer_retention`
    pub(crate) allow_longer: bool,
}

/// What to do about it.
pub(crate) const REMEDY: &str = "lower what keeps them there, or set source.kafka.allow_longer_retention = true";
