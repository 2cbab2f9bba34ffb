//! AWS KMS: each of weir's keys is a KMS key of its own, known by an alias.
//!
//! A secret is wrapped with an encryption context that names its key, so that it opens under that name only. A text that it wrapped
//! says which version of the key did: `aws-kms:v1:…`, the first being the key as it was made, and each completed rotation one more.
//! AWS keeps the old ones for as long as the key is there.
//!
//! Destroying schedules the key's deletion in seven days, the least that AWS takes, and takes its alias away: from then on nothing
//! opens. Until then who administers the account may cancel that.

mod answer;
mod login;
mod sign;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tracing::warn;
use weir_keys::{Versions, WrapError};
use zeroize::Zeroizing;

use crate::client::{Seal, Secret, Service};
use crate::http::{Answer, Http, Link, Question, WAIT_LAST_LONG, secret_header};
use crate::kept::{Fresh, Kept};
use crate::recent::Recent;
use crate::settings::Address;
use answer::{Described, Fault, KIND, Opened, Rotated, State, Wrapped, blob, fault, right};
use login::{Credentials, Environment};

/// Which keys of AWS KMS, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSettings {
    /// The region.
    pub region: String,
    /// Where its KMS is; without it, at its public address.
    pub address: Option<Address>,
    /// Where credentials are asked for; without it, where AWS has them asked for.
    pub login_address: Option<Address>,
    /// What the aliases of all keys begin with, before a `-`.
    pub prefix: String,
    /// The CA of both certificates, in PEM; without it, those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// How weir logs in.
    pub auth: AwsAuth,
    /// How long one request may take.
    pub timeout: Duration,
}

/// How weir gets credentials of AWS. Every secret is the name of a file, but those that AWS itself has containers read elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsAuth {
    /// What ECS, and EKS with its pod identities, tell a container.
    Container,
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Environment,
    /// A profile of a file as AWS's own tools have it.
    File {
        /// The file.
        file: PathBuf,
        /// The profile.
        profile: String,
    },
    /// The role of the instance's profile.
    Instance,
    /// A role, for a token that somebody else signed, such as Kubernetes for a pod.
    WebIdentity {
        /// The ARN of the role.
        role: String,
        /// The file of the token.
        file: PathBuf,
        /// Whether the file must be closed to others.
        is_private: bool,
    },
}

/// The keys, and weir's login to them.
pub(crate) struct Kms {
    settings: AwsSettings,
    base: String,
    environment: Environment,
    login: Kept<Login>,
    recent: Recent,
}

struct Login {
    http: Http,
    credentials: Credentials,
}

/// A key's id and how it is; none when there is no such key.
type Found = Result<Option<(String, State)>, WrapError>;

#[async_trait]
impl Service for Kms {
    fn place(&self) -> String {
        format!("{}, keys {}…", self.base, self.alias(""))
    }

    async fn seal(&self) -> Result<Seal, WrapError> {
        match self.describe("ring").await {
            // Which key it is does not matter, nor whether this login may see it: AWS knows who asks.
            Ok(_) | Err(WrapError::Refused { .. }) => Ok(Seal::Answers),
            Err(error) => Err(error),
        }
    }

    async fn make(&self, key: &str) -> Result<bool, WrapError> {
        match self.describe(key).await? {
            Some((_, State::Enabled)) => return Ok(false),
            Some((_, state)) => return Err(self.unusable(key, state)),
            None => {}
        }
        let alias = self.alias(key);
        let about =
            json!({ "Description": self.name(key), "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT" });
        let made: Described = self.answer("CreateKey", key, &about).await?;
        let id = made.key_metadata.key_id;
        let named = json!({ "AliasName": alias, "TargetKeyId": id });
        let answer = self.ask("CreateAlias", named.to_string().as_bytes()).await;
        // Whatever the answer: one that was lost may have been of the deed, and the one after it says "there is one". AWS tells all its
        // machines within seconds, so absence is not believed at once.
        self.recent.add(key);
        let described = self.describe(key).await;
        match (described, answer.as_ref().map(fault)) {
            (Ok(Some((named, state))), _) => {
                if named != id {
                    // Another process was first: its key is the one.
                    self.leave(&id).await;
                }
                if state == State::Enabled { Ok(named == id) } else { Err(self.unusable(key, state)) }
            }
            (_, Ok(Some(refused))) if refused != Fault::Exists => {
                self.recent.remove(key);
                self.leave(&id).await;
                Err(self.refusal(refused, "CreateAlias", key).await)
            }
            (described, _) => {
                self.recent.remove(key);
                warn!(unnamed = id, "a key was made, and AWS does not say whether it got its alias: it is kept");
                answer?;
                described?;
                Err(self.unheard())
            }
        }
    }

