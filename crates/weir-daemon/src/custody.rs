//! Secrets that somebody has to confirm: for how long they may be used, and what happens once that is over.
//!
//! A folder is read anew once an hour. What a vault wraps is opened anew every third of `cache_ttl`: what was destroyed or
//! revoked there is gone here then. While the vault is away its secrets are used as it confirmed them last, and `cache_ttl`
//! after that they are forgotten, until it confirms them again. The ring and the store's keys are watched apart, each by its own
//! vault; the daemon and the gate do so with the same code.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info, warn};
use weir_keys::{KeyError, KeyRing, StoreKeys};

use crate::clock::{SharedClock, millis};
use crate::health::{Health, Obstacle};
use crate::metrics::Metrics;
use crate::metrics::labels::{ConfirmationLabels, ConfirmationOutcome, Word};
use crate::pipeline::shared::{chain, seconds};

/// Secrets that can be confirmed and forgotten.
pub trait Secrets: Send + Sync {
    /// Opens all of them anew.
    ///
    /// # Errors
    /// When a file cannot be read, or the vault does not open it.
    fn confirm(&self) -> Result<(), KeyError>;

    /// Forgets them until they are confirmed.
    fn lapse(&self);

    /// Tells whether they are forgotten.
    fn has_lapsed(&self) -> bool;
}

impl Secrets for StoreKeys {
    fn confirm(&self) -> Result<(), KeyError> {
        self.reload()
    }

    fn lapse(&self) {
        self.lapse();
    }

    fn has_lapsed(&self) -> bool {
        self.has_lapsed()
    }
}

/// The ring's own file, for a process that signs with it and knows nobody.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct OwnFile {
    ring: KeyRing,
    has_lapsed: AtomicBool,
}

impl OwnFile {
    /// Takes a ring whose own file was opened.
    pub const fn new(ring: KeyRing) -> Self {
        Self { ring, has_lapsed: AtomicBool::new(false) }
    }
}

impl Secrets for OwnFile {
    fn confirm(&self) -> Result<(), KeyError> {
        self.ring.confirm_own()?;
        self.has_lapsed.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// What signs is not used any more; it stays in memory until the process ends.
    fn lapse(&self) {
        self.has_lapsed.store(true, Ordering::Relaxed);
    }

    fn has_lapsed(&self) -> bool {
        self.has_lapsed.load(Ordering::Relaxed)
    }
}

/// Whose secrets they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The key ring.
    Ring,
    /// The store's own keys.
    Store,
}

/// Where it is told how secrets stand.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'g> {
    /// What stands in the way.
    pub health: &'g Health,
    /// What is counted.
    pub metrics: &'g Metrics,
    /// Where time comes from.
    pub clock: &'g SharedClock,
}

/// When secrets were confirmed, and when they are to be again; on the monotonic clock.
#[derive(Debug)]
pub struct Custody {
    layer: Layer,
    /// For how long they may be used; for ever, in a folder.
    ttl_ms: Option<i64>,
    confirmed_ms: AtomicI64,
    due_ms: AtomicI64,
    /// Why the vault does not confirm them.
    trouble: Mutex<Option<String>>,
}

impl Custody {
    /// Takes secrets as confirmed at a time before they are read; without a vault, which has a `cache_ttl`, they never lapse.
    pub fn new(layer: Layer, cache_ttl: Option<Duration>, now_ms: i64) -> Self {
        let ttl_ms = cache_ttl.map(millis);
        let (confirmed_ms, trouble) = (AtomicI64::new(now_ms), Mutex::new(None));
        let custody = Self { layer, ttl_ms, confirmed_ms, due_ms: AtomicI64::new(0), trouble };
        custody.due_ms.store(now_ms + custody.every_ms(), Ordering::Relaxed);
        custody
    }

    /// Returns the time from one confirmation to the next.
    fn every_ms(&self) -> i64 {
        let every_ms = millis(TEND_EVERY);
        self.ttl_ms.map_or(every_ms, |ttl_ms| every_ms.min(ttl_ms / 3))
    }

    /// Has the secrets tended at the next turn.
    pub fn hurry(&self) {
        self.due_ms.store(0, Ordering::Relaxed);
    }

    /// Has the secrets confirmed if it is time to, and `then` what goes with it, which tells whether that was done.
    pub fn tend_if_due(&self, ground: Ground<'_>, secrets: &dyn Secrets, then: impl FnOnce() -> bool) {
        let now_ms = ground.clock.elapsed_ms();
        if now_ms < self.due_ms.load(Ordering::Relaxed) {
            return;
        }
        let every_ms = self.every_ms();
        let is_done = self.tend(ground, secrets, now_ms) && then();
        let wait_ms = if is_done { every_ms } else { every_ms.min(millis(TEND_AGAIN)) };
        self.due_ms.store(now_ms + wait_ms, Ordering::Relaxed);
    }

    /// Has the secrets confirmed; tells whether they are.
    ///
    /// What a folder does not do stands in the way at once; what a vault does not do, once `cache_ttl` is over.
    fn tend(&self, ground: Ground<'_>, secrets: &dyn Secrets, now_ms: i64) -> bool {
        match secrets.confirm() {
            Ok(()) => {
                self.confirmed_ms.store(now_ms, Ordering::Relaxed);
                *self.trouble.lock() = None;
                if secrets.has_lapsed() {
                    // Somebody found them too old just before that was noted. Nobody will any more.
                    return self.tend(ground, secrets, now_ms);
                }
                self.count(ground, ConfirmationOutcome::Confirmed);
                if ground.health.clear(self.obstacle()) {
                    info!(keys = self.what(), "can be used");
                }
                return true;
            }
            Err(error @ KeyError::Vault(_)) if self.are_current(ground, secrets) => {
                let before = self.trouble.lock().replace(chain(&error));
                if before.is_none_or(|before| before != chain(&error)) {
                    warn!(
                        keys = self.what(),
                        error = chain(&error),
                        "the vault does not confirm them; they are used until cache_ttl is over"
                    );
                }
            }
            Err(error) => {
                *self.trouble.lock() = Some(chain(&error));
                self.fail(ground, &error);
            }
        }
        self.count(ground, ConfirmationOutcome::Failed);
        false
    }

