//! The portal in a real browser, with a daemon behind it: a person comes by a link or signs in, sees what is collected, decides,
//! takes a copy and is erased, with a keyboard alone.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use weir_keys::{KeyRing, SigningKey};
use weir_testkit::readers::walk_portal;

use crate::api::{Desk, open, person};
use crate::broker::Broker;
use crate::program::{Daemon, Running, Weir};
use crate::world::{Settings, World, name};

/// Every page passes axe-core's rules of WCAG 2.2 AA in Chromium, loads nothing from elsewhere and works without scripts; what is
/// decided on it counts in the daemon, and what is asked for is done there.
#[test]
fn person_decides_with_a_keyboard_on_an_accessible_page() {
    let broker = Broker::given();
    let settings = Settings { receipts: true, ..Settings::of_kafka(&broker.address, &name("portal")) };
    let (world, desk) = open(&settings, "30s");
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();

    let provider = Provider::start();
    let sign_in = format!(
        "[portal.provider]\nissuer = \"{}\"\nclient_id = \"weir-portal\"\nclient_secret = \"secret\"\ntenant = \"acme\"\n",
        provider.issuer
    );
    private(&world, "secret", "a secret\n");
    let Portal { process: portal, key, address, .. } = Portal::start(&world, &desk, "acme", &sign_in);
    // A link of the portal's first moments could be one that was used before.
    thread::sleep(Duration::from_millis(1_500));

    let links = ["u-1", "u-2"].map(|subject| link(&key, &address, ("acme", subject), subject));
    let picture = std::env::var_os("WEIR_TEST_SCREENSHOT");
    let downloads = world.path("downloads");
    fs::create_dir(&downloads).unwrap();
    let walked = walk_portal(&links, &provider.issuer, &downloads, picture.as_deref());
    let walked: serde_json::Value = serde_json::from_str(&walked).unwrap();
    assert!(walked["pages"].as_u64().unwrap() >= 12, "{walked}");
    let stands = |subject: &str| {
        let found = desk.done("agent", "consents/lookup", &person(subject));
        [0, 1, 2].map(|place| found["purposes"][place]["status"].as_str().unwrap().to_owned())
    };
    // A no is taken down for every purpose, also where nobody asked.
    assert_eq!(stands("u-1"), ["refused", "withdrawn", "refused"]);
    assert_eq!(stands("u-2"), ["given", "unknown", "unknown"]);
    // Whom the provider signs in.
    assert_eq!(stands("johndoe"), ["unknown", "unknown", "given"]);
    assert!(fs::read(downloads.join("your-data.zip")).unwrap().starts_with(b"PK"));
    let receipt = downloads.join("erasure-receipt.jws");
    Weir::new(&world, ["receipt", "verify", receipt.to_str().unwrap()]).run().assert_done();
    let said = portal.kill();
    for word in ["u-1", "acme", "johndoe", "eyJ", "a secret"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
}

/// A portal in the background, and whose links it takes.
pub(crate) struct Portal {
    pub(crate) process: Running,
    /// What signs links.
    pub(crate) key: SigningKey,
    /// Where people see it.
    pub(crate) address: String,
    pub(crate) listen: SocketAddr,
}

impl Portal {
    /// Starts the portal of a daemon with an API, for links to people of some tenants; `more` is more of its configuration.
    pub(crate) fn start(world: &World, desk: &Desk, tenants: &str, more: &str) -> Self {
        let key = KeyRing::open(&world.path("keys")).unwrap().snapshot().signing_key("links");
        let jwk: serde_json::Value = serde_json::from_str(&key.public().jwk()).unwrap();
        let issuers = format!("[[issuer]]\nname = \"account-page\"\nx = {}\ntenants = [\"{tenants}\"]\n", jwk["x"]);
        fs::write(world.path("issuers.toml"), issuers).unwrap();
        private(world, "portal-token", "an-agent-token-of-more-than-128-bits\n");
        let listen = free();
        let address = format!("http://localhost:{}", listen.port());
        let portal = format!(
            "[portal]\nlisten = \"{listen}\"\naddress = \"{address}\"\nissuers = \"issuers.toml\"\napi = \"http://{}\"\n\
             token = \"portal-token\"\n{more}",
            desk.address
        );
        let config = fs::read_to_string(world.path("weir.toml")).unwrap() + &portal;
        fs::write(world.path("portal.toml"), config).unwrap();
        let process = Weir::with_config(world, "portal.toml", ["portal", "-vv"]).start();
        await_listener(listen);
        Self { process, key, address, listen }
    }
}

/// Writes a secret of the portal, for nobody else to read.
fn private(world: &World, name: &str, secret: &str) {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(world.path(name));
    file.unwrap().write_all(secret.as_bytes()).unwrap();
}

/// A real provider of `OpenID` Connect; it ends with this value.
struct Provider {
    child: Child,
    issuer: String,
}

impl Provider {
    fn start() -> Self {
        let program = std::env::var_os("WEIR_TEST_PROVIDER").expect("cargo xtask test names who signs people in");
        let port = free().port();
        let mut provider = Command::new(program);
        provider.args(["-a", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null());
        let started = Self { child: provider.spawn().unwrap(), issuer: format!("http://localhost:{port}") };
        await_listener(([127, 0, 0, 1], port).into());
        started
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn await_listener(address: SocketAddr) {
    let until = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "nobody listens at {address}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Signs a link for a tenant's person by a clock that is as far ahead as it may be.
pub(crate) fn link(key: &SigningKey, address: &str, (tenant, subject): (&str, &str), id: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 5;
    let claims = json!({
        "aud": address, "tenant": tenant, "kind": "user", "sub": subject, "iat": now, "exp": now + 3_600, "jti": id,
    });
    format!("{address}/enter?link={}", key.sign("weir-link+jwt", claims.to_string().as_bytes()))
}
