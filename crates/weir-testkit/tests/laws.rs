//! Laws that hold whatever the events and consents are.

use std::sync::Arc;

use weir_consent::ConsentStore;
use weir_filter::{Filter, Filtered, Headers, Limits, Origin, Record};
use weir_policy::PurposeId;
use weir_testkit::agreement::REGION;
use weir_testkit::corpus::{Flaws, Produced};
use weir_testkit::random::Random;
use weir_testkit::reference::Outcome;
use weir_testkit::reference::cell::canonical;
use weir_testkit::world::{NOW_MS, World};

/// Consumed = written + denied + quarantined, for each partition and purpose.
#[test]
fn every_record_has_one_fate_per_purpose() {
    for flaws in [Flaws::NONE, Flaws::default(), Flaws::MANY] {
        let world = World::examples(1, flaws);
        let events = placed(world.events(0..3_000));
        let (filtered, _) = filter(&world, &consents(&world), &[&events]);
        for origin in [0, 1, 2].map(Origin) {
            let consumed = events.iter().filter(|(place, _, _)| *place == origin).count();
            for purpose in PurposeId::ALL {
                assert_eq!(filtered.tally.records(origin, purpose), u64::try_from(consumed).unwrap());
            }
        }
        assert_eq!(PurposeId::ALL.map(|purpose| filtered.tally.total(purpose)), [3_000; 3]);
    }
}

/// The counts of written rows are the rows.
#[test]
fn written_counts_are_rows() {
    let world = World::examples(2, Flaws::default());
    let events = placed(world.events(0..3_000));
    let (filtered, outcome) = filter(&world, &consents(&world), &[&events]);
    let fates = filtered.tally.fates();
    let written: u64 = fates.iter().filter(|(key, _)| key.fate.code().is_none()).map(|(_, count)| count).sum();
    assert_eq!(written, u64::try_from(outcome.len()).unwrap());
    assert!(written > 1_000, "only {written} rows");
}

/// Who says yes to more loses no row; who takes it back gains none.
#[test]
fn consent_adds_rows_and_its_end_removes_them() {
    for seed in 3..8 {
        let world = World::examples(seed, Flaws::default());
        let events = placed(world.events(0..2_000));
        let random = &mut Random::new(seed);
        let usual = consents(&world);
        let raised: Vec<String> =
            usual.iter().map(|line| if random.chance(500) { raise(line) } else { line.clone() }).collect();
        let lowered: Vec<String> =
            usual.iter().map(|line| if random.chance(500) { lower(line) } else { line.clone() }).collect();
        let [less, some, more] = [lowered, usual, raised].map(|lines| rows(&filter(&world, &lines, &[&events]).1));
        assert!(is_within(&less, &some) && less.len() < some.len(), "withdrawn: {} of {}", less.len(), some.len());
        assert!(is_within(&some, &more) && some.len() < more.len(), "given: {} of {}", some.len(), more.len());
    }
}

/// Without a word of anybody, nothing passes.
#[test]
fn an_empty_store_permits_nothing() {
    let world = World::examples(8, Flaws::default());
    let events = placed(world.events(0..2_000));
    let agreements: Vec<String> = consents(&world).into_iter().filter(|line| !line.contains("\"subject\"")).collect();
    assert!(filter(&world, &[], &[&events]).1.is_empty());
    // With the organisations' agreement, only events about no person pass.
    let (_, outcome) = filter(&world, &agreements, &[&events]);
    let about_people = |event_type: &str| {
        let contracts = world.policy.contracts().iter().filter(|contract| contract.event_type == event_type);
        contracts.into_iter().any(|contract| contract.subject.is_some())
    };
    assert!(!outcome.is_empty());
    assert!(outcome.rows.keys().all(|table| !about_people(&table.event_type)));
}

/// What a batch holds does not depend on the order of its records, nor on how they are cut into calls.
#[test]
fn order_and_cuts_do_not_matter() {
    let world = World::examples(9, Flaws::MANY);
    let lines = consents(&world);
    let mut events = placed(world.events(0..3_000));
    let (_, expected) = filter(&world, &lines, &[&events]);
    let cuts: Vec<&[Placed]> = events.chunks(7).collect();
    assert_eq!(filter(&world, &lines, &cuts).1.differences(&expected), Vec::<String>::new());
    let random = &mut Random::new(9);
    for last in (1..events.len()).rev() {
        events.swap(last, random.index(last + 1));
    }
    assert_eq!(filter(&world, &lines, &[&events]).1.differences(&expected), Vec::<String>::new());
}

