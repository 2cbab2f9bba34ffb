//! The daemon's API, as the portal uses it: look up, decide, and ask for a copy or for erasure.

use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_consent::{Decision, Status};
use weir_policy::PurposeId;

use crate::client::{Client, Silence};
use crate::link::Person;
use crate::random;

/// The daemon's API.
#[expect(missing_debug_implementations, reason = "holds a token")]
pub struct Api {
    client: Client,
    address: String,
    authorization: HeaderValue,
}

/// What the portal cannot use the API with.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// The token is none.
    #[error("the token has bytes that no header may have")]
    Token,
    /// The file with the CA has none.
    #[error("there is no certificate of a CA, in PEM")]
    Ca,
}

/// How it stands with one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) purpose: PurposeId,
    pub(crate) status: Status,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
}

/// What a person asks for, beside decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Copy,
    Erasure,
}

impl Right {
    const fn path(self) -> &'static str {
        match self {
            Self::Copy => "/v1/access-requests",
            Self::Erasure => "/v1/erasures",
        }
    }

    const fn product(self) -> &'static str {
        match self {
            Self::Copy => "answer",
            Self::Erasure => "receipt",
        }
    }
}

/// How it stands with what a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is done; `is_complete` unless tables were left out.
    Done { is_complete: bool },
    /// It was not done.
    Failed,
    /// The API knows nothing of it: its time is over, or the daemon was started anew.
    Gone,
    /// It waits, or is at work.
    UnderWay,
}

/// Why the API did not do what it was asked; nothing of the person is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("no such endpoint")]
    Absent,
    #[error("no answer")]
    Away,
    #[error("too many requests")]
    Busy,
    #[error("refused with {0}")]
    Refused(u16),
    #[error("not confirmed in time")]
    Unconfirmed,
    #[error("an answer that makes no sense")]
    Unreadable,
}

impl Failure {
    /// Returns the status of the page that says so.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Absent | Self::Away | Self::Refused(_) | Self::Unconfirmed | Self::Unreadable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl From<Silence> for Failure {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Away => Self::Away,
            Silence::Late => Self::Unconfirmed,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    purposes: Vec<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    purpose: String,
    status: String,
    since: Option<String>,
    until: Option<String>,
}

#[derive(Deserialize)]
struct State {
    state: String,
    #[serde(default)]
    complete: bool,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl Api {
    /// Makes the client; `ca` is the file of the CA that the API's certificate is of, in PEM.
    ///
    /// # Errors
    /// When the token or the CA cannot be one.
    pub fn new(address: &str, token: &str, ca: Option<&[u8]>) -> Result<Self, ApiFault> {
        let client = Client::of_ca(ca).ok_or(ApiFault::Ca)?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_quotes| ApiFault::Token)?;
        authorization.set_sensitive(true);
        Ok(Self { client, address: address.trim_end_matches('/').to_owned(), authorization })
    }

    /// Returns how it stands with every purpose.
    pub(crate) async fn look_up(&self, person: &Person) -> Result<Vec<Standing>, Failure> {
        let Person { tenant, kind, subject } = person;
        let body = json!({ "tenant": tenant, "kind": kind, "subject": subject });
        let (_, answer) = self.post("/v1/consents/lookup", &body).await?;
        standings(&answer).ok_or(Failure::Unreadable)
    }

    /// Permits purposes that are not permitted: asks for consent where nobody did, and gives it.
    pub(crate) async fn allow(&self, person: &Person, purposes: &[PurposeId]) -> Result<(), Failure> {
        let standings = self.look_up(person).await?;
        let of = |wanted: &dyn Fn(Status) -> bool| purposes_of(&standings, purposes, wanted);
        self.decide(person, Decision::Request, &of(&|status| !permits(status) && !is_asked(status))).await?;
        self.decide(person, Decision::Grant, &of(&|status| !permits(status))).await
    }

    /// Stops purposes: takes back what was given, and refuses what was not answered.
    ///
    /// Where the API has no room it is asked again for a few seconds: a no must not fail because others ask for much.
    pub(crate) async fn stop(&self, person: &Person, purposes: &[PurposeId]) -> Result<(), Failure> {
        for pause in STOP_PAUSES {
            let stopped = self.stop_once(person, purposes).await;
            if stopped != Err(Failure::Busy) {
                return stopped;
            }
            tokio::time::sleep(pause).await;
        }
        self.stop_once(person, purposes).await
    }

    async fn stop_once(&self, person: &Person, purposes: &[PurposeId]) -> Result<(), Failure> {
        let standings = self.look_up(person).await?;
        let of = |wanted: &dyn Fn(Status) -> bool| purposes_of(&standings, purposes, wanted);
        self.decide(person, Decision::Withdraw, &of(&permits)).await?;
        self.decide(person, Decision::Refuse, &of(&is_open)).await
    }

