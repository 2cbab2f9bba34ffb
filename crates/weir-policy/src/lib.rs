//! What may be collected, and for what: the words of weir and the rules that bind them.
//!
//! Every other crate names a purpose, a field or a reason by the types of this one. It reads contracts and purposes
//! from files, reports every fault with its place, and hands out checked values only: past this crate nothing
//! is a string that was not declared.

pub mod contract;
pub mod fate;
pub mod purpose;
pub mod vocabulary;

pub use contract::{Contract, ContractIx, Field, FieldClass, FieldType};
pub use fate::{DenyReason, MalformedCode};
pub use purpose::{Personalization, Purpose, PurposeId, PurposeSet, Reliability, Troubleshooting};
pub use vocabulary::Token;
