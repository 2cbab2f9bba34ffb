//! The states of consent, as the W3C Data Privacy Vocabulary names them, and which of two records counts.

use std::cmp::Ordering;

use jiff::Timestamp;
use weir_policy::DenyReason;

/// Latest instant that can be known: the end of 9999, beyond which RFC 3339 has no words. It fits the 48 bits of the store.
pub(crate) const TIME_MS_MAX: i64 = 253_402_207_200_999;

/// What a person said, or what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The answer was put off (`ConsentRequestDeferred`).
    Deferred,
    /// The consent's time is over (`ConsentExpired`).
    Expired,
    /// The person said yes (`ConsentGiven`).
    Given,
    /// The consent was found void (`ConsentInvalidated`).
    Invalidated,
    /// The person said no (`ConsentRefused`).
    Refused,
    /// The person said yes again (`RenewedConsentGiven`).
    Renewed,
    /// The person was asked and has not answered (`ConsentRequested`).
    Requested,
    /// Another party took the consent back (`ConsentRevoked`).
    Revoked,
    /// Nothing is known (`ConsentUnknown`).
    Unknown,
    /// The person took the consent back (`ConsentWithdrawn`).
    Withdrawn,
}

impl Status {
    /// All states, from the most permissive to the strictest; the order decides between records of one instant.
    ///
    /// `Renewed` counts over `Given` because it can only follow it: a renewal without a gap keeps the instant.
    pub const ALL: [Self; 10] = [
        Self::Given,
        Self::Renewed,
        Self::Unknown,
        Self::Requested,
        Self::Deferred,
        Self::Expired,
        Self::Refused,
        Self::Invalidated,
        Self::Revoked,
        Self::Withdrawn,
    ];

    /// Returns the word of inbox records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deferred => "deferred",
            Self::Expired => "expired",
            Self::Given => "given",
            Self::Invalidated => "invalidated",
            Self::Refused => "refused",
            Self::Renewed => "renewed",
            Self::Requested => "requested",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Returns the state of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Returns the reason for which the state denies; none if it lets an event pass.
    pub const fn denial(self) -> Option<DenyReason> {
        match self {
            Self::Given | Self::Renewed => None,
            Self::Deferred => Some(DenyReason::ConsentDeferred),
            Self::Expired => Some(DenyReason::ConsentExpired),
            Self::Invalidated => Some(DenyReason::ConsentInvalidated),
            Self::Refused => Some(DenyReason::ConsentRefused),
            Self::Requested => Some(DenyReason::ConsentRequested),
            Self::Revoked => Some(DenyReason::ConsentRevoked),
            // A record that says "unknown" says as much as no record.
            Self::Unknown => Some(DenyReason::NoConsentRecord),
            Self::Withdrawn => Some(DenyReason::ConsentWithdrawn),
        }
    }

    /// Returns 1 to 10, the number in the store and on the state topic; 0 is left for "no record".
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Given => 1,
            Self::Renewed => 2,
            Self::Unknown => 3,
            Self::Requested => 4,
            Self::Deferred => 5,
            Self::Expired => 6,
            Self::Refused => 7,
            Self::Invalidated => 8,
            Self::Revoked => 9,
            Self::Withdrawn => 10,
        }
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }
}

/// A state and since when, and until when, it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    status: Status,
    at_ms: i64,
    valid_until_ms: Option<i64>,
}

impl Standing {
    /// Makes a standing; none when an instant is before 1970 or after the year 9999.
    ///
    /// `at_ms` is the instant since which the state has held without a break. Only a state that permits has an end.
    pub fn new(status: Status, at_ms: i64, valid_until_ms: Option<i64>) -> Option<Self> {
        let holds = |instant: &i64| (0..=TIME_MS_MAX).contains(instant);
        let valid_until_ms = valid_until_ms.filter(|_| status.denial().is_none());
        (holds(&at_ms) && valid_until_ms.as_ref().is_none_or(holds)).then_some(Self { status, at_ms, valid_until_ms })
    }

    /// Returns the state.
    pub const fn status(self) -> Status {
        self.status
    }

    /// Returns the instant since which the state has held without a break.
    pub const fn at_ms(self) -> i64 {
        self.at_ms
    }

    /// Returns the first instant at which the state no longer permits.
    pub const fn valid_until_ms(self) -> Option<i64> {
        self.valid_until_ms
    }

    /// Compares which of two standings of one person and purpose counts: the greater.
    ///
    /// The later `at` counts; of one instant the stricter state. Of two `given` the one that ends first counts, of two `renewed` the one
    /// that ends last: a renewal without a gap keeps `at` and extends the end. The order is total, so that records
    /// taken twice or in any order end in one result.
    pub fn precedence(self, other: Self) -> Ordering {
        let end = |standing: Self| standing.valid_until_ms.unwrap_or(i64::MAX);
        let ends = match self.status {
            Status::Renewed => end(self).cmp(&end(other)),
            Status::Deferred
            | Status::Expired
            | Status::Given
            | Status::Invalidated
            | Status::Refused
            | Status::Requested
            | Status::Revoked
            | Status::Unknown
            | Status::Withdrawn => end(other).cmp(&end(self)),
        };
        self.at_ms.cmp(&other.at_ms).then(self.status.code().cmp(&other.status.code())).then(ends)
    }
}

/// Returns an instant as RFC 3339 has it, as far as that has words.
///
/// # Panics
///
/// The instant cannot be one of a [`Standing`]: it lies before 1970 or after 9999.
pub fn instant_text(instant_ms: i64) -> String {
    Timestamp::from_millisecond(instant_ms).expect("a checked instant lies between 1970 and 9999").to_string()
}
