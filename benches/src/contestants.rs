//! The programs that take the corpus: weir's filter, and what bounds it from below or above.
//!
//! All take the same bytes, broken events included. What a program needs beforehand is made outside of its time: records
//! borrow, and the parser that writes into its input gets a fresh copy.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;
use std::thread;

use serde::de::IgnoredAny;
use simd_json::{Buffers, INPUT_PADDING, Tape};
use weir_consent::ConsentView;
use weir_filter::{Filter, Filtered, Level, Limits, Origin, Record};
use weir_testkit::corpus::{Corpus, Produced};
use weir_testkit::reference::{Outcome, Raw, Reference};

use crate::race::{Contestant, timed, timed_by_clock};
use crate::world::{Events, NOW_MS, POLL, REGION, World};

/// From records to the filter's columns.
pub const FILTER: &str = "filter";
/// From records to record batches of Arrow.
pub const TO_ARROW: &str = "filter → Arrow";
/// The tape of simd-json.
pub const SIMD_JSON: &str = "simd-json tape";
/// `serde_json` that validates and keeps nothing.
pub const IGNORED_ANY: &str = "serde_json IgnoredAny";
/// `serde_json` with a tree as its result.
pub const VALUE: &str = "serde_json Value";
/// The reference filter of the tests.
pub const REFERENCE: &str = "reference filter";
/// From records to Parquet files in committed tables.
pub const TO_PARQUET: &str = "filter → committed Parquet";
/// Bytes from one place to another.
pub const MEMCPY: &str = "memcpy";

/// The filter, from records to columns and on to record batches: results of one run.
///
/// Rows leave in batches as large as the daemon's, so that buffers are used again as they are there.
pub fn weir<'c>(world: &'c World, events: &'c Events, suffix: &str) -> Vec<Contestant<'c>> {
    weir_at(Level::new(), world, events, suffix)
}

/// The same with these instructions of the processor.
pub fn weir_at<'c>(level: Level, world: &'c World, events: &'c Events, suffix: &str) -> Vec<Contestant<'c>> {
    let mut filter = world.filter_at(level);
    let records = events.records();
    let whole = Rc::new(Cell::new(0));
    let to_arrow = Rc::clone(&whole);
    #[cfg(feature = "lake")]
    let schemas = weir_lake::Schemas::new(std::sync::Arc::clone(&world.policy));
    #[cfg(not(feature = "lake"))]
    let schemas = ();
    let filter_alone = move || {
        let view = world.consent.view(NOW_MS, i64::MAX).expect("the store is current for ever");
        let (mut in_filter, mut in_arrow, mut rows) = (0, 0, 0);
        let mut polls = records.chunks(POLL).peekable();
        while polls.peek().is_some() {
            let (nanos, out) = timed(|| next_batch(&mut filter, &mut polls, &view));
            in_filter += nanos;
            rows += out.rows();
            in_arrow += arrow_nanos(&schemas, &view, out);
        }
        assert!(rows > events.len(), "most events are written");
        to_arrow.set(in_filter + in_arrow);
        in_filter
    };
    let mut both = vec![contestant(format!("{FILTER}{suffix}"), events, filter_alone)];
    if cfg!(feature = "lake") {
        both.push(contestant(format!("{TO_ARROW}{suffix}"), events, move || whole.get()));
    }
    both
}

/// The filter on so many cores at once, each of which takes all events; the time is the clock's.
pub fn weir_on<'c>(cores: usize, world: &'c World, events: &'c Events) -> Contestant<'c> {
    let mut filters: Vec<_> = (0..cores).map(|_| world.filter()).collect();
    let records = events.records();
    let view = world.consent.view(NOW_MS, i64::MAX).expect("the store is current for ever");
    let filter_all = move |filter: &mut Filter| {
        let (mut polls, mut rows) = (records.chunks(POLL).peekable(), 0);
        while polls.peek().is_some() {
            rows += next_batch(filter, &mut polls, &view).rows();
        }
        assert!(rows > records.len(), "most events are written");
    };
    let round = move || {
        let (nanos, ()) = timed_by_clock(|| {
            thread::scope(|scope| filters.iter_mut().for_each(|filter| drop(scope.spawn(|| filter_all(filter)))));
        });
        nanos
    };
    let (events, bytes) = (events.len() * cores, events.bytes().len() * cores);
    Contestant { name: format!("{FILTER} by the clock, cores: {cores}"), events, bytes, round: Box::new(round) }
}

