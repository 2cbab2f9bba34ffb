//! Signing in: a sound answer of the provider opens a visit, and nothing else does.

use super::provider::{Twist, start, unsigned};
use super::*;

/// A portal, and a provider that does as it is told.
struct There {
    world: World,
    twist: Arc<parking_lot::Mutex<Twist>>,
}

/// What a browser has after it was sent to the provider.
struct Begun {
    cookie: String,
    place: String,
    state: String,
}

impl There {
    fn new() -> Self {
        Self::of("sub")
    }

    /// The same, with the claim that names the person.
    fn of(claim: &str) -> Self {
        let twist = Arc::new(parking_lot::Mutex::new(Twist::default()));
        let shared = Arc::clone(&twist);
        let world = World::with(|runtime| {
            let folder = tempfile::tempdir().unwrap();
            let keys = KeyRing::init(&folder.path().join("keys")).unwrap().snapshot();
            Some(ProviderSetup {
                issuer: start(runtime, keys.signing_key("provider"), shared),
                client_id: "portal".to_owned(),
                client_secret: Some("a secret\n".to_owned()),
                tenant: "acme".to_owned(),
                kind: "user".to_owned(),
                claim: claim.to_owned(),
                ca: None,
            })
        });
        Self { world, twist }
    }

    /// Begins: the provider learns what the browser brings along.
    fn begin(&self) -> Begun {
        let Page(status, headers, _) = self.world.ask(Method::GET, "/sign-in", &[], "");
        assert_eq!(status, StatusCode::SEE_OTHER);
        let cookie = headers[SET_COOKIE].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let place = headers[LOCATION].to_str().unwrap().to_owned();
        let asked = url::Url::parse(&place).unwrap();
        let given = |name: &str| asked.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let mut twist = self.twist.lock();
        (twist.nonce, twist.challenge) = (given("nonce"), given("code_challenge"));
        Begun { cookie, state: given("state"), place }
    }

    /// Comes back from the provider.
    fn end(&self, begun: &Begun, query: &str) -> Page {
        let place = format!("/signed-in?{}", query.replace("STATE", &begun.state));
        self.world.ask(Method::GET, &place, &[(COOKIE, &begun.cookie)], "")
    }

    /// Signs in while something is wrong, and demands that nobody is.
    #[track_caller]
    fn refused(&self, twist: Twist, query: &str) -> String {
        *self.twist.lock() = twist;
        let begun = self.begin();
        let Page(status, headers, page) = self.end(&begun, query);
        assert_eq!(status, StatusCode::FORBIDDEN, "{page}");
        assert!(!headers.contains_key(SET_COOKIE) && page.contains("You are not signed in"), "{page}");
        assert!(!page.contains("marker") && !page.contains("u-81"), "{page}");
        page
    }
}

#[test]
fn person_signs_in_and_has_a_visit() {
    let there = There::new();
    let stranger = there.world.ask(Method::GET, "/", &[], "").2;
    assert!(stranger.contains("href=\"/sign-in\""), "{stranger}");
    let begun = there.begin();
    for part in ["?tenant=a&response_type=code", "client_id=portal", "scope=openid", "code_challenge_method=S256"] {
        assert!(begun.place.contains(part), "{}", begun.place);
    }
    let Page(status, headers, page) = there.end(&begun, GOOD);
    assert_eq!(status, StatusCode::OK, "{page}");
    let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(cookies[0].ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookies:?}");
    let session = cookies[0].split(';').next().unwrap();
    let Page(status, _, home) = there.world.ask(Method::GET, "/", &[(COOKIE, session)], "");
    assert_eq!(status, StatusCode::OK, "{home}");
    assert!(home.contains("Allow reliability"), "{home}");

    let Page(status, _, page) = there.end(&begun, GOOD);
    assert_eq!(status, StatusCode::FORBIDDEN, "a sign-in serves once");
    assert!(page.contains("not begun in this browser"), "{page}");
}

