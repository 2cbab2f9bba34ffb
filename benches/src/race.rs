//! Runs contestants in turn, several rounds, and keeps the fastest and the slowest round of each.
//!
//! They take turns within a round, so that a machine that gets slower or faster does so for all of them. The fastest round
//! counts: it is the one that was disturbed least. The spread tells how much to trust it.

use std::fmt::Write as _;

use rustix::time::{ClockId, clock_gettime};

/// Something that takes all events and says how long it did.
#[expect(missing_debug_implementations, reason = "holds events and keys")]
pub struct Contestant<'c> {
    /// What it is called in tables.
    pub name: String,
    /// Events that it takes in a round.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Takes the events once and returns the nanoseconds that count.
    pub round: Box<dyn FnMut() -> u64 + 'c>,
}

/// The rounds of a contestant.
#[derive(Clone, Debug)]
pub struct Result {
    /// What it is called in tables.
    pub name: String,
    /// Nanoseconds per event of the fastest round.
    pub nanos: f64,
    /// How much longer the round in the middle took, as a part of the fastest.
    pub spread: f64,
    /// Bytes of a mean event.
    pub bytes: f64,
}

/// Runs all contestants `rounds` times, in turn.
///
/// # Panics
/// Panics when there are no rounds.
pub fn run(mut contestants: Vec<Contestant<'_>>, rounds: usize) -> Vec<Result> {
    let mut nanos = vec![Vec::with_capacity(rounds); contestants.len()];
    for _ in 0..rounds {
        for (contestant, nanos) in contestants.iter_mut().zip(&mut nanos) {
            nanos.push((contestant.round)());
        }
    }
    let finish = |(contestant, nanos): (&Contestant<'_>, &mut Vec<u64>)| {
        nanos.sort_unstable();
        let (fastest, middle) = (nanos[0], nanos[nanos.len() / 2]);
        Result {
            name: contestant.name.clone(),
            nanos: ratio(fastest, contestant.events),
            spread: ratio(middle, fastest) - 1.0,
            bytes: ratio(contestant.bytes, contestant.events),
        }
    };
    contestants.iter().zip(&mut nanos).map(finish).collect()
}

/// Returns the nanoseconds for which this thread was on a processor while it ran `act`.
pub fn timed<T>(act: impl FnOnce() -> T) -> (u64, T) {
    timed_by(ClockId::ThreadCPUTime, act)
}

/// Returns the nanoseconds for which any thread of this process was on a processor while this one ran `act`.
pub fn timed_everywhere<T>(act: impl FnOnce() -> T) -> (u64, T) {
    timed_by(ClockId::ProcessCPUTime, act)
}

/// Returns the nanoseconds that passed while this thread ran `act`.
pub fn timed_by_clock<T>(act: impl FnOnce() -> T) -> (u64, T) {
    timed_by(ClockId::Monotonic, act)
}

fn timed_by<T>(clock: ClockId, act: impl FnOnce() -> T) -> (u64, T) {
    let start = nanos(clock);
    let done = act();
    (nanos(clock) - start, done)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("these clocks start at 0")
}

/// Divides for people to read.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "times and sizes are far below 2^53")]
pub fn ratio(part: impl TryInto<u64>, whole: impl TryInto<u64>) -> f64 {
    let number = |value: Option<u64>| value.unwrap_or(0) as f64;
    number(part.try_into().ok()) / number(whole.try_into().ok()).max(1.0)
}

/// Writes results as a table of Markdown, with the ratio of each to the one named `base`.
pub fn table(results: &[Result], base: &str) -> String {
    let unit = find(results, base).map_or(f64::NAN, |result| result.nanos);
    let mut out = format!("| | ns/event | spread | k events/s | MB/s | / {base} |\n|---|--:|--:|--:|--:|--:|\n");
    for Result { name, nanos, spread, bytes } in results {
        writeln!(
            out,
            "| {name} | {nanos:.0} | {:.1} % | {:.0} | {:.0} | {:.2} |",
            spread * 100.0,
            1e6 / nanos,
            bytes * 1e3 / nanos,
            nanos / unit
        )
        .expect("a string has room");
    }
    out
}

/// Returns the result of a contestant.
pub fn find<'r>(results: &'r [Result], name: &str) -> Option<&'r Result> {
    results.iter().find(|result| result.name == name)
}
