//! The corpus is what it says it is: the same for the same seed, of the promised size and mix.

use std::collections::HashMap;
use std::path::Path;

use weir_policy::{Policy, PolicySource};
use weir_testkit::corpus::{Corpus, Flaws, Options, Produced};

/// 2026-11-24T10:00:00Z.
const NOW_MS: i64 = 1_795_514_400_000;

fn policy() -> Policy {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    Policy::load(&PolicySource { contracts, purposes: None }).unwrap_or_else(|report| panic!("{report}")).0
}

#[test]
fn events_are_the_same_for_the_same_seed() {
    let policy = policy();
    let options = Options { people: 100, ..Options::ending(NOW_MS) };
    let (one, two) = (Corpus::new(1, &policy, options.clone()), Corpus::new(1, &policy, options.clone()));
    let other = Corpus::new(2, &policy, options);
    let events: Vec<Produced> = one.events().take(500).collect();
    assert_eq!(events, two.events().take(500).collect::<Vec<_>>());
    assert_ne!(events, other.events().take(500).collect::<Vec<_>>());
    // Any part can be made alone, in buffers that were used before.
    let mut buffer = two.event(3);
    two.write(499, &mut buffer);
    assert_eq!(buffer, events[499]);
    assert!(one.consents().eq(two.consents()));
}

#[test]
fn events_have_about_a_kilobyte_and_are_json() {
    let policy = policy();
    let whole = Corpus::new(3, &policy, Options { flaws: Flaws::NONE, ..Options::ending(NOW_MS) });
    for event in whole.events().take(2_000) {
        let value = event.value.expect("no tombstones without flaws");
        serde_json::from_slice::<serde_json::Value>(&value).expect("an event without flaws is JSON");
    }
    let usual = Corpus::new(3, &policy, Options::ending(NOW_MS));
    let bytes: usize = usual.events().take(5_000).filter_map(|event| event.value).map(|value| value.len()).sum();
    let mean = bytes / 5_000;
    assert!((900..1_200).contains(&mean), "the mean event has {mean} bytes");
}

#[test]
fn people_choose_as_promised() {
    let policy = policy();
    let corpus = Corpus::new(4, &policy, Options { people: 2_000, ..Options::ending(NOW_MS) });
    let mut statuses: HashMap<String, usize> = HashMap::new();
    for record in corpus.consents() {
        let value: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).expect("consents are JSON");
        *statuses.entry(value["status"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let given = statuses["given"] + statuses["renewed"];
    let all: usize = statuses.values().sum();
    assert!((70..90).contains(&(given * 100 / all)), "{given} of {all} permit");
    assert!(statuses.len() >= 9, "states that occur: {statuses:?}");
}
