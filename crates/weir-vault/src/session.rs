//! Who asks: the login, kept fresh.
//!
//! A login is made when it is first needed, renewed when a third of its time is left, and made anew when that fails, when the vault
//! refuses it, or when the file of a token has changed. Times are those that the vault states as durations, so clocks may differ.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};
use weir_keys::WrapError;
use zeroize::Zeroizing;

use crate::http::{Answer, Http, Link, Question, WAIT_LAST, may_pass, secret_header};
use crate::private;
use crate::settings::{Auth, Settings};

/// A vault and weir's login to it.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    login: Mutex<Option<Login>>,
}

/// What asks on behalf of weir.
#[derive(Clone)]
struct Login {
    http: Http,
    token: Arc<Zeroizing<String>>,
    /// When to renew it; never, for one that does not end.
    renew_at: Option<Instant>,
    is_renewable: bool,
}

#[derive(Deserialize)]
struct LoggedIn<'a> {
    #[serde(borrow)]
    auth: Granted<'a>,
}

#[derive(Deserialize)]
struct Granted<'a> {
    client_token: &'a str,
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct LookedUp {
    data: OfToken,
}

#[derive(Deserialize)]
struct OfToken {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Session {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, login: Mutex::new(None) }
    }

    /// Asks with weir's login; logs in anew, once, where the vault refuses the one there is.
    pub(crate) async fn ask(&self, question: &Question<'_>) -> Result<Answer, WrapError> {
        let login = self.login().await?;
        let answer = self.ask_with(&login, question).await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok(answer);
        }
        // A login that ended and a right that is missing have the same answer; only one of them goes away with a new login.
        self.forget(&login).await;
        let login = self.login().await?;
        self.ask_with(&login, question).await
    }

    async fn ask_with(&self, login: &Login, question: &Question<'_>) -> Result<Answer, WrapError> {
        let answer = self.ask_as(&login.http, question, Some(&login.token)).await?;
        self.check_passing(answer)
    }

    /// Asks a question that needs no login.
    pub(crate) async fn ask_openly(&self, question: &Question<'_>) -> Result<Answer, WrapError> {
        let http = self.http().map_err(|why| self.refused_login(why))?;
        self.ask_as(&http, question, None).await
    }

    fn http(&self) -> Result<Http, String> {
        let Settings { address, ca, certificate, timeout, .. } = &self.settings;
        Http::new(Link {
            base: format!("{}/v1/", address.text()),
            ca: ca.as_deref(),
            certificate: certificate.as_ref(),
            timeout: *timeout,
            wait_last: WAIT_LAST,
            is_passing: |answer| may_pass(answer.status),
        })
    }

    async fn ask_as(&self, http: &Http, question: &Question<'_>, token: Option<&str>) -> Result<Answer, WrapError> {
        let headers = self.headers(token).map_err(|why| self.away(why))?;
        http.ask(question, &headers).await.map_err(|why| self.away(why))
    }

    fn headers(&self, token: Option<&str>) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(namespace) = &self.settings.namespace {
            let namespace = HeaderValue::from_str(namespace);
            let namespace =
                namespace.map_err(|_quotes| "cannot have that namespace: no header can carry it".to_owned())?;
            headers.insert("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            headers.insert("x-vault-token", secret_header(token)?);
        }
        Ok(headers)
    }

    fn check_passing(&self, answer: Answer) -> Result<Answer, WrapError> {
        match answer.status.as_u16() {
            503 => Err(self.away("is sealed, or not ready".to_owned())),
            472 | 473 => Err(self.away("stands by, and does not answer itself".to_owned())),
            status if may_pass(answer.status) => Err(self.away(format!("answers with status {status}"))),
            _ => Ok(answer),
        }
    }

    async fn login(&self) -> Result<Login, WrapError> {
        let mut place = self.login.lock().await;
        if let Some(login) = place.as_ref().filter(|login| self.is_of_its_file(login)) {
            return Ok(login.clone());
        }
        let login = self.log_in().await?;
        *place = Some(login.clone());
        Ok(login)
    }

    /// Tells whether a token is the one that is in its file now; other logins have none.
    fn is_of_its_file(&self, login: &Login) -> bool {
        let Auth::Token { file } = &self.settings.auth else { return true };
        // A file that is being replaced is read again at the next question.
        private::closed(file).is_ok_and(|token| *token == **login.token)
    }

    async fn log_in(&self) -> Result<Login, WrapError> {
        let refused = |why| self.refused_login(why);
        let http = self.http().map_err(refused)?;
        let (mount, body) = match &self.settings.auth {
            Auth::Token { file } => return self.take_token(http, private::closed(file).map_err(refused)?).await,
            Auth::AppRole { mount, role, secret_file } => {
                let secret = private::closed(secret_file).map_err(refused)?;
                (mount, json!({ "role_id": role, "secret_id": secret.as_str() }))
            }
            Auth::Certificate { mount, role, .. } => (mount, json!({ "name": role })),
            Auth::Jwt { mount, role, file, is_private } => {
                let jwt = if *is_private { private::closed(file) } else { private::open_to_others(file) };
                (mount, json!({ "role": role, "jwt": jwt.map_err(refused)?.as_str() }))
            }
        };
        let body = Zeroizing::new(body.to_string());
        let path = format!("auth/{mount}/login");
        let question = Question { method: Method::POST, path: &path, body: Some(body.as_bytes()) };
        let answer = self.ask_as(&http, &question, None).await?;
        let answer = self.check_passing(answer)?;
        let granted = serde_json::from_slice::<LoggedIn<'_>>(&answer.body).ok().filter(|_| answer.status.is_success());
        let Some(LoggedIn { auth }) = granted else {
            let status = answer.status.as_u16();
            return Err(self.refused_login(format!(
                "{path} answers with status {status}: check the role and the file of its secret"
            )));
        };
        info!(seconds = auth.lease_duration, "logged in to the vault");
        let token = Arc::new(Zeroizing::new(auth.client_token.to_owned()));
        Ok(Login { http, token, renew_at: renew_at(auth.lease_duration), is_renewable: auth.renewable })
    }

    /// Takes a token of a file, if the vault knows it.
    async fn take_token(&self, http: Http, token: Zeroizing<String>) -> Result<Login, WrapError> {
        let question = Question { method: Method::GET, path: "auth/token/lookup-self", body: None };
        let answer = self.ask_as(&http, &question, Some(&token)).await?;
        let answer = self.check_passing(answer)?;
        let found = serde_json::from_slice::<LookedUp>(&answer.body).ok().filter(|_| answer.status.is_success());
        let Some(LookedUp { data }) = found else {
            let why = "the token is over, was revoked, or may not look itself up: put a new one into its file";
            return Err(self.refused_login(why.to_owned()));
        };
        Ok(Login { http, token: Arc::new(token), renew_at: renew_at(data.ttl), is_renewable: data.renewable })
    }

    async fn forget(&self, login: &Login) {
        let mut place = self.login.lock().await;
        if place.as_ref().is_some_and(|current| Arc::ptr_eq(&current.token, &login.token)) {
            *place = None;
        }
    }

    /// Renews the login if it is time to.
    pub(crate) async fn renew(&self) {
        let mut place = self.login.lock().await;
        let Some(login) = place.as_mut().filter(|login| login.renew_at.is_some_and(|due| Instant::now() >= due)) else {
            return;
        };
        if login.is_renewable {
            let question = Question { method: Method::POST, path: "auth/token/renew-self", body: Some(b"{}") };
            let answer = self.ask_as(&login.http, &question, Some(&login.token)).await.ok();
            let renewed = answer.as_ref().filter(|answer| answer.status.is_success());
            if let Some(renewed) = renewed.and_then(|answer| serde_json::from_slice::<LoggedIn<'_>>(&answer.body).ok())
            {
                info!(seconds = renewed.auth.lease_duration, "the login to the vault is renewed");
                login.renew_at = renew_at(renewed.auth.lease_duration);
                return;
            }
        }
        match self.log_in().await {
            Ok(login) => *place = Some(login),
            Err(error) => {
                warn!(%error, "the login to the vault could not be renewed; it is tried again");
                if let Some(login) = place.as_mut() {
                    login.renew_at = Some(Instant::now() + RENEW_AGAIN);
                }
            }
        }
    }

    pub(crate) fn away(&self, why: String) -> WrapError {
        WrapError::Away { place: self.settings.address.text().to_owned(), why }
    }

    fn refused_login(&self, why: String) -> WrapError {
        WrapError::Login { place: self.settings.address.text().to_owned(), why }
    }
}

/// Returns when two thirds of a login's time are over; never for one that does not end.
fn renew_at(seconds: u64) -> Option<Instant> {
    (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds) * 2 / 3)
}

const RENEW_AGAIN: Duration = Duration::from_secs(10);
