//! A person's rights: what is kept about somebody, and that it goes.
//!
//! The verbs below `weir subject` and the API both ask here. They differ in how they hear of a person and in how they reach the
//! consent topics; what is looked for, what is written down and what is signed is the same. docs/rights.md has the rules.

mod answer;
mod erasure;
mod page;
mod receipt;
mod subject;

pub use answer::{Answer, Question};
pub use erasure::{Account, Erased, Removal, erase, erased_before, vacuum_now};
pub use receipt::{Receipts, verify};
pub use subject::Subject;