/// Each is wrong in one thing only, and the same sign-in without it is sound.
#[test]
fn id_token_with_anything_wrong_signs_nobody_in() {
    let there = There::new();
    let now = NOW_MS / 1_000;
    let wrong = [
        ("aud", json!("another")),
        ("aud", json!(["portal", "another"])),
        ("aud", Value::Null),
        ("azp", json!("another")),
        ("exp", json!(now)),
        ("exp", json!("marker")),
        ("iat", json!(now + 61)),
        ("nbf", json!(now + 61)),
        ("iss", json!("https://marker.example")),
        ("nonce", json!("marker")),
        ("nonce", Value::Null),
        ("sub", json!(" ")),
        ("sub", json!(81)),
    ];
    for (name, value) in wrong {
        let twist = Twist { claims: vec![(name, value.clone())], ..Twist::default() };
        let page = there.refused(twist, GOOD);
        assert!(page.contains("does not prove who you are"), "{name} {value}: {page}");
    }
    let tokens: [fn(&Value) -> String; 5] = [
        |claims| unsigned(&json!({ "alg": "none" }), claims),
        |claims| unsigned(&json!({ "alg": "none", "typ": "JWT" }), claims) + "c2ln",
        |claims| unsigned(&json!({ "alg": "HS256" }), claims) + "c2ln",
        |claims| unsigned(&json!({ "alg": "EdDSA" }), claims) + "c2ln",
        |_| "marker".to_owned(),
    ];
    for token in tokens {
        let page = there.refused(Twist { token: Some(token), ..Twist::default() }, GOOD);
        assert!(page.contains("does not prove who you are"), "{page}");
    }
    *there.twist.lock() =
        Twist { claims: vec![("aud", json!(["portal"])), ("azp", json!("portal"))], ..Twist::default() };
    assert_eq!(there.end(&there.begin(), GOOD).0, StatusCode::OK);
}

/// Anybody may write somebody else's address into an account: only the provider knows that it is theirs.
#[test]
fn address_that_nobody_verified_signs_nobody_in() {
    for (claim, proof) in [("email", "email_verified"), ("phone_number", "phone_number_verified")] {
        let there = There::of(claim);
        let twist = |proven: Option<Value>| {
            let proven = proven.map(|value| (proof, value));
            Twist {
                claims: [(claim, json!("marker@example.com"))].into_iter().chain(proven).collect(),
                ..Twist::default()
            }
        };
        for proven in [None, Some(Value::Null), Some(json!(false)), Some(json!("false")), Some(json!(1))] {
            let page = there.refused(twist(proven.clone()), GOOD);
            assert!(page.contains("does not prove who you are"), "{claim} {proven:?}: {page}");
        }
        for proven in [json!(true), json!("true")] {
            *there.twist.lock() = twist(Some(proven));
            assert_eq!(there.end(&there.begin(), GOOD).0, StatusCode::OK, "{claim}");
        }
    }
}

/// More of them than a table of sign-ins under way would hold.
#[test]
fn flood_of_sign_ins_ends_nobody_elses() {
    let there = There::new();
    let begun = there.begin();
    for _ in 0..10_001 {
        assert_eq!(there.world.ask(Method::GET, "/sign-in", &[], "").0, StatusCode::SEE_OTHER);
    }
    assert_eq!(there.end(&begun, GOOD).0, StatusCode::OK);
}

#[test]
fn callback_that_nobody_waits_for_signs_nobody_in() {
    let there = There::new();
    for (query, words) in [
        ("code=the-code&state=marker", "not begun in this browser"),
        ("code=the-code", "not begun in this browser"),
        ("error=access_denied&error_description=marker&state=STATE", "cancelled"),
        ("state=STATE", "cancelled"),
        ("code=marker&state=STATE", "does not prove who you are"),
        ("code=the-code&state=STATE&iss=https%3A%2F%2Fmarker.example", "does not prove who you are"),
    ] {
        let page = there.refused(Twist::default(), query);
        assert!(page.contains(words), "{query}: {page}");
    }
    // Another browser's sign-in.
    let (one, mut other) = (there.begin(), there.begin());
    other.cookie = one.cookie;
    assert_eq!(there.end(&other, GOOD).0, StatusCode::FORBIDDEN);
    // One that was given more time, and one of another portal.
    let mut longer = there.begin();
    longer.cookie = longer.cookie.replacen("=1", "=2", 1);
    assert_eq!(there.end(&longer, GOOD).0, StatusCode::FORBIDDEN);
    assert_eq!(there.end(&There::new().begin(), GOOD).0, StatusCode::FORBIDDEN);
    let nobody = World::new();
    assert_eq!(nobody.ask(Method::GET, "/sign-in", &[], "").0, StatusCode::NOT_FOUND);
    assert_eq!(nobody.ask(Method::GET, "/signed-in?code=a&state=b", &[], "").0, StatusCode::NOT_FOUND);
}

const GOOD: &str = "code=the-code&state=STATE";
