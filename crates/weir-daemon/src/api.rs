//! The API: people's consent and tenants' agreements, decided and looked up; copies for people, and erasures.
//!
//! ```text
//!  connection ─▶ TLS ─▶ who ─▶ how often ─▶ body ─▶ may they ─▶ desk ─[256 batches]─▶ inbox topic ─▶ keeper ─▶ state topic
//!                                              answer ◀── when the store covers the records ◀───────────────────┘
//! ```
//! It has a listener and a thread of its own, so that a flood of connections leaves the pages of [`crate::http`] alone, and
//! nothing on that thread waits but for events, and a moment for the disk when somebody asks to be erased. People are named in
//! bodies only: paths and queries end in access logs. Nothing of a request stands in a fault, a log line or a metric.
//!
//! Read [`desk`] for what a decision is, [`rights`] for copies and erasures, [`access`] for who may ask, [`problem`] for what can go wrong.

pub(crate) mod access;
pub(crate) mod clerk;
pub(crate) mod desk;
mod endpoint;
pub(crate) mod inbox;
mod limits;
mod openapi;
mod problem;
mod replies;
mod reply;
mod request;
pub(crate) mod rights;
pub(crate) mod serve;
#[cfg(test)]
mod tests;
mod tls;
pub(crate) mod unfinished;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Request};
use parking_lot::RwLock;
use weir_policy::diagnostic::Report;

use crate::Metrics;
use crate::clock::SharedClock;
use crate::config::Api as Settings;
use crate::metrics::labels::{Limit, LimitLabels, Word};
use access::{Access, Caller, Certificates, Role};
use desk::{Batch, Desk, Ground, Plan};
use endpoint::Endpoint;
use limits::{Buckets, Pace};
use problem::{Code, Problem};
use replies::{Begun, Replies};
use reply::{Content, Reply};
use request::{About, Order};
use rights::{Product, Requests, Right};
use tokio_rustls::TlsAcceptor;

pub use tls::{FileFault, acceptor, private_file};

/// What answers requests.
pub(crate) struct Api {
    settings: Settings,
    doors: RwLock<Doors>,
    desk: Desk,
    /// By who it is about, and what is asked.
    people: Buckets<(weir_consent::StateKey, Asked)>,
    /// The answers to decisions, and the places of requests for a right.
    replies: Replies<Arc<Plan>, Bytes>,
    /// Copies and erasures; none where there is no folder for answers.
    requests: Option<Arc<Requests>>,
    document: Bytes,
    metrics: Arc<Metrics>,
    clock: SharedClock,
}

/// Who is let in, and how.
struct Doors {
    access: Arc<Access>,
    tls: Option<TlsAcceptor>,
}

/// What is asked about a person; each has an account of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    /// A decision that lets events pass.
    Yes,
    /// One that does not.
    No,
    /// A copy, or erasure.
    Right(Right),
}

/// A request that was recognised, as far as it got.
#[derive(Default)]
struct Seen {
    endpoint: Option<Endpoint>,
    role: Option<Role>,
}

