//! The portal: a page on which a person sees what is collected about them and why, and decides.
//!
//! ```text
//!  service ─ signed link ─▶ /enter ─ "Continue" ─▶ session ─▶ / ─ a button ─▶ /decide ────────▶ the daemon's API
//!                           link.rs                session.rs  pages.rs       /copy, /erase     api.rs
//!  provider ─ OpenID Connect ─▶ /signed-in ──────────▲                        rights.rs
//!                               sign_in.rs
//! ```
//! A process of its own that holds no key of the lake, no table and no topic: whoever takes it over can do what the API's role
//! `subject-agent` can do for the people who are signed in, and nothing else. Pages come from the server and work without a
//! script; the only thing that a browser loads beside them is a style sheet from the same place, and no cookie lives longer than
//! the visit.
//!
//! Who a person is stands in this process' memory and in the signed link, and **a link is signed, not secret**: `/enter?link=…` has
//! tenant, kind and name in base64url, in the address and in a hidden field of the page behind it. So the browser's history has
//! them, and so would an access log of the proxy that writes queries down. No other address or page has them, no log of the portal has,
//! and who signs in with `OpenID` Connect is in none at all.

mod api;
mod client;
mod link;
mod pace;
mod pages;
mod rights;
mod session;
mod sign_in;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, REFERRER_POLICY, RETRY_AFTER,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;
use weir_policy::{Policy, PurposeId};

pub use api::{Api, ApiFault};
pub use link::{Issuer, Issuers};
pub use pages::Controller;
pub use sign_in::{ProviderFault, ProviderSetup};

use api::Failure;
use link::Links;
use pace::{Asked, Paces};
use pages::{Notice, Pages};
use session::{Session, Sessions, random};
use sign_in::{Callback, NotSignedIn, SignIn};

/// Everything that a portal needs, checked.
#[expect(missing_debug_implementations, reason = "holds the API's token")]
pub struct Setup {
    /// Where it listens; a proxy in front of it speaks TLS.
    pub listen: SocketAddr,
    /// The address that people see: scheme, host and port.
    pub address: String,
    /// Whose signed links are taken.
    pub issuers: Issuers,
    /// Who signs people in with `OpenID` Connect, if anybody does.
    pub provider: Option<ProviderSetup>,
    /// Where decisions go.
    pub api: Api,
    /// Who answers for the data.
    pub controller: Controller,
    /// What is collected, and for what.
    pub policy: Policy,
    /// The time now, in milliseconds since 1970.
    pub now_ms: fn() -> i64,
}

/// Serves until the process ends.
///
/// # Errors
/// When the address cannot be bound, or the server stops.
pub fn serve(setup: Setup) -> io::Result<()> {
    let listener = TcpListener::bind(setup.listen)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started_ms = (setup.now_ms)();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tracing::info!(listen = %listener.local_addr()?, "the portal is open");
        axum::serve(listener, router(setup, started_ms)).await
    })
}

struct Portal {
    address: String,
    links: Links,
    sign_in: Option<SignIn>,
    sessions: Sessions,
    paces: Paces,
    api: Api,
    pages: Pages,
    now_ms: fn() -> i64,
}

/// Makes the routes of a portal that remembers since an instant.
fn router(setup: Setup, started_ms: i64) -> Router {
    let Setup { address, issuers, provider, api, controller, policy, now_ms, .. } = setup;
    let links = Links::new(issuers, address.clone(), started_ms);
    let sign_in = provider.map(|provider| SignIn::new(provider, &address));
    let pages = Pages::new(controller, &policy);
    let sessions = Sessions::default();
    let portal = Portal { address, links, sign_in, sessions, paces: Paces::default(), api, pages, now_ms };
    let portal = Arc::new(portal);
    Router::new()
        .route("/", get(home))
        .route("/enter", get(knock).post(enter))
        .route("/sign-in", get(sign_in_there))
        .route(sign_in::REDIRECT, get(signed_in))
        .route("/decide", post(decide))
        .route("/copy", get(rights::copy).post(rights::ask_for_copy))
        .route("/copy/your-data.zip", get(rights::fetch_copy))
        .route("/erase", get(rights::confirm).post(rights::erase))
        .route("/erased", get(rights::erased))
        .route("/erased/receipt.jws", get(rights::fetch_receipt))
        .route("/leave", post(leave))
        .route("/style.css", get(style))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&portal), dress))
        .layer(middleware::from_fn(guard))
        .with_state(portal)
}

/// What a link carries.
#[derive(Deserialize)]
struct Knock {
    link: String,
}

/// What a button of the page sends.
#[derive(Deserialize)]
struct Choice {
    form: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    allow: String,
}

