//! The whole program as its users see it: the binary, a broker, a lake, and readers that are not ours.
//!
//! What can be proved on one stage is proved beside that stage. Here stand the promises that hold only if all stages keep
//! theirs: the rows are those of the reference, whatever happens on the way, and no marker leaves. `cargo xtask test`
//! starts the broker and installs the readers; a component that is missing is a failure, never a skip.
//!
//! Reading order: [`world`] (a folder with all that weir needs) → [`program`] (the binary) → `broker` → `expected` (the
//! reference's rows against the readers') → the tests.
#![expect(clippy::disallowed_methods, reason = "a real program takes real time")]
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod backfill;
mod bench;
mod canary;
mod clouds;
mod consent_file;
mod program;
mod sealed;
mod undeclared;
mod world;

#[cfg(feature = "real-kafka")]
mod api;
#[cfg(feature = "real-readers")]
mod attack;
#[cfg(feature = "real-kafka")]
mod broker;
#[cfg(all(feature = "real-readers", feature = "real-store"))]
mod bucket;
#[cfg(feature = "real-kafka")]
mod consent;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod consent_lines;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod effect;
#[cfg(feature = "real-readers")]
mod encrypted;
#[cfg(feature = "real-readers")]
mod expected;
#[cfg(feature = "real-kafka")]
mod explain;
#[cfg(feature = "real-readers")]
mod file;
#[cfg(feature = "real-kafka")]
mod flow;
#[cfg(feature = "real-readers")]
mod gate;
#[cfg(feature = "real-kafka")]
mod requests;

#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod changes;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod closed;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod crash;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod days;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod million;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod portal;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod producers;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod raw_life;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod rights;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod sharing;
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
mod signals;
#[cfg(all(feature = "real-kafka", feature = "real-readers", feature = "real-vault"))]
mod vault;