/// Asked again after everybody withdrew, no row is left, and the counts still add up.
#[test]
fn a_withdrawal_before_the_commit_takes_every_row() {
    let world = World::examples(10, Flaws::default());
    let events = placed(world.events(0..2_000));
    let usual = consents(&world);
    let (mut filtered, before) = filter(&world, &usual, &[&events]);
    let withdrawn: Vec<String> = usual.iter().map(|line| lower(line)).collect();
    let store = store(&world, &withdrawn);
    let view = store.view(NOW_MS, i64::MAX).expect("a store that was read is current");
    let removed = filtered.retain_permitted(&view, &world.policy, REGION, NOW_MS);
    assert_eq!(removed, u64::try_from(before.len()).unwrap());
    assert_eq!(filtered.rows(), 0);
    assert_eq!(PurposeId::ALL.map(|purpose| filtered.tally.total(purpose)), [2_000; 3]);
}

/// A record with its partition and offset.
type Placed = (Origin, i64, Produced);

fn placed(records: Vec<Produced>) -> Vec<Placed> {
    let places = (0..3).cycle().map(Origin).zip(0..);
    places.zip(records).map(|((origin, position), record)| (origin, position, record)).collect()
}

fn consents(world: &World) -> Vec<String> {
    let lines = world.corpus.consents().filter_map(|record| record.value);
    lines.map(|line| String::from_utf8(line).expect("consents are text")).collect()
}

/// Turns a record into one that has permitted everything for long and without end; erasures stay.
fn raise(line: &str) -> String {
    if line.contains("erased_before") {
        return line.to_owned();
    }
    let record: serde_json::Value = serde_json::from_str(line).expect("consents are JSON");
    let mut record = record.as_object().expect("consents are objects").clone();
    record.insert("status".to_owned(), "given".into());
    record.insert("at".to_owned(), "2020-01-01T00:00:00Z".into());
    record.remove("valid_until");
    record.remove("regions");
    serde_json::Value::from(record).to_string()
}

fn lower(line: &str) -> String {
    line.replace("\"given\"", "\"withdrawn\"").replace("\"renewed\"", "\"withdrawn\"")
}

fn store(world: &World, consents: &[String]) -> ConsentStore {
    ConsentStore::read_ndjson(consents.join("\n").as_bytes(), &world.keys, NOW_MS).expect("consents are good")
}

/// Filters batches by the fast filter, one call each.
fn filter(world: &World, consents: &[String], batches: &[&[Placed]]) -> (Filtered, Outcome) {
    let store = store(world, consents);
    let view = store.view(NOW_MS, i64::MAX).expect("a store that was read is current");
    let keys = Arc::clone(&world.keys);
    let mut filter = Filter::new(Arc::clone(&world.policy), keys, Limits::default(), REGION.to_owned());
    let mut filtered = Filtered::default();
    for batch in batches {
        let headers: Vec<Vec<(&str, &[u8])>> = batch.iter().map(|(_, _, record)| record.borrowed_headers()).collect();
        let records = batch.iter().zip(&headers).map(|((origin, position, record), headers)| {
            Record::new(*origin, *position, record.value.as_deref(), Headers::new(headers))
        });
        filter.apply(&records.collect::<Vec<_>>(), &view, NOW_MS, &mut filtered);
    }
    let outcome = Outcome::of(&filtered, &world.policy, &view);
    (filtered, outcome)
}

/// Returns all rows, with their tables, sorted.
fn rows(outcome: &Outcome) -> Vec<String> {
    let tables = outcome.rows.iter();
    let mut rows: Vec<String> =
        tables.flat_map(|(table, rows)| rows.iter().map(move |row| format!("{table:?} {}", canonical(row)))).collect();
    rows.sort_unstable();
    rows
}

/// Tells whether a sorted multiset is part of another.
fn is_within(part: &[String], whole: &[String]) -> bool {
    let mut left = whole.iter();
    part.iter().all(|row| left.any(|other| other == row))
}
