//! A long run of both filters: `cargo run --release -p weir-testkit --example agree -- EVENTS SEED`.
//!
//! Of every four records two come as the corpus makes them and two are spoiled; half are of the example contracts, half of
//! the one with every type. It prints what was compared, and ends with 1 at the first record that the filters differ on.

use std::io::{self, Write};
use std::process::ExitCode;

use weir_testkit::agreement::Disagreement;
use weir_testkit::corpus::{Flaws, Produced};
use weir_testkit::mutate::Mutator;
use weir_testkit::random::Random;
use weir_testkit::world::World;

fn main() -> io::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(events)), Some(Ok(seed)), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        writeln!(io::stderr(), "usage: agree EVENTS SEED")?;
        return Ok(ExitCode::from(64));
    };
    let mut run = Run::new(seed);
    for start in (0..events).step_by(BATCH) {
        let end = events.min(start + u64::try_from(BATCH).unwrap_or(0));
        if let Err(found) = run.compare(start..end) {
            writeln!(io::stdout(), "{run}\nthe filters differ on\n{found}")?;
            return Ok(ExitCode::FAILURE);
        }
        if (start / u64::try_from(BATCH).unwrap_or(1)) % 100 == 99 {
            writeln!(io::stdout(), "{run}")?;
        }
    }
    writeln!(io::stdout(), "{run}, no difference")?;
    Ok(ExitCode::SUCCESS)
}

struct Run {
    seed: u64,
    worlds: [(World, Mutator); 2],
    events: u64,
    bytes: u64,
    rows: u64,
    quarantined: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let worlds = [World::examples(seed, Flaws::default()), World::edges(seed, Flaws::MANY)].map(|world| {
            let mutator = Mutator::new(&world.policy);
            (world, mutator)
        });
        Self { seed, worlds, events: 0, bytes: 0, rows: 0, quarantined: 0 }
    }

    fn compare(&mut self, events: std::ops::Range<u64>) -> Result<(), Box<Disagreement>> {
        let mut batches: [Vec<Produced>; 2] = [Vec::new(), Vec::new()];
        for index in events {
            let random = &mut Random::of(self.seed, index);
            let place = random.index(2);
            let (world, mutator) = &self.worlds[place];
            let mut record = world.corpus.event(index);
            if random.chance(500) {
                for _ in 0..=random.below(3) {
                    mutator.mutate(&mut record, random.bits());
                }
            }
            self.bytes += record.value.as_ref().map_or(0, |value| u64::try_from(value.len()).unwrap_or(0));
            self.events += 1;
            batches[place].push(record);
        }
        for ((world, _), batch) in self.worlds.iter_mut().zip(&batches) {
            world.agreement.check(batch)?;
            let total = std::mem::take(&mut world.agreement.total);
            self.rows += u64::try_from(total.len()).unwrap_or(0);
            self.quarantined += u64::try_from(total.quarantine.len()).unwrap_or(0);
        }
        Ok(())
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, events, bytes, rows, quarantined, .. } = self;
        write!(out, "seed {seed}: {events} events, {bytes} bytes, {rows} rows, {quarantined} quarantined")
    }
}

/// Records that are compared at once: large enough for tables with many rows, small enough to bound memory.
const BATCH: usize = 1_000;
