//! The portal's routes, with an API that remembers what it was asked.

mod pace;
mod provider;
mod rights;
mod sign_in;
mod words;

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::header::{HOST, SET_COOKIE};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use weir_keys::{KeyRing, SigningKey};
use weir_policy::PolicySource;

use super::*;

const ADDRESS: &str = "https://privacy.example.com";
const NOW_MS: i64 = 1_795_428_930_000;

/// What the API was told: the state by purpose, and each decision.
#[derive(Default)]
struct Told {
    states: BTreeMap<String, String>,
    decisions: Vec<(String, Vec<String>)>,
    /// Each request for a copy or for erasure, and how all of them stand.
    asked: Vec<(String, Value)>,
    state: Value,
    is_away: bool,
    /// How many requests it has no room for.
    busy: u32,
}

struct World {
    runtime: tokio::runtime::Runtime,
    router: Router,
    key: SigningKey,
    told: Arc<parking_lot::Mutex<Told>>,
}

/// What came back: status, headers, page.
struct Page(StatusCode, HeaderMap, String);

impl World {
    fn new() -> Self {
        Self::with(|_| None)
    }

    /// The same, with who signs people in.
    fn with(provider: impl FnOnce(&tokio::runtime::Runtime) -> Option<ProviderSetup>) -> Self {
        Self::of("en", policy(), provider)
    }

    /// The same, with a language of the operator and what is collected.
    fn of(
        language: &str,
        policy: Policy,
        provider: impl FnOnce(&tokio::runtime::Runtime) -> Option<ProviderSetup>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let told = Arc::new(parking_lot::Mutex::new(Told::default()));
        let folder = tempfile::tempdir().unwrap();
        let key = KeyRing::init(&folder.path().join("keys")).unwrap().snapshot().signing_key("links");
        let api = runtime.block_on(stand_in(Arc::clone(&told)));
        let provider = provider(&runtime);
        let setup = Setup {
            listen: ([127, 0, 0, 1], 0).into(),
            address: ADDRESS.to_owned(),
            issuers: Issuers(vec![Issuer { key: key.public(), tenants: vec!["acme".to_owned()] }]),
            provider,
            api: Api::new(&format!("http://{api}"), "token", None).unwrap(),
            controller: Controller {
                name: "Example GmbH".to_owned(),
                contact: "privacy@example.com".to_owned(),
                privacy_notice: "https://example.com/privacy".to_owned(),
                language: language.to_owned(),
            },
            policy,
            now_ms: || NOW_MS,
        };
        Self { runtime, router: router(setup, NOW_MS - 60_000), key, told }
    }

    fn link(&self, id: &str) -> String {
        self.link_of(id, "u-81")
    }

    fn link_of(&self, id: &str, subject: &str) -> String {
        let claims = json!({
            "aud": ADDRESS, "tenant": "acme", "kind": "user", "sub": subject, "iat": NOW_MS / 1_000,
            "exp": NOW_MS / 1_000 + 60, "jti": id,
        });
        self.key.sign("weir-link+jwt", claims.to_string().as_bytes())
    }

