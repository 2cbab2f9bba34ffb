//! Writing: the newest head is kept where the lake is not, and nothing is added to a ledger that does not contain it.
//!
//! A ledger is read on from the head that the ring keeps, so opening one takes as long as others have added since. The
//! first reading without such a head goes through all of it.

use parking_lot::Mutex;
use weir_bucket::Root;
use weir_keys::{HeadFile, KeyError, SigningKey};

use crate::entry::{Collector, Entry, Opened};
use crate::exposures::Exposures;
use crate::folder::Folder;
use crate::head::{Head, HeadFault};
use crate::link::{Link, name};

/// The ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// An entry is not as it was written.
    #[error("entry {entry} of the ledger in {folder} is not as it was written; `weir audit --ledger` says more")]
    Changed {
        /// The folder of the ledger.
        folder: String,
        /// The entry's path in it.
        entry: String,
    },
    /// The kept head is none of this ring.
    #[error("the head in {path} is not of this key ring's ledger")]
    ForeignHead {
        /// The file.
        path: String,
        /// Why.
        source: HeadFault,
    },
    /// The system refused; the message says what was tried.
    #[error("could not {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The kept head cannot be read or written.
    #[error("could not use the head that the key ring keeps")]
    Keys(#[from] KeyError),
    /// The ledger does not contain what the ring remembers.
    #[error(
        "the ledger in {folder} does not contain its entry {seq} of {at}, whose head {path} keeps: the lake was set back or cut, or another one was put in its place; restore it, or move that file away to accept the loss"
    )]
    RolledBack {
        /// The folder of the ledger.
        folder: String,
        /// The number of the entry.
        seq: u64,
        /// When the entry was made.
        at: String,
        /// The file that keeps the head.
        path: String,
    },
}

impl LedgerError {
    /// Tells whether the ledger is not what it was, rather than out of reach.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Changed { .. } | Self::ForeignHead { .. } | Self::RolledBack { .. } => true,
            Self::Io { .. } | Self::Keys(_) => false,
        }
    }
}

/// The ledger of one lake; shared by all threads.
#[expect(missing_debug_implementations, reason = "holds a signing key")]
pub struct Ledger {
    pub(crate) folder: Folder,
    pub(crate) key: SigningKey,
    pub(crate) head_file: HeadFile,
    tail: Mutex<Tail>,
}

/// The newest entry that was read; none before the first reading, and in a ledger without entries.
#[derive(Default)]
struct Tail {
    link: Option<Link>,
    /// Whether the ring still has to be told of it.
    is_unkept: bool,
}

/// What the ledger was told before; lent for as long as nothing can be added.
#[expect(missing_debug_implementations, reason = "holds the ledger")]
pub struct Past<'l> {
    ledger: &'l Ledger,
    tail: Option<&'l Link>,
}

impl Ledger {
    /// Names a ledger; nothing is read or made yet.
    pub fn new(folder: impl Into<Root>, key: SigningKey, head_file: HeadFile) -> Self {
        Self { folder: Folder(folder.into()), key, head_file, tail: Mutex::default() }
    }

    /// Reads what is new and returns the newest head; none if there is no entry.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read, does not contain the head that the ring keeps, or is broken after it.
    pub fn check(&self) -> Result<Option<Head>, LedgerError> {
        let mut tail = self.tail.lock();
        self.read_on(&mut tail)?;
        Ok(tail.link.as_ref().map(|link| link.head.clone()))
    }

    /// Adds an entry, durably, and returns its head.
    ///
    /// # Errors
    ///
    /// As [`Self::check`], or the entry cannot be written.
    pub fn append(&self, at_ms: i64, entry: Entry) -> Result<Head, LedgerError> {
        let mut tail = self.tail.lock();
        loop {
            self.read_on(&mut tail)?;
            if let Some(head) = self.put(&mut tail, at_ms, entry.clone())? {
                return Ok(head);
            }
        }
    }

