//! Certificates: whose are believed, and which files are refused.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

use super::world::{Answer, World, request};
use super::{PATIENT, consent};
use crate::api::{ApiFault, FileFault};
use crate::config::ApiTls;

/// A CA of the test's own.
struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
struct Leaf {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn leaf(&self, name: SanType) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = vec![name];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes what an API with mTLS needs.
fn files(folder: &Path, servers: &Ca, clients: &Ca) -> ApiTls {
    let leaf = servers.leaf(SanType::DnsName("localhost".try_into().unwrap()));
    let path = |name: &str| folder.join(name);
    let tls = ApiTls { certificate: path("api.pem"), key: path("api-key.pem"), client_ca: Some(path("ca.pem")) };
    write(&tls.certificate, &leaf.pem);
    write(&tls.key, &leaf.key.serialize_pem());
    write(&path("ca.pem"), &clients.issuer.pem());
    tls
}

/// Asks with a certificate, or without one; an error is a connection that was not let in.
fn ask(world: &World, servers: &Ca, leaf: Option<&Leaf>) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(servers.issuer.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let config = match leaf {
        None => config.with_no_client_auth(),
        Some(leaf) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
            config.with_client_auth_cert(vec![leaf.certificate.clone()], key).unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(world.address)?);
    let body = consent("acme", "u-1", "request");
    let request = request("POST", "/v1/consents", "Content-Type: application/json\r\n", &body);
    std::io::Write::write_all(&mut stream, request.as_bytes())?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    Ok(Answer::read(answer.as_bytes()))
}

#[test]
fn only_certificates_of_the_ca_come_in_and_only_known_names_get_on() {
    let (servers, clients) = (Ca::new(), Ca::new());
    let desk = "spiffe://example.com/desk";
    let more =
        format!("[[caller]]\nname = \"desk\"\nrole = \"operator\"\ncertificate = \"{desk}\"\ntenants = [\"acme\"]\n");
    let world = World::with(PATIENT, |folder| Some(files(folder, &servers, &clients)), &more);
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    let known = clients.leaf(uri(desk));
    assert_eq!(ask(&world, &servers, Some(&known)).unwrap().state("reliability"), "requested");
    let unknown = clients.leaf(uri("spiffe://example.com/desk2"));
    assert_eq!(ask(&world, &servers, Some(&unknown)).unwrap().code(), (401, "unauthenticated"));
    let foreign = Ca::new().leaf(uri(desk));
    assert!(ask(&world, &servers, Some(&foreign)).is_err(), "a certificate of another CA came in");
    assert!(ask(&world, &servers, None).is_err(), "a client without a certificate came in");
    let plain = TcpStream::connect(world.address).unwrap();
    let mut rest = Vec::new();
    std::io::Write::write_all(&mut &plain, b"POST /v1/consents HTTP/1.1\r\n\r\n").unwrap();
    drop(std::io::Read::read_to_end(&mut &plain, &mut rest));
    assert!(!rest.starts_with(b"HTTP"), "an answer without TLS");
}

/// New files are in force when they are sound; else the old ones stay, and the fault says which file it is.
#[test]
fn files_are_read_anew_and_open_ones_are_refused() {
    let world = World::new(PATIENT);
    let tokens = world.folder.path().join("tokens.toml");
    let sound = fs::read_to_string(&tokens).unwrap();
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(world.api.reload(), Err(ApiFault::File(FileFault::Open { mode: 0o640, .. }))));
    write(&tokens, &sound.replace("sha256 = \"", "sha256 = \"zebra"));
    let fault = world.api.reload().unwrap_err();
    assert!(matches!(fault, ApiFault::Tokens(_)) && !fault.to_string().contains("zebra"), "{fault}");
    let lookup = |who: &str| world.post(who, "/v1/agreements/lookup", r#"{"tenant":"acme"}"#).status;
    assert_eq!((lookup("operator"), lookup("auditor")), (200, 200));
    write(&tokens, sound.split_once("[[caller]]\nname = \"auditor\"").unwrap().0);
    world.api.reload().unwrap();
    assert_eq!((lookup("operator"), lookup("auditor")), (200, 401));
}
