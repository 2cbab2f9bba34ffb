//! Fills a store with people who chose for all three purposes, and says what they weigh and what a question costs.
//!
//! `cargo run --release -p weir-consent --example store_size -- 10000000`

use std::io::{self, Write};

use weir_consent::{ConsentStore, Question, Standing, StateRecord, Status};
use weir_keys::PersonKey;
use weir_policy::{PurposeId, Purposes};

#[path = "measured/people.rs"]
mod people;

use people::{mix, person, resident};

const BATCH: u64 = 10_000;
const QUESTIONS: u64 = 10_000_000;
/// Questions under one view.
const POLL: usize = 1_000;
/// People made near at once.
const WARM: usize = 32;

fn main() -> io::Result<()> {
    let people: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10_000_000);
    let mut out = io::stdout().lock();
    let store = ConsentStore::new();
    let standing = Standing::new(Status::Given, 1_000, Some(1 << 42)).ok_or(io::ErrorKind::InvalidInput)?;
    let agreement = weir_consent::Agreement { standing, regions: None };
    for purpose in PurposeId::ALL {
        store.apply(StateRecord::Agreement { tenant: "acme".into(), purpose, agreement: agreement.clone() });
    }

    let start = processor_time();
    for first in (0..people).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let numbers = first..people.min(first + BATCH);
        let choices = numbers.flat_map(|number| {
            PurposeId::ALL.map(|purpose| StateRecord::Choice { person: person(number), purpose, standing })
        });
        store.apply_all(choices);
    }
    let nanoseconds = (processor_time() - start) / (people * 3);
    writeln!(out, "{people} people, {nanoseconds} ns a record")?;
    writeln!(out, "{} bytes in tables, {} a person", store.memory(), store.memory() / store.people().max(1))?;
    writeln!(out, "{}", resident())?;

    store.mark_current(0);
    for (what, from) in [("known people", 0), ("unknown people", people)] {
        let keys: Vec<_> = (0..QUESTIONS).map(|number| person(from + mix(number) % people)).collect();
        for (how, warm) in [("as they come", false), ("after `warm`", true)] {
            let start = processor_time();
            let permitted: usize = keys.chunks(POLL).map(|poll| ask(&store, poll, warm)).sum();
            let nanoseconds = (processor_time() - start) / QUESTIONS;
            writeln!(out, "{what}, {how}: {nanoseconds} ns for the three purposes, {permitted} permitted")?;
        }
    }
    Ok(())
}

/// Asks about each person under one view; returns how many are permitted.
fn ask(store: &ConsentStore, people: &[PersonKey], warm: bool) -> usize {
    let lawful = Purposes::default();
    let view = store.view(0, 0).expect("marked current");
    let tenant = view.tenant("acme").expect("it agreed");
    let mut permitted = 0;
    for near in people.chunks(WARM) {
        if warm {
            view.warm(near.iter().copied());
        }
        for person in near {
            let question = Question {
                tenant,
                person: Some(*person),
                others: &[],
                event_ms: 2_000,
                now_ms: 3_000,
                region: "eu",
                lawful: &lawful,
            };
            permitted += usize::from(view.judge_all(question)[0].is_ok());
        }
    }
    permitted
}

/// Nanoseconds that this thread has spent on a processor, as Linux tells it: other work on the machine does not count.
fn processor_time() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|spent| spent.parse().ok()).unwrap_or(0)
}