    async fn decide(&self, person: &Person, decision: Decision, purposes: &[PurposeId]) -> Result<(), Failure> {
        if purposes.is_empty() {
            return Ok(());
        }
        let Person { tenant, kind, subject } = person;
        let purposes: Vec<_> = purposes.iter().map(|purpose| purpose.name()).collect();
        let body = json!({
            "tenant": tenant, "kind": kind, "subject": subject, "purposes": purposes, "decision": decision.name(),
            "evidence": "portal",
        });
        self.post("/v1/consents", &body).await.map(drop)
    }

    /// Asks for a copy or for erasure; returns the place where that is looked up.
    pub(crate) async fn begin(&self, right: Right, person: &Person) -> Result<Box<str>, Failure> {
        let Person { tenant, kind, subject } = person;
        let body = json!({ "tenant": tenant, "ids": [{ "kind": kind, "id": subject }] });
        let (head, _) = self.post(right.path(), &body).await?;
        let place = head.headers().get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or_default();
        let word = place.strip_prefix(right.path()).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
        let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_word { Ok(place.into()) } else { Err(Failure::Unreadable) }
    }

    /// Returns how it stands with what was asked for.
    pub(crate) async fn progress(&self, place: &str) -> Result<Progress, Failure> {
        let request = self.request(Method::GET, place, None)?;
        let (head, body) = self.client.ask(request, PATIENCE).await?;
        if !head.status().is_success() {
            return match failure(head.status(), &body) {
                Failure::Absent => Ok(Progress::Gone),
                // Whoever asks how it stands waits anyway.
                Failure::Busy => Ok(Progress::UnderWay),
                other @ (Failure::Away | Failure::Refused(_) | Failure::Unconfirmed | Failure::Unreadable) => {
                    Err(other)
                }
            };
        }
        let State { state, complete } = serde_json::from_slice(&body).map_err(|_quotes| Failure::Unreadable)?;
        Ok(match state.as_str() {
            "done" => Progress::Done { is_complete: complete },
            "failed" => Progress::Failed,
            _ => Progress::UnderWay,
        })
    }

    /// Fetches what came of it, piece by piece.
    pub(crate) async fn fetch(&self, right: Right, place: &str) -> Result<Incoming, Failure> {
        let request = self.request(Method::GET, &format!("{place}/{}", right.product()), None)?;
        let (status, body) = self.client.open(request, PATIENCE).await?;
        match status {
            StatusCode::NOT_FOUND => Err(Failure::Absent),
            status if status.is_success() => Ok(body),
            status => Err(Failure::Refused(status.as_u16())),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(Response<()>, Bytes), Failure> {
        let request = self.request(Method::POST, path, Some(body))?;
        let (head, body) = self.client.ask(request, PATIENCE).await?;
        if head.status().is_success() { Ok((head, body)) } else { Err(failure(head.status(), &body)) }
    }

    fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Request<Full<Bytes>>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header(AUTHORIZATION, &self.authorization);
        let request = match body {
            // A key that this request alone has: a retry on the way decides nothing twice.
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .header("idempotency-key", random())
                .body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        };
        request.map_err(|_quotes| Failure::Away)
    }
}

fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let code = serde_json::from_slice(body).map(|problem: Problem| problem.code).unwrap_or_default();
    match code.as_str() {
        "not_confirmed" => Failure::Unconfirmed,
        "not_found" | "request_unknown" => Failure::Absent,
        "overloaded" | "too_many_decisions" | "too_many_requests" => Failure::Busy,
        _ => Failure::Refused(status.as_u16()),
    }
}

fn standings(body: &[u8]) -> Option<Vec<Standing>> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let standing = |shown: Shown| {
        let (purpose, status) = (PurposeId::parse(&shown.purpose)?, Status::parse(&shown.status)?);
        Some(Standing { purpose, status, since: shown.since, until: shown.until })
    };
    answer.purposes.into_iter().map(standing).collect()
}

fn purposes_of(standings: &[Standing], purposes: &[PurposeId], wanted: impl Fn(Status) -> bool) -> Vec<PurposeId> {
    let of_these = standings.iter().filter(|standing| purposes.contains(&standing.purpose) && wanted(standing.status));
    of_these.map(|standing| standing.purpose).collect()
}

/// Tells whether events may pass.
pub(crate) fn permits(status: Status) -> bool {
    status.denial().is_none()
}

fn is_asked(status: Status) -> bool {
    matches!(status, Status::Requested | Status::Deferred)
}

/// Tells whether the person has said neither yes nor no. Nobody may have asked: a purpose that rests on another basis than consent
/// collects about them all the same, and only a no that is recorded ends that.
fn is_open(status: Status) -> bool {
    status == Status::Unknown || is_asked(status)
}

/// A little longer than `api.deadline`, which answers first.
const PATIENCE: Duration = Duration::from_secs(15);
/// About five seconds, in which the API takes a hundred requests more.
const STOP_PAUSES: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_millis(700),
    Duration::from_millis(1_400),
    Duration::from_millis(2_800),
];
