//! What may be collected, and for what: the words of weir and the rules that bind them.
//!
//! Every other crate names a purpose, a field or a reason by the types of this one. It reads contracts and purposes
//! from files, reports every fault with its place, and hands out checked values only: past this crate nothing
//! is a string that was not declared.

pub mod category;
pub mod coarsen;
pub mod contract;
pub mod contract_test;
pub mod crosswalk;
pub mod diagnostic;
pub mod fate;
pub mod field;
mod field_type;
mod load;
pub mod plain;
pub mod policy;
pub mod purpose;
pub mod purposes;
pub mod reader;
pub mod refused;
pub mod values;
pub mod vocabulary;

pub use category::Category;
pub use coarsen::{Coarsen, Coarser};
pub use contract::{Contract, ContractIx};
pub use diagnostic::{Diagnostic, Faults, Report, Source};
pub use fate::{DenyReason, MalformedCode};
pub use field::{Field, FieldClass, FieldType, IntType, Range, Storage, Unit};
pub use policy::{Policy, PolicyHash, PolicySource, Resolved};
pub use purpose::{Personalization, Purpose, PurposeId, PurposeSet, Reliability, Troubleshooting};
pub use purposes::{LawfulBasis, PurposeRules, Purposes, TimePrecision};
pub use vocabulary::{AgeBands, Network, Routes, Token, WordList};
