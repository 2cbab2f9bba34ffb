//! Requests over HTTP: to the API, and to who signs people in.

use std::time::Duration;

use axum::http::StatusCode;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, crypto, version};

/// A client that keeps its connections.
#[derive(Debug)]
pub(crate) struct Client(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// There was no answer, or none that ended in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nobody is there.
    Away,
    /// It took too long.
    Late,
}

impl Client {
    /// Trusts the CA in a file, in PEM; or nobody with TLS. `None` if there is none in it.
    pub(crate) fn of_ca(pem: Option<&[u8]>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = pem {
            let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
            if added == 0 {
                return None;
            }
        }
        Some(Self::of_roots(roots))
    }

    /// Trusts nobody with TLS.
    pub(crate) fn of_nobody() -> Self {
        Self::of_roots(RootCertStore::empty())
    }

    /// Trusts whom the machine trusts.
    pub(crate) fn of_machine() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::of_roots(roots)
    }

    fn of_roots(roots: RootCertStore) -> Self {
        let tls = ClientConfig::builder_with_provider(crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&version::TLS13])
            .expect("the provider has suites of TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Self(Pool::builder(TokioExecutor::new()).build(connector))
    }

    /// Sends a request and reads the answer, which is short.
    pub(crate) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<(Response<()>, Bytes), Silence> {
        let answered = async {
            let (head, body) = self.0.request(request).await.map_err(|_quotes| Silence::Away)?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|_gone| Silence::Away)?;
            Ok((Response::from_parts(head, ()), body.to_bytes()))
        };
        tokio::time::timeout(patience, answered).await.unwrap_or(Err(Silence::Late))
    }

    /// Sends a request whose answer may be long; it is read as it is passed on.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<(StatusCode, Incoming), Silence> {
        let answered = tokio::time::timeout(patience, self.0.request(request)).await;
        let response = answered.map_err(|_elapsed| Silence::Late)?.map_err(|_quotes| Silence::Away)?;
        Ok((response.status(), response.into_body()))
    }
}

/// States of three purposes, a discovery document, a set of keys.
const ANSWER_BYTES_MAX: usize = 256 << 10;
