//! The lake from outside: batches in, Delta tables out, and everything that can go wrong in between.

mod audit;
mod batches;
mod faults;
mod faulty_store;
mod reader;
mod refusals;
mod upkeep;
mod world;