impl Api {
    /// Reads the files that the settings name.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn new(
        settings: Settings,
        ground: Ground,
        inbox: SyncSender<Batch>,
        metrics: Arc<Metrics>,
        requests: Option<Arc<Requests>>,
    ) -> Result<Self, ApiFault> {
        let doors = RwLock::new(Doors::open(&settings)?);
        let clock = Arc::clone(&ground.clock);
        let desk = Desk::new(ground, inbox, settings.rules.deadline);
        let people = Buckets::new(Pace::new(settings.rules.person_burst.0, settings.rules.person_every));
        let document = openapi::document().into();
        Ok(Self { settings, doors, desk, people, replies: Replies::new(), requests, document, metrics, clock })
    }

    /// Reads the files anew; the old ones stay in force where the new ones cannot be used.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn reload(&self) -> Result<(), ApiFault> {
        let doors = Doors::open(&self.settings)?;
        *self.doors.write() = doors;
        Ok(())
    }

    /// Answers a request; `names` are those of the client's certificate.
    async fn answer(&self, names: &[String], request: Request<Incoming>, seen: &mut Seen) -> Result<Reply, Problem> {
        let (head, body) = request.into_parts();
        let (endpoint, word) = self.endpoint(head.uri.path()).ok_or(Code::NotFound)?;
        seen.endpoint = Some(endpoint);
        if head.method != endpoint.method() {
            return Err(Code::Method.into());
        }
        if endpoint == Endpoint::Document {
            return Ok(Reply::json(self.document.clone()));
        }
        let caller = self.caller(names, &head.headers).ok_or(Code::Unauthenticated)?;
        seen.role = Some(caller.role);
        let now_ms = self.clock.elapsed_ms();
        caller.bucket.admit(now_ms).map_err(|wait_s| self.limited(Limit::Token, Code::TokenRate, wait_s))?;
        if endpoint.method() == hyper::Method::GET {
            return self.hand_out(&caller, endpoint, word);
        }
        if !is_json(&head.headers) {
            return Err(Code::NotJson.into());
        }
        let key = idempotency_key(&head.headers)?;
        let body = read(body).await?;
        match endpoint.right() {
            Some(right) => self.take_in(&caller, (endpoint, right), key, &body).map(Reply::accepted),
            None if endpoint == Endpoint::AgreementsLookup => self.look_up(&caller, &About::tenant_of(&body)?),
            None if endpoint == Endpoint::ConsentsLookup => {
                self.look_up(&caller, &About::person_of(&body, self.desk.keys())?)
            }
            None => self.decide(&caller, endpoint, key, &body).await.map(Reply::json),
        }
    }

    /// Finds the endpoint of a path; without a folder for answers there is none for a right.
    fn endpoint<'p>(&self, path: &'p str) -> Option<(Endpoint, &'p str)> {
        Endpoint::of(path).filter(|(endpoint, _)| endpoint.right().is_none() || self.requests.is_some())
    }

    /// Returns who asks: whose token it is, if there is one, or whose certificate.
    fn caller(&self, names: &[String], headers: &HeaderMap) -> Option<Arc<Caller>> {
        let access = Arc::clone(&self.doors.read().access);
        let Some(authorization) = headers.get(AUTHORIZATION) else { return access.by_certificate(names).cloned() };
        let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| access.by_token(token.trim()).cloned())?
    }

    fn look_up(&self, caller: &Caller, about: &About) -> Result<Reply, Problem> {
        may(caller.acts_for(about.tenant_name()), Code::Tenant)?;
        self.desk.look_up(about).map(|found| Reply::json(found.into()))
    }

    /// Takes in that somebody wants a copy, or to be erased; returns where to look it up.
    fn take_in(
        &self,
        caller: &Caller,
        (endpoint, right): (Endpoint, Right),
        key: Option<Box<str>>,
        body: &[u8],
    ) -> Result<Bytes, Problem> {
        let requests = self.requests.as_ref().ok_or(Code::NotFound)?;
        let subject = request::subject(body, self.desk.keys())?;
        may(caller.role.may_exercise(), Code::Role)?;
        may(caller.acts_for(subject.tenant()), Code::Tenant)?;
        let take_in = || -> Result<Bytes, Problem> {
            let now_ms = self.clock.elapsed_ms();
            for whose in subject.keys(self.desk.keys()) {
                let admitted = self.people.admit((whose, Asked::Right(right)), now_ms);
                admitted.map_err(|wait_s| self.limited(Limit::Person, Code::PersonRate, wait_s))?;
            }
            self.desk.be_open()?;
            let word = requests.take_in(right, caller, subject.clone())?;
            Ok(Bytes::from(format!("{}/{word}", endpoint.path())))
        };
        let Some(key) = key else { return take_in() };
        let asked = digest_of(endpoint, body);
        match self.replies.begin((Arc::clone(&caller.name), key), asked, self.clock.elapsed_ms()) {
            Begun::Answered(place) => Ok(place),
            Begun::Decide(ticket) => {
                let place = take_in()?;
                ticket.answer(place.clone());
                Ok(place)
            }
            Begun::Reused => Err(Code::KeyReused.into()),
            Begun::Running => Err(Code::SameUnderWay.into()),
        }
    }

    /// Says how a request for a right stands, or gives what came of it.
    fn hand_out(&self, caller: &Caller, endpoint: Endpoint, word: &str) -> Result<Reply, Problem> {
        let (Some(requests), Some(right)) = (&self.requests, endpoint.right()) else {
            return Err(Code::NotFound.into());
        };
        may(caller.role.may_exercise(), Code::Role)?;
        if matches!(endpoint, Endpoint::AccessRequest | Endpoint::Erasure) {
            let state = requests.look_up(right, word, caller)?;
            return Ok(Reply::json(state.to_string().into()));
        }
        Ok(match requests.fetch(right, word, caller)? {
            Product::Copy { parcel, .. } => Reply::saved("application/zip", "your-data.zip", Content::File(parcel)),
            Product::Receipt { jws, .. } => {
                Reply::saved("application/jose", "erasure-receipt.jws", Content::Bytes(jws))
            }
        })
    }

    async fn decide(
        &self,
        caller: &Caller,
        endpoint: Endpoint,
        key: Option<Box<str>>,
        body: &[u8],
    ) -> Result<Bytes, Problem> {
        let order = if endpoint == Endpoint::Consents {
            Order::consent(body, self.desk.keys())?
        } else {
            Order::agreement(body)?
        };
        let is_about_person = endpoint == Endpoint::Consents;
        let is_role =
            if is_about_person { caller.role.may_decide(order.decision) } else { caller.role == Role::Operator };
        may(is_role, Code::Role)?;
        may(caller.acts_for(order.about.tenant_name()), Code::Tenant)?;
        let Some(key) = key else { return self.decide_once(&order, &mut None).await };
        let asked = digest_of(endpoint, body);
        let mut ticket = match self.replies.begin((Arc::clone(&caller.name), key), asked, self.clock.elapsed_ms()) {
            Begun::Answered(reply) => return Ok(reply),
            Begun::Decide(ticket) => ticket,
            Begun::Reused => return Err(Code::KeyReused.into()),
            Begun::Running => return Err(Code::SameUnderWay.into()),
        };
        let reply = self.decide_once(&order, &mut ticket.plan).await?;
        ticket.answer(reply.clone());
        Ok(reply)
    }

    async fn decide_once(&self, order: &Order, plan: &mut Option<Arc<Plan>>) -> Result<Bytes, Problem> {
        let asked = if order.permits() { Asked::Yes } else { Asked::No };
        let (whose, now_ms) = ((order.about.whom().clone(), asked), self.clock.elapsed_ms());
        self.people.admit(whose, now_ms).map_err(|wait_s| self.limited(Limit::Person, Code::PersonRate, wait_s))?;
        let reply = self.desk.decide(order, plan).await.map(Bytes::from);
        let seconds = crate::pipeline::shared::seconds(self.clock.elapsed_ms() - now_ms);
        self.metrics.api_decision_seconds.observe(seconds);
        reply
    }

    fn limited(&self, by: Limit, code: Code, wait_s: u64) -> Problem {
        self.metrics.api_rate_limited.get_or_create_owned(&LimitLabels { by: Word(by) }).inc();
        Problem::after(code, wait_s)
    }
}

