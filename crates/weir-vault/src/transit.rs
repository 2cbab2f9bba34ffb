//! What is asked of the transit engine.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::{self, Runtime};
use weir_keys::{Versions, Wrap, WrapError};
use zeroize::Zeroizing;

use crate::http::{Answer, Question};
use crate::session::{Session, keep_fresh};
use crate::settings::Settings;

/// A vault, for one mount, prefix and login.
#[expect(missing_debug_implementations, reason = "holds a login")]
pub struct Vault {
    session: Arc<Session>,
    /// Taken when the client is dropped.
    runtime: Option<Runtime>,
}

/// How a vault is, as it says to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// It answers.
    Open {
        /// Its version.
        version: String,
    },
    /// Somebody has to unseal it first.
    Sealed,
}

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

impl Vault {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// When the machine has no thread left.
    pub fn new(settings: Settings) -> std::io::Result<Self> {
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(1).thread_name("vault").enable_all().build()?;
        let session = Arc::new(Session::new(settings));
        runtime.spawn(keep_fresh(Arc::downgrade(&session)));
        Ok(Self { session, runtime: Some(runtime) })
    }

    /// Asks whether it is sealed, which needs no login.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn seal(&self) -> Result<Seal, WrapError> {
        self.run(|session| async move {
            let question = Question { method: Method::GET, path: "sys/seal-status", body: None };
            let answer = session.ask_openly(&question).await?;
            match serde_json::from_slice::<Health>(&answer.body) {
                Ok(Health { sealed: false, version }) => Ok(Seal::Open { version }),
                Ok(Health { sealed: true, .. }) => Ok(Seal::Sealed),
                Err(_quotes) => Err(session.away(format!("answers with status {}", answer.status.as_u16()))),
            }
        })
    }

    /// Has the runtime do something and waits for it, from whatever thread.
    fn run<T, F>(&self, work: impl FnOnce(Arc<Session>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (done, is_done) = mpsc::sync_channel(1);
        let work = work(Arc::clone(&self.session));
        let runtime = self.runtime.as_ref().expect("the runtime is there until the client is dropped");
        runtime.spawn(async move {
            // Who asked waits below.
            drop(done.send(work.await));
        });
        is_done.recv().expect("every question has an answer, if only that its time was over")
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Wrap for Vault {
    fn place(&self) -> String {
        let Settings { address, mount, prefix, .. } = &self.session.settings;
        format!("{}, {mount}, keys {prefix}-…", address.text())
    }

    fn make(&self, key: &str) -> Result<bool, WrapError> {
        if self.versions(key)?.is_some() {
            return Ok(false);
        }
        let key = key.to_owned();
        self.run(|session| async move { session.change(&key, "", &json!({ "type": KEY_TYPE })).await }).map(|()| true)
    }

    fn wrap(&self, key: &str, secret: &[u8]) -> Result<String, WrapError> {
        let (key, text) = (key.to_owned(), Zeroizing::new(BASE64.encode(secret)));
        self.run(|session| async move {
            // Written as text: a tree of values would keep a copy of the secret.
            let body = Zeroizing::new(format!(r#"{{"plaintext":"{}"}}"#, text.as_str()));
            session.cipher("encrypt", &key, body.as_bytes()).await
        })
    }

    fn unwrap(&self, asked: &[(String, String)]) -> Vec<Result<Zeroizing<Vec<u8>>, WrapError>> {
        let asked: Arc<[_]> = asked.into();
        self.run(|session| unwrap_all(session, asked))
    }

    fn rewrap(&self, key: &str, wrapped: &str) -> Result<String, WrapError> {
        let (key, body) = (key.to_owned(), json!({ "ciphertext": wrapped }).to_string());
        self.run(|session| async move { session.cipher("rewrap", &key, body.as_bytes()).await })
    }

    fn rotate(&self, key: &str) -> Result<(), WrapError> {
        let key = key.to_owned();
        self.run(|session| async move { session.change(&key, "/rotate", &json!({})).await })
    }

    fn destroy(&self, key: &str) -> Result<(), WrapError> {
        let key = key.to_owned();
        self.run(|session| async move {
            if session.versions(&key).await?.is_none() {
                return Ok(());
            }
            session.change(&key, "/config", &json!({ "deletion_allowed": true })).await?;
            let path = session.path("keys", &key);
            let answer = session.ask(&Question { method: Method::DELETE, path: &path, body: None }).await?;
            if answer.status.is_success() { Ok(()) } else { Err(session.refusal(&answer, "delete", &key, &path)) }
        })
    }

    fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError> {
        let key = key.to_owned();
        self.run(|session| async move { session.versions(&key).await })
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

    async fn plain(&self, key: &str, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, WrapError> {
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

    async fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError> {
        let path = self.path("keys", key);
        let answer = self.ask(&Question { method: Method::GET, path: &path, body: None }).await?;
        if answer.status == StatusCode::NOT_FOUND && words(&answer).is_empty() {
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

    /// Says what an answer means that is none to the question.
    fn refusal(&self, answer: &Answer, right: &'static str, key: &str, path: &str) -> WrapError {
        let words = words(answer);
        let key = self.key(key);
        match answer.status {
            StatusCode::FORBIDDEN => WrapError::Refused { right, path: path.to_owned() },
            StatusCode::NOT_FOUND => self.unexpected(format!(
                "has no transit engine mounted at {}: check `mount` and `namespace`",
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

/// Returns what the vault says is wrong, to be searched and never to be shown.
fn words(answer: &Answer) -> String {
    serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.errors.join("; ")).unwrap_or_default()
}

type Secret = Result<Zeroizing<Vec<u8>>, WrapError>;

/// Unwraps many texts, a few at a time: each has a key of its own, so that they cannot be sent as one batch.
///
/// The first is asked alone. Once the vault is away or refuses the login, the rest is not asked: it would take a time-out each.
async fn unwrap_all(session: Arc<Session>, asked: Arc<[(String, String)]>) -> Vec<Secret> {
    let Some((key, text)) = asked.first() else { return Vec::new() };
    let first = session.plain(key, text).await;
    if let Some(error) = ending(&first) {
        return vec![Err(error); asked.len()];
    }
    let next = Arc::new(AtomicUsize::new(1));
    let workers: Vec<_> = (0..AT_ONCE.min(asked.len()))
        .map(|_| tokio::spawn(unwrap_some(Arc::clone(&session), Arc::clone(&asked), Arc::clone(&next))))
        .collect();
    let mut answers: Vec<Option<Secret>> = asked.iter().map(|_| None).collect();
    if let Some(place) = answers.first_mut() {
        *place = Some(first);
    }
    let mut ended = None;
    for worker in workers {
        for (at, answer) in worker.await.expect("a worker does not panic") {
            ended = ended.or_else(|| ending(&answer));
            if let Some(place) = answers.get_mut(at) {
                *place = Some(answer);
            }
        }
    }
    let rest = || ended.clone().map_or_else(|| Err(session.unexpected("left a question open".to_owned())), Err);
    answers.into_iter().map(|answer| answer.unwrap_or_else(rest)).collect()
}

async fn unwrap_some(
    session: Arc<Session>,
    asked: Arc<[(String, String)]>,
    next: Arc<AtomicUsize>,
) -> Vec<(usize, Secret)> {
    let mut answers = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some((key, text)) = asked.get(at) else { return answers };
        let answer = session.plain(key, text).await;
        if ending(&answer).is_some() {
            next.store(asked.len(), Ordering::Relaxed);
        }
        answers.push((at, answer));
    }
}

/// Returns the error after which asking on is no use.
fn ending(answer: &Secret) -> Option<WrapError> {
    let error = answer.as_ref().err()?;
    matches!(error, WrapError::Away { .. } | WrapError::Login { .. }).then(|| error.clone())
}

/// What Vault and OpenBao make unless asked otherwise, and what every one of them has.
const KEY_TYPE: &str = "aes256-gcm96";
/// Questions under way at once; a vault answers thousands a second.
const AT_ONCE: usize = 16;
