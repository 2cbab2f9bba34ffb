//! The secrets, tended while the daemon runs: made ahead of need, destroyed when their time is over, confirmed by their vault.
//!
//! A ring in a folder is tended once an hour. One that a vault wraps is opened anew every third of `cache_ttl`: what was destroyed or
//! revoked there is gone here then. While the vault is away the flow goes on with what it confirmed last, and `cache_ttl`
//! after that the secrets are forgotten: nothing is judged or committed until it confirms them again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info, warn};
use weir_keys::KeyError;

use crate::clock::millis;
use crate::config::Vault;
use crate::health::{Heart, Obstacle};
use crate::metrics::labels::{ConfirmationLabels, ConfirmationOutcome, Word};
use crate::pipeline::shared::{Shared, chain, seconds};

/// When the secrets were confirmed, and when they are to be again; on the monotonic clock.
#[derive(Debug)]
pub(crate) struct Custody {
    /// For how long they may be used; for ever, in a folder.
    ttl_ms: Option<i64>,
    confirmed_ms: AtomicI64,
    due_ms: AtomicI64,
    /// Why the vault does not confirm them.
    trouble: Mutex<Option<String>>,
}

impl Custody {
    /// Takes secrets as confirmed at a time before they are read.
    pub(crate) fn new(vault: Option<&Vault>, now_ms: i64) -> Self {
        let ttl_ms = vault.map(|vault| millis(vault.cache_ttl));
        let (confirmed_ms, trouble) = (AtomicI64::new(now_ms), Mutex::new(None));
        let custody = Self { ttl_ms, confirmed_ms, due_ms: AtomicI64::new(0), trouble };
        custody.due_ms.store(now_ms + custody.every_ms(), Ordering::Relaxed);
        custody
    }

    /// Returns the time from one confirmation to the next.
    fn every_ms(&self) -> i64 {
        let every_ms = millis(TEND_EVERY);
        self.ttl_ms.map_or(every_ms, |ttl_ms| every_ms.min(ttl_ms / 3))
    }

    /// Has the secrets tended at the next turn.
    pub(crate) fn hurry(&self) {
        self.due_ms.store(0, Ordering::Relaxed);
    }
}

impl Shared {
    /// Tends the secrets whenever it is time to, until the run is over.
    pub(crate) fn keep_secrets(&self, heart: &Heart, rest: Duration) {
        while !self.is_over() {
            heart.beat(self.clock.elapsed_ms());
            self.tend_if_due();
            std::thread::sleep(rest);
        }
    }

    /// Tends the secrets if it is time to.
    pub(crate) fn tend_if_due(&self) {
        let now_ms = self.clock.elapsed_ms();
        if now_ms < self.custody.due_ms.load(Ordering::Relaxed) {
            return;
        }
        let every_ms = self.custody.every_ms();
        let wait_ms = if self.tend_secrets(now_ms) { every_ms } else { every_ms.min(millis(TEND_AGAIN)) };
        self.custody.due_ms.store(now_ms + wait_ms, Ordering::Relaxed);
    }

    /// Makes and destroys secrets, and has a vault confirm them; tells whether all of it was done.
    ///
    /// What a folder does not do stands in the way at once; what a vault does not do, once `cache_ttl` is over.
    fn tend_secrets(&self, now_ms: i64) -> bool {
        match self.rules.tend_secrets(self.clock.now_ms()) {
            Ok(()) => {
                self.custody.confirmed_ms.store(now_ms, Ordering::Relaxed);
                *self.custody.trouble.lock() = None;
                if self.rules.keys().has_lapsed() {
                    // Somebody found them too old just before that was noted. Nobody will any more.
                    return self.tend_secrets(now_ms);
                }
                self.count_confirmation(ConfirmationOutcome::Confirmed);
                if self.health.clear(Obstacle::Keys) {
                    info!("the key ring can be used");
                }
            }
            Err(error @ KeyError::Vault(_)) if self.keys_are_current() => {
                self.count_confirmation(ConfirmationOutcome::Failed);
                let before = self.custody.trouble.lock().replace(chain(&error));
                if before.is_none_or(|before| before != chain(&error)) {
                    warn!(
                        error = chain(&error),
                        "the vault does not confirm the secrets; they are used until cache_ttl is over"
                    );
                }
                return false;
            }
            Err(error) => {
                self.count_confirmation(ConfirmationOutcome::Failed);
                *self.custody.trouble.lock() = Some(chain(&error));
                self.keys_fail(&error);
            }
        }
        self.tell_keys() && !self.health.stands(Obstacle::Keys)
    }

    /// Tells whether the secrets may be used; those that nobody confirmed for too long are forgotten, and that stands in the way.
    pub(crate) fn keys_are_current(&self) -> bool {
        let Some(ttl_ms) = self.custody.ttl_ms else { return true };
        let age_ms = self.clock.elapsed_ms() - self.custody.confirmed_ms.load(Ordering::Relaxed);
        self.metrics.keys_age_seconds.set(seconds(age_ms));
        if age_ms <= ttl_ms {
            return true;
        }
        self.rules.lapse();
        let trouble = self.custody.trouble.lock().clone().unwrap_or_else(|| "it was not asked in time".to_owned());
        let why = format!(
            "the vault did not confirm the secrets for longer than cache_ttl ({} s): {trouble}",
            ttl_ms / 1_000
        );
        if self.health.raise(Obstacle::Keys, &why) {
            error!(why, "the secrets are forgotten, the flow stops");
        }
        false
    }

    /// Notes that the key ring cannot be used.
    pub(crate) fn keys_fail(&self, error: &KeyError) {
        if self.health.raise(Obstacle::Keys, chain(error)) {
            error!(error = chain(error), "the key ring cannot be tended");
            self.custody.due_ms.fetch_min(self.clock.elapsed_ms() + millis(TEND_AGAIN), Ordering::Relaxed);
        }
    }

    fn count_confirmation(&self, outcome: ConfirmationOutcome) {
        if self.custody.ttl_ms.is_some() {
            self.metrics.keys_confirmations.get_or_create_owned(&ConfirmationLabels { outcome: Word(outcome) }).inc();
        }
    }
}

/// Epochs last days, and their secrets are made one epoch ahead.
const TEND_EVERY: Duration = Duration::from_hours(1);
const TEND_AGAIN: Duration = Duration::from_secs(10);
