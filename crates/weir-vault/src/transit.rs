//! What is asked of the transit engine.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use weir_keys::{Versions, WrapError};
use zeroize::Zeroizing;

use crate::client::{Seal, Secret, Service};
use crate::http::{Answer, Question};
use crate::session::Session;
use crate::settings::Settings;

#[derive(Deserialize)]
struct Opened<'a> {
    #[serde(borrow)]
    data: Plain<'a>,
}

#[derive(Deserialize)]
struct Plain<'a> {
    plaintext: &'a str,
}

#[derive(Deserialize)]
struct Wrapped {
    data: Cipher,
}

#[derive(Deserialize)]
struct Cipher {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Described {
    data: OfKey,
}

#[derive(Deserialize)]
struct OfKey {
    latest_version: u64,
    min_decryption_version: u64,
}

#[derive(Deserialize)]
struct Health {
    sealed: bool,
    version: String,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

#[async_trait]
impl Service for Session {
    fn place(&self) -> String {
        let Settings { address, mount, prefix, .. } = &self.settings;
        format!("{}, {mount}, keys {prefix}-…", address.text())
    }

    async fn tend(&self) {
        self.renew().await;
    }

    async fn seal(&self) -> Result<Seal, WrapError> {
        let question = Question { method: Method::GET, path: "sys/seal-status", body: None };
        let answer = self.ask_openly(&question).await?;
        match serde_json::from_slice::<Health>(&answer.body) {
            Ok(Health { sealed: false, version }) => Ok(Seal::Open { version }),
            Ok(Health { sealed: true, .. }) => Ok(Seal::Sealed),
            Err(_quotes) => Err(self.away(format!("answers with status {}", answer.status.as_u16()))),
        }
    }

    async fn make(&self, key: &str) -> Result<bool, WrapError> {
        if Service::versions(self, key).await?.is_some() {
            return Ok(false);
        }
        self.change(key, "", &json!({ "type": KEY_TYPE })).await.map(|()| true)
    }

    async fn wrap(&self, key: &str, secret: &[u8]) -> Result<String, WrapError> {
        let text = Zeroizing::new(BASE64.encode(secret));
        // Written as text: a tree of values would keep a copy of the secret.
        let body = Zeroizing::new(format!(r#"{{"plaintext":"{}"}}"#, text.as_str()));
        self.cipher("encrypt", key, body.as_bytes()).await
    }

    async fn unwrap(&self, key: &str, wrapped: &str) -> Secret {
        let path = self.path("decrypt", key);
        let body = json!({ "ciphertext": wrapped }).to_string();
        let answer = self.ask(&Question { method: Method::POST, path: &path, body: Some(body.as_bytes()) }).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer, "update", key, &path));
        }
        let opened = serde_json::from_slice::<Opened<'_>>(&answer.body).ok();
        let secret = opened.and_then(|opened| BASE64.decode(opened.data.plaintext).ok()).map(Zeroizing::new);
        secret.ok_or_else(|| self.unexpected("answers without a plaintext".to_owned()))
    }

    async fn rewrap(&self, key: &str, wrapped: &str) -> Result<String, WrapError> {
        let body = json!({ "ciphertext": wrapped }).to_string();
        self.cipher("rewrap", key, body.as_bytes()).await
    }

    async fn rotate(&self, key: &str) -> Result<(), WrapError> {
        self.change(key, "/rotate", &json!({})).await
    }

    async fn destroy(&self, key: &str) -> Result<(), WrapError> {
        if Service::versions(self, key).await?.is_none() {
            return Ok(());
        }
        self.change(key, "/config", &json!({ "deletion_allowed": true })).await?;
        let path = self.path("keys", key);
        let answer = self.ask(&Question { method: Method::DELETE, path: &path, body: None }).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refusal(&answer, "delete", key, &path)) }
    }

    async fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError> {
        let path = self.path("keys", key);
        let answer = self.ask(&Question { method: Method::GET, path: &path, body: None }).await?;
        if is_absent(&answer) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.refusal(&answer, "read", key, &path));
        }
        let described = serde_json::from_slice::<Described>(&answer.body);
        let OfKey { latest_version: newest, min_decryption_version: oldest } =
            described.map_err(|_quotes| self.unexpected("answers without versions of a key".to_owned()))?.data;
        Ok(Some(Versions { newest, oldest }))
    }
}

impl Session {
    fn key(&self, key: &str) -> String {
        format!("{}-{key}", self.settings.prefix)
    }

    fn path(&self, verb: &str, key: &str) -> String {
        format!("{}/{verb}/{}", self.settings.mount, self.key(key))
    }

    /// Changes a key: `more` follows its path.
    async fn change(&self, key: &str, more: &str, body: &serde_json::Value) -> Result<(), WrapError> {
        let path = format!("{}{more}", self.path("keys", key));
        let body = body.to_string();
        let answer = self.ask(&Question { method: Method::POST, path: &path, body: Some(body.as_bytes()) }).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refusal(&answer, "update", key, &path)) }
    }

    async fn cipher(&self, verb: &str, key: &str, body: &[u8]) -> Result<String, WrapError> {
        let path = self.path(verb, key);
        let answer = self.ask(&Question { method: Method::POST, path: &path, body: Some(body) }).await?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer, "update", key, &path));
        }
        let wrapped = serde_json::from_slice::<Wrapped>(&answer.body).map(|wrapped| wrapped.data.ciphertext);
        wrapped.map_err(|_quotes| self.unexpected("answers without a ciphertext".to_owned()))
    }

    /// Says what an answer means that is none to the question.
    fn refusal(&self, answer: &Answer, right: &'static str, key: &str, path: &str) -> WrapError {
        let words = words(answer);
        let key = self.key(key);
        match answer.status {
            StatusCode::FORBIDDEN => WrapError::Refused { right, path: path.to_owned() },
            StatusCode::NOT_FOUND => self.unexpected(format!(
                "has no transit engine mounted at {}, or is no vault: check `address`, `mount` and `namespace`",
                self.settings.mount
            )),
            _ if words.contains("key not found") => WrapError::Gone { key },
            _ if words.contains("version is disallowed by policy") => WrapError::Version { key },
            _ if words.contains("invalid ciphertext") || words.contains("message authentication failed") => {
                WrapError::Foreign { key }
            }
            status => self.unexpected(format!("answers {path} with status {}", status.as_u16())),
        }
    }

    fn unexpected(&self, why: String) -> WrapError {
        WrapError::Unexpected { place: self.settings.address.text().to_owned(), why }
    }
}

/// Tells whether the vault says that there is no such key: nothing is wrong, and nothing is there. A proxy before it has other words for
/// what it does not find, and they say nothing of keys.
fn is_absent(answer: &Answer) -> bool {
    let refusal = || serde_json::from_slice::<Refusal>(&answer.body);
    answer.status == StatusCode::NOT_FOUND && refusal().is_ok_and(|refusal| refusal.errors.is_empty())
}

/// Returns what the vault says is wrong, to be searched and never to be shown.
fn words(answer: &Answer) -> String {
    serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.errors.join("; ")).unwrap_or_default()
}

/// What Vault and OpenBao make unless asked otherwise, and what every one of them has.
const KEY_TYPE: &str = "aes256-gcm96";
