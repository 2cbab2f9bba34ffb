//! Requests for a copy and for erasure: taken in here, done by the [clerk](super::clerk), and fetched when they are done.
//!
//! A request is a word that tells nothing and belongs to the token that asked. It is in memory, its answer in a file without
//! a name: when the daemon ends, or the answer's time is over, nothing of either is left, and who asks for it is told to ask anew.
//! But an erasure is [written down](super::unfinished) until it is done: it is tried again as long as something stands in its way, and
//! after the next start, under the same word. Doing it twice does no harm: it completes what was begun.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use aws_lc_rs::rand;
use hyper::body::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tracing::error;
use weir_consent::instant_text;

use crate::api::access::Caller;
use crate::api::problem::{Code, Problem};
use crate::api::unfinished::{Taken, Unfinished};
use crate::clock::{SharedClock, millis};
use crate::rights::Subject;

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Right {
    /// A copy of everything.
    Access,
    /// That everything goes.
    Erasure,
}

/// What the clerk has to do.
pub(crate) struct Job {
    pub(crate) id: Box<str>,
    pub(crate) right: Right,
    pub(crate) subject: Subject,
}

/// What came of it.
#[derive(Clone)]
pub(crate) enum Product {
    /// The files of a copy, in one, and whether every table was searched.
    Copy { parcel: Arc<Parcel>, is_complete: bool },
    /// The signed receipt of an erasure, and the same.
    Receipt { jws: Bytes, is_complete: bool },
}

/// Why nothing came of it; the same for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The daemon ends.
    Ending,
    /// Lake, ledger or the folder of answers do not do what they are asked.
    Unavailable,
    /// The keeper did not confirm in time that the person is kept out.
    Unconfirmed,
}

impl Failed {
    /// Every reason.
    pub(crate) const ALL: [Self; 3] = [Self::Ending, Self::Unavailable, Self::Unconfirmed];

    /// Returns the word of the member `reason`.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ending => "ending",
            Self::Unavailable => "unavailable",
            Self::Unconfirmed => "not_confirmed",
        }
    }
}

/// A file without a name, readable through this process only.
#[derive(Debug)]
pub(crate) struct Parcel {
    file: File,
    bytes: u64,
}

impl Parcel {
    /// Takes a file that is written.
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    /// Returns how long it is.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads on from a place; nothing only at its end.
    pub(crate) fn piece(&self, at: u64) -> io::Result<Bytes> {
        let mut piece = vec![0; PIECE_BYTES];
        let read = self.file.read_at(&mut piece, at)?;
        piece.truncate(read);
        Ok(piece.into())
    }
}

/// Every request that is not forgotten.
pub(crate) struct Requests {
    known: Mutex<HashMap<Box<str>, Request>>,
    marks: RandomState,
    jobs: SyncSender<Job>,
    unfinished: Unfinished,
    clock: SharedClock,
    kept: Duration,
}

struct Request {
    right: Right,
    asked_by: Arc<str>,
    tenant: Box<str>,
    /// Stands for who asked for what about whom: the person themselves need not stay in memory.
    mark: u64,
    state: State,
}

enum State {
    /// Why it came to nothing before, if it was tried.
    Waiting {
        after: Option<Failed>,
    },
    Running,
    Ended {
        outcome: Result<Product, Failed>,
        until_ms: i64,
        until: String,
    },
}

impl Requests {
    /// Knows none yet; the clerk takes jobs from the other end.
    pub(crate) fn new(clock: SharedClock, kept: Duration, unfinished: Unfinished) -> (Self, Receiver<Job>) {
        let (jobs, to_do) = sync_channel(WAITING_MAX);
        (Self { known: Mutex::default(), marks: RandomState::new(), jobs, unfinished, clock, kept }, to_do)
    }

    /// Takes up the erasures that the process before this one left, as jobs to be done before all others.
    pub(crate) fn resume(&self) -> io::Result<Vec<Job>> {
        let mut known = self.known.lock();
        let resumed = self.unfinished.all()?.into_iter().map(|Taken { id, asked_by, subject }| {
            let right = Right::Erasure;
            known.insert(id.clone(), self.request(right, asked_by, &subject));
            Job { id, right, subject }
        });
        Ok(resumed.collect())
    }

    /// Takes a request in; returns the word for it. One that nobody has begun with is all that the same caller can ask for about the
    /// same person, and an answer makes room for the next one: nobody fills the places of others by asking again.
    pub(crate) fn take_in(&self, right: Right, caller: &Caller, subject: Subject) -> Result<Box<str>, Problem> {
        let id: Box<str> = word().into();
        let request = self.request(right, Arc::clone(&caller.name), &subject);
        let mut known = self.known.lock();
        forget(&mut known, self.clock.elapsed_ms());
        let mark = request.mark;
        let is_same = |known: &Request| known.mark == mark && matches!(known.state, State::Waiting { .. });
        if let Some((waiting, _)) = known.iter().find(|(_, known)| is_same(known)) {
            return Ok(waiting.clone());
        }
        let is_past = |known: &Request| known.mark == mark && matches!(known.state, State::Ended { .. });
        if known.values().filter(|known| !is_past(known)).count() >= KNOWN_MAX {
            return Err(Code::Overloaded.into());
        }
        if right == Right::Erasure {
            let taken = Taken { id: id.clone(), asked_by: Arc::clone(&caller.name), subject: subject.clone() };
            if let Err(error) = self.unfinished.keep(&taken) {
                error!(%error, "a request for erasure could not be written down, and is not taken in");
                return Err(Code::Overloaded.into());
            }
        }
        // The clerk looks the request up, which waits for this lock.
        if self.jobs.try_send(Job { id: id.clone(), right, subject }).is_err() {
            if right == Right::Erasure {
                self.unfinished.end(&id);
            }
            return Err(Code::Overloaded.into());
        }
        known.retain(|_, known| !is_past(known));
        known.insert(id.clone(), request);
        Ok(id)
    }

