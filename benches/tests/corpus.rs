//! The corpus has the statistics that the figures of `docs/performance.md` rest on.

use std::collections::{HashMap, HashSet};

use weir_bench::outcome::{Counts, counts};
use weir_bench::world::{Events, Mode, NOW_MS, World};
use weir_filter::{Fate, Filtered};
use weir_policy::{DenyReason, MalformedCode, PurposeId};

const EVENTS: u64 = 20_000;

/// One run of the filter over the mixed corpus tells sizes, outcomes, rows, cells and pseudonyms at once.
#[test]
fn mixed_corpus_has_the_promised_statistics() {
    let world = World::new(8, 50_000).expect("the world can be made");
    let corpus = world.corpus(Mode::Mixed, EVENTS).expect("the contracts are sound");
    let events = Events::generate(&corpus, EVENTS);
    let mut out = Filtered::default();
    let view = world.consent.view(NOW_MS, i64::MAX).expect("current for ever");
    world.filter().apply(&events.records(), &view, NOW_MS, &mut out);

    let each =
        |count: usize| f64::from(u32::try_from(count).expect("few")) / f64::from(u32::try_from(EVENTS).expect("few"));
    let mut outcomes: HashMap<&str, usize> = HashMap::new();
    for (key, count) in out.tally.fates().into_iter().filter(|(key, _)| key.purpose == PurposeId::Troubleshooting) {
        let outcome = match key.fate {
            Fate::Written => "written",
            Fate::Quarantined(MalformedCode::NoContract) => "no contract",
            Fate::Quarantined(MalformedCode::DuplicateKey) => "duplicate key",
            Fate::Quarantined(_) => "malformed",
            Fate::Denied(DenyReason::NoSubject) => "no subject",
            Fate::Denied(_) => "not permitted",
        };
        *outcomes.entry(outcome).or_default() += usize::try_from(count).expect("few");
    }
    let counts = counts(&out);
    let sum = |of: fn(&Counts) -> u64| each(usize::try_from(counts.iter().map(of).sum::<u64>()).expect("few"));
    let people: HashSet<_> = (0..EVENTS).map(|index| corpus.event(index).key).collect();
    let keys: HashSet<Vec<u8>> = events.iter().map(keys_of).collect();

    let mut astray = Vec::new();
    let mut within = |name: &str, value: f64, low: f64, high: f64| {
        if !(low..=high).contains(&value) {
            astray.push(format!("{name}: {value} is not in {low}..={high}"));
        }
    };
    let share = |name: &str| each(outcomes.get(name).copied().unwrap_or(0));
    within("bytes", each(events.bytes().len()), 960.0, 1010.0);
    within("rows", sum(|counts| counts.rows), 2.1, 2.4);
    within("cells", sum(|counts| counts.cells), 41.0, 47.0);
    within("pseudonyms", sum(|counts| counts.pseudonyms), 6.5, 8.0);
    within("written", share("written"), 0.7, 0.8);
    within("malformed", share("malformed"), 0.008, 0.018);
    within("no contract", share("no contract"), 0.015, 0.025);
    within("no subject", share("no subject"), 0.001, 0.006);
    within("duplicate key", share("duplicate key"), 0.0002, 0.002);
    within("different people", each(people.len()), 0.2, 0.6);
    within("different sequences of keys", each(keys.len()), 0.9, 1.0);
    assert!(astray.is_empty(), "{astray:#?}");
}

/// Returns everything that stands before a colon: the event's shape.
fn keys_of(event: &[u8]) -> Vec<u8> {
    let mut keys = Vec::new();
    for part in event.split(|byte| *byte == b':') {
        keys.extend_from_slice(part.rsplit(|byte| *byte == b',' || *byte == b'{').next().unwrap_or_default());
    }
    keys
}
