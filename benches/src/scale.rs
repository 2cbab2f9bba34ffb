//! How the filter's time grows with the policy, with the consents, with the dates of a batch, and with the cores.

use std::io::Write;
use std::thread;

use anyhow::Result;

use crate::goals::{self, SCALE_GOALS};
use crate::race;
use crate::ratios::Size;
use crate::world::{Events, Mode, World};
use crate::{contestants, ratios};

/// How far the scales reach.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Event types of the largest policy.
    pub types: usize,
    /// Consent records of the largest store.
    pub records: u32,
}

/// Measures and prints the table, in Markdown.
///
/// # Errors
/// When there is no room for temporary files, or the output is closed.
pub fn print(size: &Size, reach: Reach, out: &mut impl Write) -> Result<()> {
    let policies = [8, 64, 1_000].map(|types| types.min(reach.types)).map(|types| (types, format!(", {types} types")));
    let stores = [5, 6, 7, 8].map(|zeros| (10_u32.pow(zeros), format!(", 10^{zeros} consent records")));
    let stores = stores.into_iter().filter(|(records, _)| *records <= reach.records);
    let dates = [1, 7, 28].map(|days| (days, format!(", {days} dates")));

    let mut loads = Vec::new();
    for (types, suffix) in policies {
        let world = World::new(types, size.people)?;
        let events = Events::generate(&world.corpus(Mode::Mixed, size.events)?, size.events);
        loads.push((world, events, suffix));
    }
    for (records, suffix) in stores {
        // A person chooses for three purposes.
        let world = World::vast(8, records / 3)?;
        let events = Events::generate(&world.corpus(Mode::Mixed, size.events)?, size.events);
        loads.push((world, events, suffix));
    }
    for (days, suffix) in dates {
        let world = World::new(8, size.people)?;
        let events = Events::generate(&world.corpus_over(days, Mode::Mixed, size.events)?, size.events);
        loads.push((world, events, suffix));
    }
    let mut all: Vec<_> =
        loads.iter().flat_map(|(world, events, suffix)| contestants::weir(world, events, suffix)).collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if let [(world, events, _), ..] = &loads[..] {
        let twice = std::iter::successors(Some(1), |number| Some(number * 2)).take_while(|number| *number <= cores);
        all.extend(twice.map(|number| contestants::weir_on(number, world, events)));
    }
    let results = race::run(all, size.rounds);
    writeln!(out, "{} events, {} rounds in turn\n", size.events, size.rounds)?;
    writeln!(out, "{}", race::table(&results, &format!("{}, 8 types", ratios::WHOLE)))?;
    writeln!(out, "{}", goals::table(SCALE_GOALS, &results))?;
    Ok(())
}
