//! The clerk: does what people ask for, one after the other, on a thread of its own.
//!
//! It opens the lake and reads the key ring anew for each request, as the verbs do, so that a long search never holds what a commit waits for. What
//! goes wrong is logged with its causes, which name tables and files and nobody. An erasure that came to nothing is tried again, ever
//! more seldom, until it is done.

use std::fs::DirBuilder;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};
use weir_consent::InboxRecord;
use weir_keys::{KeyError, KeyRing};
use weir_lake::LakeError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::api::ApiFault;
use crate::api::desk::Batch;
use crate::api::rights::{Failed, Job, Parcel, Product, Requests, Right};
use crate::api::unfinished::Unfinished;
use crate::clock::millis;
use crate::health::Heart;
use crate::lake;
use crate::pipeline::shared::{Shared, chain};
use crate::rights::{self, Answer, Question, Removal, Subject};

/// Does what people ask for.
pub(crate) struct Clerk {
    shared: Arc<Shared>,
    heart: Heart,
    requests: Arc<Requests>,
    /// What the process before this one left.
    resumed: Vec<Job>,
    jobs: Receiver<Job>,
    inbox: SyncSender<Batch>,
    folder: PathBuf,
}

/// An erasure that came to nothing, and when it is tried again.
struct Later {
    job: Job,
    due_ms: i64,
    /// How long it waits until then.
    wait: Duration,
}

