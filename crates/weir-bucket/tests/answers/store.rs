//! A store in memory that speaks as much of S3 as a bucket needs, and misbehaves as it is told to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a store does that it should not.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that stores do, alone")]
pub(crate) struct How {
    /// It takes the demand to encrypt, and drops it.
    pub(crate) drops_encryption: bool,
    /// It does so at the end of an upload in parts only.
    pub(crate) drops_at_end: bool,
    /// It encrypts with another key.
    pub(crate) other_key: Option<String>,
    /// So many puts are done and not answered.
    pub(crate) loses_answers: u32,
    /// It puts objects in the place of others.
    pub(crate) overwrites: bool,
    /// It replaces whatever is there.
    pub(crate) replaces: bool,
    /// It answers everything so.
    pub(crate) refuses: Option<&'static str>,
    /// It takes connections, and says nothing.
    pub(crate) is_silent: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Tells whether it is a put, or the begin of an upload in parts.
    pub(crate) fn begins_an_object(&self) -> bool {
        match self.method.as_str() {
            "PUT" => !self.query.contains("partNumber"),
            "POST" => self.query.starts_with("uploads"),
            _ => false,
        }
    }
}

#[derive(Clone)]
struct Object {
    bytes: Vec<u8>,
    tag: u32,
    encryption: Vec<(String, String)>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    parts: BTreeMap<String, (Headers, BTreeMap<u32, Vec<u8>>)>,
    requests: Vec<Request>,
}

struct Shared {
    how: How,
    state: Mutex<State>,
    lost: AtomicU32,
    tags: AtomicU32,
    is_closed: AtomicBool,
}

pub(crate) struct Store {
    address: SocketAddr,
    shared: Arc<Shared>,
}

type Headers = Vec<(String, String)>;

impl Store {
    pub(crate) fn start(how: How) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, lost, tags) = (Mutex::default(), AtomicU32::new(0), AtomicU32::new(0));
        let shared = Arc::new(Shared { how, state, lost, tags, is_closed: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is_closed.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Takes no connection any more.
    pub(crate) fn close(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        // Until the port is closed.
        while TcpStream::connect(self.address).is_ok() {
            thread::yield_now();
        }
    }
}

impl Shared {
    /// Answers the requests of a connection, one after the other.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read(&mut reader) {
            if self.how.is_silent {
                thread::park();
            }
            self.state.lock().unwrap().requests.push(request.clone());
            let is_put = request.begins_an_object() && request.method == "PUT";
            let answer = self.answer(&request);
            if is_put && self.lost.fetch_add(1, Ordering::Relaxed) < self.how.loses_answers {
                return;
            }
            let (status, headers, body) = answer;
            let mut head = format!("HTTP/1.1 {status} X\r\n");
            let length = headers.iter().any(|(name, _)| name == "content-length");
            if !length && status != 204 {
                write!(head, "content-length: {}\r\n", body.len()).unwrap();
            }
            for (name, value) in headers {
                write!(head, "{name}: {value}\r\n").unwrap();
            }
            let body = if request.method == "HEAD" { Vec::new() } else { body };
            if (&stream).write_all(&[head.as_bytes(), b"\r\n", &body].concat()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> (u16, Headers, Vec<u8>) {
        if let Some(refusal) = self.how.refuses {
            return (403, Vec::new(), refusal.into());
        }
        match request.method.as_str() {
            "PUT" if request.query.contains("partNumber") => self.part(request),
            "PUT" => self.put(request),
            "POST" => self.upload(request),
            "DELETE" if request.query.contains("uploadId") => (204, Vec::new(), Vec::new()),
            "DELETE" => {
                self.state.lock().unwrap().objects.remove(&request.path);
                (204, Vec::new(), Vec::new())
            }
            _ => self.get(request),
        }
    }

    /// Returns what is said of the encryption of a new object.
    fn encryption(&self, request: &Request) -> Headers {
        let names = ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"];
        let mut said: Headers =
            names.iter().filter_map(|name| Some(((*name).to_owned(), request.header(name)?.to_owned()))).collect();
        if self.how.drops_encryption {
            said.clear();
        }
        if let (Some(key), Some(said)) = (&self.how.other_key, said.get_mut(1)) {
            said.1.clone_from(key);
        }
        said
    }

    fn put(&self, request: &Request) -> (u16, Headers, Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        let there = state.objects.get(&request.path).map(|object| format!("\"{}\"", object.tag));
        if request.header("if-none-match").is_some() && there.is_some() && !self.how.overwrites {
            return (412, Vec::new(), Vec::new());
        }
        if let Some(wanted) = request.header("if-match") {
            match there {
                None => return (404, Vec::new(), Vec::new()),
                Some(there) if there != wanted && !self.how.replaces => return (412, Vec::new(), Vec::new()),
                Some(_) => {}
            }
        }
        let encryption = self.encryption(request);
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let object = Object { bytes: request.body.clone(), tag, encryption: encryption.clone() };
        state.objects.insert(request.path.clone(), object);
        (200, [vec![("etag".to_owned(), format!("\"{tag}\""))], encryption].concat(), Vec::new())
    }

    fn part(&self, request: &Request) -> (u16, Headers, Vec<u8>) {
        let number = request.query.split("partNumber=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
        let mut state = self.state.lock().unwrap();
        state.parts.get_mut(&request.path).unwrap().1.insert(number, request.body.clone());
        (200, vec![("etag".to_owned(), format!("\"part-{number}\""))], Vec::new())
    }

    fn upload(&self, request: &Request) -> (u16, Headers, Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        if request.query.starts_with("uploads") {
            let encryption = self.encryption(request);
            state.parts.insert(request.path.clone(), (encryption.clone(), BTreeMap::new()));
            let body = "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>";
            return (200, encryption, body.into());
        }
        let (mut encryption, parts) = state.parts.remove(&request.path).unwrap();
        let tag = self.tags.fetch_add(1, Ordering::Relaxed);
        let bytes = parts.into_values().flatten().collect();
        state.objects.insert(request.path.clone(), Object { bytes, tag, encryption: encryption.clone() });
        if self.how.drops_at_end {
            encryption.clear();
        }
        let body = format!("<CompleteMultipartUploadResult><ETag>\"{tag}\"</ETag></CompleteMultipartUploadResult>");
        (200, encryption, body.into())
    }

    fn get(&self, request: &Request) -> (u16, Headers, Vec<u8>) {
        let state = self.state.lock().unwrap();
        let Some(object) = state.objects.get(&request.path) else { return (404, Vec::new(), Vec::new()) };
        let tag = format!("\"{}\"", object.tag);
        if request.header("if-match").is_some_and(|wanted| wanted != tag) {
            return (412, Vec::new(), Vec::new());
        }
        let modified = "Mon, 23 Nov 2026 10:20:00 GMT".to_owned();
        let mut headers =
            [vec![("etag".to_owned(), tag), ("last-modified".to_owned(), modified)], object.encryption.clone()]
                .concat();
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((start, end)) = range else {
            headers.push(("content-length".to_owned(), object.bytes.len().to_string()));
            return (200, headers, object.bytes.clone());
        };
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        let end = end.min(object.bytes.len() - 1);
        headers.push(("content-range".to_owned(), format!("bytes {start}-{end}/{}", object.bytes.len())));
        (206, headers, object.bytes[start..=end].to_vec())
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, query, headers, body })
}
