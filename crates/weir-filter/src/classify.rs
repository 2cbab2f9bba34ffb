//! An envelope finds its contract, and the rules that need no consent are read off it.

use crate::decode::Event;
use crate::names::Within;
use crate::plan::Plans;
use weir_policy::{Contract, ContractIx, DenyReason, MalformedCode, Policy, PurposeId, Resolved};

/// Finds contracts, as of now.
pub(crate) struct Classifier<'c> {
    pub(crate) policy: &'c Policy,
    pub(crate) plans: &'c Plans,
    pub(crate) now_ms: i64,
}

/// The contract of an event.
#[derive(Clone, Copy)]
pub(crate) struct Classified {
    pub(crate) contract: ContractIx,
    /// Whether the contract's last day has passed.
    pub(crate) is_expired: bool,
}

impl Classifier<'_> {
    /// Finds the contract of an event type; fails where nobody declared it.
    pub(crate) fn classify(&self, event_type: Within<'_>, version: Option<u32>) -> Result<Classified, MalformedCode> {
        match self.policy.choose(self.plans.versions(event_type), version, self.now_ms) {
            Resolved::Contract(contract) => Ok(Classified { contract, is_expired: false }),
            Resolved::Expired(contract) => Ok(Classified { contract, is_expired: true }),
            Resolved::NoContract => Err(MalformedCode::NoContract),
        }
    }
}

impl Event {
    /// Applies the rules that depend on the contract and the envelope alone, in their order.
    pub(crate) fn check(&self, contract: &Contract, purpose: PurposeId) -> Result<(), DenyReason> {
        if !contract.purposes.contains(purpose) {
            Err(DenyReason::NotDeclared)
        } else if !self.envelope.narrowed.contains(purpose) {
            Err(DenyReason::NarrowedByProducer)
        } else if self.envelope.gpc && purpose == PurposeId::Personalization {
            Err(DenyReason::Gpc)
        } else if self.is_expired {
            Err(DenyReason::ContractExpired)
        } else {
            Ok(())
        }
    }

    /// Checks that the event's time is one that the purpose keeps, and not in the future.
    pub(crate) fn check_time(&self, policy: &Policy, purpose: PurposeId, now_ms: i64) -> Result<(), DenyReason> {
        let oldest = now_ms.saturating_sub(policy.purposes().retention_ms(purpose));
        let kept = oldest..=now_ms.saturating_add(AHEAD_MS);
        if kept.contains(&self.event_ms()) { Ok(()) } else { Err(DenyReason::TimeOutOfRange) }
    }
}

/// How far a producer's clock may be ahead: past this it would make partitions of days to come.
const AHEAD_MS: i64 = 10 * 60 * 1_000;
