//! The daemon's API, as the portal uses it: look up, and decide.

use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, crypto, version};
use serde::Deserialize;
use serde_json::json;
use weir_consent::{Decision, Status};
use weir_policy::PurposeId;

use crate::link::Person;

/// The daemon's API.
#[expect(missing_debug_implementations, reason = "holds a token")]
pub struct Api {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
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

/// Why the API did not do what it was asked; nothing of the person is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
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
            Self::Away | Self::Refused(_) | Self::Unconfirmed | Self::Unreadable => StatusCode::SERVICE_UNAVAILABLE,
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
struct Problem {
    code: String,
}

impl Api {
    /// Makes the client; `ca` is the file of the CA that the API's certificate is of, in PEM.
    ///
    /// # Errors
    /// When the token or the CA cannot be one.
    pub fn new(address: &str, token: &str, ca: Option<&[u8]>) -> Result<Self, ApiFault> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = ca {
            let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
            if added == 0 {
                return Err(ApiFault::Ca);
            }
        }
        let tls = ClientConfig::builder_with_provider(crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&version::TLS13])
            .expect("the provider has suites of TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_quotes| ApiFault::Token)?;
        authorization.set_sensitive(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, address: address.trim_end_matches('/').to_owned(), authorization })
    }

    /// Returns how it stands with every purpose.
    pub(crate) async fn look_up(&self, person: &Person) -> Result<Vec<Standing>, Failure> {
        let Person { tenant, kind, subject } = person;
        let body = json!({ "tenant": tenant, "kind": kind, "subject": subject });
        self.ask("/v1/consents/lookup", &body).await
    }

    /// Permits purposes that are not permitted: asks for consent where nobody did, and gives it.
    pub(crate) async fn allow(&self, person: &Person, purposes: &[PurposeId]) -> Result<(), Failure> {
        let standings = self.look_up(person).await?;
        let of = |wanted: &dyn Fn(Status) -> bool| purposes_of(&standings, purposes, wanted);
        self.decide(person, Decision::Request, &of(&|status| !permits(status) && !is_asked(status))).await?;
        self.decide(person, Decision::Grant, &of(&|status| !permits(status))).await
    }

    /// Stops purposes: takes back what was given, and refuses what was asked for.
    pub(crate) async fn stop(&self, person: &Person, purposes: &[PurposeId]) -> Result<(), Failure> {
        let standings = self.look_up(person).await?;
        let of = |wanted: &dyn Fn(Status) -> bool| purposes_of(&standings, purposes, wanted);
        self.decide(person, Decision::Withdraw, &of(&permits)).await?;
        self.decide(person, Decision::Refuse, &of(&is_asked)).await
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
        self.ask("/v1/consents", &body).await.map(drop)
    }

    async fn ask(&self, path: &str, body: &serde_json::Value) -> Result<Vec<Standing>, Failure> {
        let request = Request::post(format!("{}{path}", self.address))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, &self.authorization)
            .header("idempotency-key", once())
            .body(Full::from(body.to_string()))
            .map_err(|_quotes| Failure::Away)?;
        let answered = async {
            let response = self.client.request(request).await.map_err(|_quotes| Failure::Away)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map_err(|_gone| Failure::Away)?.to_bytes()))
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        let (status, body) = answered.unwrap_or(Err(Failure::Unconfirmed))?;
        if status.is_success() {
            return standings(&body).ok_or(Failure::Unreadable);
        }
        let code = serde_json::from_slice(&body).map(|problem: Problem| problem.code).unwrap_or_default();
        Err(match code.as_str() {
            "not_confirmed" => Failure::Unconfirmed,
            "too_many_decisions" | "too_many_requests" => Failure::Busy,
            _ => Failure::Refused(status.as_u16()),
        })
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

/// A name that this request alone has, so that a retry on the way decides nothing twice.
fn once() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the kernel has random bytes once it has started");
    BASE64.encode(bytes)
}

/// A little longer than `api.deadline`, which answers first.
const PATIENCE: Duration = Duration::from_secs(15);
/// Three purposes have a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
