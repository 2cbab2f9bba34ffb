//! A listening API over a store and a keeper in this process; only Kafka is missing between them.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use weir_consent::{ConsentStore, Keeper, Verdict};
use weir_keys::{KeyRing, KeySet};

use super::document;
use crate::api::Api;
use crate::api::access::tests::{caller, token};
use crate::api::desk::{Batch, Ground};
use crate::api::rights::{Job, Requests};
use crate::api::serve::Listener;
use crate::api::unfinished::Unfinished;
use crate::config::{Api as Settings, ApiRules, ApiTls, Count};
use crate::{Clock as _, HandClock, Health, Metrics};

/// The API, and what a test moves.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) clock: Arc<HandClock>,
    pub(super) store: Arc<ConsentStore>,
    pub(super) health: Health,
    pub(super) metrics: Arc<Metrics>,
    pub(super) api: Arc<Api>,
    pub(super) address: SocketAddr,
    pub(super) inbox: Arc<Inbox>,
    /// What people ask for, and what there is to do: the test is the clerk.
    pub(super) requests: Arc<Requests>,
    pub(super) jobs: Mutex<Receiver<Job>>,
}

/// The inbox and its keeper, who may be away.
pub(super) struct Inbox {
    /// What came while the keeper was away.
    held: Mutex<Option<Vec<Batch>>>,
    pub(super) received: AtomicUsize,
    store: Arc<ConsentStore>,
    keys: Arc<KeySet>,
    clock: Arc<HandClock>,
    news: watch::Sender<()>,
}

impl World {
    /// Starts an API with four callers and no TLS.
    pub(super) fn new(deadline: Duration) -> Self {
        Self::with(deadline, |_| None, "")
    }

    /// Starts an API with more callers, and with TLS of files that are in its folder then.
    pub(super) fn with(deadline: Duration, tls: impl FnOnce(&Path) -> Option<ApiTls>, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = HandClock::at(NOW_MS);
        let store = Arc::new(ConsentStore::new());
        store.mark_current(i64::MAX);
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        let callers = [
            caller("agent", "subject-agent", r#"["acme"]"#),
            caller("operator", "operator", r#"["*"]"#),
            caller("auditor", "auditor", r#"["acme"]"#),
            caller("slow", "auditor", r#"["acme"]"#) + "rate = 1\nburst = 2\n",
        ];
        let tokens = folder.path().join("tokens.toml");
        fs::write(&tokens, callers.concat() + more).unwrap();
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).unwrap();
        let rules = ApiRules {
            listen: ([127, 0, 0, 1], 0).into(),
            tokens,
            deadline,
            connections: Count(64),
            person_burst: Count(10),
            person_every: Duration::from_secs(10),
            answers: None,
            answers_kept: KEPT,
        };
        let settings = Settings { rules, tls: tls(folder.path()) };
        let (news, heard) = watch::channel(());
        let (health, metrics) = (Health::default(), Arc::new(Metrics::new()));
        let ground = Ground {
            store: Arc::clone(&store),
            news: heard,
            keys: ring.snapshot(),
            clock: clock.clone(),
            health: health.clone(),
            max_staleness: Duration::from_secs(5),
        };
        let keys = Arc::clone(&ground.keys);
        let (batches, to_send) = sync_channel(1);
        let unfinished = Unfinished::new(folder.path().to_owned(), ring.snapshot());
        let (requests, jobs) = Requests::new(clock.clone(), KEPT, unfinished);
        let requests = Arc::new(requests);
        let rights = Some(Arc::clone(&requests));
        let api = Arc::new(Api::new(settings, ground, batches, Arc::clone(&metrics), rights).unwrap());
        let listener = Listener::open(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.address();
        let serving = Arc::clone(&api);
        thread::spawn(move || listener.serve(serving));
        let (held, received) = (Mutex::new(None), AtomicUsize::new(0));
        let inbox = Inbox { held, received, store: Arc::clone(&store), keys, clock: clock.clone(), news };
        let inbox = Arc::new(inbox);
        let keeper = Arc::clone(&inbox);
        thread::spawn(move || keeper.keep(&to_send));
        Self { folder, clock, store, health, metrics, api, address, inbox, requests, jobs: Mutex::new(jobs) }
    }

    /// Sends a body with a caller's token; the answer is compared with the document.
    pub(super) fn post(&self, who: &str, path: &str, body: &str) -> Answer {
        self.post_with(who, path, body, "")
    }

    /// The same with more lines in the head.
    pub(super) fn post_with(&self, who: &str, path: &str, body: &str, more: &str) -> Answer {
        let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n{more}", token(who));
        self.ask("POST", path, &head, body)
    }

    /// Asks for something with a caller's token; the answer is compared with the document.
    pub(super) fn get(&self, who: &str, path: &str) -> Answer {
        self.ask("GET", path, &format!("Authorization: Bearer {}\r\n", token(who)), "")
    }

    /// Sends a request; the answer is compared with the document.
    pub(super) fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        let answer = Answer::of(stream, &request(method, path, head, body));
        document::check(&self.api, method, path, &answer);
        answer
    }
}

/// Writes a request down.
pub(super) fn request(method: &str, path: &str, head: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}"
    )
}

impl Inbox {
    /// Sends the keeper away: what comes is held.
    pub(super) fn hold(&self) {
        self.held.lock().unwrap().get_or_insert_default();
    }

