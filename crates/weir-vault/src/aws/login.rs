//! Where AWS credentials come from: names of files and addresses, and what they answer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::hmac;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use tracing::info;
use weir_keys::WrapError;
use zeroize::Zeroizing;

use super::{AwsAuth, AwsSettings};
use crate::http::{Answer, Http, Link, Question, WAIT_LAST_LONG, may_pass, secret_header};
use crate::kept::Fresh;
use crate::private;
use crate::settings::Address;

/// What signs.
pub(crate) struct Credentials {
    pub(super) id: String,
    secret: Zeroizing<String>,
    pub(super) token: Option<Zeroizing<String>>,
}

impl Credentials {
    pub(super) fn new(id: &str, secret: &str, token: Option<&str>) -> Self {
        let closed = |text: &str| Zeroizing::new(text.to_owned());
        Self { id: id.to_owned(), secret: closed(secret), token: token.map(closed) }
    }

    /// Returns what the keys of all signatures are derived from.
    pub(super) fn first_key(&self) -> hmac::Key {
        let text = Zeroizing::new(format!("AWS4{}", self.secret.as_str()));
        hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())
    }
}

/// Why there are none.
pub(super) enum NoLogin {
    /// Who gives them does not answer: that may pass.
    Away { place: String, why: String },
    /// They are missing, or were refused.
    Refused(String),
}

impl NoLogin {
    pub(super) fn at(self, place: &str) -> WrapError {
        match self {
            Self::Away { place, why } => WrapError::Away { place, why },
            Self::Refused(why) => WrapError::Login { place: place.to_owned(), why },
        }
    }
}

impl From<String> for NoLogin {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

/// What a variable of the environment says.
pub(super) type Environment = fn(&str) -> Option<String>;

/// As containers and instances are told; the token service says the same in XML.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given<'a> {
    #[serde(borrow)]
    access_key_id: Cow<'a, str>,
    #[serde(borrow)]
    secret_access_key: Cow<'a, str>,
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    expiration: Cow<'a, str>,
}

/// Gets credentials, as the settings say.
pub(super) async fn log_in(settings: &AwsSettings, environment: Environment) -> Result<Fresh<Credentials>, NoLogin> {
    let fresh = match &settings.auth {
        AwsAuth::Environment => lasting(of_environment(environment)?),
        AwsAuth::File { file, profile } => lasting(of_file(file, profile)?),
        AwsAuth::WebIdentity { role, file, is_private } => {
            let token = if *is_private { private::closed(file) } else { private::open_to_others(file) };
            of_web_identity(settings, role, &token?).await?
        }
        AwsAuth::Container => of_container(settings, environment).await?,
        AwsAuth::Instance => of_instance(settings).await?,
    };
    if fresh.login.token.is_some() {
        info!(seconds = fresh.lasts.as_secs(), "has a session of AWS");
    }
    Ok(fresh)
}

/// What lies in a file or in the environment is looked at again after a while: somebody may have put other credentials there.
fn lasting(login: Credentials) -> Fresh<Credentials> {
    Fresh { login, lasts: LOOK_AGAIN }
}

fn of_environment(environment: Environment) -> Result<Credentials, NoLogin> {
    let get = |name: &str| environment(name).filter(|value| !value.is_empty()).map(Zeroizing::new);
    let need = |name: &str| get(name).ok_or_else(|| NoLogin::Refused(format!("the environment has no {name}")));
    let (id, secret) = (need("AWS_ACCESS_KEY_ID")?, need("AWS_SECRET_ACCESS_KEY")?);
    let token = get("AWS_SESSION_TOKEN");
    Ok(Credentials::new(&id, &secret, token.as_ref().map(|token| token.as_str())))
}

fn of_file(file: &Path, profile: &str) -> Result<Credentials, NoLogin> {
    let text = private::closed(file)?;
    let section = format!("[{profile}]");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != section).skip(1);
    let pairs: Vec<_> =
        lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('=')).collect();
    let get = |name: &str| pairs.iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (Some(id), Some(secret)) => Ok(Credentials::new(id, secret, get("aws_session_token"))),
        (_, None) | (None, _) => Err(NoLogin::Refused(format!(
            "{} has no {section} with aws_access_key_id and aws_secret_access_key",
            file.display()
        ))),
    }
}

async fn of_web_identity(settings: &AwsSettings, role: &str, token: &str) -> Result<Fresh<Credentials>, NoLogin> {
    let base = settings.login_address.as_ref().map_or_else(
        || format!("https://sts.{}.{}/", settings.region, super::domain(&settings.region)),
        |address| format!("{}/", address.text()),
    );
    let mut body = Zeroizing::new(String::from("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"));
    for (name, value) in [("RoleArn", role), ("RoleSessionName", "weir"), ("WebIdentityToken", token)] {
        body.push('&');
        body.push_str(name);
        body.push('=');
        push_encoded(&mut body, value);
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let place = Place::new(&base, settings)?;
    let answer = place.ask(Method::POST, "", Some(body.as_bytes()), &headers).await?;
    let text = str::from_utf8(&answer.body).unwrap_or_default();
    if element(text, "Code") == Some("Throttling") {
        return Err(NoLogin::Away { place: base, why: "has too much to do".to_owned() });
    }
    let given = (|| {
        let [access_key_id, secret_access_key, token, expiration] =
            ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"]
                .map(|name| element(text, name).map(Cow::from));
        Some(Given {
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            token: token?,
            expiration: expiration?,
        })
    })();
    let hint = "check the role, whom it trusts, and the file of the token";
    place.taken(&answer, given.filter(|_| answer.status.is_success()), hint)
}

async fn of_container(settings: &AwsSettings, environment: Environment) -> Result<Fresh<Credentials>, NoLogin> {
    let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    let whole = relative.or_else(|| environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    let whole = whole.ok_or_else(|| {
        NoLogin::Refused("the environment has no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or …_FULL_URI".to_owned())
    })?;
    let (base, path) = container_uri(&whole).ok_or_else(|| {
        let why =
            "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor an address of this machine or its container agent";
        NoLogin::Refused(why.to_owned())
    })?;
    let token = match environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(private::open_to_others(Path::new(&file))?),
        None => environment("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Zeroizing::new),
    };
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, secret_header(&token)?);
    }
    let place = Place::new(&base, settings)?;
    let answer = place.ask(Method::GET, &path, None, &headers).await?;
    place.given(&answer, "check the role of the task or pod")
}