/// What is said on the page after a button.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    done: String,
}

/// Shows what is collected and how it stands; without a session, how to get one.
async fn home(State(portal): State<Arc<Portal>>, Query(said): Query<Said>, headers: HeaderMap) -> Response {
    let Some(session) = portal.session(&headers) else {
        return page(StatusCode::UNAUTHORIZED, portal.stranger());
    };
    let notice = Notice::of(&said.done);
    // The page that confirms a no belongs to it.
    let asked = if notice.is_some_and(Notice::is_denial) { Asked::Denial } else { Asked::Other };
    if let Err(wait_s) = portal.admit(&session, asked, 1) {
        return too_often(&portal, wait_s);
    }
    match portal.api.look_up(&session.person).await {
        Ok(standings) => page(StatusCode::OK, portal.pages.home(&session, &standings, notice)),
        Err(failure) => failed(&portal, failure),
    }
}

/// Answers a link with a button: what only looks at links, such as a mail scanner, uses none up.
async fn knock(State(portal): State<Arc<Portal>>, Query(knock): Query<Knock>) -> Response {
    let mut response = match portal.links.look_at(&knock.link, (portal.now_ms)()) {
        Ok(_) => page(StatusCode::OK, portal.pages.door(&knock.link)),
        Err(refusal) => page(StatusCode::FORBIDDEN, portal.pages.refused(refusal)),
    };
    // Else what this page asks for, the style sheet too, would name its address, with the link, in a header that proxies write down.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

/// Opens a session, once for each link.
async fn enter(State(portal): State<Arc<Portal>>, headers: HeaderMap, Form(knock): Form<Knock>) -> Response {
    if !portal.is_from_here(&headers) {
        return page(StatusCode::FORBIDDEN, portal.pages.elsewhere());
    }
    let now_ms = (portal.now_ms)();
    match portal.links.take(&knock.link, now_ms) {
        Ok(person) => onward("/", &[(SET_COOKIE, portal.open(person, now_ms))]),
        Err(refusal) => page(StatusCode::FORBIDDEN, portal.pages.refused(refusal)),
    }
}

/// Sends the browser to who signs people in.
async fn sign_in_there(State(portal): State<Arc<Portal>>) -> Response {
    let Some(sign_in) = &portal.sign_in else { return page(StatusCode::NOT_FOUND, portal.pages.nowhere()) };
    match sign_in.begin((portal.now_ms)()).await {
        Ok((cookie, place)) => {
            // Lax, because the browser comes back from another site.
            let cookie = format!("{SIGN_IN_NAME}={cookie}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600");
            onward(&place, &[(SET_COOKIE, cookie)])
        }
        Err(why) => not_signed_in(&portal, why),
    }
}

/// Opens a session for who was signed in, behind a page: the session's cookie goes along only from here.
async fn signed_in(
    State(portal): State<Arc<Portal>>,
    Query(callback): Query<Callback>,
    headers: HeaderMap,
) -> Response {
    let Some(sign_in) = &portal.sign_in else { return page(StatusCode::NOT_FOUND, portal.pages.nowhere()) };
    let now_ms = (portal.now_ms)();
    let begun = match cookie(&headers, SIGN_IN_NAME) {
        Some(cookie) => sign_in.end(cookie, &callback, now_ms).await,
        None => Err(NotSignedIn::Stray),
    };
    match begun {
        Ok(person) => {
            let mut response = page(StatusCode::OK, portal.pages.signed_in());
            let gone = format!("{SIGN_IN_NAME}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
            for cookie in [portal.open(person, now_ms), gone] {
                if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                    response.headers_mut().append(SET_COOKIE, cookie);
                }
            }
            response
        }
        Err(why) => not_signed_in(&portal, why),
    }
}

/// Takes a decision about one purpose, or about all.
async fn decide(State(portal): State<Arc<Portal>>, headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let session = match portal.own_form(&headers, &choice.form) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let purposes = match (PurposeId::parse(&choice.purpose), choice.purpose.as_str()) {
        (Some(purpose), _) => vec![purpose],
        (None, "all") => PurposeId::ALL.to_vec(),
        (None, _) => return page(StatusCode::BAD_REQUEST, portal.pages.elsewhere()),
    };
    let is_allowed = match choice.allow.as_str() {
        "yes" => true,
        "no" => false,
        _ => return page(StatusCode::BAD_REQUEST, portal.pages.elsewhere()),
    };
    // A yes is a look, a request and a grant. Of a no that comes again and again only the first one is more than a look.
    let (asked, requests) = if is_allowed { (Asked::Other, 3) } else { (Asked::Denial, 1) };
    if let Err(wait_s) = portal.admit(&session, asked, requests) {
        return too_often(&portal, wait_s);
    }
    let decided = if is_allowed {
        portal.api.allow(&session.person, &purposes).await
    } else {
        portal.api.stop(&session.person, &purposes).await
    };
    match decided {
        Ok(()) => onward(&format!("/?done={}-{}", choice.purpose, choice.allow), &[]),
        Err(failure) => failed(&portal, failure),
    }
}

/// Ends the session.
async fn leave(State(portal): State<Arc<Portal>>, headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let session = match portal.own_form(&headers, &choice.form) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    portal.sessions.close(&session);
    let gone = format!("{COOKIE_NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    onward("/", &[(SET_COOKIE, gone)])
}

async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

async fn nowhere(State(portal): State<Arc<Portal>>) -> Response {
    page(StatusCode::NOT_FOUND, portal.pages.nowhere())
}

impl Portal {
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        self.sessions.find(cookie(headers, COOKIE_NAME)?, (self.now_ms)())
    }

    /// Opens a session; returns the cookie.
    fn open(&self, person: link::Person, now_ms: i64) -> String {
        let name = self.sessions.open(person, now_ms);
        format!("{COOKIE_NAME}={name}; Path=/; Secure; HttpOnly; SameSite=Strict")
    }

    /// Returns the session whose page a form was sent from, or the page that says no.
    fn own_form(&self, headers: &HeaderMap, form: &str) -> Result<Session, Box<Response>> {
        let Some(session) = self.session(headers) else {
            return Err(Box::new(page(StatusCode::UNAUTHORIZED, self.stranger())));
        };
        if self.is_from_here(headers) && session.gave(form) {
            return Ok(session);
        }
        Err(Box::new(page(StatusCode::FORBIDDEN, self.pages.elsewhere())))
    }

    /// Lets through what costs so many requests to the API, or says how many seconds to wait.
    fn admit(&self, session: &Session, asked: Asked, requests: i64) -> Result<(), u64> {
        self.paces.admit(session.whose, asked, requests, (self.now_ms)())
    }

    fn stranger(&self) -> Markup {
        self.pages.stranger(self.sign_in.is_some())
    }

    /// Tells whether a form was sent from a page of this portal, as far as the browser says.
    fn is_from_here(&self, headers: &HeaderMap) -> bool {
        headers.get(ORIGIN).is_none_or(|origin| origin.as_bytes() == self.address.as_bytes())
    }
}

fn cookie<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

fn not_signed_in(portal: &Portal, why: NotSignedIn) -> Response {
    tracing::warn!(%why, "nobody was signed in");
    page(why.status(), portal.pages.not_signed_in(why))
}

fn failed(portal: &Portal, failure: Failure) -> Response {
    tracing::warn!(%failure, "the API did not do what it was asked");
    page(failure.status(), portal.pages.failed(failure))
}

/// Answers one request of too many. It is not logged: a flood would fill the log.
fn too_often(portal: &Portal, wait_s: u64) -> Response {
    let mut response = page(StatusCode::TOO_MANY_REQUESTS, portal.pages.too_often(wait_s));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
    response
}

fn page(status: StatusCode, markup: Markup) -> Response {
    (status, Html(markup.into_string())).into_response()
}

/// Answers a form: the browser goes on with a page that it can load again.
fn onward(place: &str, headers: &[(HeaderName, String)]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let place = (LOCATION, place.to_owned());
    for (name, value) in headers.iter().chain([&place]) {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Gives a page to whatever was refused before a handler saw it: such an answer is plain text, with no heading and no way back.
async fn dress(State(portal): State<Arc<Portal>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let (status, media) = (response.status(), response.headers().get(CONTENT_TYPE));
    let is_refusal = status.is_client_error() || status.is_server_error();
    let is_page = media.is_some_and(|media| media.as_bytes().starts_with(b"text/html"));
    if is_refusal && !is_page { page(status, portal.pages.not_understood()) } else { response }
}

/// Says to the browser what no page of this portal needs, so that nothing else can do it in its name.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in GUARDS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// With `__Host-` a browser takes the cookie from this very host only, over TLS or on a loopback.
const COOKIE_NAME: &str = "__Host-weir-portal";
/// The cookie of a sign-in that has begun.
const SIGN_IN_NAME: &str = "__Host-weir-sign-in";
/// A link is the longest thing that is sent.
const FORM_BYTES_MAX: usize = 8 << 10;
const GUARDS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "interest-cohort=(), browsing-topics=()"),
    // Under `no-referrer` a browser would not say either from where a form was sent.
    (REFERRER_POLICY, "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

#[cfg(test)]
mod tests;
