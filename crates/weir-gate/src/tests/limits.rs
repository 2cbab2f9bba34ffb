//! Connections that say nothing, take nothing, or are too many; and TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};
use weir_daemon::config::GateTls;

use super::super::*;
use super::world::{How, LARGE, LOG, World, private, put, request};

/// Places that are held by nobody who speaks or listens are free again after a while, and those who wait are answered.
#[test]
fn silent_and_slow_clients_lose_their_places() {
    let world = World::with(How { silence: Duration::from_millis(300), connections: 3, ..How::default() });
    let huge = LARGE.replace("5b0c", "9b0c");
    put(&world.path("lake/eu"), &huge, &vec![7; 64 << 20]);
    let silent = TcpStream::connect(world.address).unwrap();
    let mut halting = TcpStream::connect(world.address).unwrap();
    halting.write_all(b"GET /eu/x HTTP/1.1\r\nhost: ga").unwrap();
    let mut deaf = TcpStream::connect(world.address).unwrap();
    deaf.write_all(request("site", "GET", &format!("/eu/{huge}")).signed().as_bytes()).unwrap();
    assert_eq!(world.get("site", LOG).status, 200, "a request behind three idle ones was not answered");
    thread::sleep(Duration::from_millis(900));
    let mut rest = Vec::new();
    drop(deaf.read_to_end(&mut rest));
    assert!(rest.len() < 63 << 20, "who took nothing for too long got all of it");
    drop((silent, halting));
}

#[test]
fn crowd_of_connections_is_answered_in_turn() {
    let world = World::with(How { silence: Duration::from_millis(300), connections: 8, ..How::default() });
    let idle: Vec<_> = (0..500).map(|_| TcpStream::connect(world.address).unwrap()).collect();
    let own: Vec<_> = idle.into_iter().take(100).collect();
    let answers: Vec<u16> = thread::scope(|scope| {
        let asks: Vec<_> = (0..50).map(|_| scope.spawn(|| world.get("site", LOG).status)).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    assert_eq!(answers, [200; 50]);
    drop(own);
}

/// Makes a certificate of its own and the key of it.
fn certificate(folder: &Path) -> GateTls {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let files = GateTls { certificate: folder.join("gate.pem"), key: folder.join("gate-key.pem") };
    private(&files.certificate, &certificate.pem());
    private(&files.key, &key.serialize_pem());
    files
}

/// Comes over TLS, and believes the certificate that is in the folder now.
fn client(world: &World) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    believer(world, CertificateDer::from_pem_file(world.path("gate.pem")).unwrap())
}

fn believer(
    world: &World,
    certificate: CertificateDer<'static>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
    Ok(StreamOwned::new(connection, TcpStream::connect(world.address)?))
}

/// Returns an answer over TLS.
fn answer(mut stream: StreamOwned<ClientConnection, TcpStream>) -> io::Result<String> {
    stream.write_all(request("site", "GET", &format!("/eu/{LOG}")).signed().as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// With a certificate nothing is said in clear; a new one is in force without a restart, and one that cannot be used leaves the old one.
#[test]
fn certificate_is_read_anew_and_nothing_is_said_without_it() {
    let world = World::with(How { tls: Some(certificate), ..How::default() });
    let first = CertificateDer::from_pem_file(world.path("gate.pem")).unwrap();
    let given = answer(client(&world).unwrap()).unwrap();
    assert!(given.starts_with("HTTP/1.1 200") && given.ends_with("{}\n"), "{given}");
    assert_eq!(world.get("site", LOG).status, 0, "an answer in clear");
    certificate(world.folder.path());
    world.gate.reload();
    assert!(answer(believer(&world, first).unwrap()).is_err(), "the old certificate is still in force");
    assert!(answer(client(&world).unwrap()).is_ok());
    fs::write(world.path("gate-key.pem"), "no key").unwrap();
    world.gate.reload();
    assert!(answer(client(&world).unwrap()).unwrap().starts_with("HTTP/1.1 200"));
}
