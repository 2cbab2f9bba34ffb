//! Every reason and code in a sentence, for people; the codes themselves are what metrics and coverage have.

use weir_filter::Fate;
use weir_policy::{DenyReason, MalformedCode};

/// Says what a fate means.
pub(crate) const fn sentence(fate: Fate) -> &'static str {
    match fate {
        Fate::Denied(reason) => denied(reason),
        Fate::Quarantined(code) => quarantined(code),
        Fate::Written => "a row is written",
    }
}

const fn denied(reason: DenyReason) -> &'static str {
    match reason {
        DenyReason::NotDeclared => "no field of the contract may serve the purpose",
        DenyReason::NarrowedByProducer => "the event's `purposes` leaves the purpose out",
        DenyReason::Gpc => "the person's browser sends Global Privacy Control",
        DenyReason::ContractExpired => "the contract's last day has passed",
        DenyReason::NoSubject => "the event does not name the person it is about",
        DenyReason::NoTenantAgreement => "the tenant has not agreed to the purpose, or not for this time",
        DenyReason::NoConsentRecord => "nobody asked the person: unknown means no",
        DenyReason::ConsentRequested => "the person was asked and has not answered",
        DenyReason::ConsentDeferred => "the person put the answer off",
        DenyReason::ConsentRefused => "the person said no",
        DenyReason::ConsentExpired => "the consent's time is over",
        DenyReason::ConsentWithdrawn => "the person took the consent back",
        DenyReason::ConsentRevoked => "another party took the consent back",
        DenyReason::ConsentInvalidated => "the consent was found void",
        DenyReason::ConsentAfterEvent => "the event is older than the consent",
        DenyReason::Region => "the tenant's data may not live in this region",
        DenyReason::TimeOutOfRange => "the event is older than the purpose keeps rows, or more than ten minutes ahead",
        DenyReason::EpochClosed => "the secret of the event's time or of its tenant is not in the key ring",
        DenyReason::WithdrawnBeforeCommit => "consent ended between the filter and the commit",
        DenyReason::Erased => "the person, or somebody the event names, was erased after the event",
        DenyReason::TableRefused => "an operator skips this table: `lake.skip` in the configuration",
    }
}

const fn quarantined(code: MalformedCode) -> &'static str {
    match code {
        MalformedCode::Json => "the record is not JSON as RFC 8259 defines it, or not an object",
        MalformedCode::Utf8 => "the record is not UTF-8",
        MalformedCode::Envelope => "an attribute that CloudEvents 1.0 or weir requires is missing or not text",
        MalformedCode::DuplicateKey => "a declared key or an attribute stands twice",
        MalformedCode::TooLarge => "the record is larger than limits.record_bytes",
        MalformedCode::TooDeep => "the record is nested deeper than limits.depth",
        MalformedCode::TooManyFields => "the record has more members than limits.fields",
        MalformedCode::TooManyItems => "an array is longer than limits.array_items",
        MalformedCode::Time => "`time` is missing or not RFC 3339",
        MalformedCode::Empty => "the record has no value",
        MalformedCode::NotSealed => "the event is in clear, and its topic takes sealed ones only",
        MalformedCode::ForeignTenant => "the topic does not carry events of this tenant",
        MalformedCode::SealForm => "the sealed data is not the one kind of JWE that weir reads",
        MalformedCode::SealKey => "the data is sealed to a key that the ring does not have, or not any more",
        MalformedCode::SealEvent => "the data was sealed for an event with other attributes",
        MalformedCode::SealBroken => "the sealed data was changed, or not sealed with the key that it names",
        MalformedCode::NoContract => "nobody declared the event type, or not this version of it",
    }
}
