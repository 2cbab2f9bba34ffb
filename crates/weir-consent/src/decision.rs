//! What may be decided about a consent, and what follows: the state machine of the Data Privacy Vocabulary.
//!
//! ```text
//!                            defer
//!              ┌───────────────────────────▶ deferred ─┐
//!  request     │            grant, renew               │ grant, renew, refuse, request
//!  ────────▶ requested ──────────────────▶ given, renewed ── renew ─▶ renewed
//!     ▲        │  refuse                       │
//!     │        └────────▶ refused              │ withdraw (the person) · revoke (another party) · invalidate · its end
//!     │                     │                  ▼
//!     └─────── request ─────┴──── withdrawn, revoked, invalidated, expired
//! ```
//! After a no, only a new request leads back to a yes: nobody is talked round by a program. A decision that would only deny
//! what is denied already changes nothing and is no fault, because saying no must be as easy as it can be.
//!
//! Of whom nothing is known, nothing may be denied: a purpose whose lawful basis is another than consent collects about them. So
//! `refuse`, `revoke` and `withdraw` are taken down then too; that is how somebody objects who was never asked.
//!
//! The inbox takes *statements*, in any order and more than once, and orders them by their instant; the verbs and the API take
//! *decisions*, and ask here first. See ADR 0010.

use weir_policy::DenyReason;

use crate::status::{Standing, Status};

/// What a person or a party decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The answer is put off.
    Defer,
    /// The person says yes.
    Grant,
    /// The consent is found void.
    Invalidate,
    /// The person says no.
    Refuse,
    /// The person says yes again, or for longer.
    Renew,
    /// The person is asked.
    Request,
    /// Another party takes the consent back.
    Revoke,
    /// The person takes the consent back.
    Withdraw,
}

impl Decision {
    /// All decisions.
    pub const ALL: [Self; 8] = [
        Self::Defer,
        Self::Grant,
        Self::Invalidate,
        Self::Refuse,
        Self::Renew,
        Self::Request,
        Self::Revoke,
        Self::Withdraw,
    ];

    /// Returns the verb.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Defer => "defer",
            Self::Grant => "grant",
            Self::Invalidate => "invalidate",
            Self::Refuse => "refuse",
            Self::Renew => "renew",
            Self::Request => "request",
            Self::Revoke => "revoke",
            Self::Withdraw => "withdraw",
        }
    }

    /// Returns the decision of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.name() == name)
    }

    /// Returns the state that the decision leads to, where it may be taken.
    pub const fn leads_to(self) -> Status {
        match self {
            Self::Defer => Status::Deferred,
            Self::Grant => Status::Given,
            Self::Invalidate => Status::Invalidated,
            Self::Refuse => Status::Refused,
            Self::Renew => Status::Renewed,
            Self::Request => Status::Requested,
            Self::Revoke => Status::Revoked,
            Self::Withdraw => Status::Withdrawn,
        }
    }

    /// Decides over what stands now; nothing when there is nothing to change.
    ///
    /// `valid_until_ms` is when a yes ends. A renewal without a gap keeps the instant since which the consent has held;
    /// every other decision counts from `now_ms`.
    ///
    /// # Errors
    ///
    /// The state machine has no such step, or the end is not after now.
    pub fn take(
        self,
        stands: Option<Standing>,
        now_ms: i64,
        valid_until_ms: Option<i64>,
    ) -> Result<Option<Standing>, Undecidable> {
        let status = status_now(stands, now_ms);
        if !self.may_follow(status) {
            let is_denied = status.denial().is_some();
            return if is_denied && self.only_denies() {
                Ok(None)
            } else {
                Err(Undecidable::Step { status, decision: self })
            };
        }
        if valid_until_ms.is_some_and(|end| end <= now_ms) {
            return Err(Undecidable::Ended);
        }
        // Two decisions of one millisecond: the second one is later, or the order of instants would undo it.
        let after = |standing: Standing| now_ms.max(standing.at_ms().saturating_add(1));
        let at_ms = match (self, stands) {
            (Self::Renew, Some(standing)) if status.denial().is_none() => standing.at_ms(),
            (_, Some(standing)) => after(standing),
            (_, None) => now_ms,
        };
        Standing::new(self.leads_to(), at_ms, valid_until_ms).map(Some).ok_or(Undecidable::Ended)
    }

    const fn may_follow(self, status: Status) -> bool {
        let (is_open, is_given) =
            (matches!(status, Status::Requested | Status::Deferred), matches!(status, Status::Given | Status::Renewed));
        let is_unknown = matches!(status, Status::Unknown);
        match self {
            Self::Defer => matches!(status, Status::Requested),
            Self::Grant => is_open,
            Self::Refuse => is_open || is_unknown,
            Self::Renew => is_open || is_given,
            Self::Request => !is_given && !matches!(status, Status::Requested),
            Self::Invalidate => is_given,
            Self::Revoke | Self::Withdraw => is_given || is_unknown,
        }
    }

    const fn only_denies(self) -> bool {
        self.leads_to().denial().is_some()
    }
}

/// Returns the state that a standing is in now: a yes past its end is expired.
pub fn status_now(stands: Option<Standing>, now_ms: i64) -> Status {
    match stands {
        None => Status::Unknown,
        Some(standing) if standing.valid_until_ms().is_some_and(|end| end <= now_ms) => Status::Expired,
        Some(standing) => standing.status(),
    }
}

/// Why a decision cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// A yes would end before it begins.
    #[error("a consent cannot end before it begins")]
    Ended,
    /// The state machine has no such step.
    #[error("cannot {} a consent that is {}: {}", decision.name(), status.name(), hint(*status))]
    Step {
        /// The state now.
        status: Status,
        /// What was asked for.
        decision: Decision,
    },
}

fn hint(status: Status) -> &'static str {
    match status.denial() {
        None => "it stands; renew, withdraw or revoke it",
        Some(DenyReason::ConsentRequested | DenyReason::ConsentDeferred) => "the person has not answered yet",
        Some(_) => "request it first",
    }
}
