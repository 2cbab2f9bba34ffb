//! A lake with known bytes, a gate before it, and people who ask.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use weir_daemon::config::{Count, GateRules, GateTls};
use weir_daemon::custody::Layer;
use weir_daemon::{HandClock, SystemClock};
use weir_keys::KeyRing;

use super::super::*;
use super::signer::Ask;

/// A gate that is open.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) runtime: Runtime,
}

/// How a gate is to be.
pub(crate) struct How {
    pub(crate) silence: Duration,
    pub(crate) connections: u64,
    pub(crate) tls: Option<fn(&Path) -> GateTls>,
    /// Whether the lake is sealed.
    pub(crate) sealed: bool,
    /// For how long its keys may be used.
    pub(crate) cache_ttl: Option<Duration>,
}

impl Default for How {
    fn default() -> Self {
        Self { silence: Duration::from_secs(20), connections: 64, tls: None, sealed: false, cache_ttl: None }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(How::default())
    }

    pub(crate) fn with(how: How) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let keys = how.sealed.then(|| Arc::new(StoreKeys::init(&path("store-keys")).unwrap()));
        for (key, bytes) in [(LARGE, large()), (OTHER, b"PAR1 of another purpose".to_vec()), (LOG, b"{}\n".to_vec())] {
            put(&path("lake/eu"), key, &as_it_lies(keys.as_deref(), key, bytes));
        }
        put(&path("lake/eu"), "_coverage/_delta_log/00000000000000000000.json", b"{}");
        put(&path("lake/us"), LARGE, b"PAR1 of another region");
        fs::write(path("purposes.toml"), PURPOSES).unwrap();
        put(&path("contracts"), "a.toml", CONTRACT.as_bytes());
        for name in ["site", "support"] {
            private(&path(&format!("{name}.secret")), &format!("{}\n", secret(name)));
        }
        fs::write(path("grants.toml"), GRANTS).unwrap();
        let ring = KeyRing::init(&path("keys")).unwrap();
        let ledger = Ledger::new(path("lake/eu/_ledger"), ring.snapshot().signing_key("ledger"), ring.head_file("eu"));
        let rules = GateRules {
            listen: ([127, 0, 0, 1], 0).into(),
            grants: path("grants.toml"),
            connections: Count(how.connections),
            pages: ([127, 0, 0, 1], 0).into(),
        };
        let clock = HandClock::at(SystemClock::start().now_ms());
        let keep = |keys: Arc<StoreKeys>| -> (Custody, Arc<dyn Secrets>) {
            (Custody::new(Layer::Store, how.cache_ttl, 0), keys)
        };
        let kept = keys.clone().map(keep).into_iter().collect();
        let setup = Setup {
            settings: Settings { rules, tls: how.tls.map(|tls| tls(folder.path())) },
            policy: PolicySource { contracts: path("contracts"), purposes: Some(path("purposes.toml")) },
            lake: path("lake").into(),
            region: "eu".to_owned(),
            store_keys: keys,
            ledger,
            kept,
            health: Health::default(),
            metrics: Arc::new(Metrics::new()),
            clock: Arc::<HandClock>::clone(&clock),
        };
        let gate = Arc::new(Gate::new(setup, how.silence).unwrap());
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let places = usize::try_from(how.connections).unwrap();
        let entered = runtime.enter();
        let listener = serve::listen(([127, 0, 0, 1], 0).into()).unwrap();
        drop(entered);
        let address = listener.local_addr().unwrap();
        let running = run(listener, Arc::clone(&gate), Arc::new(Semaphore::new(places)), places);
        drop(runtime.spawn(running));
        Self { folder, address, gate, clock, runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Asks for an object of the region.
    pub(crate) fn get(&self, who: &str, key: &str) -> Answer {
        self.send(&request(who, "GET", &format!("/eu/{key}")).signed())
    }

    /// Asks for a list.
    pub(crate) fn list(&self, who: &str, query: &[(&str, &str)]) -> Answer {
        let mut ask = request(who, "GET", "/eu");
        ask.query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.send(&ask.signed())
    }

    /// Sends a text and reads what comes back until the connection ends.
    pub(crate) fn send(&self, text: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        Answer::read(&bytes)
    }

    /// Returns the same once there are so many.
    pub(crate) fn told_of(&self, count: usize) -> Vec<weir_ledger::Session> {
        for _ in 0..1_000 {
            let told = self.told();
            if told.len() >= count {
                return told;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{:?}", self.told());
    }

    /// Returns the entries of the ledger about sessions.
    pub(crate) fn told(&self) -> Vec<weir_ledger::Session> {
        self.runtime.block_on(self.gate.sessions.close_over());
        let ring = KeyRing::open(&self.path("keys")).unwrap();
        let key = ring.snapshot().signing_key("ledger");
        let ledger = Ledger::new(self.path("lake/eu/_ledger"), key, ring.head_file("eu"));
        let of_gate = |found: weir_ledger::Found| match found.entry {
            Some(weir_ledger::Entry::Gate(session)) => Some(session),
            _ => None,
        };
        ledger.verify(&[]).unwrap().entries.into_iter().filter_map(of_gate).collect()
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers: Vec<_> = lines.filter_map(header).filter(|(name, _)| name != "date").collect();
        headers.sort();
        Self { status: status.unwrap_or(0), headers, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
    }

    pub(crate) fn header(&self, wanted: &str) -> &str {
        self.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns what stands between each pair of tags of this name.
    pub(crate) fn all(&self, tag: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        text.split(&open)
            .skip(1)
            .filter_map(|rest| rest.split_once(&close))
            .map(|(inner, _)| inner.to_owned())
            .collect()
    }

    /// Returns the code of an error.
    pub(crate) fn code(&self) -> String {
        self.all("Code").pop().unwrap_or_default()
    }
}

/// A request of somebody for something, in the right form.
pub(crate) fn request(who: &str, method: &'static str, path: &str) -> Ask {
    Ask {
        method,
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        access_key: format!("{who}-key-1"),
        secret: secret(who),
        at_ms: SystemClock::start().now_ms(),
    }
}

/// Seals an object, if there are keys to do so.
pub(crate) fn as_it_lies(keys: Option<&StoreKeys>, key: &str, bytes: Vec<u8>) -> Vec<u8> {
    let Some(keys) = keys else { return bytes };
    let mut sealing = keys.seal(&format!("eu/{key}"), Vec::new()).unwrap();
    sealing.write_all(&bytes).unwrap();
    sealing.finish().unwrap()
}

pub(crate) fn put(lake: &Path, key: &str, bytes: &[u8]) {
    let path = lake.join(key);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(crate) fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn secret(who: &str) -> String {
    format!("{who}-{}", "s".repeat(40))
}

/// Three pieces and a bit, no two bytes of which are alike at one distance.
pub(crate) fn large() -> Vec<u8> {
    (0..3 * (1_u32 << 20) + 7)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 24).to_le_bytes().into_iter().take(1))
        .collect()
}

pub(crate) const LARGE: &str = "reliability/com.example.a/date=2026-11-28/5b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet";
pub(crate) const OTHER: &str =
    "personalization/com.example.a/date=2026-11-28/6b0cb3f8-18f2-49a3-81c2-79ed2896a254.parquet";
pub(crate) const LOG: &str = "reliability/com.example.a/_delta_log/00000000000000000000.json";
/// Declares the table for two of the purposes.
pub(crate) const CONTRACT: &str = r#"[event]
type        = "com.example.a"
version     = 1
description = "Something happened."
benefit     = "It happens again."
owner       = "a-team"
review      = "https://reviews.example/1"
expires     = 2199-06-30
subject     = "none"
[fields."works"]
class    = "measure"
type     = "bool"
category = "system.operations"
purposes = ["reliability", "personalization"]
"#;
const PURPOSES: &str =
    "[reliability]\nrecipients = [\"site\", \"support\"]\n[troubleshooting]\nrecipients = [\"support\"]\n";
pub(crate) const GRANTS: &str = "[[grant]]\nrecipient = \"site\"\naccess_key = \"site-key-1\"\nsecret = \"site.secret\"\n\
    purposes = [\"reliability\"]\nuntil = 2199-06-30\n\
    [[grant]]\nrecipient = \"support\"\naccess_key = \"support-key-1\"\nsecret = \"support.secret\"\n\
    purposes = [\"troubleshooting\"]\nuntil = 2199-06-30\n";
