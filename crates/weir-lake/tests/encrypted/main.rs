//! The tests of the lake once more, on lakes whose files are encrypted: whatever holds in clear holds there.

/// Tests that are left out where each call is a request.
#[cfg(test)]
macro_rules! long {
    ($($test:item)+) => { $($test)+ };
}

#[cfg(test)]
#[path = "../lake/audit.rs"]
mod audit;
#[cfg(test)]
#[path = "../lake/batches.rs"]
mod batches;
#[cfg(test)]
mod cost;
#[cfg(test)]
#[path = "../lake/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "../lake/faulty_store.rs"]
mod faulty_store;
#[cfg(test)]
mod layer;
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
