//! Records into the open batch.
//!
//! One poll is judged at one instant and under one view of consent. A tenant that the view knows and this worker does not
//! gets its secret first: without one its events would be denied for good, though everybody agreed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracing::info;
use weir_consent::ConsentView;
use weir_filter::{Filter, Origin, Record};
use weir_keys::{KeyError, KeySet};
use weir_lake::Span;
use weir_policy::Policy;
use weir_source::{LineBatch, Records};

use crate::health::Heart;
use crate::pipeline::batch::{Closed, Open};
use crate::pipeline::shared::Shared;

/// The open batch and the filter that fills it.
pub(crate) struct Filling {
    pub(crate) open: Open,
    filter: Filter,
    keys: Arc<KeySet>,
    generation: u64,
    /// Tenants of the store that have a secret; they never change places.
    tenants: usize,
}

/// What is lent to the filter in one go.
struct Lent<'l> {
    spans: &'l [(Origin, Span)],
    records: usize,
    bytes: usize,
}

/// Records could not be judged: consent is not known, or a secret is missing. They must be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJudged;

impl Filling {
    /// Makes a filter of the policy in force.
    pub(crate) fn new(shared: &Shared) -> Self {
        let (force, keys) = (shared.rules.force(), shared.rules.keys());
        let filter = new_filter(shared, &force.policy, &keys);
        Self { open: Open::new(force.policy), filter, keys, generation: force.generation, tenants: 0 }
    }

    /// Filters the records of one poll into the open batch.
    ///
    /// Records that are decided already are left out: an interrupted batch has accounted for them.
    pub(crate) fn take(
        &mut self,
        records: &Records<'_>,
        shared: &Shared,
        heart: &Heart,
        is_decided: impl Fn(&Record<'_>) -> bool,
    ) -> Result<(), NotJudged> {
        let lent = Lent { spans: records.spans(), records: records.len(), bytes: records.bytes() };
        self.judge(&lent, shared, heart, |filter| {
            records.lend(|records| records.split(&is_decided).for_each(filter));
        })
    }

    /// The same for lines of a file.
    pub(crate) fn take_lines(
        &mut self,
        lines: &LineBatch,
        shared: &Shared,
        heart: &Heart,
        is_decided: impl Fn(&Record<'_>) -> bool,
    ) -> Result<(), NotJudged> {
        let spans = [(FILE_ORIGIN, lines.span().clone())];
        let lent = Lent { spans: &spans, records: lines.len(), bytes: lines.bytes() };
        self.judge(&lent, shared, heart, |filter| {
            lines.lend(FILE_ORIGIN, |records| records.split(&is_decided).for_each(filter));
        })
    }

    fn judge(
        &mut self,
        lent: &Lent<'_>,
        shared: &Shared,
        heart: &Heart,
        hand_out: impl FnOnce(&mut dyn FnMut(&[Record<'_>])),
    ) -> Result<(), NotJudged> {
        let view = current_view(shared, heart).ok_or(NotJudged)?;
        if !shared.keys_are_current() {
            return Err(NotJudged);
        }
        if let Err(error) = self.admit_tenants(&view, shared) {
            shared.keys_fail(&error);
            return Err(NotJudged);
        }
        self.renew_keys(shared);
        // Without secrets every event would be denied for good. Those that lapse from here on are those that were current.
        if self.keys.has_lapsed() {
            return Err(NotJudged);
        }
        let now_ms = shared.clock.now_ms();
        hand_out(&mut |records| self.filter.apply(records, &view, now_ms, &mut self.open.filtered));
        drop(view);
        self.open.cover(lent.spans, lent.bytes, shared.clock.elapsed_ms());
        shared.metrics.records.inc_by(u64::try_from(lent.records).unwrap_or(u64::MAX));
        shared.metrics.record_bytes.inc_by(u64::try_from(lent.bytes).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Tells whether another policy is in force than the open batch is made under.
    pub(crate) fn is_outdated(&self, shared: &Shared) -> bool {
        shared.rules.force().generation != self.generation
    }

    /// Takes the batch out and goes on under the policy in force.
    pub(crate) fn close(&mut self, shared: &Shared) -> Option<Closed> {
        let force = shared.rules.force();
        let closed = self.open.close(Arc::clone(&force.policy));
        if force.generation != self.generation {
            self.generation = force.generation;
            self.filter = new_filter(shared, &force.policy, &self.keys);
            info!(generation = self.generation, "the filter goes by the new policy");
        }
        closed
    }

    /// Forgets what is open; it will be read again.
    pub(crate) fn drop_open(&mut self, shared: &Shared) {
        drop(self.close(shared));
    }

    /// Makes the secrets of tenants that are new in the view.
    fn admit_tenants(&mut self, view: &ConsentView<'_>, shared: &Shared) -> Result<(), KeyError> {
        let mut any_new = false;
        for (_, tenant) in view.tenants().skip(self.tenants) {
            any_new |= shared.rules.ensure_tenant(tenant)?;
        }
        if any_new {
            // If that fails it stands in the way of commits too, and is done when secrets are tended next.
            shared.tell_keys();
        }
        self.tenants = view.tenants().len();
        Ok(())
    }

    /// Takes up the secrets as they are now, made or gone since; a filter keeps what it derived from its own.
    pub(crate) fn renew_keys(&mut self, shared: &Shared) {
        let keys = shared.rules.keys();
        if !Arc::ptr_eq(&keys, &self.keys) {
            self.filter = new_filter(shared, &self.open.policy, &keys);
            self.keys = keys;
        }
    }
}

fn new_filter(shared: &Shared, policy: &Arc<Policy>, keys: &Arc<KeySet>) -> Filter {
    let limits = shared.config.limits.for_filter();
    Filter::new(Arc::clone(policy), Arc::clone(keys), limits, shared.config.general.region.clone())
}

/// Waits for a store that is current; `None` when it takes so long that the records had better be read again.
///
/// The worker looked before it polled, so this happens only when the store went stale during the poll.
fn current_view<'s>(shared: &'s Shared, heart: &Heart) -> Option<ConsentView<'s>> {
    for _ in 0..STALE_WAITS_MAX {
        if let Ok(view) = shared.consent_view() {
            return Some(view);
        }
        heart.beat(shared.clock.elapsed_ms());
        thread::sleep(STALE_WAIT);
    }
    None
}

/// Ten seconds in all, in which a hiccup of the brokers passes.
const STALE_WAITS_MAX: u32 = 200;
const STALE_WAIT: Duration = Duration::from_millis(50);
/// A file is alone in its batches.
const FILE_ORIGIN: Origin = Origin(0);
