//! Most tests of the lake once more, on lakes in a bucket of an object store: what holds in a folder holds there.
//!
//! The longest are left out: they take minutes where each call is a request.
#![cfg_attr(test, expect(dead_code, unused_imports, reason = "what only the longest tests need"))]

/// The longest tests.
#[cfg(test)]
macro_rules! long {
    ($($test:item)+) => {};
}

#[cfg(test)]
#[path = "../lake/batches.rs"]
mod batches;
#[cfg(test)]
mod behind;
#[cfg(test)]
#[path = "../lake/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "../lake/faulty_store.rs"]
mod faulty_store;
#[cfg(test)]
#[path = "../lake/ledger.rs"]
mod ledger;
#[cfg(test)]
#[path = "../lake/people.rs"]
mod people;
#[cfg(test)]
#[path = "../lake/reader.rs"]
mod reader;
#[cfg(test)]
#[path = "../lake/refusals.rs"]
mod refusals;
#[cfg(test)]
#[path = "../lake/restrict.rs"]
mod restrict;
#[cfg(test)]
#[path = "../lake/sealed.rs"]
mod sealed;
#[cfg(test)]
#[path = "../lake/upkeep.rs"]
mod upkeep;
#[cfg(test)]
#[path = "../lake/world.rs"]
mod world;