    fn ask(&self, method: Method, place: &str, headers: &[(HeaderName, &str)], form: &str) -> Page {
        let mut request = Request::builder().method(method).uri(place).header(HOST, "privacy.example.com");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let asked = self.router.clone().oneshot(request.body(Body::from(form.to_owned())).unwrap());
        self.runtime.block_on(async {
            let response = asked.await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            Page(status, headers, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    /// Goes through a link; returns the cookie.
    fn follow(&self, link: &str) -> String {
        let Page(status, headers, _) = self.ask(Method::POST, "/enter", &[], &format!("link={link}"));
        assert_eq!(status, StatusCode::SEE_OTHER);
        let cookie = headers[SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Goes through a link and opens the page; returns the cookie and the word of the forms.
    fn enter(&self, id: &str) -> (String, String) {
        let cookie = self.follow(&self.link(id));
        let Page(status, _, home) = self.ask(Method::GET, "/", &[(COOKIE, &cookie)], "");
        assert_eq!(status, StatusCode::OK);
        let form = home.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (cookie, form)
    }
}

/// The example contracts and the purposes that ship.
fn policy() -> Policy {
    policy_with(root().join("config/purposes.toml"))
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn policy_with(purposes: std::path::PathBuf) -> Policy {
    let source = PolicySource { contracts: root().join("schemas"), purposes: Some(purposes) };
    let Ok((policy, _)) = Policy::load(&source) else { panic!("the example contracts have faults") };
    policy
}

/// Answers as the daemon's API does, for two people of whom it says the same.
async fn stand_in(told: Arc<parking_lot::Mutex<Told>>) -> SocketAddr {
    async fn answer(
        State(told): State<Arc<parking_lot::Mutex<Told>>>,
        method: Method,
        place: axum::http::Uri,
        headers: HeaderMap,
        body: String,
    ) -> Response {
        let mut told = told.lock();
        if headers["authorization"] != "Bearer token" {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        if told.busy > 0 {
            told.busy -= 1;
            return (StatusCode::TOO_MANY_REQUESTS, r#"{"code":"too_many_requests"}"#).into_response();
        }
        if let Some(answer) = rights::stand_in(&mut told, &method, place.path(), &body) {
            return answer;
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        let is_known = (body["subject"] == "u-81" || body["subject"] == "u-82") && body["tenant"] == "acme";
        if told.is_away || !is_known {
            return (StatusCode::SERVICE_UNAVAILABLE, r#"{"code":"consent_stale"}"#).into_response();
        }
        if let Some(decision) = body["decision"].as_str() {
            let purposes: Vec<_> = body["purposes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|purpose| purpose.as_str().unwrap().to_owned())
                .collect();
            let state = match decision {
                "request" => "requested",
                "grant" => "given",
                "refuse" => "refused",
                other => {
                    if other == "withdraw" {
                        "withdrawn"
                    } else {
                        "invalidated"
                    }
                }
            };
            for purpose in &purposes {
                told.states.insert(purpose.clone(), state.to_owned());
            }
            told.decisions.push((decision.to_owned(), purposes));
        }
        let shown = PurposeId::ALL.map(|purpose| match told.states.get(purpose.name()) {
            Some(status) => {
                json!({ "purpose": purpose.name(), "status": status, "since": "2026-11-23T10:15:30.000Z" })
            }
            None => json!({ "purpose": purpose.name(), "status": "unknown" }),
        });
        json!({ "purposes": shown }).to_string().into_response()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(axum::routing::any(answer)).with_state(told);
    drop(tokio::spawn(async move { axum::serve(listener, routes).await }));
    address
}

#[test]
fn person_goes_through_a_link_and_decides() {
    let world = World::new();
    let Page(status, _, door) = world.ask(Method::GET, &format!("/enter?link={}", world.link("a")), &[], "");
    assert_eq!(status, StatusCode::OK);
    assert!(door.contains("Continue"), "a look at a link uses nothing up");
    let (cookie, form) = world.enter("a");
    let again = world.ask(Method::POST, "/enter", &[], &format!("link={}", world.link("a")));
    assert_eq!(again.0, StatusCode::FORBIDDEN, "a link opens one visit");

    let decide = |purpose: &str, allow: &str| {
        let form = format!("form={form}&purpose={purpose}&allow={allow}");
        let Page(status, headers, _) =
            world.ask(Method::POST, "/decide", &[(COOKIE, &cookie), (ORIGIN, ADDRESS)], &form);
        assert_eq!(status, StatusCode::SEE_OTHER);
        world.ask(Method::GET, headers[LOCATION].to_str().unwrap(), &[(COOKIE, &cookie)], "").2
    };
    let home = decide("reliability", "yes");
    assert!(home.contains("Reliability: allowed from now on.") && home.contains("Stop reliability"), "{home}");
    assert!(home.contains("Allow personalization") && home.contains("since 2026-11-23"), "{home}");
    decide("reliability", "yes");
    let home = decide("all", "no");
    assert!(home.contains("All purposes: stopped.") && home.contains("you took it back"), "{home}");
    let decisions = std::mem::take(&mut world.told.lock().decisions);
    let reliability: &[&str] = &["reliability"];
    // What nobody asked about is refused too: it may be collected on another basis than consent.
    let others: &[&str] = &["troubleshooting", "personalization"];
    let expected = [("request", reliability), ("grant", reliability), ("withdraw", reliability), ("refuse", others)];
    let owned = |purposes: &[&str]| purposes.iter().map(|purpose| (*purpose).to_owned()).collect::<Vec<_>>();
    assert_eq!(decisions, expected.map(|(decision, purposes)| (decision.to_owned(), owned(purposes))));

    world.ask(Method::POST, "/leave", &[(COOKIE, &cookie)], &format!("form={form}"));
    assert_eq!(world.ask(Method::GET, "/", &[(COOKIE, &cookie)], "").0, StatusCode::UNAUTHORIZED);
}

#[test]
fn form_of_another_page_changes_nothing() {
    let world = World::new();
    let (cookie, form) = world.enter("a");
    let (_, others) = world.enter("b");
    let allow = |form: &str| format!("form={form}&purpose=reliability&allow=yes");
    for (headers, form, status) in [
        (&[(COOKIE, &*cookie)][..], allow(""), StatusCode::FORBIDDEN),
        (&[(COOKIE, &cookie)], allow(&others), StatusCode::FORBIDDEN),
        (&[(COOKIE, &cookie), (ORIGIN, "https://example.org")], allow(&form), StatusCode::FORBIDDEN),
        (&[], allow(&form), StatusCode::UNAUTHORIZED),
        (&[(COOKIE, &cookie)], format!("form={form}&purpose=everything&allow=yes"), StatusCode::BAD_REQUEST),
        (&[(COOKIE, &cookie)], format!("form={form}&purpose=all&allow=maybe"), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(world.ask(Method::POST, "/decide", headers, &form).0, status, "{form}");
    }
    let stolen = [(ORIGIN, "https://example.org")];
    let entered = world.ask(Method::POST, "/enter", &stolen, &format!("link={}", world.link("c")));
    assert_eq!(entered.0, StatusCode::FORBIDDEN);
    for headers in [&[(COOKIE, &*cookie)][..], &[(ORIGIN, "https://example.org")]] {
        let Page(status, headers, _) = world.ask(Method::POST, "/leave", headers, "form=x");
        assert!(status.is_client_error() && !headers.contains_key(SET_COOKIE), "another page ends a visit");
    }
    assert_eq!(world.ask(Method::GET, "/", &[(COOKIE, &cookie)], "").0, StatusCode::OK);
    assert!(world.told.lock().decisions.is_empty());
}

/// Every page forbids what it does not need, loads nothing from elsewhere and names nobody.
#[test]
fn pages_name_nobody_and_load_nothing() {
    let world = World::new();
    let (cookie, form) = world.enter("a");
    let home = world.ask(Method::GET, "/", &[(COOKIE, &cookie)], "");
    world.told.lock().is_away = true;
    let link = world.link("d");
    let pages = [
        home,
        world.ask(Method::GET, "/", &[(COOKIE, &cookie)], ""),
        world.ask(Method::POST, "/decide", &[(COOKIE, &cookie)], &format!("form={form}&purpose=all&allow=no")),
        world.ask(Method::GET, "/", &[], ""),
        world.ask(Method::GET, "/erase", &[(COOKIE, &cookie)], ""),
        world.ask(Method::GET, "/copy", &[(COOKIE, &cookie)], ""),
        world.ask(Method::POST, "/erase", &[(COOKIE, &cookie)], &format!("form={form}")),
        world.ask(Method::GET, "/sign-in", &[], ""),
        world.ask(Method::GET, &format!("/enter?link={link}"), &[], ""),
        world.ask(Method::GET, "/enter?link=%3Cscript%3E", &[], ""),
        world.ask(Method::GET, "/nowhere", &[], ""),
        world.ask(Method::GET, "/style.css", &[], ""),
    ];
    for Page(status, headers, page) in pages {
        assert_eq!(headers[CACHE_CONTROL], "no-store", "{status}");
        assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'; style-src 'self'"));
        assert!(!page.contains("u-81") && !page.contains("acme"), "{page}");
        assert!(!page.contains("<script") && !page.contains(" src=") && !page.contains("style="), "{page}");
        let elsewhere = page.split("://").skip(1).filter(|rest| !rest.starts_with("example.com/privacy"));
        assert_eq!(elsewhere.count(), 0, "{page}");
    }
}
