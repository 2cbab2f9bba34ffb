//! Corpus, reference filter, canaries: for tests, benches and demo data only.
//!
//! [`corpus`] generates events and consents for any policy, the same ones for the same seed. [`mod@reference`] judges and
//! projects events as DESIGN.md words it, slowly and plainly, so that the fast filter has something to be compared
//! with. [`canary`] plants markers and searches for them in everything that weir wrote. [`readers`] shows tables as
//! DuckDB, delta-rs and pyarrow see them. [`vault`] is an OpenBao of a test's own, [`object_store`] an S3 store; [`aws`] answers as a cloud's reference says
//! that it does.

#[cfg(feature = "reference")]
pub mod agreement;
#[cfg(feature = "clouds")]
pub mod aws;
#[cfg(feature = "canary")]
pub mod canary;
pub mod corpus;
#[cfg(feature = "reference")]
pub mod mutate;
#[cfg(feature = "object-store")]
pub mod object_store;
pub mod random;
#[cfg(feature = "readers")]
pub mod readers;
#[cfg(feature = "reference")]
pub mod reference;
#[cfg(feature = "clouds")]
pub mod stub;
#[cfg(feature = "vault")]
pub mod vault;
#[cfg(feature = "reference")]
pub mod world;
