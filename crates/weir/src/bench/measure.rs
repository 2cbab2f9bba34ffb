//! The rounds of a bench.
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::sync::Arc;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use weir_filter::{Filter, Filtered, Headers, Limits, Origin, Record};
use weir_keys::HeadFile;
use weir_lake::{ClosedBatch, Lake, LakeConfig, PartitionId, Recheck, Span, Written};
use weir_policy::{Policy, PurposeId};

use super::load::{Load, REGION};
use crate::exit::{Exit, Failure, OrExit as _};

/// The fastest round.
pub(crate) struct Measured {
    /// Rounds that were made.
    pub(crate) rounds: u32,
    /// From records to permitted columns.
    pub(crate) filter: Took,
    /// From columns to a durable commit.
    pub(crate) commit: Took,
    /// Rows of each purpose in one round.
    pub(crate) rows: [u64; 3],
    /// What one round wrote.
    pub(crate) written: Written,
}

/// How long something took, in nanoseconds.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// By the clock on the wall, waiting for a disk included.
    pub(crate) wall: u64,
    /// On a processor, all threads together.
    pub(crate) processor: u64,
}

impl Took {
    /// Runs something and says how long it took.
    pub(crate) fn by<T>(act: impl FnOnce() -> T) -> (T, Self) {
        let (started, busy) = (Instant::now(), busy());
        let done = act();
        let wall = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        (done, Self { wall, processor: self::busy().saturating_sub(busy) })
    }

    fn min(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), processor: self.processor.min(other.processor) }
    }

    /// Returns the time of this and of what came after.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, processor: self.processor + other.processor }
    }
}

/// Returns the nanoseconds for which any thread of this process was on a processor.
fn busy() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

/// Filters and commits the records several times.
///
/// # Errors
/// When the lake cannot be written.
pub(crate) fn measure(policy: &Arc<Policy>, load: &Load, rounds: u32) -> Result<Measured, Failure> {
    let config = LakeConfig::new(load.folder.path().join("lake"), REGION, "bench");
    let ledger = config.ledger(load.keys.signing_key("bench"), HeadFile::new(load.folder.path().join("head")));
    let lake = Lake::open(config, &load.keys.lake_key("bench"), ledger).or_exit(Exit::CannotCreate)?;
    let mut fastest: Option<Measured> = None;
    for round in 0..rounds {
        let (filtered, filter) = filter(policy, load);
        let rows = PurposeId::ALL.map(|purpose| rows(&filtered, purpose));
        let (written, commit) = commit(&lake, policy, load, filtered, round)?;
        let before = fastest.as_ref();
        fastest = Some(Measured {
            rounds,
            filter: before.map_or(filter, |before| before.filter.min(filter)),
            commit: before.map_or(commit, |before| before.commit.min(commit)),
            rows,
            written,
        });
    }
    fastest.ok_or_else(|| Failure::new(Exit::Usage, anyhow::anyhow!("no round was asked for")))
}

fn filter(policy: &Arc<Policy>, load: &Load) -> (Filtered, Took) {
    let headers: Vec<_> = load.records.iter().map(|record| record.borrowed_headers()).collect();
    let records: Vec<_> = (0..)
        .zip(load.records.iter().zip(&headers))
        .map(|(at, (record, headers))| Record::new(ORIGIN, at, record.value.as_deref(), Headers::new(headers)))
        .collect();
    let limits = Limits::default();
    let mut filter = Filter::new(Arc::clone(policy), Arc::clone(&load.keys), limits, REGION.to_owned());
    let mut filtered = Filtered::default();
    let ((), took) = Took::by(|| {
        for poll in records.chunks(POLL) {
            let view = load.consent.view(load.now_ms, i64::MAX).expect("the store is current for ever");
            filter.apply(poll, &view, load.now_ms, &mut filtered);
        }
    });
    (filtered, took)
}

/// Commits a round as if it were a file of its own.
fn commit(
    lake: &Lake,
    policy: &Arc<Policy>,
    load: &Load,
    filtered: Filtered,
    round: u32,
) -> Result<(Written, Took), Failure> {
    let partition = PartitionId { source: round.to_string().into(), topic: "bench".into(), partition: 0 };
    lake.positions(std::slice::from_ref(&partition), load.now_ms).or_exit(Exit::Io)?;
    let to = i64::try_from(load.records.len()).unwrap_or(i64::MAX);
    let spans = vec![(ORIGIN, Span { partition, from: 0, to })];
    let closed = ClosedBatch { filtered, spans, policy: Arc::clone(policy), consent_position: 0 };
    let now_ms = || load.now_ms;
    let recheck = Recheck { store: &load.consent, max_staleness_ms: i64::MAX, elapsed_ms: &now_ms, now_ms: &now_ms };
    let (receipt, took) = Took::by(|| lake.commit(closed, recheck));
    Ok((receipt.or_exit(Exit::Io)?.written(), took))
}

fn rows(filtered: &Filtered, purpose: PurposeId) -> u64 {
    let rows = match purpose {
        PurposeId::Personalization => filtered.personalization.rows(),
        PurposeId::Reliability => filtered.reliability.rows(),
        PurposeId::Troubleshooting => filtered.troubleshooting.rows(),
    };
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// Where all records come from.
pub(crate) const ORIGIN: Origin = Origin(0);
/// Records that a poll hands over at once.
pub(crate) const POLL: usize = 512;
