//! Requests and answers: TLS, time-outs, and a second try where that may help.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue};
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
use crate::settings::Certificate;

/// A client that keeps its connections, for one place.
#[derive(Clone)]
pub(crate) struct Http {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Arc<str>,
    patience: Duration,
    wait_last: Duration,
    is_passing: fn(&Answer) -> bool,
}

/// Which place, and how it is known and waited for.
pub(crate) struct Link<'l> {
    /// What all paths begin with, as `https://vault.example.com:8200/v1/`.
    pub(crate) base: String,
    pub(crate) ca: Option<&'l Path>,
    pub(crate) certificate: Option<&'l Certificate>,
    /// How long one request may take.
    pub(crate) timeout: Duration,
    /// How long to wait before the last try; the first wait is 100 ms, and each is four times the one before.
    pub(crate) wait_last: Duration,
    /// Which answers a second try may change.
    pub(crate) is_passing: fn(&Answer) -> bool,
}

/// What is asked.
pub(crate) struct Question<'q> {
    pub(crate) method: Method,
    /// Below the base.
    pub(crate) path: &'q str,
    pub(crate) body: Option<&'q [u8]>,
}

/// What the vault answered; the body may hold a secret.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// Makes the client of a place; reads its CA and weir's certificate, and says what is wrong with them.
    pub(crate) fn new(link: Link<'_>) -> Result<Self, String> {
        let tls = tls(link.ca, link.certificate)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
            base: link.base.into(),
            patience: link.timeout,
            wait_last: link.wait_last,
            is_passing: link.is_passing,
        })
    }

    /// Asks, and asks again a few times while the vault does not answer or has too much to do; says what it did instead of answering.
    pub(crate) async fn ask(&self, question: &Question<'_>, headers: &HeaderMap) -> Result<Answer, String> {
        let mut wait = WAIT_FIRST;
        loop {
            let asked = self.ask_once(question, headers).await;
            let is_last = wait > self.wait_last;
            match asked {
                Ok(answer) if is_last || !(self.is_passing)(&answer) => return Ok(answer),
                Err(why) if is_last => return Err(why),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 4;
        }
    }

    async fn ask_once(&self, question: &Question<'_>, headers: &HeaderMap) -> Result<Answer, String> {
        let request = Request::builder().method(question.method.clone()).uri(format!("{}{}", self.base, question.path));
        let body = question.body.map(|body| Bytes::from_owner(Zeroizing::new(body.to_vec()))).unwrap_or_default();
        let mut request =
            request.body(Full::new(body)).map_err(|_quotes| "has an address that no request can have".to_owned())?;
        request.headers_mut().clone_from(headers);
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

/// Makes a header's value that no `Debug` shows.
pub(crate) fn secret_header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_quotes| "got a login that no header can carry".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
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

fn tls(ca: Option<&Path>, certificate: Option<&Certificate>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match ca {
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
    let Some(Certificate { chain, key }) = certificate else { return Ok(builder.with_no_client_auth()) };
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
pub(crate) const WAIT_LAST: Duration = Duration::from_millis(400);
/// What many share tells who asks too often, and lets them ask again within seconds.
pub(crate) const WAIT_LAST_LONG: Duration = Duration::from_millis(1_600);
/// What a vault says of one key, or of a login.
const ANSWER_BYTES_MAX: usize = 1 << 20;
