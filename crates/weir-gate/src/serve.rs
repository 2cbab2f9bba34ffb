//! The listener: connections, their limits, and what is refused before anything is understood.
//!
//! Only GET and HEAD get on, without a body and signed by version 4 of the signature: version 2, which s3s takes too, is of SHA-1, compared
//! byte by byte, and never too old. A connection that says nothing, or takes nothing, for some time is closed; more than so many at
//! once wait outside.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};
use url::form_urlencoded;
use weir_daemon::metrics::labels::{GateLabels, GateOutcome, Word};
use weir_daemon::patience::Patient;

use crate::Gate;
use crate::access::{Seen, denied};

/// What every connection needs.
#[derive(Clone)]
pub(crate) struct Hall {
    pub(crate) gate: Arc<Gate>,
    pub(crate) service: S3Service,
    /// Turns to true when connections are to end after the answers that they owe.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Takes connections, for ever.
pub(crate) async fn accept(listener: TcpListener, hall: Hall, places: Arc<Semaphore>) {
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await {
            Ok((stream, _)) => {
                let hall = hall.clone();
                drop(tokio::spawn(async move {
                    connection(stream, hall).await;
                    drop(place);
                }));
            }
            // Out of file descriptors, mostly: waiting is all that helps.
            Err(error) => {
                warn!(%error, "connection to the gate refused");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, hall: Hall) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(kind = %error.kind(), "connection to the gate ended at once");
        return;
    }
    let silence = hall.gate.silence;
    let stream = Patient::new(stream, silence);
    let Some(acceptor) = hall.gate.in_force().tls.clone() else { return speak(stream, hall).await };
    match tokio::time::timeout(silence, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, hall).await,
        Ok(Err(error)) => debug!(kind = %error.kind(), "handshake at the gate failed"),
        Err(_elapsed) => debug!("handshake at the gate took too long"),
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, mut hall: Hall) {
    let (gate, service) = (&hall.gate, &hall.service);
    let answer =
        service_fn(
            |request: Request<Incoming>| async move { Ok::<_, Infallible>(respond(gate, service, request).await) },
        );
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(gate.silence)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answer);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = closed(&mut hall.closing) => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        served.as_mut().graceful_shutdown();
        served.await
    };
    if let Err(error) = ended {
        debug!(kind = kind_of(&error), "connection to the gate ended early");
    }
}

/// Waits until connections are to end.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error says that nobody is left to say so, which is the same.
    drop(closing.wait_for(|closing| *closing).await);
}

/// Says how a connection ended, and nothing of what was on it.
fn kind_of(error: &hyper::Error) -> &'static str {
    match () {
        () if error.is_parse() => "malformed",
        () if error.is_timeout() => "too slow",
        () if error.is_incomplete_message() => "cut",
        () => "broken",
    }
}

async fn respond(gate: &Gate, service: &S3Service, request: Request<Incoming>) -> Response<Body> {
    let seen = Seen::default();
    let response = if let Err(refusal) = admit(&request) {
        let mut response = refusal.to_http_response().unwrap_or_else(|_unwritten| failed());
        // What is left of the request is not read.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    } else {
        let (mut head, _) = request.into_parts();
        head.extensions.insert(seen.clone());
        // Nothing here has a body.
        service.call(Request::from_parts(head, Body::empty())).await.unwrap_or_else(|_unwritten| failed())
    };
    let outcome = Word(outcome_of(response.status()));
    let labels = GateLabels { operation: Word(seen.operation()), outcome };
    gate.metrics.gate_requests.get_or_create_owned(&labels).inc();
    response
}

/// Lets requests on that may be for something the gate does.
fn admit<B>(request: &Request<B>) -> Result<(), S3Error> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Err(denied());
    }
    let is_fourth = |value: &HeaderValue| value.as_bytes().starts_with(ALGORITHM);
    let is_refused = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        let is_too_long = || value.parse::<u32>().map_or(true, |seconds| seconds > PRESIGNED_SECONDS_MAX);
        SECOND.contains(&&*name) || (name == EXPIRES && is_too_long())
    };
    let mut query = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    if !request.headers().get_all(AUTHORIZATION).iter().all(is_fourth) || query.any(is_refused) {
        return Err(denied());
    }
    // The longest key of an object has 150 bytes.
    if request.uri().path().len() > PATH_BYTES_MAX {
        return Err(S3Error::new(S3ErrorCode::NoSuchKey));
    }
    Ok(())
}

fn outcome_of(status: StatusCode) -> GateOutcome {
    match status {
        StatusCode::NOT_FOUND => GateOutcome::Absent,
        StatusCode::FORBIDDEN | StatusCode::NOT_IMPLEMENTED => GateOutcome::Refused,
        status if status.is_server_error() => GateOutcome::Failed,
        status if status.is_client_error() => GateOutcome::Bad,
        _ => GateOutcome::Served,
    }
}

fn failed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Opens what the gate listens at.
///
/// # Errors
/// When the address cannot be bound.
pub(crate) fn listen(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

const ALGORITHM: &[u8] = b"AWS4-HMAC-SHA256 ";
/// What a query signed by version 2 has in it.
const SECOND: [&str; 2] = ["AWSAccessKeyId", "Signature"];
/// For how many seconds an address is signed.
const EXPIRES: &str = "X-Amz-Expires";
/// A week, as with S3.
const PRESIGNED_SECONDS_MAX: u32 = 604_800;
/// Signed queries are longer than paths.
const HEAD_BYTES_MAX: usize = 32 << 10;
const PATH_BYTES_MAX: usize = 1_024;
/// As for the daemon's listeners.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
