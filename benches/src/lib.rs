//! How fast weir is, as ratios against other programs in the same run.
//!
//! [`contracts`] and [`world`] make what is filtered: a seeded corpus of eight event types, its keys and consents.
//! [`contestants`] are the programs that take it, [`race`] runs them in turn and keeps the fastest round of each, [`goals`]
//! says which ratios must come out. [`ratios`], [`scale`] and [`peers`] print a table each. Times are of the thread's processor, so that neighbours on the machine count little.

#[cfg(feature = "baselines")]
pub mod contestants;
pub mod contracts;
#[cfg(feature = "baselines")]
pub mod goals;
pub mod outcome;
#[cfg(feature = "lake")]
pub mod peers;
#[cfg(feature = "baselines")]
pub mod race;
#[cfg(feature = "baselines")]
pub mod ratios;
#[cfg(feature = "baselines")]
pub mod scale;
pub mod world;
