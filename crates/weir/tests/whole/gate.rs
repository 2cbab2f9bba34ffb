//! The gate before a real lake, with the readers that people use.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use weir_policy::PurposeId;
use weir_testkit::corpus::{Flaws, Options, Produced};
use weir_testkit::readers::{Digest, Endpoint, Engine};

use crate::expected::Expected;
use crate::program::{Daemon, Weir, free};
use crate::world::{Settings, World};

const SECRET: &str = "a-secret-of-some-forty-letters-and-dashes";

/// By TLS, each reader reads the rows of the reference from every table of the granted purpose, as the guide says; another purpose's table, and
/// all of them with a wrong secret or after the grant, it does not, and it says of them what it says of a table that is not there.
#[test]
fn granted_purpose_is_read_through_the_gate_and_nothing_else() {
    let (world, expected) = filled(&Settings::default(), |_| ());
    let (endpoint, mut gate) = opened(&world, "https");
    let (names, digests) = granted(&expected);
    for engine in Engine::REMOTE {
        assert_eq!(engine.digests_at(&endpoint, &names).as_ref(), Ok(&digests), "{engine:?}");
        // Personalization has rows, and nobody asked for them.
        let (other, nothing) =
            ("s3://eu/troubleshooting/com.example.checkout.completed", "s3://eu/troubleshooting/nothing");
        let refused = |table: &str| {
            let said =
                engine.digests_at(&endpoint, &[table.to_owned()]).expect_err("a table that was not granted was read");
            said.replace(table.trim_start_matches("s3://eu/"), "TABLE")
        };
        assert!(world.table("troubleshooting", "com.example.checkout.completed").exists());
        assert_eq!(refused(other), refused(nothing), "{engine:?} tells what there is from what there is not");
        let wrong = Endpoint { secret: SECRET.replace("some", "sume"), ..endpoint.clone() };
        wrong_is_refused(engine, &wrong, &names[0]);
    }
    let checkout = names.iter().position(|name| name.ends_with("checkout.completed")).unwrap();
    for piece in guide(&endpoint) {
        assert_eq!(endpoint.run_python(&piece), Ok(digests[checkout].rows), "{piece}");
    }

    end_the_grant(&world, &mut gate);
    for engine in Engine::REMOTE {
        wrong_is_refused(engine, &endpoint, &names[0]);
    }
    gate.signal("TERM");
    let ended = gate.end(Duration::from_secs(30));
    for word in [SECRET, "site-reliability", "GATEKEY-01", "com.example"] {
        assert!(
            !ended.stderr.contains(word) && !ended.stdout.contains(word),
            "{word}: {}{}",
            ended.stdout,
            ended.stderr
        );
    }
    ended.assert_done();
    told_and_sound(&world);
}

/// A lake that is sealed for the store, whose folder gives nobody a row, is read through the gate as one that is not.
#[test]
fn sealed_lake_is_read_through_the_gate_as_if_it_were_not() {
    let (world, expected) = filled(&Settings { sealed: true, ..Settings::default() }, |_| ());
    let (endpoint, _gate) = opened(&world, "https");
    let (names, digests) = granted(&expected);
    for engine in Engine::REMOTE {
        assert_eq!(engine.digests_at(&endpoint, &names).as_ref(), Ok(&digests), "{engine:?}");
    }
}

pub(crate) fn end_the_grant(world: &World, gate: &mut Daemon) {
    fs::write(world.path("grants.toml"), grants(&[PurposeId::Reliability], "2026-01-31")).unwrap();
    gate.signal("HUP");
    gate.until("the grant is over", |gate| {
        gate.metrics().sum("weir_gate_reloads_total", &[("outcome", "applied")]) > 0.5
    });
}

/// The tables of the granted purpose, as the gate calls them, and what is in each.
pub(crate) fn granted(expected: &Expected) -> (Vec<String>, Vec<Digest>) {
    let tables = expected.of_purpose(PurposeId::Reliability);
    let (names, digests): (Vec<String>, Vec<Digest>) =
        tables.map(|(event_type, digest)| (format!("s3://eu/reliability/{event_type}"), digest)).unzip();
    assert!(names.len() >= 3, "{names:?}");
    (names, digests)
}

