//! The provider: what it says of itself, its keys, and its token endpoint.
//!
//! What it says is asked for when it is first needed and again when it is old, or when a token names a key that it did not have.
//! Nothing goes to it in clear but to this machine.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASIC;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::NotSignedIn;
use super::token::{Expected, check, knows_key};
use crate::client::Client;
use crate::link::Person;

/// Who signs people in, and what of it counts.
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct ProviderSetup {
    /// The issuer, as its id tokens name it.
    pub issuer: String,
    /// This portal, as the provider knows it.
    pub client_id: String,
    /// Its secret; none for a public client.
    pub client_secret: Option<String>,
    /// The tenant whose people it signs in.
    pub tenant: String,
    /// The kind of identifier that the claim is.
    pub kind: String,
    /// The claim that names the person.
    pub claim: String,
    /// The CA that the provider's certificate is of, in PEM; without it, those that the machine trusts.
    pub ca: Option<Vec<u8>>,
}

/// What the portal cannot sign people in with.
#[derive(Debug, thiserror::Error)]
pub enum ProviderFault {
    /// The issuer is no address with https, nor one of this machine.
    #[error("the issuer is no address with https")]
    Issuer,
    /// The file with the CA has none.
    #[error("there is no certificate of a CA, in PEM")]
    Ca,
}

impl ProviderSetup {
    /// Sees that it can be used.
    ///
    /// # Errors
    /// When the issuer or the CA cannot be one.
    pub fn check(&self) -> Result<(), ProviderFault> {
        private(&self.issuer).ok_or(ProviderFault::Issuer)?;
        self.client().map(drop).ok_or(ProviderFault::Ca)
    }

    fn client(&self) -> Option<Client> {
        match &self.ca {
            Some(pem) => Client::of_ca(Some(pem)),
            None => Some(Client::of_machine()),
        }
    }
}

/// The provider.
pub(super) struct Provider {
    setup: ProviderSetup,
    client: Client,
    redirect: String,
    known: Mutex<Option<Arc<Known>>>,
}

/// What the provider says of itself.
struct Known {
    authorization: Url,
    token: Url,
    keys: JwkSet,
    at_ms: i64,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    pub(super) fn new(setup: ProviderSetup, address: &str) -> Self {
        let client = setup.client().unwrap_or_else(Client::of_nobody);
        Self { setup, client, redirect: format!("{address}{REDIRECT}"), known: Mutex::new(None) }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.setup.issuer
    }

    /// Returns where a browser signs in.
    pub(super) async fn place(
        &self,
        state: &str,
        nonce: &str,
        challenge: &str,
        now_ms: i64,
    ) -> Result<String, NotSignedIn> {
        let mut place = self.known(now_ms, KNOWN_FOR_MS).await?.authorization.clone();
        place.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", self.setup.client_id.as_str()),
            ("redirect_uri", self.redirect.as_str()),
            ("scope", "openid"),
            ("state", state),
            ("nonce", nonce),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(place.into())
    }

    /// Exchanges the code for an id token, and returns whom it names.
    pub(super) async fn person(
        &self,
        code: &str,
        verifier: &str,
        nonce: &str,
        now_ms: i64,
    ) -> Result<Person, NotSignedIn> {
        let mut known = self.known(now_ms, KNOWN_FOR_MS).await?;
        let Tokens { id_token } = self.read(self.exchange(&known.token, code, verifier)?, NotSignedIn::Token).await?;
        if !knows_key(&id_token, &known.keys) {
            known = self.known(now_ms, NEW_KEYS_AFTER_MS).await?;
        }
        let expected = Expected { issuer: &self.setup.issuer, client_id: &self.setup.client_id, nonce, now_ms };
        let claims = check(&id_token, &known.keys, &expected)?;
        let ProviderSetup { tenant, kind, claim, .. } = &self.setup;
        let subject = subject(&claims, claim).ok_or(NotSignedIn::Claim)?;
        Ok(Person { tenant: tenant.clone(), kind: kind.clone(), subject: subject.to_owned() })
    }

