//! Signing in with `OpenID` Connect: the authorization code flow, with PKCE (RFC 7636), `state` and `nonce`.
//!
//! ```text
//!  /sign-in ─▶ the provider ─▶ /signed-in?code=…&state=… ─▶ its token endpoint ─▶ id token ─ token.rs ─▶ session
//! ```
//! An attempt belongs to the browser that began it (a cookie), ends after ten minutes and serves once. The portal asks for
//! `openid` and nothing else, keeps one claim of the id token, and forgets the rest.

mod provider;
mod token;

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::link::Person;
use crate::random;
use provider::Provider;

pub(crate) use provider::REDIRECT;
pub use provider::{ProviderFault, ProviderSetup};

/// Signs people in.
pub(crate) struct SignIn {
    provider: Provider,
    /// By the digest of what the browser's cookie holds.
    attempts: Mutex<HashMap<[u8; 32], Attempt>>,
}

struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
    until_ms: i64,
}

/// What the provider sends the browser back with.
#[derive(Deserialize)]
pub(crate) struct Callback {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: String,
    iss: Option<String>,
}

/// Why nobody is signed in; nothing of what came is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSignedIn {
    #[error("the id token's algorithm is not one that is accepted")]
    Algorithm,
    #[error("the id token is for somebody else")]
    Audience,
    #[error("the provider does not answer")]
    Away,
    #[error("the id token has no such claim, or one that names nobody")]
    Claim,
    #[error("the provider says no")]
    Denied,
    #[error("the id token is too old, or of the future")]
    Expired,
    #[error("the id token is of another issuer")]
    Issuer,
    #[error("the id token is of another sign-in")]
    Nonce,
    #[error("the provider's description of itself cannot be used")]
    Provider,
    #[error("the id token's signature does not hold")]
    Signature,
    #[error("no such sign-in was begun in this browser")]
    Stray,
    #[error("the provider gives no id token for the code")]
    Token,
}

impl NotSignedIn {
    /// Returns the status of the page that says so.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Away | Self::Provider => StatusCode::SERVICE_UNAVAILABLE,
            Self::Algorithm
            | Self::Audience
            | Self::Claim
            | Self::Denied
            | Self::Expired
            | Self::Issuer
            | Self::Nonce
            | Self::Signature
            | Self::Stray
            | Self::Token => StatusCode::FORBIDDEN,
        }
    }
}

impl SignIn {
    pub(crate) fn new(provider: ProviderSetup, address: &str) -> Self {
        Self { provider: Provider::new(provider, address), attempts: Mutex::default() }
    }

    /// Begins: returns what the browser's cookie is to hold, and where to send it.
    pub(crate) async fn begin(&self, now_ms: i64) -> Result<(String, String), NotSignedIn> {
        let (cookie, state, nonce, verifier) = (random(), random(), random(), random());
        let challenge = BASE64.encode(digest(&SHA256, verifier.as_bytes()));
        let place = self.provider.place(&state, &nonce, &challenge, now_ms).await?;
        let mut attempts = self.attempts.lock();
        attempts.retain(|_, attempt| attempt.until_ms > now_ms);
        if attempts.len() >= ATTEMPTS_MAX
            && let Some(oldest) = attempts.iter().min_by_key(|(_, attempt)| attempt.until_ms).map(|(cookie, _)| *cookie)
        {
            attempts.remove(&oldest);
        }
        attempts.insert(named(&cookie), Attempt { state, nonce, verifier, until_ms: now_ms + LIFE_MS });
        Ok((cookie, place))
    }

    /// Ends: returns who is signed in. An attempt serves once, whatever comes of it.
    pub(crate) async fn end(&self, cookie: &str, callback: &Callback, now_ms: i64) -> Result<Person, NotSignedIn> {
        let attempt = self.attempts.lock().remove(&named(cookie)).filter(|attempt| attempt.until_ms > now_ms);
        let attempt = attempt.ok_or(NotSignedIn::Stray)?;
        if verify_slices_are_equal(attempt.state.as_bytes(), callback.state.as_bytes()).is_err() {
            return Err(NotSignedIn::Stray);
        }
        if callback.iss.as_deref().is_some_and(|issuer| issuer != self.provider.issuer()) {
            return Err(NotSignedIn::Issuer);
        }
        if !callback.error.is_empty() || callback.code.is_empty() {
            return Err(NotSignedIn::Denied);
        }
        self.provider.person(&callback.code, &attempt.verifier, &attempt.nonce, now_ms).await
    }
}

fn named(cookie: &str) -> [u8; 32] {
    digest(&SHA256, cookie.as_bytes()).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

/// Long enough to find a second factor.
const LIFE_MS: i64 = 10 * 60 * 1_000;
/// About 5 MB; one more takes the place of the oldest.
const ATTEMPTS_MAX: usize = 10_000;