/// Filters until a batch is full or there is nothing left.
fn next_batch<'r>(
    filter: &mut Filter,
    polls: &mut impl Iterator<Item = &'r [Record<'r>]>,
    view: &ConsentView<'_>,
) -> Filtered {
    let mut out = Filtered::default();
    while out.memory() < BATCH_BYTES
        && let Some(poll) = polls.next()
    {
        filter.apply(poll, view, NOW_MS, &mut out);
    }
    out
}

/// Turns all rows into record batches, drops both, and returns how long that took.
#[cfg(feature = "lake")]
fn arrow_nanos(schemas: &weir_lake::Schemas, view: &ConsentView<'_>, out: Filtered) -> u64 {
    use weir_filter::Batch;
    use weir_lake::{Schemas, TenantNames};
    use weir_policy::Purpose;

    fn rows<P: Purpose>(schemas: &Schemas, batch: Batch<P>, tenant: TenantNames<'_>) -> usize {
        let made = |rows| -> usize {
            let made = weir_lake::record_batches(&rows, schemas, tenant);
            made.map(|batch| batch.expect("columns fit together").num_rows()).sum()
        };
        batch.into_tables().into_iter().map(made).sum()
    }
    let (expected, tenant) = (out.rows(), |tenant| view.tenant_name(tenant));
    let (nanos, made) = timed(|| {
        rows(schemas, out.troubleshooting, &tenant)
            + rows(schemas, out.reliability, &tenant)
            + rows(schemas, out.personalization, &tenant)
    });
    assert_eq!(made, expected, "every row becomes a row of Arrow");
    nanos
}

#[cfg(not(feature = "lake"))]
fn arrow_nanos((): &(), _: &ConsentView<'_>, _: Filtered) -> u64 {
    0
}

/// The filter and the lake, from records to tables on disk; the time is that of all threads.
#[cfg(feature = "lake")]
pub fn to_parquet<'c>(world: &'c World, events: &'c Events, folder: &std::path::Path) -> Contestant<'c> {
    use crate::race::timed_everywhere;
    use weir_keys::HeadFile;
    use weir_lake::{ClosedBatch, Lake, LakeConfig, PartitionId, Recheck, Span};

    let config = LakeConfig::new(folder, REGION, "bench");
    let ledger = config.ledger(world.keys.signing_key("bench"), HeadFile::new(folder.join("head")));
    let lake = Lake::open(config, &world.keys.lake_key("bench"), ledger).expect("an empty folder takes a lake");
    let (mut filter, records) = (world.filter(), events.records());
    let mut round = 0;
    contestant(TO_PARQUET.to_owned(), events, move || {
        // Each round is a file of its own, so that its rows are new.
        round += 1;
        let partition = PartitionId { source: round.to_string().into(), topic: "bench".into(), partition: 0 };
        lake.positions(std::slice::from_ref(&partition), NOW_MS).expect("a lake of one's own");
        let span = Span { partition, from: 0, to: i64::try_from(events.len()).unwrap_or(i64::MAX) };
        let (nanos, rows) = timed_everywhere(|| {
            let mut filtered = Filtered::default();
            let view = world.consent.view(NOW_MS, i64::MAX).expect("the store is current for ever");
            for poll in records.chunks(POLL) {
                filter.apply(poll, &view, NOW_MS, &mut filtered);
            }
            drop(view);
            let policy = std::sync::Arc::clone(&world.policy);
            let closed = ClosedBatch { filtered, spans: vec![(Origin(0), span)], policy, consent_position: 0 };
            let now_ms = || NOW_MS;
            let recheck =
                Recheck { store: &world.consent, max_staleness_ms: i64::MAX, elapsed_ms: &now_ms, now_ms: &now_ms };
            lake.commit(closed, recheck).expect("a lake of one's own").written().rows
        });
        assert!(rows > 0, "most events are written");
        nanos
    })
}

