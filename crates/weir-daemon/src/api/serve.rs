//! The listener: connections, their limits, and answers in HTTP.
//!
//! One thread, whatever asks. A connection that says nothing in time is closed, in the handshake, in a head, in a body and between
//! two requests, and so is one that takes nothing of its answer; more than so many at once wait outside. None of this is shared with the
//! pages for operators.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::api::access::Role;
use crate::api::endpoint::Endpoint;
use crate::api::problem::Problem;
use crate::api::reply::{Content, Payload, Reply};
use crate::api::{Api, Seen, tls};
use crate::metrics::labels::{ApiLabels, StatusClass, Word};
use crate::patience::Patient;

/// A listener that is open, and nobody answers at it yet.
pub(crate) struct Listener {
    listener: tokio::net::TcpListener,
    runtime: Runtime,
}

impl Listener {
    /// Opens it.
    ///
    /// # Errors
    /// When the address cannot be bound or the runtime cannot start.
    pub(crate) fn open(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(entered);
        Ok(Self { listener, runtime })
    }

    /// Returns the address in use.
    #[cfg(test)]
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Answers on this thread, for ever.
    pub(crate) fn serve(self, api: Arc<Api>) {
        self.runtime.block_on(accept(self.listener, api));
    }
}

async fn accept(listener: tokio::net::TcpListener, api: Arc<Api>) {
    let places = Arc::new(Semaphore::new(api.settings.rules.connections.as_usize().min(Semaphore::MAX_PERMITS)));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await {
            Ok((stream, _)) => {
                let api = Arc::clone(&api);
                drop(tokio::spawn(async move {
                    connection(stream, api).await;
                    drop(place);
                }));
            }
            // Out of file descriptors, mostly: waiting is all that helps.
            Err(error) => {
                warn!(%error, "api connection refused");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, api: Arc<Api>) {
    let stream = Patient::new(stream, SILENCE_MAX);
    let acceptor = api.doors.read().tls.clone();
    let Some(acceptor) = acceptor else { return speak(stream, api, Vec::new()).await };
    match tokio::time::timeout(SILENCE_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let names = certificate.map(tls::names).unwrap_or_default();
            speak(stream, api, names).await;
        }
        Ok(Err(error)) => debug!(kind = %error.kind(), "api handshake failed"),
        Err(_elapsed) => debug!("api handshake took too long"),
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, api: Arc<Api>, names: Vec<String>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (api, names) = (&api, &names);
        async move { Ok::<_, Infallible>(respond(api, names, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "api connection ended early");
    }
}

async fn respond(api: &Api, names: &[String], request: Request<Incoming>) -> Response<Payload> {
    let mut seen = Seen::default();
    let answer = api.answer(names, request, &mut seen).await;
    let response = match answer {
        Ok(reply) => replied(reply),
        Err(problem) => refused(problem, &seen),
    };
    let class = match response.status() {
        status if status.is_success() => StatusClass::Success,
        status if status.is_client_error() => StatusClass::Client,
        _ => StatusClass::Server,
    };
    let labels = ApiLabels {
        endpoint: seen.endpoint.map_or(UNKNOWN, Endpoint::metric),
        role: seen.role.map_or(UNKNOWN, Role::name),
        status: Word(class),
    };
    api.metrics.api_requests.get_or_create_owned(&labels).inc();
    response
}

fn replied(reply: Reply) -> Response<Payload> {
    let mut response = written(reply.status, reply.media, reply.content);
    let headers = response.headers_mut();
    if let Some(location) = reply.location.and_then(|location| HeaderValue::from_maybe_shared(location).ok()) {
        headers.insert(LOCATION, location);
    }
    let saved = reply.name.map(|name| HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")));
    if let Some(Ok(saved)) = saved {
        headers.insert(CONTENT_DISPOSITION, saved);
    }
    response
}

fn refused(problem: Problem, seen: &Seen) -> Response<Payload> {
    let mut response =
        written(problem.code.status(), "application/problem+json", Content::Bytes(problem.body().into()));
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    match problem.code.status() {
        StatusCode::UNAUTHORIZED => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        StatusCode::METHOD_NOT_ALLOWED => {
            let is_get = seen.endpoint.is_some_and(|endpoint| endpoint.method() == Method::GET);
            headers.insert(ALLOW, HeaderValue::from_static(if is_get { "GET" } else { "POST" }));
        }
        // What is left of the body is not read.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

fn written(status: StatusCode, content_type: &'static str, content: Content) -> Response<Payload> {
    let mut response = content.into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The label of a request that did not get as far.
const UNKNOWN: &str = "";
/// How long a connection may say nothing, in a handshake, in a head, between two requests; and take nothing.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A request's head has a few hundred bytes; hyper's least is 8 KiB.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// As for the pages.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
