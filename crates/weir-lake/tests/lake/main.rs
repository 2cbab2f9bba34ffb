//! The lake from outside: batches in, Delta tables out, and everything that can go wrong in between.

/// Tests that are left out where each call is a request.
#[cfg(test)]
macro_rules! long {
    ($($test:item)+) => { $($test)+ };
}

#[cfg(test)]
mod audit;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod faulty_store;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod people;
#[cfg(test)]
mod reader;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod restrict;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod upkeep;
#[cfg(test)]
mod world;