    /// Adds the entry that follows from what the ledger was told before, if any does.
    ///
    /// `decide` is asked again whenever another writer was faster.
    ///
    /// # Errors
    ///
    /// As [`Self::append`], or as `decide` says.
    pub fn append_if<E: From<LedgerError>>(
        &self,
        at_ms: i64,
        decide: impl Fn(&Past<'_>) -> Result<Option<Entry>, E>,
    ) -> Result<Option<Head>, E> {
        let mut tail = self.tail.lock();
        loop {
            self.read_on(&mut tail)?;
            let past = Past { ledger: self, tail: tail.link.as_ref() };
            let Some(entry) = decide(&past)? else { return Ok(None) };
            if let Some(head) = self.put(&mut tail, at_ms, entry)? {
                return Ok(Some(head));
            }
        }
    }

    /// Lets `look` see what the ledger was told.
    ///
    /// # Errors
    ///
    /// As [`Self::check`], or as `look` says.
    pub fn look<T, E: From<LedgerError>>(&self, look: impl FnOnce(&Past<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut tail = self.tail.lock();
        self.read_on(&mut tail)?;
        look(&Past { ledger: self, tail: tail.link.as_ref() })
    }

    /// Puts an entry after the tail; `None` when another writer was faster, or when the ledger had to be opened first.
    fn put(&self, tail: &mut Tail, at_ms: i64, entry: Entry) -> Result<Option<Head>, LedgerError> {
        let is_first = tail.link.is_none();
        let entry = if is_first { Entry::Opened(self.opened()) } else { entry };
        let (link, bytes) = Link::write(tail.link.as_ref(), at_ms, entry, &self.key);
        if !self.folder.put_if_absent(&link.head.entry, &bytes)? {
            return Ok(None);
        }
        let head = link.head.clone();
        *tail = Tail { link: Some(link), is_unkept: true };
        self.keep(tail)?;
        Ok(Some(head).filter(|_| !is_first))
    }

    /// Tells the ring of the tail if it still has to be, unless another process has told it of a later entry.
    fn keep(&self, tail: &mut Tail) -> Result<(), LedgerError> {
        let Some(link) = tail.link.as_ref().filter(|_| tail.is_unkept) else { return Ok(()) };
        let kept = self.head_file.read()?.and_then(|jws| Head::read(&self.key.public(), &jws).ok());
        if kept.is_none_or(|kept| kept.seq < link.head.seq) {
            self.head_file.keep(&link.head.jws)?;
        }
        tail.is_unkept = false;
        Ok(())
    }

    fn opened(&self) -> Opened {
        let key = serde_json::from_str(&self.key.public().jwk()).expect("a JSON Web Key is JSON");
        Opened { format: FORMAT, key }
    }

    fn read_on(&self, tail: &mut Tail) -> Result<(), LedgerError> {
        if tail.link.is_none() {
            tail.link = self.kept_link()?;
            // A ring that was restored remembers from here on.
            tail.is_unkept = tail.link.is_none();
        }
        loop {
            let path = tail.link.as_ref().map_or_else(|| name(0), Link::next_path);
            let Some(bytes) = self.folder.read(&path)? else { break };
            let link = self.link(&path, &bytes)?;
            if link.line.previous.as_ref() != tail.link.as_ref().map(|link| &link.head.sha256) {
                return Err(self.changed(&path));
            }
            tail.link = Some(link);
        }
        self.keep(tail)
    }

    /// Returns the entry whose head the ring keeps; none if it keeps none.
    fn kept_link(&self) -> Result<Option<Link>, LedgerError> {
        let Some(jws) = self.head_file.read()? else { return Ok(None) };
        let path = || self.head_file.path().display().to_string();
        let head =
            Head::read(&self.key.public(), &jws).map_err(|source| LedgerError::ForeignHead { path: path(), source })?;
        let rolled_back =
            || LedgerError::RolledBack { folder: self.shown(), seq: head.seq, at: head.at.clone(), path: path() };
        let bytes = self.folder.read(&head.entry)?.ok_or_else(rolled_back)?;
        let link = self.link(&head.entry, &bytes)?;
        if link.head == head { Ok(Some(link)) } else { Err(rolled_back()) }
    }

    pub(crate) fn link(&self, path: &str, bytes: &[u8]) -> Result<Link, LedgerError> {
        Link::read(path, bytes, &self.key.public()).map_err(|_fault| self.changed(path))
    }

    fn changed(&self, entry: &str) -> LedgerError {
        LedgerError::Changed { folder: self.shown(), entry: entry.to_owned() }
    }

    fn shown(&self) -> String {
        self.folder.0.to_string()
    }
}

impl Past<'_> {
    /// Returns the last entry of a kind; none if there never was one.
    ///
    /// A decision's kind is `decision.` and what was decided, a policy's `policy.` and who goes by it.
    ///
    /// # Errors
    ///
    /// The entry cannot be read, or is not as it was written.
    pub fn last(&self, kind: &str) -> Result<Option<Entry>, LedgerError> {
        Ok(self.back(kind).next().transpose()?.map(|(_, entry)| entry))
    }

    /// Returns the entries of a kind with their times in milliseconds since 1970, newest first.
    pub fn back<'p>(&'p self, kind: &'p str) -> impl Iterator<Item = Result<(i64, Entry), LedgerError>> + 'p {
        let mut next = self.tail.and_then(|tail| tail.standing().get(kind).cloned());
        std::iter::from_fn(move || {
            let path = next.take()?;
            let read = self.read(&path);
            if let Ok(link) = &read {
                next = link.line.last.get(kind).cloned();
            }
            Some(read.and_then(|link| {
                let (at_ms, entry) = (link.at_ms(), link.entry);
                at_ms.zip(entry).ok_or_else(|| self.ledger.changed(&path))
            }))
        })
    }

    /// Returns what was exposed at every moment since an instant; nothing if nobody was told to collect at that instant.
    ///
    /// Of two collectors that go by different policies the narrower counts: who collected an event cannot be told.
    ///
    /// # Errors
    ///
    /// An entry cannot be read, or is not as it was written.
    pub fn exposed_since(&self, since_ms: i64) -> Result<Exposures, LedgerError> {
        let mut exposed: Option<Exposures> = None;
        for collector in [Collector::Filter, Collector::Run] {
            let mut common: Option<Exposures> = None;
            for policy in self.back(collector.kind()) {
                let (at_ms, Entry::Policy(policy)) = policy? else { continue };
                common = Some(common.map_or(policy.exposes.clone(), |common| common.common(&policy.exposes)));
                if at_ms <= since_ms {
                    exposed = exposed.zip(common.clone()).map(|(one, two)| one.common(&two)).or(common);
                    break;
                }
            }
        }
        Ok(exposed.unwrap_or_default())
    }

    fn read(&self, path: &str) -> Result<Link, LedgerError> {
        let bytes = self.ledger.folder.read(path)?.ok_or_else(|| self.ledger.changed(path))?;
        self.ledger.link(path, &bytes)
    }
}

/// The version of the format, in the first entry.
const FORMAT: u32 = 1;