/// The ledger has each session's beginning and end, and the lake is as it was.
fn told_and_sound(world: &World) {
    let mut told = String::new();
    for day in fs::read_dir(world.path("lake/eu/_ledger")).unwrap().map(|day| day.unwrap().path()) {
        for file in fs::read_dir(day).into_iter().flatten() {
            told.push_str(&fs::read_to_string(file.unwrap().path()).unwrap());
        }
    }
    for what in ["opened", "closed"] {
        let is_of = |line: &&str| line.contains("\"kind\":\"gate\"") && line.contains(&format!("\"what\":\"{what}\""));
        let told: Vec<_> = told.lines().filter(is_of).collect();
        assert!(matches!(&told[..], [one] if one.contains("site-reliability")), "{what}: {told:?}");
    }
    Weir::new(world, ["audit", "--ledger"]).run().assert_done();
}

#[track_caller]
pub(crate) fn wrong_is_refused(engine: Engine, endpoint: &Endpoint, table: &str) {
    let said = engine.digests_at(endpoint, &[table.to_owned()]).expect_err("a table was read without a grant");
    assert!(!said.contains("rows\":"), "{said}");
}

/// How many objects come from the page cache in a second; it asserts no figure, docs/gate.md has those of one machine. `cargo xtask
/// bench gate` takes it with the program as it is released.
#[test]
fn objects_come_as_fast_as_the_machine_gives_them() {
    let bytes = std::env::var("WEIR_TEST_BYTES").map_or(32 << 20, |bytes| bytes.parse().unwrap());
    for scheme in ["http", "https"] {
        let world = with_recipient(&Settings::default(), |_| ());
        let folder = world.table("reliability", "com.example.checkout.health").join("date=2026-11-28");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("5b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet"), vec![7; bytes]).unwrap();
        let (endpoint, _gate) = opened(&world, scheme);
        for readers in [1, 2, 8] {
            let piece = SWALLOW.replace("READERS", &readers.to_string());
            println!("{readers} at once by {scheme}: {} MB/s", endpoint.run_python(&piece).unwrap());
        }
    }
}

/// Reads an object as some at once, each all of it in pieces of 64 MB; leaves how many megabytes came in a second.
const SWALLOW: &str = r#"
import concurrent.futures, os, time
from pyarrow.fs import S3FileSystem

lake = S3FileSystem(
    endpoint_override=os.environ["AWS_ENDPOINT_URL"],
    tls_ca_file_path=os.environ["SSL_CERT_FILE"],
    region=os.environ["AWS_REGION"],
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
)
path = "eu/reliability/com.example.checkout.health/date=2026-11-28/5b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet"

def read(_):
    with lake.open_input_stream(path) as stream:
        length = 0
        while piece := stream.read_buffer(64_000_000):
            length += piece.size
        return length

with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
    started = time.monotonic()
    length = sum(pool.map(read, range(READERS)))
    rows = round(length / (time.monotonic() - started) / 1_000_000)
"#;

fn with_recipient(settings: &Settings, made: impl FnOnce(&World)) -> World {
    let world = World::new(settings);
    made(&world);
    let purposes = fs::read_to_string(world.path("purposes.toml")).unwrap();
    let (before, after) = purposes.split_once("[reliability]").unwrap();
    let after = after.replacen("recipients     = []", "recipients     = [\"site-reliability\"]", 1);
    fs::write(world.path("purposes.toml"), format!("{before}[reliability]{after}")).unwrap();
    fs::write(world.path("consent.ndjson"), "").unwrap();
    world
}

/// Makes a lake whose tables of reliability somebody may read, and says what is in it; every row is shown as a line.
pub(crate) fn filled(settings: &Settings, show: impl FnMut(&str)) -> (World, Expected) {
    filled_in(settings, |_| (), show)
}

/// The same, with something done to the world before there is a lake.
pub(crate) fn filled_in(
    settings: &Settings,
    made: impl FnOnce(&World),
    mut show: impl FnMut(&str),
) -> (World, Expected) {
    let world = with_recipient(settings, made);
    let flaws = Flaws { tombstone: 0, binary_mode: 0, ..Flaws::default() };
    let corpus = world.corpus(23, Options { people: 200, tenants: 20, events: 2_000, flaws, ..Options::ending(0) });
    let is_a_line = |value: &Vec<u8>| !value.is_empty() && !value.contains(&b'\n');
    let events = || {
        let records = (0..2_000).map(|number| corpus.event(number));
        records.filter(|record| record.value.as_ref().is_some_and(is_a_line))
    };
    let lines = |records: &mut dyn Iterator<Item = Produced>| {
        records.flat_map(|record| [record.value.unwrap(), b"\n".to_vec()].concat()).collect::<Vec<u8>>()
    };
    fs::write(world.path("consent.ndjson"), lines(&mut world.consents(&corpus))).unwrap();
    fs::write(world.path("events.ndjson"), lines(&mut events())).unwrap();
    let [expected, _] = Expected::split(&world, &corpus, world.consents(&corpus), events(), |row| {
        show(row);
        true
    });
    let file = world.path("events.ndjson");
    Weir::new(&world, ["filter", "--decision", "TEST-1", file.to_str().unwrap()]).run().assert_done();
    (world, expected)
}

