//! Events from files and standard input, into the same lake through the same filter.
//!
//! One thread, one input after the other. An input is a source as a partition is: named by its digest, read from its
//! watermark, committed with the bytes that it accounts for. Given twice, it adds nothing. What fails ends the run: whoever
//! started it is there to start it again, and it goes on where the lake ends. Files are gone through once without writing
//! first, so that a policy which is broader than it was when their events happened is refused before anything is written.

mod backfill;
mod follow;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use weir_filter::{Fate, Record};
use weir_keys::KeyRing;
use weir_lake::{CommitError, Interrupted, LakeError, Receipt};
use weir_ledger::{Collector, Exposures, LedgerError};
use weir_policy::{Policy, PurposeId};
use weir_source::{FileError, Lines, PollLimits};

use crate::clock::{SharedClock, millis};
use crate::config::Config;
use crate::health::{Health, Heart};
use crate::lake;
use crate::metrics::Metrics;
use crate::pipeline::batch::BatchLimits;
use crate::pipeline::fill::{Filling, NotJudged};
use crate::pipeline::shared::Shared;
use crate::pipeline::{RunError, commit};
use backfill::{Backfill, Digest, Refusal};
use follow::Following;

/// Everything that a run over files needs, checked.
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub struct FileSetup {
    /// The configuration.
    pub config: Config,
    /// The policy.
    pub policy: Policy,
    /// The key ring.
    pub ring: KeyRing,
    /// Where time comes from.
    pub clock: SharedClock,
    /// Where the decision stands that takes more from older events than was exposed when they happened.
    pub decision: Option<String>,
}

/// Something to read events from, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    Path(PathBuf),
    /// Standard input, which has no digest before it ends and so is named by whoever pipes it.
    Stdin {
        /// What tells it from every other input of this lake.
        source: String,
    },
}

/// A purpose, the event type if a contract declares it, and what became of the event.
pub type TotalKey = (PurposeId, Option<Arc<str>>, Fate);

/// What became of the lines of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Records by purpose, event type and fate.
    pub totals: BTreeMap<TotalKey, u64>,
    /// Rows in the lake.
    pub rows: u64,
    /// Data files in the lake.
    pub files: u64,
}

