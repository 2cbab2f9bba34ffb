//! What goes wrong, as RFC 9457 problem documents.
//!
//! A closed list of codes, each with its status and its words. Nothing of a request is ever repeated: a fault names the member
//! that is wrong, not what stood there. The words of an illegal step are those of the state machine, which knows states and
//! decisions and nobody's name.

use hyper::StatusCode;
use serde_json::{Value, json};
use weir_consent::{InboxFault, Status, Undecidable};

/// Why a request is not answered as it was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    more: More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Member(&'static str),
    Nothing,
    RetryAfter(u64),
    Step(Undecidable, Status),
}

macro_rules! codes {
    ($($name:ident = $status:ident $word:literal $detail:literal,)*) => {
        /// The closed list of codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Code { $($name,)* }

        impl Code {
            /// Every code, in the order of their statuses.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the word of the member `code`.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Returns the HTTP status.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// Returns the sentence for a person.
            pub(crate) const fn detail(self) -> &'static str {
                match self { $(Self::$name => $detail,)* }
            }
        }
    };
}

codes! {
    BadKey = BAD_REQUEST "idempotency_key" "Idempotency-Key is 1 to 128 visible ASCII characters, once.",
    Invalid = BAD_REQUEST "invalid" "A member cannot be what it is; `member` says which.",
    Json = BAD_REQUEST "json" "The body is not a JSON object with the members of this endpoint, each once and of its type.",
    Unauthenticated = UNAUTHORIZED "unauthenticated" "No known bearer token, and no known client certificate.",
    Role = FORBIDDEN "role_not_allowed" "The role of this token may not do this.",
    Tenant = FORBIDDEN "tenant_not_allowed" "This token does not act for this tenant, whoever the person is.",
    NotFound = NOT_FOUND "not_found" "There is no such endpoint; /v1/openapi.json lists them.",
    RequestUnknown = NOT_FOUND "request_unknown"
        "This token has no such request: there never was one, its answer is not kept any more, or the daemon was started anew \
         since. Ask again.",
    Method = METHOD_NOT_ALLOWED "method_not_allowed" "The endpoint has another method.",
    TooSlow = REQUEST_TIMEOUT "too_slow" "The body did not arrive in time.",
    IllegalStep = CONFLICT "illegal_step" "The state of the consent has no such step; nothing was changed.",
    NotDone = CONFLICT "not_done" "Nothing has come of the request yet; its state says how far it is, or that it failed.",
    SameUnderWay = CONFLICT "same_request_under_way" "A request with this Idempotency-Key is not answered yet.",
    TooLarge = PAYLOAD_TOO_LARGE "too_large" "The body has more than 16 KiB.",
    NotJson = UNSUPPORTED_MEDIA_TYPE "not_json" "The body is to be application/json.",
    KeyReused = UNPROCESSABLE_ENTITY "idempotency_key_reused" "This Idempotency-Key came with another request before.",
    PersonRate = TOO_MANY_REQUESTS "too_many_decisions" "Too many decisions or requests about one person or tenant.",
    TokenRate = TOO_MANY_REQUESTS "too_many_requests" "Too many requests with this token.",
    Ending = SERVICE_UNAVAILABLE "ending" "The daemon ends; ask again.",
    Overloaded = SERVICE_UNAVAILABLE "overloaded" "Too much is under way; nothing was done.",
    Stale = SERVICE_UNAVAILABLE "consent_stale" "It is not known what people want now; nothing was decided.",
    Unconfirmed = SERVICE_UNAVAILABLE "not_confirmed"
        "Not all replicas had the decision in time. It may still come into effect; send it again with the same \
         Idempotency-Key to learn of it.",
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let more = if code.status() == StatusCode::SERVICE_UNAVAILABLE || code == Code::SameUnderWay {
            More::RetryAfter(RETRY_AFTER_S)
        } else {
            More::Nothing
        };
        Self { code, more }
    }
}

impl Problem {
    /// Says that a member of the request cannot be what it is.
    pub(crate) const fn of_member(member: &'static str) -> Self {
        Self { code: Code::Invalid, more: More::Member(member) }
    }

    /// Says when one may ask again.
    pub(crate) const fn after(code: Code, seconds: u64) -> Self {
        Self { code, more: More::RetryAfter(seconds) }
    }

    /// Says that the state machine has no such step.
    pub(crate) const fn of_step(fault: Undecidable) -> Self {
        match fault {
            Undecidable::Ended => Self::of_member("valid_until"),
            Undecidable::Step { status, .. } => Self { code: Code::IllegalStep, more: More::Step(fault, status) },
        }
    }

    /// Returns how many seconds to wait before the same may be asked again.
    pub(crate) const fn retry_after(&self) -> Option<u64> {
        if let More::RetryAfter(seconds) = self.more { Some(seconds) } else { None }
    }

    /// Returns the document.
    pub(crate) fn body(&self) -> String {
        let Self { code, more } = self;
        let mut body = json!({
            "type": format!("/v1/openapi.json#{}", code.word()),
            "title": code.status().canonical_reason(),
            "status": code.status().as_u16(),
            "code": code.word(),
            "detail": code.detail(),
        });
        match more {
            More::Member(member) => body["member"] = Value::from(*member),
            More::Step(fault, status) => {
                body["detail"] = Value::from(fault.to_string());
                body["state"] = Value::from(status.name());
            }
            More::Nothing | More::RetryAfter(_) => {}
        }
        body.to_string()
    }
}

/// A fault of the record that the request would become is a fault of the member that it comes from.
impl From<InboxFault> for Problem {
    fn from(fault: InboxFault) -> Self {
        Self::of_member(match fault {
            InboxFault::Kind => "kind",
            InboxFault::Purpose => "purposes",
            InboxFault::Regions => "regions",
            InboxFault::Subject => "subject",
            InboxFault::Tenant => "tenant",
            InboxFault::Future | InboxFault::Time => "valid_until",
            // A record that weir makes has its members, a key of its own and a state.
            InboxFault::Empty
            | InboxFault::Json
            | InboxFault::Key
            | InboxFault::Shape
            | InboxFault::Status
            | InboxFault::TooLarge => return Self::from(Code::Json),
        })
    }
}

/// What `member` can say.
pub(crate) const MEMBERS: [&str; 9] =
    ["decision", "evidence", "ids", "kind", "purposes", "regions", "subject", "tenant", "valid_until"];

/// A store grows current, and a queue empties, within a second or two when the brokers are there.
const RETRY_AFTER_S: u64 = 2;