async fn of_instance(settings: &AwsSettings) -> Result<Fresh<Credentials>, NoLogin> {
    let base = settings.login_address.as_ref().map_or(INSTANCE, Address::text);
    let place = Place::new(&format!("{base}/"), settings)?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"), HeaderValue::from_static("21600"));
    let token = place.ask(Method::PUT, "latest/api/token", None, &headers).await?;
    let token = place.text(&token, "check that the instance's metadata can be asked with tokens (IMDSv2)")?;
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-aws-ec2-metadata-token"), secret_header(&token)?);
    let role = place.ask(Method::GET, ROLES, None, &headers).await?;
    let role = place.text(&role, "give the instance a profile with a role")?;
    let path = format!("{ROLES}{}", role.as_str());
    let answer = place.ask(Method::GET, &path, None, &headers).await?;
    place.given(&answer, "check the role of the instance's profile")
}

/// Who gives credentials.
struct Place {
    base: String,
    http: Http,
}

impl Place {
    fn new(base: &str, settings: &AwsSettings) -> Result<Self, NoLogin> {
        let http = Http::new(Link {
            base: base.to_owned(),
            ca: settings.ca.as_deref(),
            certificate: None,
            timeout: settings.timeout,
            wait_last: WAIT_LAST_LONG,
            is_passing: |answer| may_pass(answer.status),
        })?;
        Ok(Self { base: base.to_owned(), http })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
        headers: &HeaderMap,
    ) -> Result<Answer, NoLogin> {
        let away = |why| NoLogin::Away { place: self.base.clone(), why };
        let answer = self.http.ask(&Question { method, path, body }, headers).await.map_err(away)?;
        if may_pass(answer.status) {
            return Err(away(format!("answers with status {}", answer.status.as_u16())));
        }
        Ok(answer)
    }

    fn given(&self, answer: &Answer, hint: &str) -> Result<Fresh<Credentials>, NoLogin> {
        let given = serde_json::from_slice::<Given<'_>>(&answer.body).ok().filter(|_| answer.status.is_success());
        self.taken(answer, given, hint)
    }

    fn taken(&self, answer: &Answer, given: Option<Given<'_>>, hint: &str) -> Result<Fresh<Credentials>, NoLogin> {
        let ends = given.as_ref().and_then(|given| given.expiration.parse::<Timestamp>().ok());
        let (Some(given), Some(ends)) = (given, ends) else { return Err(self.refused(answer, hint)) };
        // The end is told by AWS's clock, which signatures go by, too.
        let lasts = Duration::try_from(ends.duration_since(Timestamp::now())).unwrap_or_default();
        let login = Credentials::new(&given.access_key_id, &given.secret_access_key, Some(&given.token));
        Ok(Fresh { login, lasts })
    }

    fn text(&self, answer: &Answer, hint: &str) -> Result<Zeroizing<String>, NoLogin> {
        let text = str::from_utf8(&answer.body).ok().map(str::trim).filter(|text| !text.is_empty());
        let text = text.filter(|_| answer.status.is_success()).ok_or_else(|| self.refused(answer, hint))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn refused(&self, answer: &Answer, hint: &str) -> NoLogin {
        NoLogin::Refused(format!("{} answers with status {}: {hint}", self.base, answer.status.as_u16()))
    }
}

/// Splits the address that a container is told into what to connect to and what to ask for; none where a stranger could answer.
fn container_uri(text: &str) -> Option<(String, String)> {
    let uri: Uri = text.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let is_near = host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || CONTAINER_HOSTS.contains(&host);
    let is_closed = uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && is_near;
    let base = format!("{}://{}/", uri.scheme_str()?, uri.authority()?);
    let path = uri.path_and_query()?.as_str().trim_start_matches('/').to_owned();
    is_closed.then_some((base, path))
}

/// Returns what stands in an element of an answer in XML whose texts need no escapes.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    Some(after.split_once(&format!("</{name}>"))?.0)
}

/// Appends a value as forms have it.
fn push_encoded(body: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            body.push(char::from(byte));
        } else {
            body.push('%');
            let digits = [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16));
            body.extend(digits.map(|digit| digit.to_ascii_uppercase()));
        }
    }
}

/// Where containers of ECS ask.
const CONTAINER: &str = "http://169.254.170.2";
/// Where containers ask without TLS: agents of ECS and EKS on the machine itself.
const CONTAINER_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
/// Where instances ask: the machine's own host.
const INSTANCE: &str = "http://169.254.169.254";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
const LOOK_AGAIN: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
