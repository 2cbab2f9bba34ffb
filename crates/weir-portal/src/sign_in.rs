//! Signing in with `OpenID` Connect: the authorization code flow, with PKCE (RFC 7636), `state` and `nonce`.
//!
//! ```text
//!  /sign-in ─▶ the provider ─▶ /signed-in?code=…&state=… ─▶ its token endpoint ─▶ id token ─ token.rs ─▶ session
//! ```
//! An attempt belongs to the browser that began it (a cookie), ends after ten minutes and serves once. The portal asks for
//! `openid` and nothing else, keeps one claim of the id token, and forgets the rest.
//!
//! **Nothing is kept of an attempt that is under way.** `state`, `nonce` and the verifier are made from the cookie with a key of this
//! process. Anybody may begin a sign-in, and nobody can tell who they are: the portal sees its proxy only. A table of attempts would
//! be filled by whoever loops `/sign-in`. If it then forgot the oldest, that would end other people's sign-ins at a thousand requests
//! a second; if it took no new ones, seventeen a second would lock everybody out. What does not exist cannot be filled.

mod provider;
mod token;

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::link::Person;
use crate::random;
use crate::session::digest_of;
use provider::Provider;

pub(crate) use provider::REDIRECT;
pub use provider::{ProviderFault, ProviderSetup};

/// Signs people in.
pub(crate) struct SignIn {
    provider: Provider,
    /// Makes what belongs to an attempt from what the browser's cookie holds.
    key: hmac::Key,
    /// Attempts that came to their end, by the digest of their cookie, and when each ends by itself.
    used: Mutex<HashMap<[u8; 32], i64>>,
}

/// What belongs to a sign-in that was begun in a browser.
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
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
        let key = hmac::Key::new(hmac::HMAC_SHA256, random().as_bytes());
        Self { provider: Provider::new(provider, address), key, used: Mutex::default() }
    }

    /// Begins: returns what the browser's cookie is to hold, and where to send it.
    pub(crate) async fn begin(&self, now_ms: i64) -> Result<(String, String), NotSignedIn> {
        let cookie = format!("{}.{}", now_ms + LIFE_MS, random());
        let Attempt { state, nonce, verifier } = self.attempt(&cookie);
        let challenge = BASE64.encode(digest(&SHA256, verifier.as_bytes()));
        let place = self.provider.place(&state, &nonce, &challenge, now_ms).await?;
        Ok((cookie, place))
    }

    /// Ends: returns who is signed in. An attempt serves once, whatever comes of it.
    pub(crate) async fn end(&self, cookie: &str, callback: &Callback, now_ms: i64) -> Result<Person, NotSignedIn> {
        // Of another cookie, or of one whose end was moved, the state is another one.
        let attempt = self.attempt(cookie);
        let until_ms = until_ms(cookie).filter(|until_ms| *until_ms > now_ms).ok_or(NotSignedIn::Stray)?;
        let is_own = verify_slices_are_equal(attempt.state.as_bytes(), callback.state.as_bytes()).is_ok();
        if !is_own || !self.use_up(cookie, until_ms, now_ms) {
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

    fn attempt(&self, cookie: &str) -> Attempt {
        let made = |what: &str| BASE64.encode(hmac::sign(&self.key, format!("{what} {cookie}").as_bytes()));
        Attempt { state: made("state"), nonce: made("nonce"), verifier: made("verifier") }
    }

    /// Takes an attempt once; says whether it was the first time.
    ///
    /// Of too many, the one that ends first is forgotten. That lets nobody in twice: a provider takes each code once.
    fn use_up(&self, cookie: &str, until_ms: i64, now_ms: i64) -> bool {
        let mut used = self.used.lock();
        if used.len() >= USED_MAX {
            used.retain(|_, until_ms| *until_ms > now_ms);
        }
        if used.len() >= USED_MAX
            && let Some(first) = used.iter().min_by_key(|(_, until_ms)| **until_ms).map(|(name, _)| *name)
        {
            used.remove(&first);
        }
        used.insert(digest_of(cookie), until_ms).is_none()
    }
}

/// Returns when an attempt ends, as its cookie says.
fn until_ms(cookie: &str) -> Option<i64> {
    cookie.split_once('.')?.0.parse().ok()
}

/// Long enough to find a second factor.
const LIFE_MS: i64 = 10 * 60 * 1_000;
/// About 1 MB.
const USED_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempt_ends_with_its_time_and_serves_once() {
        let setup = ProviderSetup {
            issuer: "https://login.example.com".to_owned(),
            client_id: "portal".to_owned(),
            client_secret: None,
            tenant: "acme".to_owned(),
            kind: "user".to_owned(),
            claim: "sub".to_owned(),
            ca: None,
        };
        let sign_in = SignIn::new(setup, "https://privacy.example.com");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let end = |cookie: &str, now_ms| {
            // The provider says no: nobody has to be asked.
            let Attempt { state, .. } = sign_in.attempt(cookie);
            let callback = Callback { state, code: String::new(), error: "access_denied".to_owned(), iss: None };
            runtime.block_on(sign_in.end(cookie, &callback, now_ms)).err()
        };
        assert_eq!(end("1000.a", 1_000), Some(NotSignedIn::Stray));
        assert_eq!(end("1000.a", 999), Some(NotSignedIn::Denied));
        assert_eq!(end("1000.a", 999), Some(NotSignedIn::Stray));
        assert_eq!(end("1000.b", 999), Some(NotSignedIn::Denied));
        for cookie in ["", "1000", "never.a"] {
            assert_eq!(end(cookie, 0), Some(NotSignedIn::Stray));
        }
        // Of too many that were used, those are forgotten first whose time is over first.
        for at in 0..=USED_MAX {
            assert_eq!(end(&format!("{}.a", at + 5_000), 4_000), Some(NotSignedIn::Denied));
        }
        assert_eq!(sign_in.used.lock().len(), USED_MAX);
        assert_eq!(end("6000.a", 4_000), Some(NotSignedIn::Stray));
    }
}
