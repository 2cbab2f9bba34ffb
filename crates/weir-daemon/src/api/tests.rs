//! What callers of the API rely on: who may do what, once, in which order, and what they are told when they may not.

mod document;
mod rights;
mod tls;
mod world;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::access::tests::token;
use super::problem::{Code, MEMBERS};
use super::rights::{Parcel, Product};
use document::SEEN;
use world::{Answer, Inbox, World, request};

/// Much longer than anything takes here.
const PATIENT: Duration = Duration::from_mins(2);

/// Writes a decision about a person of a tenant.
fn consent(tenant: &str, subject: &str, decision: &str) -> String {
    format!(
        r#"{{"tenant":"{tenant}","kind":"user","subject":"{subject}","purposes":["reliability"],"decision":"{decision}"}}"#
    )
}

fn person(tenant: &str, subject: &str) -> String {
    format!(r#"{{"tenant":"{tenant}","kind":"user","subject":"{subject}"}}"#)
}

fn decide(world: &World, who: &str, subject: &str, decision: &str) -> Answer {
    world.post(who, "/v1/consents", &consent("acme", subject, decision))
}

#[test]
fn consent_lives_from_request_to_withdrawal() {
    let world = World::new(PATIENT);
    let look = || world.post("auditor", "/v1/consents/lookup", &person("acme", "U-81@EXAMPLE.COM"));
    assert_eq!(look().state("reliability"), "unknown");
    assert_eq!(decide(&world, "agent", "U-81@example.com", "request").state("reliability"), "requested");
    let until = r#""decision":"grant","valid_until":"2026-11-23T10:16:30Z","evidence":"form 12""#;
    let body = consent("acme", "U-81@example.com", "grant").replace(r#""decision":"grant""#, until);
    assert_eq!(world.post("agent", "/v1/consents", &body).state("reliability"), "given");
    let given = look();
    assert_eq!(given.body["purposes"][1]["since"], "2026-11-23T10:15:30.001Z", "{given:?}");
    assert_eq!(given.body["purposes"][1]["until"], "2026-11-23T10:16:30Z");
    assert_eq!(given.state("personalization"), "unknown");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(look().state("reliability"), "expired");
    for (decision, state) in [("request", "requested"), ("renew", "renewed"), ("withdraw", "withdrawn")] {
        assert_eq!(decide(&world, "agent", "U-81@example.com", decision).state("reliability"), state);
        assert_eq!(look().state("reliability"), state);
    }
    let illegal = decide(&world, "agent", "U-81@example.com", "grant");
    assert_eq!((illegal.code(), &illegal.body["state"]), ((409, "illegal_step"), &"withdrawn".into()));
    // A second no changes nothing and is no fault.
    assert_eq!(decide(&world, "agent", "U-81@example.com", "refuse").state("reliability"), "withdrawn");
}

#[test]
fn agreement_is_the_operators_and_keeps_its_regions() {
    let world = World::new(PATIENT);
    let body = |more: &str| format!(r#"{{"tenant":"acme","purposes":["reliability","personalization"],{more}}}"#);
    let decide = |who: &str, more: &str| world.post(who, "/v1/agreements", &body(more));
    assert_eq!(decide("agent", r#""decision":"request""#).code(), (403, "role_not_allowed"));
    decide("operator", r#""decision":"request""#);
    assert_eq!(decide("operator", r#""decision":"grant","regions":["us","eu"]"#).state("personalization"), "given");
    decide("operator", r#""decision":"renew","valid_until":"2027-11-23T00:00:00Z""#);
    let look = world.post("auditor", "/v1/agreements/lookup", r#"{"tenant":"acme"}"#);
    assert_eq!(look.body["purposes"][2]["regions"], serde_json::json!(["eu", "us"]), "{look:?}");
    assert_eq!(decide("operator", r#""decision":"withdraw","regions":["us"]"#).body["member"], "regions");
    assert_eq!(decide("operator", r#""decision":"withdraw""#).state("reliability"), "withdrawn");
    // A new yes without regions widens nothing, as with the verb.
    decide("operator", r#""decision":"request""#);
    let granted = decide("operator", r#""decision":"grant""#);
    assert_eq!(granted.body["purposes"][0]["regions"], serde_json::json!(["eu", "us"]), "{granted:?}");
}

#[test]
fn nobody_unknown_and_no_role_gets_further_than_it_may() {
    let world = World::new(PATIENT);
    let body = consent("acme", "u-1", "request");
    let json = "Content-Type: application/json\r\n";
    for head in [json.to_owned(), format!("Authorization: Basic {}\r\n{json}", token("agent"))] {
        let answer = world.ask("POST", "/v1/consents", &head, &body);
        assert_eq!(answer.code(), (401, "unauthenticated"));
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
    assert_eq!(world.post("nobody", "/v1/consents", &body).code(), (401, "unauthenticated"));
    assert_eq!(world.post("auditor", "/v1/consents", &body).code(), (403, "role_not_allowed"));
    assert_eq!(decide(&world, "agent", "u-1", "request").status, 200);
    assert_eq!(decide(&world, "agent", "u-1", "grant").status, 200);
    assert_eq!(decide(&world, "agent", "u-1", "revoke").code(), (403, "role_not_allowed"));
    assert_eq!(decide(&world, "operator", "u-1", "revoke").state("reliability"), "revoked");
}

/// What an agent learns about another tenant's person is the same whether there is one or not.
#[test]
fn another_tenants_person_is_as_good_as_none() {
    let world = World::new(PATIENT);
    world.post("operator", "/v1/consents", &consent("globex", "u-1", "request"));
    for (path, known, unknown) in [
        ("/v1/consents/lookup", person("globex", "u-1"), person("globex", "u-2")),
        ("/v1/consents", consent("globex", "u-1", "grant"), consent("initech", "u-2", "grant")),
    ] {
        let [known, unknown] = [known, unknown].map(|body| world.post("agent", path, &body));
        assert_eq!(known.code(), (403, "tenant_not_allowed"));
        assert_eq!(known.body, unknown.body);
    }
}

#[test]
fn bad_request_is_told_its_member_and_nothing_is_repeated() {
    let world = World::new(PATIENT);
    let good = consent("acme", "u-1", "request").replace('}', r#","evidence":"e"}"#);
    let long = format!("\"evidence\":\"{}\"", "x".repeat(2_049));
    let changes = [
        ("decision", r#""decision":"request""#, r#""decision":"zebra""#),
        ("evidence", r#""evidence":"e""#, &long),
        ("kind", r#""kind":"user""#, r#""kind":"Zebra""#),
        ("purposes", r#"["reliability"]"#, r#"["zebra"]"#),
        ("purposes", r#"["reliability"]"#, r#"["reliability","reliability"]"#),
        ("purposes", r#"["reliability"]"#, "[]"),
        ("subject", r#""subject":"u-1""#, r#""subject":" ""#),
        ("tenant", r#""tenant":"acme""#, r#""tenant":"zebra/""#),
        ("valid_until", r#""evidence":"e""#, r#""valid_until":"zebra""#),
        ("valid_until", r#""evidence":"e""#, r#""valid_until":"2027-01-01T00:00:00Z""#),
    ];
    for (member, from, to) in changes {
        let answer = world.post("agent", "/v1/consents", &good.replace(from, to));
        assert_eq!((answer.code(), &answer.body["member"]), ((400, "invalid"), &member.into()), "{to}");
        assert!(MEMBERS.contains(&member) && !answer.body.to_string().to_lowercase().contains("zebra"));
    }
    let renamed = good.replace("evidence", "evidense");
    let twice = good.replace('{', r#"{"tenant":"acme","#);
    for body in ["", "[]", "{", &renamed, &twice] {
        assert_eq!(world.post("agent", "/v1/consents", body).code(), (400, "json"), "{body}");
    }
    let keys = ["Idempotency-Key: \r\n", "Idempotency-Key: a b\r\n", "Idempotency-Key: a\r\nIdempotency-Key: a\r\n"];
    for key in keys {
        assert_eq!(world.post_with("agent", "/v1/consents", &good, key).code(), (400, "idempotency_key"));
    }
    assert_eq!(world.post("agent", "/v1/consents", &" ".repeat(16_385)).code(), (413, "too_large"));
    let plain = format!("Authorization: Bearer {}\r\n", token("agent"));
    assert_eq!(world.ask("POST", "/v1/consents", &plain, &good).code(), (415, "not_json"));
    assert_eq!(world.post("agent", "/v1/consents/u-1", &good).code(), (404, "not_found"));
    let method = world.ask("GET", "/v1/consents", "", "");
    assert_eq!(method.code(), (405, "method_not_allowed"));
    assert!(method.head.contains("allow: post"), "{method:?}");
}

#[test]
fn same_key_is_decided_once() {
    let world = World::new(PATIENT);
    let send = |subject: &str, decision: &str| {
        world.post_with("agent", "/v1/consents", &consent("acme", subject, decision), "Idempotency-Key: k-1\r\n")
    };
    let first = send("u-1", "request");
    decide(&world, "agent", "u-1", "grant");
    assert_eq!(send("u-1", "request").body, first.body);
    assert_eq!(world.inbox.received.load(Ordering::SeqCst), 2);
    assert_eq!(send("u-2", "request").code(), (422, "idempotency_key_reused"));
    world.clock.advance(Duration::from_hours(24));
    assert_eq!(send("u-1", "request").code(), (409, "illegal_step"));
}

#[test]
fn same_key_at_the_same_time_waits_its_turn() {
    let world = World::new(PATIENT);
    let send =
        || world.post_with("agent", "/v1/consents", &consent("acme", "u-1", "request"), "Idempotency-Key: k\r\n");
    world.inbox.hold();
    thread::scope(|scope| {
        let first = scope.spawn(send);
        while world.inbox.received.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(send().code(), (409, "same_request_under_way"));
        world.inbox.release();
        assert_eq!(first.join().unwrap().state("reliability"), "requested");
    });
}

/// A retry sends the decision that was taken, and does not ask the state machine for a second one, whether the first arrived or not.
#[test]
fn retry_of_an_unconfirmed_decision_is_the_same_decision() {
    for fate in [Inbox::lose, Inbox::release] {
        let world = World::new(Duration::from_secs(1));
        until_done(|| decide(&world, "agent", "u-1", "request"));
        let grant =
            || world.post_with("agent", "/v1/consents", &consent("acme", "u-1", "grant"), "Idempotency-Key: k\r\n");
        world.inbox.hold();
        assert_eq!(grant().code(), (503, "not_confirmed"));
        fate(&world.inbox);
        assert_eq!(until_done(grant).state("reliability"), "given");
    }
}

/// A withdrawal that follows a grant whose fate is unknown is a withdrawal, not "nothing to change".
#[test]
fn withdrawal_waits_for_a_grant_that_is_under_way() {
    let world = World::new(Duration::from_secs(30));
    decide(&world, "agent", "u-1", "request");
    world.inbox.hold();
    let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", token("agent"));
    let grant = request("POST", "/v1/consents", &head, &consent("acme", "u-1", "grant"));
    let mut gone = TcpStream::connect(world.address).unwrap();
    gone.write_all(grant.as_bytes()).unwrap();
    let received = || world.inbox.received.load(Ordering::SeqCst);
    while received() < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(gone);
    thread::scope(|scope| {
        let withdrawal = scope.spawn(|| decide(&world, "agent", "u-1", "withdraw"));
        // It sends the grant again, and waits.
        while received() < 3 && !withdrawal.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        world.inbox.release();
        assert_eq!(withdrawal.join().unwrap().state("reliability"), "withdrawn");
    });
}

/// Asks until the answer is not that it was too slow.
fn until_done(ask: impl Fn() -> Answer) -> Answer {
    std::iter::repeat_with(ask).find(|answer| answer.body["code"] != "not_confirmed").unwrap()
}

#[test]
fn nothing_is_decided_or_told_while_the_store_is_stale() {
    let world = World::new(PATIENT);
    decide(&world, "agent", "u-1", "request");
    world.store.mark_unknown();
    world.store.mark_current(0);
    world.clock.advance(Duration::from_secs(6));
    assert_eq!(decide(&world, "agent", "u-1", "grant").code(), (503, "consent_stale"));
    assert_eq!(world.post("auditor", "/v1/consents/lookup", &person("acme", "u-1")).code(), (503, "consent_stale"));
    world.store.mark_current(6_000);
    world.health.end();
    assert_eq!(decide(&world, "agent", "u-1", "grant").code(), (503, "ending"));
    assert_eq!(world.inbox.received.load(Ordering::SeqCst), 1);
}

#[test]
fn queue_that_is_full_takes_nothing() {
    let world = World::new(Duration::from_millis(1));
    // Neither is read: one batch waits in the channel.
    let full = world.inbox.stand_still();
    let answers: Vec<_> = (0..4).map(|n| decide(&world, "agent", &format!("u-{n}"), "request")).collect();
    assert_eq!(answers.last().unwrap().code(), (503, "overloaded"));
    drop(full);
}

#[test]
fn flood_is_slowed_down_and_a_no_is_not() {
    let world = World::new(PATIENT);
    let path = "/v1/consents/lookup";
    let slow = [(); 3].map(|()| world.post("slow", path, &person("acme", "u-1")));
    assert_eq!(slow[2].code(), (429, "too_many_requests"));
    decide(&world, "agent", "u-1", "request");
    let grants: Vec<_> = (0..11).map(|_| decide(&world, "agent", "u-1", "grant")).collect();
    assert_eq!(grants.last().unwrap().code(), (429, "too_many_decisions"));
    assert!(grants.last().unwrap().head.contains("retry-after: 10"));
    assert_eq!(decide(&world, "agent", "u-2", "request").state("reliability"), "requested");
    assert_eq!(decide(&world, "agent", "u-1", "withdraw").state("reliability"), "withdrawn");
    let page = world.metrics.text();
    assert!(page.contains("weir_api_rate_limited_total{by=\"person\"} 1"), "{page}");
    let line = "weir_api_requests_total{endpoint=\"consents\",role=\"subject-agent\",status=\"4xx\"} 10";
    assert!(page.contains(line), "{page}");
}

#[test]
fn slow_client_is_sent_away() {
    let world = World::new(PATIENT);
    let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", token("agent"));
    let whole = request("POST", "/v1/consents", &head, &consent("acme", "u-1", "request"));
    let copy = rights::place(&world.post("agent", "/v1/access-requests", &rights::names("acme", "u-1")));
    let file = tempfile::tempfile().unwrap();
    file.set_len(64 << 20).unwrap();
    let product = Product::Copy { parcel: Arc::new(Parcel::of(file).unwrap()), is_complete: true };
    world.requests.end(&world.jobs.lock().unwrap().recv().unwrap().id, Ok(product));
    let mut deaf = TcpStream::connect(world.address).unwrap();
    deaf.write_all(request("GET", &format!("{copy}/answer"), &head, "").as_bytes()).unwrap();
    let mut body = TcpStream::connect(world.address).unwrap();
    body.write_all(&whole.as_bytes()[..whole.len() - 1]).unwrap();
    let mut line = TcpStream::connect(world.address).unwrap();
    line.write_all(b"POST /v1/consents HTTP/1.1\r\n").unwrap();
    let answer = Answer::read(body);
    document::check(&world.api, "POST", "/v1/consents", &answer);
    assert_eq!(answer.code(), (408, "too_slow"));
    assert_eq!(std::io::copy(&mut line, &mut std::io::sink()).unwrap(), 0, "an answer to half a head");
    thread::sleep(Duration::from_secs(1));
    let mut rest = Vec::new();
    drop(deaf.read_to_end(&mut rest));
    assert!(rest.len() < 63 << 20, "who took nothing for too long got all of it");
}

/// Every code that the document lists is one that a request can get, and each was compared with the document.
#[test]
fn every_code_of_the_document_is_given() {
    consent_lives_from_request_to_withdrawal();
    nobody_unknown_and_no_role_gets_further_than_it_may();
    another_tenants_person_is_as_good_as_none();
    bad_request_is_told_its_member_and_nothing_is_repeated();
    same_key_is_decided_once();
    same_key_at_the_same_time_waits_its_turn();
    retry_of_an_unconfirmed_decision_is_the_same_decision();
    nothing_is_decided_or_told_while_the_store_is_stale();
    queue_that_is_full_takes_nothing();
    flood_is_slowed_down_and_a_no_is_not();
    slow_client_is_sent_away();
    rights::request_is_taken_in_looked_up_and_fetched();
    rights::request_is_nobody_elses_and_is_forgotten();
    let seen = SEEN.lock().unwrap();
    let unseen: Vec<_> = Code::ALL.iter().map(|code| code.word()).filter(|code| !seen.contains(*code)).collect();
    assert_eq!(unseen, [""; 0]);
}

/// The document in the repository is the one that is served.
#[test]
fn document_is_up_to_date() {
    let world = World::new(PATIENT);
    let served = world.ask("GET", "/v1/openapi.json", "", "");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../weir/docs/openapi.json");
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&path, &world.api.document).unwrap();
    }
    let golden = std::fs::read(path).unwrap();
    assert_eq!(golden, world.api.document, "run with WEIR_BLESS=1 to rewrite");
    assert_eq!(served.body, serde_json::from_slice::<serde_json::Value>(&golden).unwrap());
}
