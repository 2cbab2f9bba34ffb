//! How much anybody may ask: a pace for each token, and one for each person.
//!
//! A pace lets a few requests through at once and then one each interval (the generic cell rate algorithm): all that it remembers is the
//! instant at which its bucket would be full again. The decisions about one person are bounded whoever takes them, so that
//! a flood of consents about somebody fills neither the topics nor the person's history. A no has a bucket of its own: however
//! often somebody's yes was asked for, taking it back is not slowed down by that.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

/// How many requests at once, and one more each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    burst: i64,
    each_us: i64,
}

impl Pace {
    /// Makes a pace; a burst of at least one.
    pub(crate) fn new(burst: u64, each: Duration) -> Self {
        let burst = i64::try_from(burst.max(1)).unwrap_or(i64::MAX);
        Self { burst, each_us: i64::try_from(each.as_micros()).unwrap_or(i64::MAX).max(1) }
    }

    /// Takes one from a bucket that is full again at `full_us`; or says how many seconds to wait.
    fn take(self, full_us: &mut i64, now_ms: i64) -> Result<(), u64> {
        let at_us = now_ms.saturating_mul(1_000);
        let next_us = (*full_us).max(at_us).saturating_add(self.each_us);
        let wait_us = next_us.saturating_sub(at_us).saturating_sub(self.burst.saturating_mul(self.each_us));
        if wait_us > 0 {
            return Err(u64::try_from(wait_us).unwrap_or(0).div_ceil(1_000_000));
        }
        *full_us = next_us;
        Ok(())
    }
}

/// The bucket of one token.
#[derive(Debug)]
pub(crate) struct Bucket {
    pace: Pace,
    full_us: Mutex<i64>,
}

impl Bucket {
    /// Makes a full bucket.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, full_us: Mutex::new(0) }
    }

    /// Lets a request through, or says how many seconds to wait.
    pub(crate) fn admit(&self, now_ms: i64) -> Result<(), u64> {
        self.pace.take(&mut self.full_us.lock(), now_ms)
    }
}

/// The buckets of many, those only that are not full.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    pace: Pace,
    full_us: Mutex<HashMap<K, i64>>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// Makes them, all full.
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, full_us: Mutex::new(HashMap::new()) }
    }

    /// Lets a request through, or says how many seconds to wait.
    pub(crate) fn admit(&self, whose: K, now_ms: i64) -> Result<(), u64> {
        let mut buckets = self.full_us.lock();
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&whose) {
            let at_us = now_ms.saturating_mul(1_000);
            buckets.retain(|_, full_us| *full_us > at_us);
            if buckets.len() >= BUCKETS_MAX {
                return Err(1);
            }
        }
        self.pace.take(buckets.entry(whose).or_insert(0), now_ms)
    }
}

/// About 8 MB; so many people decided within the interval of a pace, beyond which the next ones wait.
const BUCKETS_MAX: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_passes_and_then_one_each_interval() {
        let bucket = Bucket::new(Pace::new(3, Duration::from_secs(2)));
        let passed = |now_ms| (0..10).filter(|_| bucket.admit(now_ms).is_ok()).count();
        assert_eq!(passed(10_000), 3);
        assert_eq!(bucket.admit(10_000), Err(2));
        assert_eq!(bucket.admit(11_500), Err(1));
        assert_eq!(passed(12_000), 1);
        assert_eq!(passed(1_000_000), 3);
    }

    #[test]
    fn full_house_takes_nobody_new_until_a_bucket_is_full_again() {
        let buckets = Buckets::new(Pace::new(2, Duration::from_secs(1)));
        for whose in 0..BUCKETS_MAX {
            buckets.admit(whose, 0).unwrap();
        }
        assert_eq!(buckets.admit(BUCKETS_MAX, 0), Err(1));
        assert_eq!(buckets.admit(0, 0), Ok(()));
        assert_eq!(buckets.admit(0, 0), Err(1));
        assert_eq!(buckets.admit(BUCKETS_MAX, 1_000), Ok(()));
    }
}
