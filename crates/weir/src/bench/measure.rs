//! The rounds of a bench.
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::sync::Arc;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use weir_filter::{Filter, Filtered, Headers, Origin, Record};
use weir_lake::{ClosedBatch, Lake, PartitionId, Recheck, Span, Written};
use weir_policy::{Policy, PurposeId};
use weir_source::PollLimits;
use weir_testkit::corpus::Produced;

use super::load::Load;
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
    fn by<T>(act: impl FnOnce() -> T) -> (T, Self) {
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
pub(crate) fn measure(lake: &Lake, policy: &Arc<Policy>, load: &Load, rounds: u32) -> Result<Measured, Failure> {
    let mut fastest: Option<Measured> = None;
    for round in 0..rounds {
        let mut whole = load.filter(Arc::clone(policy));
        let (filtered, filter) = lend(load.records.iter(), |records| filter(&mut whole, records, load));
        let rows = PurposeId::ALL.map(|purpose| rows(&filtered, purpose));
        let (written, commit) = commit(lake, policy, load, filtered, round)?;
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

/// Lends events as records to something.
pub(crate) fn lend<'e, T>(
    events: impl Iterator<Item = &'e Produced> + Clone,
    act: impl FnOnce(&[Record<'_>]) -> T,
) -> T {
    let headers: Vec<_> = events.clone().map(Produced::borrowed_headers).collect();
    let records: Vec<_> = (0..)
        .zip(events.zip(&headers))
        .map(|(at, (event, headers))| Record::new(ORIGIN, at, event.value.as_deref(), Headers::new(headers)))
        .collect();
    act(&records)
}

/// Filters records, so many at once as a poll hands over.
pub(crate) fn filter(filter: &mut Filter, records: &[Record<'_>], load: &Load) -> (Filtered, Took) {
    Took::by(|| {
        let mut filtered = Filtered::default();
        for poll in records.chunks(PollLimits::default().records) {
            let view = load.consent.view(load.now_ms, i64::MAX).expect("the store is current for ever");
            filter.apply(poll, &view, load.now_ms, &mut filtered);
        }
        filtered
    })
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

const ORIGIN: Origin = Origin(0);