    async fn wrap(&self, key: &str, secret: &[u8]) -> Result<String, WrapError> {
        // Asked before: when the key is rotated meanwhile, this is wrapped anew once more, and nothing is missed.
        let version = self.newest(key).await?;
        let text = Zeroizing::new(BASE64.encode(secret));
        let (id, context) = (json!(self.alias(key)), self.context(key));
        // Written as text: a tree of values would keep a copy of the secret.
        let body = Zeroizing::new(format!(
            r#"{{"KeyId":{id},"EncryptionContext":{context},"Plaintext":"{}"}}"#,
            text.as_str()
        ));
        let answer = self.ask_about("Encrypt", key, body.as_bytes()).await?;
        self.wrapped(&answer, version)
    }

    async fn unwrap(&self, key: &str, wrapped: &str) -> Secret {
        let Some(blob) = blob(wrapped) else { return Err(WrapError::Foreign { key: self.name(key) }) };
        let body = json!({ "KeyId": self.alias(key), "EncryptionContext": self.context(key), "CiphertextBlob": blob });
        let answer = self.ask_about("Decrypt", key, body.to_string().as_bytes()).await?;
        let opened = serde_json::from_slice::<Opened<'_>>(&answer.body).ok();
        let secret = opened.and_then(|opened| BASE64.decode(opened.plaintext).ok()).map(Zeroizing::new);
        secret.ok_or_else(|| self.unexpected("answers without a plaintext"))
    }

    async fn rewrap(&self, key: &str, wrapped: &str) -> Result<String, WrapError> {
        let Some(blob) = blob(wrapped) else { return Err(WrapError::Foreign { key: self.name(key) }) };
        let version = self.newest(key).await?;
        let (id, context) = (self.alias(key), self.context(key));
        let body = json!({
            "CiphertextBlob": blob, "SourceKeyId": id, "SourceEncryptionContext": context,
            "DestinationKeyId": id, "DestinationEncryptionContext": context,
        });
        let answer = self.ask_about("ReEncrypt", key, body.to_string().as_bytes()).await?;
        self.wrapped(&answer, version)
    }

    async fn rotate(&self, key: &str) -> Result<(), WrapError> {
        let id = self.usable(key).await?;
        let answer = self.ask("RotateKeyOnDemand", json!({ "KeyId": id }).to_string().as_bytes()).await?;
        match fault(&answer) {
            // One that is under way is one.
            None | Some(Fault::Conflict) => Ok(()),
            Some(other) => Err(self.refusal(other, "RotateKeyOnDemand", key).await),
        }
    }

    async fn destroy(&self, key: &str) -> Result<(), WrapError> {
        let Some((id, state)) = self.describe(key).await? else { return Ok(()) };
        if state != State::Ending {
            self.end(&id, key).await?;
        }
        self.recent.remove(key);
        let named = json!({ "AliasName": self.alias(key) });
        let answer = self.ask("DeleteAlias", named.to_string().as_bytes()).await?;
        match fault(&answer) {
            None | Some(Fault::Gone) => Ok(()),
            Some(other) => Err(self.refusal(other, "DeleteAlias", key).await),
        }
    }

    async fn versions(&self, key: &str) -> Result<Option<Versions>, WrapError> {
        match self.describe(key).await? {
            None | Some((_, State::Ending)) => Ok(None),
            Some((_, State::Passing)) => Err(self.unusable(key, State::Passing)),
            Some((id, State::Disabled | State::Enabled)) => {
                let newest = self.rotations(key, &id).await?.saturating_add(1);
                Ok(Some(Versions { newest, oldest: 1 }))
            }
        }
    }
}

impl Kms {
    pub(crate) fn new(settings: AwsSettings) -> Self {
        Self::within(settings, |name| std::env::var(name).ok())
    }

    fn within(settings: AwsSettings, environment: Environment) -> Self {
        let region = &settings.region;
        let public = || format!("https://kms.{region}.{}", domain(region));
        let base = settings.address.as_ref().map_or_else(public, |address| address.text().to_owned());
        Self { settings, base, environment, login: Kept::new(), recent: Recent::default() }
    }

    fn name(&self, key: &str) -> String {
        format!("{}-{key}", self.settings.prefix)
    }

    fn alias(&self, key: &str) -> String {
        format!("alias/{}", self.name(key))
    }

    /// Returns what a wrapped secret is bound to: it opens under this name only, whatever its alias stands for.
    fn context(&self, key: &str) -> serde_json::Value {
        json!({ "weir": self.name(key) })
    }

