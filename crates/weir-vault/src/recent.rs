//! Keys that were just made: a service of many machines may not have heard of them everywhere.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Which keys this client made, and when; "there is no such key" is not believed of them for a while.
#[derive(Default)]
pub(crate) struct Recent(Mutex<HashMap<String, Instant>>);

impl Recent {
    /// How long to wait before asking again, and again.
    pub(crate) const WAITS: [Duration; 3] =
        [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];

    pub(crate) fn add(&self, key: &str) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, made| made.elapsed() < HEARD_AFTER);
        keys.insert(key.to_owned(), Instant::now());
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(key).is_some_and(|made| made.elapsed() < HEARD_AFTER)
    }

    /// Says that a key was destroyed: its absence is believed.
    pub(crate) fn remove(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// AWS says minutes at most.
const HEARD_AFTER: Duration = Duration::from_mins(5);
