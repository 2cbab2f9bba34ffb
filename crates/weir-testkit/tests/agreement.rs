//! The fast filter and the slow reference agree, row by row and count by count.
//!
//! `WEIR_AGREEMENT_TIMES=100` takes as many times more events of each corpus than an ordinary run.
//!
//! They share no code that reads JSON, numbers or times, that coarsens, asks consent or counts. Where they differ, the text
//! of DESIGN.md, RFC 8259 and the tables in the documentation of `weir_filter` say who is wrong.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use weir_filter::{Fate, Limits};
use weir_policy::{DenyReason, MalformedCode, PurposeId};
use weir_testkit::corpus::{Flaws, Produced};
use weir_testkit::mutate::Mutator;
use weir_testkit::random::Random;
use weir_testkit::world::World;

/// Real traffic: the example contracts, the usual rate of flaws.
#[test]
fn filters_agree_on_the_corpus() {
    let mut world = World::examples(1, Flaws::default());
    let events = world.events(0..10_000 * times());
    assert_agreed(&mut world, &events);
    assert_varied(&world);
}

/// Every type, in and outside arrays, and many flaws.
#[test]
fn filters_agree_on_every_type() {
    let mut world = World::edges(2, Flaws::MANY);
    let events = world.events(0..5_000 * times());
    assert_agreed(&mut world, &events);
    assert_varied(&world);
}

/// Records spoiled in up to three ways each; together they meet every fate that a filter can give.
#[test]
fn filters_agree_on_mutated_records() {
    let mut met = BTreeSet::new();
    for mut world in [World::examples(3, Flaws::default()), World::edges(4, Flaws::default())] {
        let mutator = Mutator::new(&world.policy);
        let mut events = world.events(0..8_000 * times());
        for (event, index) in events.iter_mut().zip(0..) {
            let mut random = Random::of(5, index);
            for _ in 0..=random.below(3) {
                mutator.mutate(event, random.bits());
            }
        }
        assert_agreed(&mut world, &events);
        assert_varied(&world);
        met.extend(fates(&world));
    }
    // The others come about later: at the commit, or by an operator.
    let later = [DenyReason::WithdrawnBeforeCommit, DenyReason::TableRefused];
    let denied = DenyReason::ALL.iter().filter(|reason| !later.contains(reason)).map(|reason| Fate::Denied(*reason));
    // The reference opens nothing and knows no topics: the filter's own tests compare what is sealed with the same in clear.
    let elsewhere = [
        MalformedCode::TooLarge,
        MalformedCode::NotSealed,
        MalformedCode::ForeignTenant,
        MalformedCode::SealForm,
        MalformedCode::SealKey,
        MalformedCode::SealEvent,
        MalformedCode::SealBroken,
    ];
    let quarantined = MalformedCode::ALL.iter().filter(|code| !elsewhere.contains(code));
    let expected = denied.chain(quarantined.map(|code| Fate::Quarantined(*code)));
    let missed: Vec<Fate> = expected.filter(|fate| !met.contains(fate)).collect();
    assert_eq!(missed, []);
}

/// Small limits, so that each of them is met by ordinary records.
#[test]
fn filters_agree_on_limits() {
    let limits = Limits { record_bytes: 1_300, depth: 4, fields: 30, array_items: 2 };
    let mut world = World::examples(6, Flaws::default()).with_limits(limits);
    let events = world.events(0..4_000);
    assert_agreed(&mut world, &events);
    let fates = fates(&world);
    for code in
        [MalformedCode::TooLarge, MalformedCode::TooDeep, MalformedCode::TooManyFields, MalformedCode::TooManyItems]
    {
        assert!(fates.contains(&Fate::Quarantined(code)), "no record was {}", code.code());
    }
}

/// What a processor has decides how text is looked through and how identifiers are hashed, and nothing else.
#[test]
fn filters_agree_with_the_instructions_of_every_processor() {
    for (_, level) in weir_filter::levels().into_iter().skip(1) {
        let mut world = World::edges(10, Flaws::default()).at_level(level);
        let mutator = Mutator::new(&world.policy);
        let mut events = world.events(0..4_000 * times());
        for (event, index) in events.iter_mut().zip(0..).step_by(2) {
            mutator.mutate(event, Random::of(11, index).bits());
        }
        assert_agreed(&mut world, &events);
        assert_varied(&world);
    }
}

/// The same with shrinking: the ways of spoiling that a failure needs, and no others, are printed.
#[test]
fn filters_agree_whatever_the_mutations() {
    let world = World::edges(7, Flaws::default());
    let mutator = Mutator::new(&world.policy);
    let (corpus, agreement) = (&world.corpus, RefCell::new(world.agreement));
    let cases = (0_u64..1_000_000, prop::collection::vec(any::<u64>(), 0..8));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(1_000) });
    let result = runner.run(&cases, |(index, seeds)| {
        let mut record = corpus.event(index);
        for seed in seeds {
            mutator.mutate(&mut record, seed);
        }
        agreement.borrow_mut().check(&[record]).map_err(|found| TestCaseError::fail(found.to_string()))
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// Bytes that never were an event: both find the same fault in them.
#[test]
fn filters_agree_on_any_bytes() {
    let mut world = World::edges(8, Flaws::default());
    let alphabet = b"{}[]:,\"\\ \n0123456789-+.eEtrufalsn\x00\x1f\xc3\xa9\xed\xff/data";
    let mut random = Random::new(9);
    let any_bytes = |_| {
        let value = (0..random.below(24)).map(|_| random.pick(alphabet)).collect();
        Produced { value: Some(value), ..Produced::default() }
    };
    let records: Vec<Produced> = (0..50_000).map(any_bytes).collect();
    assert_agreed(&mut world, &records);
}

/// How many times more events are compared than in an ordinary run.
fn times() -> u64 {
    std::env::var("WEIR_AGREEMENT_TIMES").map_or(1, |times| times.parse().expect("WEIR_AGREEMENT_TIMES is a number"))
}

fn assert_agreed(world: &mut World, records: &[Produced]) {
    for batch in records.chunks(1_000) {
        if let Err(found) = world.agreement.check(batch) {
            panic!("the filters do not agree on\n{found}");
        }
    }
}

/// Checks that the records met a good part of all fates: agreement about nothing proves nothing.
fn assert_varied(world: &World) {
    for purpose in PurposeId::ALL {
        let tables = &world.agreement.total.rows;
        assert!(tables.keys().any(|table| table.purpose == purpose), "no row for {}", purpose.name());
    }
    let fates = fates(world);
    assert!(fates.len() > 15, "few fates: {fates:?}");
}

fn fates(world: &World) -> BTreeSet<Fate> {
    world.agreement.total.fates.keys().map(|key| key.fate).collect()
}