/// Parses into a tape, buffers reused.
pub fn simd_json(events: &Events) -> Contestant<'_> {
    let mut scratch = vec![0; events.bytes().len() + INPUT_PADDING];
    let mut buffers = Buffers::new(EVENT_BYTES);
    let mut spare = Some(Tape::null());
    contestant(SIMD_JSON.to_owned(), events, move || {
        scratch[..events.bytes().len()].copy_from_slice(events.bytes());
        let mut start = 0;
        let mut sound = 0;
        let mut kept = spare.take().unwrap_or_else(Tape::null);
        let (nanos, kept) = timed(|| {
            for event in events.iter() {
                let end = start + event.len();
                let mut tape = kept.reset();
                let parsed = simd_json::fill_tape_padded(
                    &mut scratch[start..end + INPUT_PADDING],
                    event.len(),
                    &mut buffers,
                    &mut tape,
                );
                sound += usize::from(parsed.is_ok());
                kept = tape.reset();
                start = end;
            }
            kept.reset()
        });
        spare = Some(kept);
        assert!(sound > events.len() * 9 / 10, "most events are JSON");
        nanos
    })
}

/// Validates and keeps nothing.
pub fn ignored_any(events: &Events) -> Contestant<'_> {
    parser(IGNORED_ANY, events, |event| serde_json::from_slice::<IgnoredAny>(event).is_ok())
}

/// Makes a tree.
pub fn value(events: &Events) -> Contestant<'_> {
    parser(VALUE, events, |event| serde_json::from_slice::<serde_json::Value>(event).is_ok())
}

fn parser<'c>(name: &str, events: &'c Events, is_sound: impl Fn(&[u8]) -> bool + 'c) -> Contestant<'c> {
    contestant(name.to_owned(), events, move || {
        let (nanos, sound) = timed(|| events.iter().filter(|event| is_sound(event)).count());
        assert!(sound > events.len() * 9 / 10, "most events are JSON");
        nanos
    })
}

/// Copies all bytes.
pub fn memcpy(events: &Events) -> Contestant<'_> {
    let mut copy = vec![0; events.bytes().len()];
    contestant(MEMCPY.to_owned(), events, move || timed(|| copy.copy_from_slice(events.bytes())).0)
}

/// The reference filter, which knows the consents of whom these events name.
pub fn reference<'c>(world: &'c World, corpus: &Corpus, events: &'c Events) -> Contestant<'c> {
    let limits = Limits::default();
    let mut reference = Reference::new(world.policy.clone(), world.keys.clone(), limits, REGION);
    let mut named = Produced::default();
    let keys: HashSet<_> = (0..u64::try_from(events.len()).unwrap_or(u64::MAX))
        .map(|index| {
            corpus.write(index, &mut named);
            named.key.clone()
        })
        .collect();
    for consent in corpus.consents() {
        let Some(value) = &consent.value else { continue };
        let parts: Vec<&[u8]> = consent.key.split(|byte| *byte == b'/').collect();
        // Agreements of organisations name no person; who was erased may be named beside the person.
        let [tenant, _, person] = parts[..] else {
            reference.consents.take(value);
            continue;
        };
        let key = [tenant, person].join(&b'/');
        if keys.contains(&key) || value.windows(ERASED.len()).any(|part| part == ERASED) {
            reference.consents.take(value);
        }
    }
    contestant(REFERENCE.to_owned(), events, move || {
        let mut outcome = Outcome::default();
        let (nanos, ()) = timed(|| {
            for (position, event) in (0..).zip(events.iter()) {
                let raw = Raw { origin: Origin(0), position, value: Some(event), headers: &[] };
                reference.filter(&raw, NOW_MS, &mut outcome);
            }
        });
        assert!(outcome.len() > events.len(), "most events are written");
        nanos
    })
}

fn contestant<'c>(name: String, events: &Events, round: impl FnMut() -> u64 + 'c) -> Contestant<'c> {
    Contestant { name, events: events.len(), bytes: events.bytes().len(), round: Box::new(round) }
}

/// At which size of its columns a batch closes: half of what `lake.memory` allows, as in the daemon.
const BATCH_BYTES: usize = 96 << 20;
/// A key of records that erase.
const ERASED: &[u8] = b"erased_before";
/// What buffers are made for at first; they grow.
const EVENT_BYTES: usize = 4096;