/// Why a run over files ended early; what was committed before is accounted for.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The policy exposes more of older events than was exposed when they happened, or nobody knows what was.
    #[error(
        "failed to take older events under a broader policy: these fields are not known to have been exposed when the events happened; --decision REFERENCE takes them all the same and tells the ledger\n{}", .0.to_string().trim_end()
    )]
    Broader(Exposures),
    /// A batch could not be committed.
    #[error("failed to commit")]
    Commit(#[source] CommitError),
    /// An input cannot be read.
    #[error(transparent)]
    Input(#[from] FileError),
    /// The lake cannot be used.
    #[error("failed to use the lake")]
    Lake(#[from] LakeError),
    /// The ledger cannot be asked or told, or is not what it was.
    #[error("failed to use the ledger")]
    Ledger(#[from] LedgerError),
    /// Consent or the key ring cannot be used.
    #[error(transparent)]
    Start(#[from] RunError),
    /// Something stands in the way, in words.
    #[error("failed to judge events: {0}")]
    Stopped(String),
}

/// Filters every input into the lake.
///
/// # Errors
/// At the first thing that fails.
pub fn run(setup: FileSetup, inputs: &[Input]) -> Result<Accounting, FilesError> {
    let mut run = Run::new(setup)?;
    let _following = Following::start(&run.shared)?;
    for input in inputs {
        match input {
            Input::Path(path) => {
                run.digest = Digest::OfFile(path.clone());
                run.look_ahead(path)?;
            }
            // It can be read only once: its rows are judged before each commit.
            Input::Stdin { .. } => {}
        }
    }
    run.shared.tell_rules(Collector::Filter)?;
    for input in inputs {
        match input {
            Input::Path(path) => {
                run.digest = Digest::OfFile(path.clone());
                run.read(&mut Lines::open(path, run.record_bytes)?)?;
            }
            Input::Stdin { source } => {
                run.digest = Digest::OfName(source.clone());
                run.read(&mut Lines::named(io::stdin().lock(), source, "stdin", run.record_bytes))?;
            }
        }
    }
    Ok(run.accounting)
}

struct Run {
    shared: Arc<Shared>,
    heart: Heart,
    filling: Filling,
    limits: BatchLimits,
    record_bytes: usize,
    accounting: Accounting,
    backfill: Backfill,
    /// How the ledger is told of the input that is being read.
    digest: Digest,
}

impl Run {
    fn new(setup: FileSetup) -> Result<Self, FilesError> {
        let FileSetup { mut config, policy, ring, clock, decision } = setup;
        // A daemon beside this run keeps its own, in the same place.
        config.snapshot = None;
        let lake = lake::open(&config, &ring)?;
        let shared = Shared::new((config, policy, ring, clock), lake, Health::default(), Arc::new(Metrics::new()))?;
        Ok(Self {
            heart: shared.heart("files", Duration::MAX),
            filling: Filling::new(&shared),
            limits: BatchLimits::of(&shared.config.lake),
            record_bytes: shared.config.limits.record_bytes.as_usize(),
            accounting: Accounting::default(),
            backfill: Backfill::new(decision),
            digest: Digest::OfName(String::new()),
            shared: Arc::new(shared),
        })
    }

    /// Goes through a file from where the lake ends, writes nothing, and refuses what may not be taken from it.
    fn look_ahead(&mut self, path: &Path) -> Result<(), FilesError> {
        let mut lines = Lines::open(path, self.record_bytes)?;
        let ends = self.shared.lake.watermarks(slice::from_ref(lines.partition()))?;
        lines.skip_to(ends.into_iter().flatten().next().unwrap_or(0));
        let mut filling = Filling::new(&self.shared);
        let mut broader = Exposures::default();
        let mut more = true;
        while more {
            more = match lines.read(&PollLimits::default(), None)? {
                Some(read) => {
                    self.shared.tend_if_due();
                    self.await_consent()?;
                    let judged = filling.take_lines(&read, &self.shared, &self.heart, |_| false);
                    judged.map_err(|NotJudged| self.stopped())?;
                    true
                }
                None => false,
            };
            let is_full = filling.open.full(&self.limits, self.shared.clock.elapsed_ms()).is_some();
            if let Some(closed) = (is_full || !more).then(|| filling.close(&self.shared)).flatten() {
                broader.extend(&backfill::broader(&closed.filtered, &closed.policy, self.shared.lake.ledger())?);
            }
        }
        self.admit(&broader)
    }

    fn admit(&mut self, broader: &Exposures) -> Result<(), FilesError> {
        let (policy, now_ms) = (self.shared.rules.force().policy, self.shared.clock.now_ms());
        let admitted = self.backfill.admit(&self.digest, broader, self.shared.lake.ledger(), &policy, now_ms);
        admitted.map_err(|refusal| match refusal {
            Refusal::Broader(exposures) => FilesError::Broader(exposures),
            Refusal::Ledger(error) => FilesError::Ledger(error),
        })
    }

    /// Waits until nothing that anybody said is missing from the store, for as long as more of it comes.
    fn await_consent(&self) -> Result<(), FilesError> {
        let now_ms = || self.shared.clock.elapsed_ms();
        let (mut position, mut moved_ms) = (self.shared.consent_position(), now_ms());
        while !self.shared.consent_is_current() {
            if position != self.shared.consent_position() {
                (position, moved_ms) = (self.shared.consent_position(), now_ms());
            }
            if now_ms() - moved_ms > millis(PATIENCE) {
                return Err(self.stopped());
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    fn stopped(&self) -> FilesError {
        let obstacles = self.shared.health.obstacles().into_iter().map(|(_, why)| why);
        FilesError::Stopped(obstacles.collect::<Vec<_>>().join("; "))
    }

    /// Reads one input from where the lake ends to its own end.
    fn read<R: Read>(&mut self, lines: &mut Lines<R>) -> Result<(), FilesError> {
        let partition = lines.partition().clone();
        let positions = self.shared.lake.positions(slice::from_ref(&partition), self.shared.clock.now_ms())?;
        for position in positions {
            lines.skip_to(position.watermark.unwrap_or(0));
            if let Some(interrupted) = &position.interrupted {
                self.read_to(lines, Some(interrupted))?;
            }
        }
        self.read_to(lines, None)?;
        self.shared.lake.release(&[partition]);
        Ok(())
    }

    /// Reads to the end of an interrupted batch, in one batch, or to the end of the input.
    fn read_to<R: Read>(&mut self, lines: &mut Lines<R>, batch: Option<&Interrupted>) -> Result<(), FilesError> {
        let is_decided =
            |record: &Record<'_>| batch.is_some_and(|batch| batch.quarantined.contains(&record.position()));
        while let Some(read) = lines.read(&PollLimits::default(), batch.map(|batch| batch.end))? {
            self.shared.tend_if_due();
            self.await_consent()?;
            let judged = self.filling.take_lines(&read, &self.shared, &self.heart, is_decided);
            judged.map_err(|NotJudged| self.stopped())?;
            let now_ms = self.shared.clock.elapsed_ms();
            if batch.is_none() && self.filling.open.full(&self.limits, now_ms).is_some() {
                self.commit()?;
            }
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), FilesError> {
        let Some(closed) = self.filling.close(&self.shared) else { return Ok(()) };
        let broader = backfill::broader(&closed.filtered, &closed.policy, self.shared.lake.ledger())?;
        self.admit(&broader)?;
        self.await_consent()?;
        let receipt = commit::put(&self.shared, closed).map_err(FilesError::Commit)?;
        self.accounting.add(&receipt);
        Ok(())
    }
}

/// Brokers that start take less.
const PATIENCE: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_millis(20);

impl Accounting {
    fn add(&mut self, receipt: &Receipt) {
        self.rows += receipt.written().rows;
        self.files += receipt.written().files;
        for total in receipt.totals() {
            let key = (total.purpose, total.event_type.clone(), total.fate);
            *self.totals.entry(key).or_default() += total.count;
        }
    }
}
