//! Markers in all that services, people and strangers send to the API and to the portal.
//!
//! Refusals repeat nothing, pages name nobody but on the page behind a link, and neither log, ledger nor lake has a name.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use weir_testkit::canary::{Canaries, TENANT};

use super::{assert_clean, assert_none, assert_states_clean};
use crate::api::{Desk, event_of, open_for};
use crate::broker::Broker;
use crate::portal::{Portal, link};
use crate::program::Daemon;
use crate::requests::{begin_for, fetch};
use crate::world::{Settings, name};

/// Requests that are refused and requests that are done, by people whose tenant nobody wrote into a configuration.
#[test]
fn no_marker_leaves_the_api_and_the_portal() {
    let broker = Broker::given();
    let settings =
        Settings { receipts: true, commit_interval: "1s", ..Settings::of_kafka(&broker.address, &name("people")) };
    let (world, desk) = open_for("*", &settings, "30s");
    broker.create_topics(&settings, 1);
    let mut daemon = Daemon::start(&world, ["-vv"]);
    daemon.until_ready();
    let portal = Portal::start(&world, &desk, "*", "");

    let mut canaries = Canaries::new(24);
    let tenant = canaries.marker_of_column(TENANT, TENANT);
    let person =
        json!({ "tenant": tenant, "kind": "user", "subject": canaries.marker("the person of requests that are done") });
    let mut answers = be_refused(&desk, &person, &mut canaries);
    agree(&desk, &person, &mut canaries);
    let event = event_of(&desk, &person, &canaries.marker("id of an event"));
    broker.produce(&settings.kafka.as_ref().unwrap().topic, 1, std::iter::once(event));
    daemon.until("the event is written", |daemon| daemon.metrics().sum("weir_rows_written_total", &[]) > 0.5);
    answers.extend(visit(&portal, &person, &mut canaries));
    let subject = person["subject"].as_str().unwrap();
    for (endpoint, product) in [("access-requests", "answer"), ("erasures", "receipt")] {
        let place = begin_for(&desk, &tenant, endpoint, subject);
        assert!(fetch(&desk, &place, product).len() > 100, "an answer to {endpoint}");
    }
    answers.extend(daemon.page("/metrics").into_bytes());
    daemon.signal("TERM");
    daemon.end(Duration::from_secs(30)).assert_done();
    assert!(portal.process.kill().len() > 100, "the portal says what it does");

    let searcher = canaries.searcher();
    assert_none("the answers", &searcher, &answers);
    let [states, receipts] = ["state", "receipts"]
        .map(|topic| broker.bytes_of(&format!("{}.{topic}", settings.consent_topic.as_ref().unwrap())));
    assert_states_clean(&searcher, &states);
    assert!(receipts.len() > 500, "there are receipts");
    assert_none("the receipts topic", &searcher, &receipts);
    assert_clean(&world, &searcher);
}

/// Sends what nobody understands, or may ask for; returns the answers.
fn be_refused(desk: &Desk, person: &Value, canaries: &mut Canaries) -> Vec<u8> {
    let mut answers = Vec::new();
    let mut refused = |who: &str, what: &str, more: &str, body: &str| {
        let (status, head, answer) = desk.ask(who, what, &format!("Content-Type: application/json\r\n{more}"), body);
        assert!(status >= 400, "{what}, {more:?}, {body} is {status}");
        answers.extend(head.into_bytes());
        answers.extend(answer);
    };
    let lookup = "POST /v1/consents/lookup";
    refused(&canaries.marker("token of the API"), lookup, "", &person.to_string());
    for template in PATHS {
        let what = template.replace("{}", &canaries.marker(format!("request of the API, {template}")));
        refused("agent", &what, "", "");
    }
    for template in HEADERS {
        let more = template.replace("{}", &canaries.marker(format!("header of the API, {template}")));
        refused("agent", "POST /v1/consents", &more, "{}");
    }
    for template in BODIES {
        let body = template.replace("{}", &canaries.marker(format!("body of the API, {template}")));
        for endpoint in ["consents", "consents/lookup", "agreements", "access-requests", "erasures"] {
            refused("operator", &format!("POST /v1/{endpoint}"), "", &body);
        }
    }
    // Nobody was asked, so nobody can agree; and an agent decides nothing for a tenant.
    let mut granted = person.clone();
    (granted["purposes"], granted["decision"]) = (json!(["reliability"]), json!("grant"));
    refused("agent", "POST /v1/consents", "", &granted.to_string());
    refused("agent", "POST /v1/agreements", "", &granted.to_string());
    answers
}

/// Lets the tenant and the person agree.
fn agree(desk: &Desk, person: &Value, canaries: &mut Canaries) {
    for decision in ["request", "grant"] {
        let agreement = json!({ "tenant": person["tenant"], "purposes": ["reliability"], "decision": decision });
        desk.done("operator", "agreements", &agreement);
        let mut body = person.clone();
        (body["purposes"], body["decision"]) = (json!(["reliability"]), json!(decision));
        body["evidence"] = json!(canaries.marker(format!("evidence of a {decision}")));
        let key = format!("Idempotency-Key: {}\r\n", canaries.marker(format!("key of a {decision}")));
        for _ in 0..2 {
            assert_eq!(desk.post("agent", "consents", &body, &key).0, 200, "{decision}");
        }
    }
}

