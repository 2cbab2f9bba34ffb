//! What encryption costs a commit; it asserts no figure, ADR 0015 has those of one machine.

use std::fs;

use weir_lake::{DataFiles, Lake, LakeConfig};

use crate::world::{SPEED, World, speed, take};

/// The same batches, in turns, into a lake in clear and into an encrypted one: the time of the processor, of all threads.
#[test]
fn encryption_costs_a_part_of_a_commit() {
    let rounds = std::env::var("WEIR_TEST_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap());
    let world = World::new(&[SPEED]);
    let lakes = [("clear", DataFiles::Clear), ("encrypted", world.encrypted())].map(|(region, files)| {
        let config = LakeConfig { files, region: region.to_owned(), ..world.config() };
        let ledger = config.ledger(world.ring.snapshot().signing_key("ledger"), world.ring.head_file(region));
        Lake::open(config, &world.key(), ledger).unwrap()
    });
    let events: Vec<_> = (0..ROWS).map(|row| speed(&format!("u{}", row % 100))).collect();
    let (mut ms, mut bytes) = ([0; 2], [0; 2]);
    for _ in 0..rounds {
        for (place, lake) in lakes.iter().enumerate() {
            let from = take(lake, 0).watermark.unwrap_or(0);
            let batch = world.batch(0, from, &events);
            let before = processor_ms();
            bytes[place] = world.commit(lake, batch).unwrap().written().bytes;
            ms[place] += processor_ms() - before;
        }
    }
    let [clear, encrypted] = ms.map(|ms| ms * 1_000_000 / (rounds * ROWS));
    let [plain, sealed] = bytes;
    println!(
        "a row of a commit takes {clear} ns in clear, {encrypted} ns encrypted; {ROWS} rows have {plain} and {sealed} bytes"
    );
}

/// Returns the time that this process was on a processor.
fn processor_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything: the times in the program and in the kernel are numbers 11 and 12, in hundredths.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
}

const ROWS: u64 = 50_000;