    /// Tells whether the secrets may be used; those that nobody confirmed for too long are forgotten, and that stands in the way.
    pub fn are_current(&self, ground: Ground<'_>, secrets: &dyn Secrets) -> bool {
        let Some(ttl_ms) = self.ttl_ms else { return true };
        let age_ms = ground.clock.elapsed_ms() - self.confirmed_ms.load(Ordering::Relaxed);
        let age = match self.layer {
            Layer::Ring => &ground.metrics.keys_age_seconds,
            Layer::Store => &ground.metrics.store_keys_age_seconds,
        };
        age.set(seconds(age_ms));
        if age_ms <= ttl_ms {
            return true;
        }
        if !secrets.has_lapsed() {
            secrets.lapse();
        }
        let trouble = self.trouble.lock().clone().unwrap_or_else(|| "it was not asked in time".to_owned());
        let why = format!(
            "the vault did not confirm {} for longer than cache_ttl ({} s): {trouble}",
            self.what(),
            ttl_ms / 1_000
        );
        if ground.health.raise(self.obstacle(), &why) {
            error!(why, "the secrets are forgotten, the flow stops");
        }
        false
    }

    /// Notes that the secrets cannot be used.
    pub(crate) fn fail(&self, ground: Ground<'_>, error: &KeyError) {
        if ground.health.raise(self.obstacle(), chain(error)) {
            error!(keys = self.what(), error = chain(error), "cannot be tended");
            self.due_ms.fetch_min(ground.clock.elapsed_ms() + millis(TEND_AGAIN), Ordering::Relaxed);
        }
    }

    fn count(&self, ground: Ground<'_>, outcome: ConfirmationOutcome) {
        let confirmations = match self.layer {
            Layer::Ring => &ground.metrics.keys_confirmations,
            Layer::Store => &ground.metrics.store_keys_confirmations,
        };
        if self.ttl_ms.is_some() {
            confirmations.get_or_create_owned(&ConfirmationLabels { outcome: Word(outcome) }).inc();
        }
    }

    const fn obstacle(&self) -> Obstacle {
        match self.layer {
            Layer::Ring => Obstacle::Keys,
            Layer::Store => Obstacle::StoreKeys,
        }
    }

    const fn what(&self) -> &'static str {
        match self.layer {
            Layer::Ring => "the key ring",
            Layer::Store => "the store's keys",
        }
    }
}

/// Epochs last days, and their secrets are made one epoch ahead.
const TEND_EVERY: Duration = Duration::from_hours(1);
const TEND_AGAIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use weir_keys::WrapError;

    use super::*;
    use crate::clock::HandClock;

    /// Secrets whose vault can go away.
    #[derive(Default)]
    struct Kept {
        is_away: AtomicBool,
        has_lapsed: AtomicBool,
    }

    impl Secrets for Kept {
        fn confirm(&self) -> Result<(), KeyError> {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(WrapError::Away { place: "v".to_owned(), why: "is sealed".to_owned() }.into());
            }
            self.has_lapsed.store(false, Ordering::Relaxed);
            Ok(())
        }

        fn lapse(&self) {
            self.has_lapsed.store(true, Ordering::Relaxed);
        }

        fn has_lapsed(&self) -> bool {
            self.has_lapsed.load(Ordering::Relaxed)
        }
    }

    /// Each layer lapses by itself, its age apart from the other's, and comes back by itself.
    #[test]
    fn secrets_that_nobody_confirms_lapse_and_come_back() {
        let hand = HandClock::at(0);
        let (clock, health, metrics): (SharedClock, _, _) = (hand.clone(), Health::default(), Metrics::new());
        let ground = Ground { health: &health, metrics: &metrics, clock: &clock };
        let (ring, store) = (Kept::default(), Kept::default());
        let of_ring = Custody::new(Layer::Ring, Some(TTL), 0);
        let of_store = Custody::new(Layer::Store, Some(TTL), 0);
        store.is_away.store(true, Ordering::Relaxed);
        for _ in 0..4 {
            hand.advance(TTL / 3);
            assert!(of_ring.are_current(ground, &ring) && of_store.are_current(ground, &store) != store.has_lapsed());
            of_ring.tend_if_due(ground, &ring, || true);
            of_store.tend_if_due(ground, &store, || true);
        }
        assert!(!of_store.are_current(ground, &store) && store.has_lapsed() && !ring.has_lapsed());
        let obstacles = health.obstacles();
        assert!(
            matches!(&obstacles[..], [(Obstacle::StoreKeys, why)] if why.contains("the store's keys")
            && why.contains("is sealed")),
            "{obstacles:?}"
        );
        store.is_away.store(false, Ordering::Relaxed);
        hand.advance(TEND_AGAIN);
        of_store.tend_if_due(ground, &store, || true);
        assert!(of_store.are_current(ground, &store) && !store.has_lapsed() && health.obstacles().is_empty());
    }

    const TTL: Duration = Duration::from_mins(10);
}