/// Checks the files of the API without opening it.
///
/// # Errors
/// When one of them cannot be used.
pub fn check(settings: &Settings) -> Result<(), ApiFault> {
    Doors::open(settings).map(drop)
}

impl Doors {
    fn open(settings: &Settings) -> Result<Self, ApiFault> {
        let has_ca = settings.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let certificates = if has_ca { Certificates::Checked } else { Certificates::Unchecked };
        let text = private_file(&settings.rules.tokens)?;
        let access = Access::read(&settings.rules.tokens, &text, certificates).map_err(|report| unquoted(&report))?;
        let access = Arc::new(access);
        let tls = settings.tls.as_ref();
        let tls = tls.map(|files| acceptor(&files.certificate, &files.key, files.client_ca.as_deref())).transpose()?;
        Ok(Self { access, tls })
    }
}

/// A file of the API that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiFault {
    /// A certificate, a key or the tokens file as a whole.
    #[error(transparent)]
    File(#[from] FileFault),
    /// The folder of answers.
    #[error("failed to use the folder of answers, {}", folder.display())]
    Answers {
        /// The folder.
        folder: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What the tokens file says, each fault with its place and without the text: somebody may have put a token there.
    #[error("the tokens file has faults: {0}")]
    Tokens(String),
}

fn unquoted(report: &Report) -> ApiFault {
    let faults: Vec<_> = report.diagnostics.iter().map(ToString::to_string).collect();
    ApiFault::Tokens(faults.join("; "))
}

fn may(is_allowed: bool, code: Code) -> Result<(), Problem> {
    if is_allowed { Ok(()) } else { Err(code.into()) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(key) = given.next() else { return Ok(None) };
    let is_sound =
        |key: &&str| !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic());
    match (key.to_str().ok().filter(is_sound), given.next()) {
        (Some(key), None) => Ok(Some(key.into())),
        _ => Err(Code::BadKey.into()),
    }
}

fn digest_of(endpoint: Endpoint, body: &[u8]) -> [u8; 32] {
    let asked = digest(&SHA256, &[endpoint.path().as_bytes(), b"\n", body].concat());
    asked.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

/// Reads a body that is neither too long nor too slow.
async fn read(body: Incoming) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_WAIT_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Code::TooLarge.into()),
        // The client went away; nobody reads the answer.
        Ok(Err(_gone)) => Err(Code::Json.into()),
        Err(_elapsed) => Err(Code::TooSlow.into()),
    }
}

/// A decision has a few hundred bytes.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Slow networks need a second; who needs more holds a connection.
const BODY_WAIT_MAX: Duration = Duration::from_secs(10);
/// A UUID has 36.
const KEY_BYTES_MAX: usize = 128;
