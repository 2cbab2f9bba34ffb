//! The secrets, tended while the daemon runs: made ahead of need, destroyed when their time is over, confirmed by their vaults.
//!
//! The ring and the store's own keys are tended apart, so that neither waits for the other's vault. While secrets of either are
//! forgotten, nothing is judged or committed.

use std::time::Duration;

use weir_keys::KeyError;

use crate::custody::{Ground, Layer, Secrets};
use crate::health::{Heart, Obstacle};
use crate::metrics::Metrics;
use crate::pipeline::rules::Rules;
use crate::pipeline::shared::Shared;

/// The ring, as the daemon keeps it.
struct Ring<'s> {
    rules: &'s Rules,
    metrics: &'s Metrics,
    now_ms: i64,
}

impl Secrets for Ring<'_> {
    fn confirm(&self) -> Result<(), KeyError> {
        self.rules.tend_secrets(self.now_ms, self.metrics)
    }

    fn lapse(&self) {
        self.rules.lapse();
    }

    fn has_lapsed(&self) -> bool {
        self.rules.keys().has_lapsed()
    }
}

impl Shared {
    /// Tends the secrets of a layer whenever it is time to, until the run is over.
    pub(crate) fn keep_secrets(&self, layer: Layer, heart: &Heart, rest: Duration) {
        while !self.is_over() {
            heart.beat(self.clock.elapsed_ms());
            self.tend_layer(layer);
            std::thread::sleep(rest);
        }
    }

    /// Tends the secrets if it is time to.
    pub(crate) fn tend_if_due(&self) {
        self.tend_layer(Layer::Ring);
        self.tend_layer(Layer::Store);
    }

    fn tend_layer(&self, layer: Layer) {
        match (layer, self.lake.store_keys()) {
            (Layer::Ring, _) => {
                let then = || self.tell_keys() && !self.health.stands(Obstacle::Keys);
                self.custody.tend_if_due(self.ground(), &self.ring(), then);
            }
            (Layer::Store, Some(keys)) => self.store_custody.tend_if_due(self.ground(), &**keys, || true),
            (Layer::Store, None) => {}
        }
    }

    /// Tells whether all secrets may be used; those that nobody confirmed for too long are forgotten, and that stands in the way.
    pub(crate) fn keys_are_current(&self) -> bool {
        let keys = self.lake.store_keys();
        let are_the_stores = keys.is_none_or(|keys| self.store_custody.are_current(self.ground(), &**keys));
        self.ring_is_current() && are_the_stores
    }

    /// Tells the same of the ring's alone, for those who touch no object of the lake.
    pub(crate) fn ring_is_current(&self) -> bool {
        self.custody.are_current(self.ground(), &self.ring())
    }

    /// Notes that the key ring cannot be used.
    pub(crate) fn keys_fail(&self, error: &KeyError) {
        self.custody.fail(self.ground(), error);
    }

    fn ring(&self) -> Ring<'_> {
        Ring { rules: &self.rules, metrics: &self.metrics, now_ms: self.clock.now_ms() }
    }

    fn ground(&self) -> Ground<'_> {
        Ground { health: &self.health, metrics: &self.metrics, clock: &self.clock }
    }
}
