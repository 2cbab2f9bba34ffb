//! An envelope finds its contract, and the rules that need no consent are read off it.
//!
//! It stands between the envelope and the data, since the contract says what of the data is looked at.

use crate::decode::{Bytes, Envelope, Opened};
use weir_policy::{Contract, ContractIx, DenyReason, MalformedCode, Policy, PurposeId, Resolved};

/// An envelope with its contract.
pub(crate) struct Classified {
    pub(crate) envelope: Envelope,
    pub(crate) contract: ContractIx,
    is_expired: bool,
}

/// Finds the contract of an event; fails where its envelope has a fault, or nobody declared it.
pub(crate) fn classify(
    policy: &Policy,
    opened: &Opened<'_>,
    bytes: &Bytes<'_>,
    now_ms: i64,
) -> Result<Classified, MalformedCode> {
    let envelope = opened.envelope?;
    let event_type = std::str::from_utf8(bytes.at(envelope.event_type)).expect("records and headers are UTF-8");
    match policy.resolve(event_type, envelope.version, now_ms) {
        Resolved::Contract(contract) => Ok(Classified { envelope, contract, is_expired: false }),
        Resolved::Expired(contract) => Ok(Classified { envelope, contract, is_expired: true }),
        Resolved::NoContract => Err(MalformedCode::NoContract),
    }
}

impl Classified {
    /// Returns the event's time, cut down to milliseconds: all rules compare it so.
    pub(crate) fn event_ms(&self) -> i64 {
        self.envelope.time_us.div_euclid(1_000)
    }

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