    /// Brings the keeper back, to what was held.
    pub(super) fn release(&self) {
        let held = self.held.lock().unwrap().take().unwrap_or_default();
        for batch in held {
            self.take(batch);
        }
    }

    /// Brings the keeper back, and loses what was held.
    pub(super) fn lose(&self) {
        *self.held.lock().unwrap() = None;
    }

    /// Keeps the next batch from being taken as long as the guard lives.
    pub(super) fn stand_still(&self) -> std::sync::MutexGuard<'_, Option<Vec<Batch>>> {
        self.held.lock().unwrap()
    }

    fn keep(&self, batches: &Receiver<Batch>) {
        for batch in batches {
            let mut held = self.held.lock().unwrap();
            if let Some(held) = held.as_mut() {
                held.push(batch);
                self.received.fetch_add(1, Ordering::SeqCst);
            } else {
                // Before anybody can have an answer to it.
                self.received.fetch_add(1, Ordering::SeqCst);
                self.take(batch);
            }
        }
    }

    fn take(&self, batch: Batch) {
        let mut keeper = Keeper::new(Arc::clone(&self.keys));
        for message in batch {
            let verdict = keeper.take(&self.store, &message.key, Some(&message.value), self.clock.now_ms());
            assert!(matches!(verdict, Verdict::Publish(_) | Verdict::Known), "the keeper refuses a decision");
        }
        keeper.acknowledged(&self.store);
        self.news.send_replace(());
    }
}

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Answer {
    /// Sends a request and reads the answer to its end.
    pub(super) fn of(mut stream: impl std::io::Read + std::io::Write, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        Self::read(stream)
    }

    /// Reads an answer to its end.
    pub(super) fn read(mut stream: impl std::io::Read) -> Self {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        Self { status, head: head.to_ascii_lowercase(), body }
    }

    /// Returns the state of a purpose.
    pub(super) fn state(&self, purpose: &str) -> &str {
        let states = self.body["purposes"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let state = states.iter().find(|state| state["purpose"] == purpose).unwrap();
        state["status"].as_str().unwrap()
    }

    /// Returns status and code of a problem.
    #[track_caller]
    pub(super) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_else(|| panic!("{self:?}")))
    }
}

/// 2026-11-23T10:15:30Z.
pub(super) const NOW_MS: i64 = 1_795_428_930_000;
/// How long answers may be fetched.
pub(super) const KEPT: Duration = Duration::from_mins(10);