    /// Asks with weir's login; logs in anew, once, where AWS refuses the one there is.
    async fn ask(&self, action: &str, body: &[u8]) -> Result<Answer, WrapError> {
        let login = self.login.current(|| self.log_in()).await?;
        let answer = self.ask_with(&login, action, body).await?;
        if fault(&answer) != Some(Fault::Login) {
            return Ok(answer);
        }
        self.login.forget(&login).await;
        let login = self.login.current(|| self.log_in()).await?;
        let answer = self.ask_with(&login, action, body).await?;
        match fault(&answer) {
            Some(Fault::Login) => Err(self.refused_login(
                "it does not know the credentials, or they are over, or this machine's clock is wrong".to_owned(),
            )),
            None | Some(_) => Ok(answer),
        }
    }

    async fn ask_with(&self, login: &Login, action: &str, body: &[u8]) -> Result<Answer, WrapError> {
        let headers = self.headers(login, action, body).map_err(|why| self.refused_login(why))?;
        let question = Question { method: Method::POST, path: "", body: Some(body) };
        let answer = login.http.ask(&question, &headers).await.map_err(|why| self.away(why))?;
        match fault(&answer) {
            Some(Fault::Passing) => {
                Err(self.away(format!("has too much to do, or trouble (status {})", answer.status.as_u16())))
            }
            None | Some(_) => Ok(answer),
        }
    }

    async fn log_in(&self) -> Result<Fresh<Login>, WrapError> {
        let fresh = login::log_in(&self.settings, self.environment).await.map_err(|why| why.at(&self.base))?;
        let http = Http::new(Link {
            base: format!("{}/", self.base),
            ca: self.settings.ca.as_deref(),
            certificate: None,
            timeout: self.settings.timeout,
            wait_last: WAIT_LAST_LONG,
            is_passing: |answer| fault(answer) == Some(Fault::Passing),
        });
        let http = http.map_err(|why| self.refused_login(why))?;
        Ok(Fresh { login: Login { http, credentials: fresh.login }, lasts: fresh.lasts })
    }

    fn headers(&self, login: &Login, action: &str, body: &[u8]) -> Result<HeaderMap, String> {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let (_, host) = self.base.split_once("://").unwrap_or_default();
        let target = format!("TrentService.{action}");
        let token = login.credentials.token.as_deref();
        let mut signed = vec![("content-type", JSON), ("host", host), ("x-amz-date", time.as_str())];
        signed.extend(token.map(|token| ("x-amz-security-token", token.as_str())));
        signed.push(("x-amz-target", &target));
        let scope = sign::Scope { region: &self.settings.region, service: "kms", time: &time };
        let request = sign::Unsigned { method: "POST", headers: &signed, body };
        let authorization = sign::authorization(&login.credentials, &scope, &request);
        let mut headers = HeaderMap::new();
        let open =
            |text: &str| HeaderValue::from_str(text).map_err(|_quotes| "cannot be asked by that name".to_owned());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(HOST, open(host)?);
        headers.insert("x-amz-date", open(&time)?);
        headers.insert("x-amz-target", open(&target)?);
        headers.insert(AUTHORIZATION, secret_header(&authorization)?);
        if let Some(token) = token {
            headers.insert("x-amz-security-token", secret_header(token)?);
        }
        Ok(headers)
    }

    /// Asks about a key that must be there; one that was made a moment ago is waited for.
    async fn ask_about(&self, action: &'static str, key: &str, body: &[u8]) -> Result<Answer, WrapError> {
        let mut waits = Recent::WAITS.iter();
        loop {
            let answer = self.ask(action, body).await?;
            match fault(&answer) {
                None => return Ok(answer),
                Some(Fault::Gone) if self.recent.has(key) => match waits.next() {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => return Err(self.unheard()),
                },
                Some(other) => return Err(self.refusal(other, action, key).await),
            }
        }
    }

    async fn answer<T: for<'de> Deserialize<'de>>(
        &self,
        action: &'static str,
        key: &str,
        body: &serde_json::Value,
    ) -> Result<T, WrapError> {
        let answer = self.ask_about(action, key, body.to_string().as_bytes()).await?;
        serde_json::from_slice(&answer.body).map_err(|_quotes| self.unexpected(&format!("does not answer {action}")))
    }

    /// Returns what a name stands for, and how that is; none when it stands for nothing.
    async fn describe(&self, key: &str) -> Found {
        let body = json!({ "KeyId": self.alias(key) });
        let described: Described = match self.answer("DescribeKey", key, &body).await {
            Err(WrapError::Gone { .. }) => return Ok(None),
            other => other?,
        };
        let state = match described.key_metadata.key_state.as_str() {
            "Enabled" => State::Enabled,
            "Disabled" => State::Disabled,
            "PendingDeletion" | "PendingReplicaDeletion" => State::Ending,
            _ => State::Passing,
        };
        Ok(Some((described.key_metadata.key_id, state)))
    }

