//! The portal in a real browser, with a daemon behind it: a person sees what is collected and decides, with a keyboard alone.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::thread;
use std::time::Duration;

use serde_json::json;
use weir_keys::{KeyRing, SigningKey};
use weir_testkit::readers::walk_portal;

use crate::api::{open, person};
use crate::broker::Broker;
use crate::program::{Daemon, Weir};
use crate::world::{Settings, name};

/// Every page passes axe-core's rules of WCAG 2.2 AA in Chromium, loads nothing from elsewhere and works without scripts; what is
/// decided on it counts in the daemon.
#[test]
fn person_decides_with_a_keyboard_on_an_accessible_page() {
    let broker = Broker::given();
    let settings = Settings { receipts: true, ..Settings::of_kafka(&broker.address, &name("portal")) };
    let (world, desk) = open(&settings, "30s");
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, []);
    daemon.until_ready();

    let key = KeyRing::open(&world.path("keys")).unwrap().snapshot().signing_key("links");
    let jwk: serde_json::Value = serde_json::from_str(&key.public().jwk()).unwrap();
    let issuers = format!("[[issuer]]\nname = \"account-page\"\nx = {}\ntenants = [\"acme\"]\n", jwk["x"]);
    fs::write(world.path("issuers.toml"), issuers).unwrap();
    let token = OpenOptions::new().write(true).create_new(true).mode(0o600).open(world.path("portal-token"));
    token.unwrap().write_all(b"an-agent-token-of-more-than-128-bits\n").unwrap();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("http://localhost:{}", listen.port());
    let portal = format!(
        "[portal]\nlisten = \"{listen}\"\naddress = \"{address}\"\nissuers = \"issuers.toml\"\napi = \"http://{}\"\n\
         token = \"portal-token\"\n",
        desk.address
    );
    let config = fs::read_to_string(world.path("weir.toml")).unwrap() + &portal;
    fs::write(world.path("portal.toml"), config).unwrap();
    let portal = Weir::with_config(&world, "portal.toml", ["portal", "-vv"]).start();
    while TcpStream::connect(listen).is_err() {
        thread::sleep(Duration::from_millis(20));
    }

    let links = ["u-1", "u-2"].map(|subject| link(&key, &address, subject, world.now_ms));
    let picture = std::env::var_os("WEIR_TEST_SCREENSHOT");
    let walked: serde_json::Value = serde_json::from_str(&walk_portal(&links, picture.as_deref())).unwrap();
    assert_eq!(walked["pages"], 7, "{walked}");
    let stands = |subject: &str| {
        let found = desk.done("agent", "consents/lookup", &person(subject));
        [0, 1, 2].map(|place| found["purposes"][place]["status"].as_str().unwrap().to_owned())
    };
    assert_eq!(stands("u-1"), ["unknown", "withdrawn", "unknown"]);
    assert_eq!(stands("u-2"), ["given", "unknown", "unknown"]);
    let said = portal.kill();
    assert!(!said.contains("u-1") && !said.contains("acme") && !said.contains("eyJ"), "{said}");
}

fn link(key: &SigningKey, address: &str, subject: &str, now_ms: i64) -> String {
    let now = now_ms / 1_000;
    let claims = json!({
        "aud": address, "tenant": "acme", "kind": "user", "sub": subject, "iat": now, "exp": now + 3_600, "jti": subject,
    });
    format!("{address}/enter?link={}", key.sign("weir-link+jwt", claims.to_string().as_bytes()))
}
