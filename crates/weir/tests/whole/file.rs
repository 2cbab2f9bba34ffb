//! Files into the lake: `weir filter`, without a broker.

use std::fs;

use weir_testkit::corpus::{Flaws, Options};
use weir_testkit::readers::Engine;

use crate::expected::Expected;
use crate::program::Weir;
use crate::world::{Settings, World};

/// A file's events become the rows that the reference makes, once, however often the file is given.
#[test]
fn file_becomes_the_rows_of_the_reference_once() {
    let world = World::new(&Settings::default());
    let expected = expected(&world, 3);
    let file = world.path("events.ndjson");
    let file = file.to_str().unwrap();
    for _ in 0..2 {
        Weir::new(&world, ["filter", "--decision", "TEST-1", file]).run().assert_done();
        expected.assert_read_by(&world, &Engine::QUICK);
    }
    Weir::new(&world, ["audit"]).run().assert_done();
}

/// Writes consents and events of some days to files, and returns the rows that the reference makes of them.
pub(crate) fn expected(world: &World, days: u32) -> Expected {
    // A line of a file is one event: what only Kafka can carry is left out, and so is what has line breaks.
    let flaws = Flaws { tombstone: 0, binary_mode: 0, ..Flaws::default() };
    let options = Options { people: 300, tenants: 40, events: 5_000, days, flaws, ..Options::ending(0) };
    let corpus = world.corpus(11, options);
    let is_a_line = |value: &Vec<u8>| !value.is_empty() && !value.contains(&b'\n');
    let events = || {
        let records = (0..5_000).map(|number| corpus.event(number));
        records.filter(|record| record.value.as_ref().is_some_and(is_a_line))
    };
    let lines = |records: &mut dyn Iterator<Item = weir_testkit::corpus::Produced>| {
        records.flat_map(|record| [record.value.unwrap(), b"\n".to_vec()].concat()).collect::<Vec<u8>>()
    };
    fs::write(world.path("consent.ndjson"), lines(&mut world.consents(&corpus))).unwrap();
    fs::write(world.path("events.ndjson"), lines(&mut events())).unwrap();
    let expected = Expected::of(world, &corpus, world.consents(&corpus), events());
    assert!(expected.rows() > 3_000, "{} rows prove little", expected.rows());
    expected
}
