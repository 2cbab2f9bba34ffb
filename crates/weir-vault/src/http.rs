//! Requests and answers: TLS, time-outs, and a second try where that may help.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto, version};
use zeroize::Zeroizing;

use crate::private;
use crate::settings::{Certificate, Settings};

/// A client that keeps its connections, for one vault.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Arc<str>,
    namespace: Option<HeaderValue>,
    patience: Duration,
}

/// What is asked.
pub(crate) struct Question<'q> {
    pub(crate) method: Method,
    /// Below `/v1/`.
    pub(crate) path: &'q str,
    pub(crate) body: Option<&'q [u8]>,
}

/// What the vault answered; the body may hold a secret.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// Makes the client of a vault; reads its CA and weir's certificate, and says what is wrong with them.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls(settings)?).https_or_http().enable_http1().build();
        let namespace = settings.namespace.as_deref().map(HeaderValue::from_str).transpose();
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            base: format!("{}/v1/", settings.address.text()).into(),
            namespace: namespace.map_err(|_quotes| "cannot have that namespace: no header can carry it".to_owned())?,
            patience: settings.timeout,
        })
    }

    /// Asks, and asks again a few times while the vault does not answer or has too much to do; says what it did instead of answering.
    pub(crate) async fn ask(&self, question: &Question<'_>, token: Option<&str>) -> Result<Answer, String> {
        let mut wait = WAIT_FIRST;
        loop {
            let asked = self.ask_once(question, token).await;
            let is_last = wait > WAIT_LAST;
            match asked {
                Ok(answer) if is_last || !may_pass(answer.status) => return Ok(answer),
                Err(why) if is_last => return Err(why),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
    }

    async fn ask_once(&self, question: &Question<'_>, token: Option<&str>) -> Result<Answer, String> {
        let mut request =
            Request::builder().method(question.method.clone()).uri(format!("{}{}", self.base, question.path));
        request = request.header("X-Vault-Request", "true").header(CONTENT_TYPE, "application/json");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(token) = token {
            let mut token =
                HeaderValue::from_str(token).map_err(|_quotes| "got a login that no header can carry".to_owned())?;
            token.set_sensitive(true);
            request = request.header("X-Vault-Token", token);
        }
        let body = question.body.map(|body| Bytes::from_owner(Zeroizing::new(body.to_vec()))).unwrap_or_default();
        let request =
            request.body(Full::new(body)).map_err(|_quotes| "has an address that no request can have".to_owned())?;
        let answered = async {
            let response = self.pool.request(request).await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_quotes| "broke off its answer".to_owned())?;
            Ok(Answer { status, body: Zeroizing::new(body.to_bytes().to_vec()) })
        };
        let late = || format!("did not answer within {} ms", self.patience.as_millis());
        tokio::time::timeout(self.patience, answered).await.map_err(|_elapsed| late())?
    }
}

/// Says why there is no connection, as far as that is known to name no secret.
fn unreachable(error: &(dyn Error + 'static)) -> String {
    if let Some(tls) = within::<rustls::Error>(error) {
        return format!("cannot be trusted, or does not trust weir ({tls}): check `ca`, and weir's certificate");
    }
    within::<io::Error>(error).map_or_else(|| UNREACHABLE.to_owned(), |io| format!("{UNREACHABLE} ({})", io.kind()))
}

/// Finds an error among the causes of another; what an I/O error was made of is none of its causes.
fn within<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let of_io = || within(error.downcast_ref::<io::Error>()?.get_ref()?);
    error.downcast_ref().or_else(of_io).or_else(|| within(error.source()?))
}

/// Tells whether a second try may have another answer.
pub(crate) fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

fn tls(settings: &Settings) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &settings.ca {
        Some(path) => {
            let pem = private::open_to_others(path)?;
            let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
            if added == 0 {
                return Err(format!("{} holds no certificate of a CA, in PEM", path.display()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(crypto::aws_lc_rs::default_provider().into())
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has suites of TLS 1.3")
        .with_root_certificates(roots);
    let Some(Certificate { chain, key }) = &settings.certificate else { return Ok(builder.with_no_client_auth()) };
    let pem = private::open_to_others(chain)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect();
    let private = PrivateKeyDer::from_pem_slice(private::closed(key)?.as_bytes());
    let private = private.map_err(|_quotes| format!("{} holds no private key, in PEM", key.display()))?;
    let config = builder.with_client_auth_cert(certificates, private);
    config.map_err(|_quotes| format!("{} and {} are no certificate and its key", chain.display(), key.display()))
}

const UNREACHABLE: &str = "cannot be reached";
/// The waits are 100 and 400 ms: a leader is elected, a proxy starts again.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_LAST: Duration = Duration::from_millis(400);
/// What a vault says of one key, or of a login.
const ANSWER_BYTES_MAX: usize = 1 << 20;
