//! Keeps a store of people who chose for all three purposes in a snapshot and fills another from it; says how long both take.
//!
//! `cargo run --release -p weir-consent --example snapshot -- 10000000 FOLDER`

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_keys::{KeyRing, Sealed};
use weir_policy::PurposeId;

#[path = "measured/people.rs"]
mod people;

use people::{person, resident};

const BATCH: u64 = 10_000;
const CONTEXT: &str = "consent snapshot";

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let people: u64 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(10_000_000);
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("weir-snapshot-example");
    std::fs::create_dir(&folder)?;
    let measured = measure(people, &folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(people: u64, folder: &std::path::Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let keys = KeyRing::init(&folder.join("keys")).map_err(io::Error::other)?.snapshot();
    let path = folder.join("consent.snapshot");
    let store = fill(people)?;
    writeln!(out, "{people} people in {} MB; {}", store.memory() / 1_000_000, resident())?;

    let start = now();
    let longest = longest_wait(&store, || {
        let mut sealing = keys.seal(CONTEXT, b"of an example", File::create(&path)?)?;
        store.write_snapshot(&mut sealing)?;
        sealing.finish()?.sync_all()
    })?;
    let megabytes = File::open(&path)?.metadata()?.len() / 1_000_000;
    writeln!(
        out,
        "written: {megabytes} MB in {:?}, a writer waited {longest:?} at most; {}",
        start.elapsed(),
        resident()
    )?;
    drop(store);

    let (start, store) = (now(), ConsentStore::new());
    store.restore(&mut Sealed::read(File::open(&path)?)?.open(&keys, CONTEXT))?;
    writeln!(out, "loaded: {} people in {:?}; {}", store.people(), start.elapsed(), resident())
}

/// Does something, and returns the longest time that a change of the store took meanwhile.
fn longest_wait(store: &ConsentStore, act: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let (is_over, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let start = now();
                store.apply_all([]);
                let waited = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                longest.fetch_max(waited, Ordering::Relaxed);
                thread::sleep(Duration::from_micros(100));
            }
        });
        let done = act();
        is_over.store(true, Ordering::Relaxed);
        done
    })?;
    Ok(Duration::from_nanos(longest.into_inner()))
}

fn fill(people: u64) -> io::Result<ConsentStore> {
    let store = ConsentStore::new();
    let standing = Standing::new(Status::Given, 1_000, Some(1 << 42)).ok_or(io::ErrorKind::InvalidInput)?;
    for first in (0..people).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let numbers = first..people.min(first + BATCH);
        store.apply_all(numbers.flat_map(|number| {
            PurposeId::ALL.map(|purpose| StateRecord::Choice { person: person(number), purpose, standing })
        }));
    }
    Ok(store)
}

#[expect(clippy::disallowed_methods, reason = "a measurement is about real time")]
fn now() -> Instant {
    Instant::now()
}
