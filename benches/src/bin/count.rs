//! One pass of the filter for callgrind to count: `count MODE EVENTS [TYPES]`, run by `cargo xtask count`.
//!
//! Only what happens inside [`counted_pass`] counts: two passes, the second with caches that the first has filled. Keys are
//! random, so two runs differ a little, in how hash tables fall out.

use anyhow::{Context as _, Result};
use weir_bench::world::{Events, Mode, NOW_MS, POLL, World};
use weir_consent::ConsentView;
use weir_filter::{Filter, Filtered, Record};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().context("which mode?")?;
    let mode = Mode::ALL.into_iter().find(|known| known.word() == mode).context("no such mode")?;
    let events: u64 = arguments.next().context("how many events?")?.parse()?;

    let types = arguments.next().map_or(Ok(8), |types| types.parse())?;
    let world = World::new(types, PEOPLE)?;
    let events = Events::generate(&world.corpus(mode, events)?, events);
    let records = events.records();
    let view = world.consent.view(NOW_MS, i64::MAX).context("the store is current for ever")?;
    let mut filter = world.filter();
    for _ in 0..PASSES {
        let mut out = Filtered::default();
        counted_pass(&mut filter, &records, &view, &mut out);
        anyhow::ensure!(out.rows() > records.len(), "most events are written");
    }
    Ok(())
}

/// Filters all records; xtask knows this function by its name.
#[inline(never)]
fn counted_pass(filter: &mut Filter, records: &[Record<'_>], view: &ConsentView<'_>, out: &mut Filtered) {
    for poll in records.chunks(POLL) {
        filter.apply(poll, view, NOW_MS, out);
    }
}

/// The number by which xtask divides.
const PASSES: u32 = 2;
const PEOPLE: u32 = 2_000;