/// Opens a gate before the world's lake, for one who may read reliability.
pub(crate) fn opened(world: &World, scheme: &str) -> (Endpoint, Daemon) {
    opened_for(world, scheme, "weir.toml", &[PurposeId::Reliability])
}

/// The same with another configuration to begin with, and other purposes.
pub(crate) fn opened_for(world: &World, scheme: &str, config: &str, purposes: &[PurposeId]) -> (Endpoint, Daemon) {
    let address = free();
    let [checked, config] = ["weir.toml", config].map(|config| fs::read_to_string(world.path(config)).unwrap());
    let tls = if scheme == "https" { "[gate.tls]\ncertificate = \"gate.pem\"\nkey = \"gate-key.pem\"\n" } else { "" };
    let gate = format!("[gate]\nlisten = \"{address}\"\ngrants = \"grants.toml\"\n{tls}");
    fs::write(world.path("gate.toml"), config + &gate).unwrap();
    fs::write(world.path("checked.toml"), checked + &gate).unwrap();
    fs::write(world.path("grants.toml"), grants(purposes, "2199-12-31")).unwrap();
    private(world, "site.secret", SECRET);
    certify(world);
    // By somebody who may open the whole ring, which a gate need not be.
    Weir::with_config(world, "checked.toml", ["validate"]).run().assert_done();
    let mut daemon = Daemon::gate(world, "gate.toml", ["-vv"]);
    daemon.until_ready();
    daemon.until("the gate listens", |_| std::net::TcpStream::connect(&address).is_ok());
    let url = format!("{scheme}://{}", address.replace("127.0.0.1", "localhost"));
    let (region, access_key, secret) = ("eu".to_owned(), "GATEKEY-01".to_owned(), SECRET.to_owned());
    (Endpoint { url, ca: world.path("ca.pem"), region, access_key, secret }, daemon)
}

/// Makes a CA, and a certificate of it for this machine.
fn certify(world: &World) {
    let ca = Ca::new("a CA");
    let (key, leaf) = ca.certify("localhost");
    private(world, "gate-key.pem", &key);
    private(world, "gate.pem", &leaf);
    private(world, "ca.pem", &ca.pem());
}

/// Who says who is who.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for a CA's.
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a key and its certificate for a name, in PEM.
    pub(crate) fn certify(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (key.serialize_pem(), leaf.pem())
    }
}

pub(crate) fn private(world: &World, name: &str, text: &str) {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(world.path(name));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn grants(purposes: &[PurposeId], until: &str) -> String {
    let purposes: Vec<_> = purposes.iter().map(|purpose| purpose.name()).collect();
    format!(
        "[[grant]]\nrecipient = \"site-reliability\"\naccess_key = \"GATEKEY-01\"\nsecret = \"site.secret\"\n\
         purposes = {purposes:?}\nuntil = {until}\n"
    )
}

/// Returns the pieces of Python of the guide, for this endpoint instead of the one that they name.
fn guide(endpoint: &Endpoint) -> Vec<String> {
    let guide = include_str!("../../docs/gate.md");
    let pieces: Vec<_> = guide.split("```python\n").skip(1).filter_map(|rest| rest.split_once("```")).collect();
    assert_eq!(pieces.len(), 4, "a reader is missing in the guide");
    let ca = endpoint.ca.to_str().unwrap();
    let set = format!("; SET ca_cert_file = '{ca}'");
    let here = |piece: &str| {
        // Extensions come from their wheels here, and the CA is the test's own.
        let load =
            "import sys; sys.path.insert(0, READERS); from read_table import connect, load\nconnection = connect()\n";
        let load = load.replace("READERS", &format!("{:?}", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers")));
        piece
            .replace("connection = duckdb.connect()\n", &load)
            .replace(
                "\"INSTALL httpfs; LOAD httpfs; INSTALL delta; LOAD delta;\"",
                &format!("load(\"httpfs\") + {set:?}"),
            )
            .replace("S3FileSystem(\n", &format!("S3FileSystem(\n    tls_ca_file_path={ca:?},\n"))
            .replace("gate.example.com:9467", endpoint.url.trim_start_matches("https://"))
            .replace("SITERELIABILITY01", &endpoint.access_key)
            .replace("the secret", &endpoint.secret)
    };
    pieces.into_iter().map(|(piece, _)| here(piece)).collect()
}