    fn request(&self, right: Right, asked_by: Arc<str>, subject: &Subject) -> Request {
        let mark = self.marks.hash_one((right, &asked_by, subject));
        Request { right, asked_by, tenant: subject.tenant().into(), mark, state: State::Waiting { after: None } }
    }

    /// Returns how a request of this caller stands.
    pub(crate) fn look_up(&self, right: Right, id: &str, caller: &Caller) -> Result<Value, Problem> {
        self.with(right, id, caller, |state| {
            Ok(match state {
                State::Waiting { after: None } => json!({ "state": "waiting" }),
                State::Waiting { after: Some(reason) } => json!({ "state": "waiting", "reason": reason.word() }),
                State::Running => json!({ "state": "running" }),
                State::Ended { outcome: Err(reason), until, .. } => {
                    json!({ "state": "failed", "reason": reason.word(), "kept_until": until })
                }
                State::Ended { outcome: Ok(product), until, .. } => {
                    let (Product::Copy { is_complete, .. } | Product::Receipt { is_complete, .. }) = product;
                    json!({ "state": "done", "kept_until": until, "complete": is_complete })
                }
            })
        })
    }

    /// Returns what came of a request of this caller.
    pub(crate) fn fetch(&self, right: Right, id: &str, caller: &Caller) -> Result<Product, Problem> {
        self.with(right, id, caller, |state| match state {
            State::Ended { outcome: Ok(product), .. } => Ok(product.clone()),
            State::Waiting { .. } | State::Running | State::Ended { outcome: Err(_), .. } => Err(Code::NotDone.into()),
        })
    }

    /// Finds a request; one of another token, or of a tenant that the caller does not act for any more, is as good as none.
    fn with<T>(
        &self,
        right: Right,
        id: &str,
        caller: &Caller,
        show: impl FnOnce(&State) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut known = self.known.lock();
        forget(&mut known, self.clock.elapsed_ms());
        let request = known.get(id).filter(|request| {
            request.right == right && request.asked_by == caller.name && caller.acts_for(&request.tenant)
        });
        show(&request.ok_or(Code::RequestUnknown)?.state)
    }

    /// Notes that the clerk begins.
    pub(crate) fn begin(&self, id: &str) {
        if let Some(request) = self.known.lock().get_mut(id) {
            request.state = State::Running;
        }
    }

    /// Notes what came of it; tells whether it is to be tried again. Nobody has to ask twice to be erased.
    pub(crate) fn end(&self, id: &str, outcome: Result<Product, Failed>) -> bool {
        let kept_ms = millis(self.kept);
        let until_ms = self.clock.elapsed_ms().saturating_add(kept_ms);
        let until = instant_text(self.clock.now_ms().saturating_add(kept_ms));
        let mut known = self.known.lock();
        let Some(request) = known.get_mut(id) else { return false };
        match (request.right, &outcome) {
            (Right::Erasure, Err(reason @ (Failed::Unavailable | Failed::Unconfirmed))) => {
                request.state = State::Waiting { after: Some(*reason) };
                return true;
            }
            (Right::Erasure, Ok(_)) => self.unfinished.end(id),
            // The next process goes on with an erasure that the end of this one cut short.
            (Right::Erasure, Err(Failed::Ending)) | (Right::Access, _) => {}
        }
        request.state = State::Ended { outcome, until_ms, until };
        false
    }

    /// Forgets what is over, with its file.
    pub(crate) fn tidy(&self) {
        forget(&mut self.known.lock(), self.clock.elapsed_ms());
    }
}

fn forget(known: &mut HashMap<Box<str>, Request>, now_ms: i64) {
    known.retain(|_, request| match &request.state {
        State::Waiting { .. } | State::Running => true,
        State::Ended { until_ms, .. } => *until_ms > now_ms,
    });
}

/// 128 bits that nobody guesses, in hexadecimal digits.
fn word() -> String {
    let mut bytes = [0; WORD_BYTES];
    rand::fill(&mut bytes).expect("the kernel has random bytes once it has started");
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

/// Tells whether something can be the word of a request.
pub(crate) fn is_word(text: &str) -> bool {
    text.len() == 2 * WORD_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const WORD_BYTES: usize = 16;
/// One clerk does one after the other; an erasure takes a few seconds.
const WAITING_MAX: usize = 32;
/// Each may hold a file open.
const KNOWN_MAX: usize = 256;
const PIECE_BYTES: usize = 64 << 10;
