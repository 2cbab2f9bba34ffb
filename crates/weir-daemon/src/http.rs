//! Four read-only pages: `/metrics`, `/livez`, `/readyz`, `/version`.
//!
//! They run on a thread of their own, so that a probe gets its answer while every worker is busy, and listen on the
//! loopback unless told otherwise: the metrics carry no personal value, but they are nobody else's business either.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime;
use tracing::{debug, warn};

use crate::clock::SharedClock;
use crate::health::Health;
use crate::metrics::labels::{ObstacleLabels, Word};
use crate::metrics::{self, Metrics};
use crate::patience::Patient;
use crate::{Obstacle, VERSION};

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Behind `/livez` and `/readyz`.
    pub health: Health,
    /// Behind `/metrics`.
    pub metrics: Arc<Metrics>,
    /// For the age of a heartbeat.
    pub clock: SharedClock,
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {listen}")]
pub struct HttpError {
    pub(crate) listen: SocketAddr,
    pub(crate) source: io::Error,
}

/// Opens the listener and serves on a thread of its own until the process ends; returns the address in use.
///
/// # Errors
/// When the address cannot be bound or the thread's runtime cannot start.
pub fn serve(listen: SocketAddr, pages: Pages) -> Result<SocketAddr, HttpError> {
    let failed = |source| HttpError { listen, source };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let run = move || runtime.block_on(accept(listener, pages));
    thread::Builder::new().name("http".to_owned()).spawn(run).map_err(failed)?;
    Ok(bound)
}

async fn accept(listener: TcpListener, pages: Pages) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "http listener ended"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(Patient::new(stream, SILENCE_MAX), pages.clone()))),
            // Out of file descriptors, mostly: waiting is all that helps.
            Err(error) => {
                warn!(%error, "http connection refused");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: Patient<tokio::net::TcpStream>, pages: Pages) {
    let service = service_fn(move |request: Request<Incoming>| {
        let reply = reply(&pages, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(reply) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "http connection ended early");
    }
}

fn reply(pages: &Pages, method: &Method, path: &str) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered here\n".to_owned());
    }
    match path {
        "/livez" => livez(pages),
        "/metrics" => scrape(pages),
        "/readyz" => readyz(pages),
        "/version" => page(StatusCode::OK, JSON, format!("{{\"name\":\"weir\",\"version\":\"{VERSION}\"}}\n")),
        _ => page(StatusCode::NOT_FOUND, TEXT, "pages: /metrics /livez /readyz /version\n".to_owned()),
    }
}

fn livez(pages: &Pages) -> Response<Full<Bytes>> {
    let still = pages.health.still(pages.clock.elapsed_ms());
    let line = |(worker, age_ms): (&str, i64)| format!("{worker}: no progress for {} s\n", age_ms / 1_000);
    verdict(still.into_iter().map(line).collect(), "every worker makes progress\n")
}

fn readyz(pages: &Pages) -> Response<Full<Bytes>> {
    let line = |(obstacle, why): (Obstacle, String)| format!("{}: {why}\n", obstacle.code());
    let mut lines: Vec<_> = pages.health.obstacles().into_iter().map(line).collect();
    if pages.health.ended() {
        lines.push("shutdown: the daemon commits what it holds and ends\n".to_owned());
    }
    let allowed = pages.health.allowances().into_iter().map(|words| format!("allowed: {words}\n"));
    let refused = pages.health.refused_policy().map(|words| format!("policy: {words}\n"));
    let fine: String = std::iter::once("ready\n".to_owned()).chain(allowed).chain(refused).collect();
    verdict(lines, &fine)
}

fn verdict(complaints: Vec<String>, fine: &str) -> Response<Full<Bytes>> {
    if complaints.is_empty() {
        return page(StatusCode::OK, TEXT, fine.to_owned());
    }
    page(StatusCode::SERVICE_UNAVAILABLE, TEXT, complaints.concat())
}

fn scrape(pages: &Pages) -> Response<Full<Bytes>> {
    for obstacle in Obstacle::ALL {
        let gauge = pages.metrics.obstacle.get_or_create_owned(&ObstacleLabels { obstacle: Word(obstacle) });
        gauge.set(i64::from(pages.health.stands(obstacle)));
    }
    page(StatusCode::OK, metrics::CONTENT_TYPE, pages.metrics.text())
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// A client that sends no request, or takes nothing of its answer, for this long is sent away; slow probes are faster.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Long enough that a full table of descriptors is not hammered, short enough for the next probe.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::clock::HandClock;

    fn pages(clock: &Arc<HandClock>) -> Pages {
        Pages { health: Health::default(), metrics: Arc::new(Metrics::new()), clock: clock.clone() }
    }

    fn get(pages: &Pages, path: &str) -> (u16, String) {
        let response = reply(pages, &Method::GET, path);
        let status = response.status().as_u16();
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn readyz_repeats_why_in_words() {
        let pages = pages(&HandClock::at(0));
        assert_eq!(get(&pages, "/readyz").0, 200);
        pages.health.raise(Obstacle::DiskFull, "no space left under file:lake");
        assert_eq!(get(&pages, "/readyz"), (503, "disk_full: no space left under file:lake\n".to_owned()));
        pages.health.allow(vec!["raw records stay for ever".to_owned()]);
        let scraped = get(&pages, "/metrics").1;
        assert!(scraped.contains("weir_obstacle{obstacle=\"disk_full\"} 1\n"), "{scraped}");
        pages.health.clear(Obstacle::DiskFull);
        assert_eq!(get(&pages, "/readyz"), (200, "ready\nallowed: raw records stay for ever\n".to_owned()));
        pages.health.allow(Vec::new());
        pages.health.refuse_policy(Some("1 faults".to_owned()));
        assert_eq!(get(&pages, "/readyz"), (200, "ready\npolicy: 1 faults\n".to_owned()), "those before hold");
        pages.health.refuse_policy(None);
        assert_eq!(get(&pages, "/readyz"), (200, "ready\n".to_owned()));
    }

    #[test]
    fn livez_names_the_worker_that_stopped() {
        let clock = HandClock::at(0);
        let pages = pages(&clock);
        let _heart = pages.health.heart("source", Duration::from_secs(30), 0);
        assert_eq!(get(&pages, "/livez").0, 200);
        clock.advance(Duration::from_secs(31));
        assert_eq!(get(&pages, "/livez"), (503, "source: no progress for 31 s\n".to_owned()));
    }

    #[test]
    fn listener_answers_over_tcp() {
        use std::io::{Read as _, Write as _};
        let bound = serve(([127, 0, 0, 1], 0).into(), pages(&HandClock::at(0))).unwrap();
        let mut stream = std::net::TcpStream::connect(bound).unwrap();
        stream.write_all(b"GET /version HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(VERSION), "{answer}");
    }
}
