//! TLS 1.3 for the API and the gate, and the names of a client's certificate.
//!
//! With a client CA every client must show a certificate of it: a connection without one ends in the handshake. Who the client
//! is say the URI and DNS names of the certificate (the subject's common name is no name any more, RFC 9525).

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto, version};
use tokio_rustls::TlsAcceptor;
use weir_keys::{NotPrivate, open_private};

/// A file that a listener cannot be started with.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("failed to read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{} does not hold {expected}", path.display())]
    Not {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Others than its owner may read or write it.
    #[error("{} is open to others (mode {mode:o}); only its owner may read it: chmod 600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Makes what takes TLS connections; with a CA, only those of clients who have a certificate of it.
///
/// # Errors
/// When a file cannot be read or is not what it should be.
pub fn acceptor(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<TlsAcceptor, FileFault> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13])
        .expect("the provider has suites of TLS 1.3");
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(certificates(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.ok().filter(|_| added > 0);
            builder.with_client_cert_verifier(verifier.ok_or_else(|| not(path, "certificates of a CA, in PEM"))?)
        }
    };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(private_file(key)?.as_bytes());
    let private = private.map_err(|_unquoted| not(key, "a private key, in PEM"))?;
    let config = builder.with_single_cert(chain, private);
    let mut config = config.map_err(|_unquoted| not(key, "the key of the certificate"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Returns the URI and DNS names of a client's certificate, which the handshake has checked.
pub(crate) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    certificate.valid_uri_names().chain(certificate.valid_dns_names()).map(str::to_owned).collect()
}

/// Reads a file that only its owner may read; what mounts secrets puts links in their place, so links are followed.
///
/// # Errors
/// When it cannot be read, or others may read it too.
pub fn private_file(path: &Path) -> Result<String, FileFault> {
    let failed = |source| FileFault::Io { path: path.to_owned(), source };
    let mut file = open_private(path).map_err(|why| match why {
        NotPrivate::Io(source) => failed(source),
        NotPrivate::Open { mode } => FileFault::Open { path: path.to_owned(), mode },
    })?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Result<Vec<_>, _> = read;
    read.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| not(path, "certificates, in PEM"))
}

fn not(path: &Path, expected: &'static str) -> FileFault {
    FileFault::Not { path: path.to_owned(), expected }
}