    /// As [`Self::describe`], for a question about an answer of another.
    fn state<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(self.describe(key))
    }

    /// Returns what a name stands for, if it can be used.
    async fn usable(&self, key: &str) -> Result<String, WrapError> {
        match self.describe(key).await? {
            Some((id, State::Enabled)) => Ok(id),
            Some((_, state)) => Err(self.unusable(key, state)),
            None => Err(WrapError::Gone { key: self.name(key) }),
        }
    }

    async fn newest(&self, key: &str) -> Result<u64, WrapError> {
        let id = self.usable(key).await?;
        Ok(self.rotations(key, &id).await?.saturating_add(1))
    }

    /// Counts the rotations of a key that are completed.
    async fn rotations(&self, key: &str, id: &str) -> Result<u64, WrapError> {
        let (mut count, mut marker) = (0, None);
        loop {
            let mut body = json!({ "KeyId": id, "Limit": 1000 });
            if let (Some(marker), Some(body)) = (marker, body.as_object_mut()) {
                body.insert("Marker".to_owned(), marker);
            }
            let found: Rotated = self.answer("ListKeyRotations", key, &body).await?;
            count += u64::try_from(found.rotations.len()).unwrap_or(u64::MAX);
            match found.next_marker.filter(|_| found.truncated) {
                Some(next) => marker = Some(json!(next)),
                None => return Ok(count),
            }
        }
    }

    async fn end(&self, id: &str, key: &str) -> Result<(), WrapError> {
        let body = json!({ "KeyId": id, "PendingWindowInDays": DAYS_LEAST });
        let answer = self.ask("ScheduleKeyDeletion", body.to_string().as_bytes()).await?;
        match fault(&answer) {
            // It was asked for a moment ago, or the key is gone.
            None | Some(Fault::Gone | Fault::State) => Ok(()),
            Some(other) => Err(self.refusal(other, "ScheduleKeyDeletion", key).await),
        }
    }

    /// Schedules the deletion of a key that was made and got no name.
    async fn leave(&self, id: &str) {
        let body = json!({ "KeyId": id, "PendingWindowInDays": DAYS_LEAST });
        let answer = self.ask("ScheduleKeyDeletion", body.to_string().as_bytes()).await;
        if !answer.is_ok_and(|answer| answer.status.is_success()) {
            warn!(unnamed = id, "a key that was made and got no alias could not be scheduled for deletion");
        }
    }

    fn wrapped(&self, answer: &Answer, version: u64) -> Result<String, WrapError> {
        let wrapped = serde_json::from_slice::<Wrapped>(&answer.body).map(|wrapped| wrapped.ciphertext_blob);
        let blob = wrapped.map_err(|_quotes| self.unexpected("answers without a ciphertext"))?;
        Ok(format!("{KIND}:v{version}:{blob}"))
    }

    /// Says what a fault means of a key.
    async fn refusal(&self, fault: Fault, action: &'static str, key: &str) -> WrapError {
        let name = self.name(key);
        match fault {
            Fault::Access => WrapError::Refused { right: right(action), path: self.alias(key) },
            Fault::Disabled => WrapError::Disabled { key: name },
            Fault::Foreign => WrapError::Foreign { key: name },
            Fault::Gone => WrapError::Gone { key: name },
            Fault::Limit if action == "RotateKeyOnDemand" => self.unexpected(&format!(
                "rotates {name} no more on demand, which it does 25 times: let it rotate by itself each year"
            )),
            Fault::Limit => self.unexpected("has no room for more keys: raise the account's quotas"),
            Fault::State => match self.state(key).await {
                Ok(Some((_, State::Enabled))) => self.away("was about to change that key".to_owned()),
                Ok(Some((_, state))) => self.unusable(key, state),
                Ok(None) => WrapError::Gone { key: name },
                Err(error) => error,
            },
            Fault::Conflict | Fault::Exists | Fault::Login | Fault::Other | Fault::Passing => {
                self.unexpected(&format!("does not answer {action} for {name}"))
            }
        }
    }

    fn unusable(&self, key: &str, state: State) -> WrapError {
        match state {
            State::Disabled => WrapError::Disabled { key: self.name(key) },
            State::Ending => WrapError::Gone { key: self.name(key) },
            State::Enabled | State::Passing => self.away(format!("does not have {} ready", self.name(key))),
        }
    }

    fn unheard(&self) -> WrapError {
        self.away("has not heard everywhere of a key that was just made".to_owned())
    }

    fn away(&self, why: String) -> WrapError {
        WrapError::Away { place: self.base.clone(), why }
    }

    fn refused_login(&self, why: String) -> WrapError {
        WrapError::Login { place: self.base.clone(), why }
    }

    fn unexpected(&self, why: &str) -> WrapError {
        WrapError::Unexpected { place: self.base.clone(), why: why.to_owned() }
    }
}

/// Returns what the names of a region's services end with.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

const JSON: &str = "application/x-amz-json-1.1";
const DAYS_LEAST: u32 = 7;