/// Sends strangers to the portal, and then the person, who decides, takes a copy and is erased; returns the answers.
fn visit(portal: &Portal, person: &Value, canaries: &mut Canaries) -> Vec<u8> {
    // A link of the portal's first moments could be one that was used before.
    thread::sleep(Duration::from_millis(1_500));
    let mut answers = Vec::new();
    for template in STRANGERS {
        let text = template.replace("{}", &canaries.marker(format!("stranger at the portal, {template}")));
        let (what, form) = text.split_once('\n').unwrap_or((&text, ""));
        answers.extend(browse(portal.listen, what, "", form).into_bytes());
    }

    let names = [&person["tenant"], &person["subject"]].map(|name| name.as_str().unwrap());
    let link = link(&portal.key, &portal.address, (names[0], names[1]), &canaries.marker("id of a link"));
    let (_, place) = link.split_once("/enter?").unwrap();
    // This page alone has the link in it.
    assert!(browse(portal.listen, &format!("GET /enter?{place}"), "", "").contains("200 OK"));
    let entered = browse(portal.listen, "POST /enter", "", place);
    let (_, cookie) = entered.split_once("set-cookie: ").unwrap();
    let cookie = format!("Cookie: {}\r\n", cookie.split_once(';').unwrap().0);
    let mut ask = |what: &str, form: &str, status: &str| {
        let answer = browse(portal.listen, what, &cookie, form);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        answers.extend(answer.clone().into_bytes());
        answer
    };
    let home = ask("GET /", "", "200");
    let word = home.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let stray = canaries.marker("fields of a form");
    ask("POST /decide", &format!("form={stray}&purpose=reliability&allow=no"), "403");
    ask("POST /decide", &format!("form={word}&purpose={stray}&allow={stray}"), "400");
    ask("POST /decide", &format!("form={word}&purpose=personalization&allow=yes"), "303");
    ask(&format!("GET /?done={stray}"), "", "200");
    for (right, product) in [("copy", "/copy"), ("erase", "/erased")] {
        ask(&format!("POST /{right}"), &format!("form={word}"), "303");
        ask(&format!("GET {product}"), "", "200");
    }
    ask("GET /erased/receipt.jws", "", "200");
    ask("POST /leave", &format!("form={word}"), "303");
    ask("GET /", "", "401");
    answers.extend(entered.into_bytes());
    answers
}

/// Sends a request as a browser does; returns the answer, head and body.
fn browse(portal: SocketAddr, what: &str, more: &str, form: &str) -> String {
    let mut stream = TcpStream::connect(portal).unwrap();
    write!(
        stream,
        "{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{more}\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// What is asked of the API, in vain.
const PATHS: &[&str] = &[
    "GET /{}",
    "GET /v1/consents?subject={}",
    "POST /v1/consents/{}",
    "{} /v1/consents",
    "GET /v1/access-requests/{}",
    "GET /v1/access-requests/{}/answer",
    "GET /v1/erasures/{}/receipt",
];

/// Headers of requests without a body that would do.
const HEADERS: &[&str] = &[
    "User-Agent: {}\r\n",
    "Cookie: session={}\r\n",
    "X-Forwarded-For: {}\r\n",
    "traceparent: {}\r\n",
    "Idempotency-Key: {}\r\n",
    "Idempotency-Key: {} {}\r\n",
    "Content-Type: {}\r\n",
    "{}: 1\r\n",
];

/// Bodies that no endpoint takes.
const BODIES: &[&str] = &[
    "{}",
    "\"{}\"",
    "{\"{}\":1}",
    "{\"tenant\":\"{}\"",
    "{\"tenant\":\"{}\u{0}\",\"kind\":\"user\",\"subject\":\"u-1\"}",
    "{\"tenant\":\"acme\",\"kind\":\"{} {}\",\"subject\":\"u-1\"}",
    "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":[\"{}\"]}",
    "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"{}\",\"{}\":1}",
    "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"{}\",\"purposes\":[\"{}\"],\"decision\":\"grant\"}",
    "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"{}\",\"purposes\":[\"reliability\"],\"decision\":\"{}\"}",
    "{\"tenant\":\"acme\",\"kind\":\"user\",\"subject\":\"{}\",\"purposes\":[\"reliability\"],\"decision\":\"grant\",\"valid_until\":\"{}\"}",
    "{\"tenant\":\"acme\",\"ids\":[{\"kind\":\"{} {}\",\"id\":\"{}\"}]}",
];

/// What strangers ask the portal for: the request and, on a second line, a form.
const STRANGERS: &[&str] = &[
    "GET /{}",
    "GET /?done={}",
    "GET /enter?link={}",
    "GET /enter?link=eyJ{}.{}.{}",
    "GET /enter?{}={}",
    "POST /enter\nlink={}",
    "POST /enter\n{}",
    "POST /decide\nform={}&purpose={}&allow={}",
    "POST /erase\nform={}",
    "GET /signed-in?code={}&state={}",
    "GET /signed-in?error={}&error_description={}",
    "GET /copy/{}",
    "PUT /{}",
];
