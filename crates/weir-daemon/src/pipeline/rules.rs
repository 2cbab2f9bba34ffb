//! What the daemon goes by: policy and secrets, and how both change while it runs.
//!
//! A reload (SIGHUP) reads contracts and purposes anew. A set with faults is refused and the old one stays, which log, metrics and
//! `/readyz` say for as long as it does; a sound one
//! takes effect at the next batch, so that a file is made under one policy only. Secrets are made ahead of need: epochs
//! at start and at least every hour, a tenant's when its agreement is first seen and before any of its events is judged.

use std::sync::Arc;

use parking_lot::RwLock;
use tracing::{error, info};
use weir_keys::{KeyError, KeyRing, KeySet, Tended};
use weir_policy::diagnostic::Report;
use weir_policy::{Policy, PolicySource};

use crate::config::General;
use crate::metrics::Metrics;
use crate::metrics::labels::{PolicyLabels, ReloadLabels, ReloadOutcome, Word};

/// The policy in force and the ring.
pub(crate) struct Rules {
    source: PolicySource,
    force: RwLock<Force>,
    ring: KeyRing,
}

/// A policy and the generation that it is.
#[derive(Clone, Debug)]
pub(crate) struct Force {
    pub(crate) policy: Arc<Policy>,
    pub(crate) generation: u64,
}

impl Rules {
    /// Puts the first policy in force.
    pub(crate) fn new(general: &General, policy: Policy, ring: KeyRing, metrics: &Metrics) -> Self {
        let source = PolicySource { contracts: general.contracts.clone(), purposes: general.purposes.clone() };
        let rules = Self { source, force: RwLock::new(Force { policy: Arc::new(policy), generation: 1 }), ring };
        rules.show(metrics);
        rules
    }

    /// Returns the policy in force.
    pub(crate) fn force(&self) -> Force {
        self.force.read().clone()
    }

    /// Returns the secrets as they are now.
    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.ring.snapshot()
    }

    /// Returns the ring, for who reads it anew first.
    pub(crate) const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Forgets the secrets of epochs and tenants until they are tended.
    pub(crate) fn lapse(&self) {
        if !self.ring.snapshot().has_lapsed() {
            self.ring.lapse();
        }
    }

    /// Reads contracts and purposes anew and puts them in force unless they have faults, or `admit` says no; returns in words why not.
    pub(crate) fn reload(&self, metrics: &Metrics, admit: impl FnOnce(&Policy) -> bool) -> Option<String> {
        let generation = self.force().generation;
        let refused = match Policy::load(&self.source) {
            Ok((policy, _warnings)) if admit(&policy) => {
                self.put_in_force(policy, metrics);
                None
            }
            Ok(_) => {
                error!(generation, "new contracts and purposes must wait, the old ones stay");
                Some(format!("the ledger cannot be told of the new contracts and purposes; {}", stays(generation)))
            }
            Err(report) => Some(refuse(&report, generation)),
        };
        let outcome = if refused.is_some() { ReloadOutcome::Refused } else { ReloadOutcome::Applied };
        metrics.policy_refused.set(refused.is_some().into());
        metrics.policy_reloads.get_or_create_owned(&ReloadLabels { outcome: Word(outcome) }).inc();
        refused
    }

    /// Opens all secrets anew, makes and destroys those of epochs as time goes by.
    ///
    /// # Errors
    /// When the ring cannot be read, or an epoch lacks its secret: its events would be denied.
    pub(crate) fn tend_secrets(&self, now_ms: i64, metrics: &Metrics) -> Result<(), KeyError> {
        let policy = self.force().policy;
        self.ring.reload()?;
        let Tended { made, destroyed, due, trouble } = self.ring.tend(policy.purposes(), now_ms)?;
        metrics.keys_due.set(i64::try_from(due).unwrap_or(i64::MAX));
        match trouble {
            None => info!(made, destroyed, "epoch secrets are in order"),
            Some(error) => error!(due, %error, "the vault neither makes nor destroys the epoch secrets that are due"),
        }
        Ok(())
    }

    /// Makes sure that a tenant has a secret, and tells whether it came into view; its agreement may be applied then.
    ///
    /// # Errors
    /// When the ring cannot be written; the agreement must wait.
    pub(crate) fn ensure_tenant(&self, tenant: &str) -> Result<bool, KeyError> {
        if self.ring.snapshot().has_tenant(tenant) { Ok(false) } else { self.ring.ensure_tenant(tenant) }
    }

    fn put_in_force(&self, policy: Policy, metrics: &Metrics) {
        let mut force = self.force.write();
        let before = PolicyLabels { hash: force.policy.hash().to_string().into() };
        *force = Force { policy: Arc::new(policy), generation: force.generation + 1 };
        info!(generation = force.generation, policy = %force.policy.hash(), "policy is in force");
        drop(force);
        metrics.policy.remove(&before);
        self.show(metrics);
    }

    fn show(&self, metrics: &Metrics) {
        let force = self.force();
        metrics.policy_generation.set(i64::try_from(force.generation).unwrap_or(i64::MAX));
        metrics.policy.get_or_create_owned(&PolicyLabels { hash: force.policy.hash().to_string().into() }).set(1);
    }
}

/// Tells each fault with its place; returns in words how many there are, and where the first one is.
fn refuse(report: &Report, generation: u64) -> String {
    for diagnostic in &report.diagnostics {
        error!(code = diagnostic.code, place = %diagnostic.place, "fault in the new contracts and purposes");
    }
    error!(faults = report.diagnostics.len(), generation, "new contracts and purposes are refused, the old ones stay");
    let first = report.diagnostics.first().map(|fault| format!(", the first {} at {}", fault.code, fault.place));
    let (faults, first) = (report.diagnostics.len(), first.unwrap_or_default());
    format!("faults in the new contracts and purposes: {faults}{first}; {}", stays(generation))
}

fn stays(generation: u64) -> String {
    format!("generation {generation} stays in force until SIGHUP finds others")
}
