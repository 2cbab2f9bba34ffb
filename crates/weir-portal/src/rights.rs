//! A copy to take along, and erasure: asked for with a button, waited for on a page, and fetched from there.
//!
//! Nothing of it stands in an address: which request is whose is in the session. A page waits for a few seconds before it says
//! that it is not done yet, so that most people never see it; none of them reloads by itself.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::api::{Failure, Progress, Right};
use crate::pace::Asked;
use crate::session::Session;
use crate::{Portal, failed, onward, page, too_often};

/// What a button of these pages sends.
#[derive(Deserialize)]
pub(crate) struct Wish {
    form: String,
}

/// Has a copy made.
pub(crate) async fn ask_for_copy(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    Form(wish): Form<Wish>,
) -> Response {
    begin(&portal, &headers, &wish, Right::Copy, "/copy").await
}

/// Says how it stands with the copy.
pub(crate) async fn copy(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    show(&portal, &headers, Right::Copy).await
}

/// Hands the copy out.
pub(crate) async fn fetch_copy(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    fetch(&portal, &headers, Right::Copy, ("application/zip", "your-data.zip")).await
}

/// Says what erasure means, and asks whether that is meant.
pub(crate) async fn confirm(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    match portal.session(&headers) {
        Some(session) => page(StatusCode::OK, portal.pages.confirm(&session)),
        None => page(StatusCode::UNAUTHORIZED, portal.stranger()),
    }
}

/// Has everything erased.
pub(crate) async fn erase(State(portal): State<Arc<Portal>>, headers: HeaderMap, Form(wish): Form<Wish>) -> Response {
    begin(&portal, &headers, &wish, Right::Erasure, "/erased").await
}

/// Says how it stands with the erasure.
pub(crate) async fn erased(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    show(&portal, &headers, Right::Erasure).await
}

/// Hands the receipt out.
pub(crate) async fn fetch_receipt(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    fetch(&portal, &headers, Right::Erasure, ("application/jose", "erasure-receipt.jws")).await
}

/// Asks the API, unless what was asked for before is under way.
async fn begin(portal: &Portal, headers: &HeaderMap, wish: &Wish, right: Right, place: &str) -> Response {
    let session = match portal.own_form(headers, &wish.form) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    if let Err(wait_s) = portal.admit(&session, Asked::Other, 2) {
        return too_often(portal, wait_s);
    }
    if let Some(known) = session.asked(right)
        && portal.api.progress(known).await == Ok(Progress::UnderWay)
    {
        return onward(place, &[]);
    }
    match portal.api.begin(right, &session.person).await {
        Ok(asked) => {
            portal.sessions.note(&session, right, asked);
            onward(place, &[])
        }
        Err(failure) => could_not(portal, failure),
    }
}

async fn show(portal: &Portal, headers: &HeaderMap, right: Right) -> Response {
    let Some(session) = portal.session(headers) else {
        return page(StatusCode::UNAUTHORIZED, portal.stranger());
    };
    if let Err(wait_s) = portal.admit(&session, Asked::Other, 1) {
        return too_often(portal, wait_s);
    }
    match wait(portal, &session, right).await {
        Ok(progress) => page(StatusCode::OK, portal.pages.progress(right, progress)),
        Err(failure) => failed(portal, failure),
    }
}

/// Waits a few seconds for the end, ever less often: many may wait, and all ask with one token. Each look is one of the person's
/// requests; whoever has none left looks again later.
async fn wait(portal: &Portal, session: &Session, right: Right) -> Result<Progress, Failure> {
    let Some(asked) = session.asked(right) else { return Ok(Progress::Gone) };
    for pause in PAUSES {
        match portal.api.progress(asked).await? {
            Progress::UnderWay => tokio::time::sleep(pause).await,
            ended @ (Progress::Done { .. } | Progress::Failed | Progress::Gone) => return Ok(ended),
        }
        if portal.admit(session, Asked::Other, 1).is_err() {
            return Ok(Progress::UnderWay);
        }
    }
    portal.api.progress(asked).await
}

async fn fetch(
    portal: &Portal,
    headers: &HeaderMap,
    right: Right,
    (media, name): (&'static str, &'static str),
) -> Response {
    let Some(session) = portal.session(headers) else {
        return page(StatusCode::UNAUTHORIZED, portal.stranger());
    };
    if let Err(wait_s) = portal.admit(&session, Asked::Other, 1) {
        return too_often(portal, wait_s);
    }
    let fetched = match session.asked(right) {
        Some(asked) => portal.api.fetch(right, asked).await,
        None => Err(Failure::Absent),
    };
    match fetched {
        Ok(body) => {
            let mut response = Body::new(body).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
            if let Ok(saved) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
                response.headers_mut().insert(CONTENT_DISPOSITION, saved);
            }
            response
        }
        Err(Failure::Absent) => page(StatusCode::NOT_FOUND, portal.pages.progress(right, Progress::Gone)),
        Err(failure) => failed(portal, failure),
    }
}

/// Says that nothing was begun.
fn could_not(portal: &Portal, failure: Failure) -> Response {
    tracing::warn!(%failure, "the API did not do what it was asked");
    page(failure.status(), portal.pages.not_begun(failure))
}

/// About six seconds, which is what most requests take.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_200),
];
