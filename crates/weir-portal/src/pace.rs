//! How often one person may ask: the API gives the portal one pace for everybody, and nobody may use it up alone.
//!
//! An account holds as many requests as the API may get from one person at once, and gets one more each interval (the generic cell
//! rate algorithm, as the API itself has it). It belongs to the person and not to a visit: a second visit is no second account.
//! A no has an account of its own, as with the API, so that nothing else that was asked for holds it up.

use std::collections::HashMap;

use parking_lot::Mutex;

/// What a person asks for; each has an account of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    /// To stop a purpose.
    Denial,
    /// Everything else.
    Other,
}

/// The accounts of everybody who asked lately: when each is full again.
#[derive(Default)]
pub(crate) struct Paces {
    full_ms: Mutex<HashMap<([u8; 32], Asked), i64>>,
}

impl Paces {
    /// Takes so many requests from an account, or says how many seconds to wait.
    pub(crate) fn admit(&self, whose: [u8; 32], asked: Asked, requests: i64, now_ms: i64) -> Result<(), u64> {
        let mut accounts = self.full_ms.lock();
        if accounts.len() >= ACCOUNTS_MAX {
            accounts.retain(|_, full_ms| *full_ms > now_ms);
        }
        let full_ms = accounts.entry((whose, asked)).or_insert(now_ms);
        // No account is emptier than empty, even if the clock was set back.
        let next_ms = (*full_ms).clamp(now_ms, now_ms + AT_ONCE * EACH_MS) + requests * EACH_MS;
        let wait_ms = next_ms - now_ms - AT_ONCE * EACH_MS;
        if wait_ms > 0 {
            return Err(u64::try_from(wait_ms).unwrap_or(0).div_ceil(1_000));
        }
        *full_ms = next_ms;
        Ok(())
    }
}

/// Half of what the API takes at once from a caller (`burst`, 40 unless `api.tokens` says otherwise).
const AT_ONCE: i64 = 20;
/// Two each second, a tenth of what the API takes from a caller (`rate`, 20): faster than anybody reads.
const EACH_MS: i64 = 500;
/// About 10 MB; beyond that those leave that are full.
const ACCOUNTS_MAX: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_is_the_persons_own_and_fills_up_again() {
        let paces = Paces::default();
        let passed =
            |whose: u8, asked, now_ms| (0..100).filter(|_| paces.admit([whose; 32], asked, 1, now_ms).is_ok()).count();
        assert_eq!(passed(1, Asked::Other, 0), 20);
        assert_eq!(paces.admit([1; 32], Asked::Other, 1, 0), Err(1));
        assert_eq!(paces.admit([1; 32], Asked::Other, 3, 0), Err(2));
        assert_eq!(passed(1, Asked::Denial, 0), 20);
        assert_eq!(passed(2, Asked::Other, 0), 20);
        assert_eq!(passed(1, Asked::Other, 1_000), 2);
        assert_eq!(passed(1, Asked::Other, 3_600_000), 20);
        // A clock that was set back by an hour locks nobody out for an hour.
        assert_eq!(passed(1, Asked::Other, 10_000), 0);
        assert_eq!(paces.admit([1; 32], Asked::Other, 1, 10_000), Err(1));
    }
}
