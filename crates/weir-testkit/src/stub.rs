//! An HTTP server of a test's own that answers as a documented service would, where the real one cannot run.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

/// A running server on a loopback, without TLS; it ends with this value.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
}

/// What was asked.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path, and the query after it.
    pub path: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Request {
    /// Returns a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns the body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the fields of a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8_lossy(&self.body);
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.into(), decoded(value)))
            .collect()
    }
}

impl Reply {
    /// Answers with JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string() }
    }
}

impl Stub {
    /// Starts a server; a question that `answer` has none for gets its connection closed.
    ///
    /// # Panics
    /// When the machine has no port or thread left.
    pub fn start(answer: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let is_over = Arc::new(AtomicBool::new(false));
        let (answer, over) = (Arc::new(answer), Arc::clone(&is_over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), answer, over) = (stream, Arc::clone(&answer), Arc::clone(&over)) else { continue };
                thread::spawn(move || serve(stream, &*answer, &over));
            }
        });
        Self { address, is_over }
    }

    /// Returns its address.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, answer: &(impl Fn(&Request) -> Option<Reply> + ?Sized), is_over: &AtomicBool) {
    let Ok(mut output) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some(request) = read(&mut input) {
        let reply = answer(&request).filter(|_| !is_over.load(Ordering::Relaxed));
        let Some(Reply { status, body }) = reply else { return };
        let text = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if output.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(input: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}

/// Takes the escapes of a form's value away.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digits = (byte == b'%').then(|| [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap_or(b'0'))));
        let escaped = digits.and_then(|[high, low]| Some(high.to_digit(16)? * 16 + low.to_digit(16)?));
        bytes.push(match escaped {
            Some(escaped) => u8::try_from(escaped).unwrap_or_default(),
            None if byte == b'+' => b' ',
            None => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