/// Why a request could not be done.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the key ring")]
    Keys(#[from] KeyError),
    #[error("the lake")]
    Lake(#[from] LakeError),
    #[error("the folder of answers")]
    Folder(#[from] io::Error),
    #[error("the archive")]
    Archive(#[from] zip::result::ZipError),
    #[error("a name that was checked before")]
    Name(#[from] weir_consent::InboxFault),
    #[error("nobody confirmed that the person is kept out")]
    Unconfirmed,
    #[error("the daemon ends")]
    Ending,
}

impl Fault {
    const fn failed(&self) -> Failed {
        match self {
            Self::Ending => Failed::Ending,
            Self::Unconfirmed => Failed::Unconfirmed,
            Self::Archive(_) | Self::Folder(_) | Self::Keys(_) | Self::Lake(_) | Self::Name(_) => Failed::Unavailable,
        }
    }
}

impl Clerk {
    /// Prepares the clerk, who writes answers into files of `folder` and keeps them for a while.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        kept: Duration,
        inbox: SyncSender<Batch>,
        folder: PathBuf,
    ) -> Result<Self, ApiFault> {
        let failed = |source| ApiFault::Answers { folder: folder.clone(), source };
        prepare(&folder).map_err(failed)?;
        let unfinished = Unfinished::new(folder.clone(), shared.rules.keys());
        let (requests, jobs) = Requests::new(Arc::clone(&shared.clock), kept, unfinished);
        let resumed = requests.resume().map_err(failed)?;
        let heart = shared.heart("rights", STILL_MAX);
        Ok(Self { shared: Arc::clone(shared), heart, requests: Arc::new(requests), resumed, jobs, inbox, folder })
    }

    /// Returns the requests, for who takes them in.
    pub(crate) fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }

    /// Does job after job until the run is over.
    pub(crate) fn run(mut self) {
        let (resumed, mut later) = (std::mem::take(&mut self.resumed), Vec::new());
        if !resumed.is_empty() {
            info!(requests = resumed.len(), "erasures that were taken in before this start are done now");
        }
        for job in resumed {
            // Until the consent topics are followed nobody confirms that a person is kept out.
            while !self.shared.consent_is_current() {
                if self.pause(TURN).is_err() {
                    return;
                }
            }
            later.extend(self.serve(job, RETRY));
        }
        while !self.shared.is_over() {
            self.beat();
            self.requests.tidy();
            match self.jobs.recv_timeout(TURN) {
                Ok(job) => later.extend(self.serve(job, RETRY)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // One in each turn: new ones do not wait behind all that something stands in the way of.
            let now_ms = self.shared.clock.elapsed_ms();
            if let Some(due) = later.iter().position(|later| later.due_ms <= now_ms) {
                let Later { job, wait, .. } = later.swap_remove(due);
                later.extend(self.serve(job, (wait * 2).min(RETRY_MAX)));
            }
        }
    }

    /// Does one job; returns it if it is to be done after a while.
    fn serve(&self, job: Job, wait: Duration) -> Option<Later> {
        self.requests.begin(&job.id);
        let done = match job.right {
            Right::Access => self.copy(&job.subject),
            Right::Erasure => self.erase(&job.subject),
        };
        let outcome = done.map_err(|fault| {
            warn!(error = chain(&fault), "a request of a person was not done");
            fault.failed()
        });
        let due_ms = self.shared.clock.elapsed_ms() + millis(wait);
        self.requests.end(&job.id, outcome).then_some(Later { job, due_ms, wait })
    }

    fn copy(&self, subject: &Subject) -> Result<Product, Fault> {
        let ring = self.ring()?;
        let (keys, policy) = (ring.snapshot(), self.shared.rules.force().policy);
        let lake = lake::open_beside(&self.shared.config, ring, &self.shared.lake)?;
        let question = Question {
            lake: &lake,
            policy: &policy,
            keys: &keys,
            region: &self.shared.config.general.region,
            now_ms: self.shared.clock.now_ms(),
        };
        let answer = Answer::gather(&question, subject, &|_| self.beat())?;
        answer.tell(&lake, self.shared.clock.now_ms())?;
        let is_complete = answer.skipped().is_empty();
        Ok(Product::Copy { parcel: Arc::new(pack(&self.folder, &answer)?), is_complete })
    }

    fn erase(&self, subject: &Subject) -> Result<Product, Fault> {
        let subjects = std::slice::from_ref(subject);
        let before_ms = self.shared.clock.now_ms();
        self.keep_out(&rights::erased_before(subjects, before_ms)?)?;
        // Only now: a tenant that agreed meanwhile has its secret from then on.
        let ring = self.ring()?;
        let (keys, policy) = (ring.snapshot(), self.shared.rules.force().policy);
        let lake = lake::open_beside(&self.shared.config, ring, &self.shared.lake)?;
        // Threads share these, and not the clerk.
        let (clock, heart) = (&self.shared.clock, &self.heart);
        let removal = Removal {
            lake: &lake,
            policy: &policy,
            keys: &keys,
            region: &self.shared.config.general.region,
            before_ms,
            now_ms: &|| clock.now_ms(),
            progress: &|_| heart.beat(clock.elapsed_ms()),
            vacuum: false,
        };
        let erased = rights::erase(subjects, &removal)?;
        let is_complete = erased.account.erasure.skipped.is_empty();
        Ok(Product::Receipt { jws: erased.receipts.text().into(), is_complete })
    }

    /// Another process may have made the epochs and tenants of newer rows.
    fn ring(&self) -> Result<&KeyRing, Fault> {
        let ring = self.shared.rules.ring();
        ring.reload()?;
        Ok(ring)
    }

    /// Publishes that the person is erased, and waits until no daemon can judge by anything older.
    fn keep_out(&self, records: &[InboxRecord]) -> Result<(), Fault> {
        let keys = self.shared.rules.keys();
        let states: Vec<_> = records.iter().map(|record| record.state(&keys)).collect();
        self.inbox.try_send(records.iter().map(InboxRecord::message).collect()).map_err(|_full| Fault::Unconfirmed)?;
        let until_ms = self.shared.clock.elapsed_ms() + millis(PATIENCE);
        while !states.iter().all(|state| self.shared.consent.covers(state)) {
            if self.shared.clock.elapsed_ms() > until_ms {
                return Err(Fault::Unconfirmed);
            }
            self.pause(STEP)?;
        }
        let known_ms = self.shared.clock.elapsed_ms();
        while self.shared.clock.elapsed_ms() - known_ms <= millis(self.shared.config.max_staleness) {
            self.pause(STEP)?;
        }
        Ok(())
    }

    fn pause(&self, time: Duration) -> Result<(), Fault> {
        if self.shared.stops() || self.shared.is_over() {
            return Err(Fault::Ending);
        }
        thread::sleep(time);
        self.beat();
        Ok(())
    }

    fn beat(&self) {
        self.heart.beat(self.shared.clock.elapsed_ms());
    }
}

/// Makes the folder of answers, if it is missing, and sees that a file can be made there.
///
/// # Errors
/// When that is not so.
fn prepare(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    tempfile::tempfile_in(folder).map(drop)
}

/// Writes the files of an answer into one that has no name: it is gone with the process, whatever ends that.
fn pack(folder: &Path, answer: &Answer) -> Result<Parcel, Fault> {
    let mut archive = ZipWriter::new(BufWriter::new(tempfile::tempfile_in(folder)?));
    for made in answer.files() {
        let (name, bytes) = made?;
        let is_packed = Path::new(&name).extension().is_some_and(|extension| extension == "parquet");
        let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method).unix_permissions(0o600);
        let is_large = u64::try_from(bytes.len()).is_ok_and(|bytes| bytes >= LARGE);
        archive.start_file(name, options.large_file(is_large))?;
        archive.write_all(&bytes)?;
    }
    let file = archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(Parcel::of(file)?)
}

const TURN: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(20);
/// How long an erasure that came to nothing waits, at first and at most.
const RETRY: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_hours(1);
/// The keeper takes a tenth of a second, unless it catches up.
const PATIENCE: Duration = Duration::from_secs(30);
/// A table of a person who is in many files.
const STILL_MAX: Duration = Duration::from_mins(10);
/// What needs the longer form of the archive; deflate may make a text a little longer.
const LARGE: u64 = (1 << 32) - (64 << 20);
