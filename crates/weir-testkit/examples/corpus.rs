//! How fast the corpus is made: `cargo run --release -p weir-testkit --no-default-features --example corpus -- EVENTS`.
#![expect(clippy::disallowed_methods, reason = "real time is what is measured")]

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use weir_policy::{Policy, PolicySource};
use weir_testkit::corpus::{Corpus, Options, Produced};

fn main() -> io::Result<()> {
    let events: u64 = std::env::args().nth(1).and_then(|events| events.parse().ok()).unwrap_or(1_000_000);
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let (policy, _) = Policy::load(&PolicySource { contracts, purposes: None }).map_err(io::Error::other)?;
    // 2026-11-24T10:00:00Z.
    let corpus = Corpus::new(1, &policy, Options::ending(1_795_514_400_000));
    let start = Instant::now();
    let (mut record, mut bytes) = (Produced::default(), 0);
    for index in 0..events {
        corpus.write(index, &mut record);
        bytes += record.value.as_ref().map_or(0, Vec::len);
    }
    let took = start.elapsed();
    let nanos = took.as_nanos() / u128::from(events.max(1));
    writeln!(io::stdout(), "{events} events, {bytes} bytes, {took:?}, {nanos} ns an event")
}