    fn exchange(&self, token: &Url, code: &str, verifier: &str) -> Result<Request<Full<Bytes>>, NotSignedIn> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect.as_str()),
            ("code_verifier", verifier),
        ]);
        let mut request = Request::post(token.as_str())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        match &self.setup.client_secret {
            None => {
                form.append_pair("client_id", &self.setup.client_id);
            }
            // Both are form-encoded first (RFC 6749, 2.3.1).
            Some(secret) => {
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(&self.setup.client_id), encoded(secret.trim()));
                request = request.header(AUTHORIZATION, format!("Basic {}", BASIC.encode(pair)));
            }
        }
        request.body(Full::from(form.finish())).map_err(|_quotes| NotSignedIn::Provider)
    }

    /// Returns what the provider says of itself; asks it where what is known is older than that.
    async fn known(&self, now_ms: i64, age_max_ms: i64) -> Result<Arc<Known>, NotSignedIn> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| now_ms - known.at_ms <= age_max_ms) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(self.discover(now_ms).await?);
        *known = Some(Arc::clone(&new));
        Ok(new)
    }

    async fn discover(&self, now_ms: i64) -> Result<Known, NotSignedIn> {
        let described = format!("{}/.well-known/openid-configuration", self.setup.issuer.trim_end_matches('/'));
        let Discovery { issuer, authorization_endpoint, token_endpoint, jwks_uri } = self.get(&described).await?;
        if issuer != self.setup.issuer {
            return Err(NotSignedIn::Issuer);
        }
        let place = |text: &str| private(text).ok_or(NotSignedIn::Provider);
        let (authorization, token) = (place(&authorization_endpoint)?, place(&token_endpoint)?);
        Ok(Known { authorization, token, keys: self.get(place(&jwks_uri)?.as_str()).await?, at_ms: now_ms })
    }

    async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, NotSignedIn> {
        let request = Request::get(place).header(ACCEPT, "application/json").body(Full::default());
        self.read(request.map_err(|_quotes| NotSignedIn::Provider)?, NotSignedIn::Provider).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        fault: NotSignedIn,
    ) -> Result<T, NotSignedIn> {
        let (head, body) = self.client.ask(request, PATIENCE).await.map_err(|_silence| NotSignedIn::Away)?;
        if !head.status().is_success() {
            return Err(if head.status().is_server_error() { NotSignedIn::Away } else { fault });
        }
        serde_json::from_slice(&body).map_err(|_quotes| fault)
    }
}

/// Returns whom a claim names. At many providers people write an address or a number into their account themselves: what nobody
/// verified may be somebody else's, whose data this page would then show and erase.
fn subject<'c>(claims: &'c Map<String, Value>, claim: &str) -> Option<&'c str> {
    let proof = VERIFIED.iter().find(|(verified, _)| *verified == claim).map(|(_, proof)| *proof);
    // Some providers write the truth as a text.
    let is_true = |value: &Value| value.as_bool() == Some(true) || value.as_str() == Some("true");
    let is_proven = proof.is_none_or(|proof| claims.get(proof).is_some_and(is_true));
    let subject = claims.get(claim)?.as_str()?;
    let is_sound = !subject.trim().is_empty() && subject.len() <= SUBJECT_BYTES_MAX;
    (is_proven && is_sound).then_some(subject)
}

/// Reads an address to which nothing goes in clear: https, or http to this machine.
fn private(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_local = matches!(url.host_str()?, "127.0.0.1" | "[::1]" | "localhost");
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_local);
    is_private.then_some(url)
}

/// Where the provider sends browsers back to.
pub(crate) const REDIRECT: &str = "/signed-in";
const KNOWN_FOR_MS: i64 = 10 * 60 * 1_000;
/// So often may tokens that name unknown keys make the portal ask.
const NEW_KEYS_AFTER_MS: i64 = 10 * 1_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// Claims that name a person only where another says that they were verified (`OpenID` Connect Core, 5.1).
const VERIFIED: [(&str, &str); 2] = [("email", "email_verified"), ("phone_number", "phone_number_verified")];
/// As the API takes them.
const SUBJECT_BYTES_MAX: usize = 1_024;
