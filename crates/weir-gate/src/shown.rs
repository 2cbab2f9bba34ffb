//! What a grant shows: the tables of its purposes that a contract declares.
//!
//! A table whose contract was taken away stays in the lake until its rows are past their retention. Nobody agreed to it any more, and
//! nobody who grants a purpose sees it in the contracts: so it is absent, as a table that was never there.

use std::sync::Arc;

use weir_policy::{Policy, PurposeId, PurposeSet};

use crate::key::Key;

/// The tables that somebody may read, by the policy of one moment.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) purposes: PurposeSet,
    pub(crate) policy: Arc<Policy>,
}

impl Shown {
    /// Tells whether an object is in one of them.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.has_table(key.purpose, key.event_type())
    }

    /// Tells whether a table is one of them.
    pub(crate) fn has_table(&self, purpose: PurposeId, event_type: &str) -> bool {
        self.purposes.contains(purpose) && self.policy.declares(purpose, event_type)
    }
}
