//! Agreement and choice: records, states, the store and what it permits.
//!
//! Services write a person's choices to the *inbox*. The [`Keeper`] checks them, orders them by the instant since which they
//! hold, and publishes [`StateRecord`]s, which name people by keyed hashes only. Every daemon holds the newest of them in a
//! [`ConsentStore`] and asks its [`ConsentView`] before a value may go on, and again before it is committed.
//!
//! ```text
//! inbox ─ InboxRecord ─▶ Keeper ─ StateRecord ─▶ state topic ─▶ ConsentStore ─▶ ConsentView::judge
//!                                     └ Receipt ─▶ receipts topic
//! ```
//! Nothing here reads or writes a topic, keeps a raw identifier, logs, or looks at a clock: the time is always a parameter.
//! Instants are milliseconds since 1970.

mod decision;
mod inbox;
mod judge;
mod keeper;
mod load;
mod people;
mod receipt;
mod snapshot;
mod state;
mod status;
mod store;
mod sync;

pub use decision::{Decision, Undecidable, status_now};
pub use inbox::{InboxFault, InboxRecord, instant_ms};
pub use judge::Question;
pub use keeper::{Keeper, Message, Verdict};
pub use load::{LineFault, LoadError};
pub use receipt::{Issuer, Notice, Receipt, ReceiptFault, SignedReceipt, pseudonym, receipt_key};
pub use state::{Agreement, StateFault, StateKey, StateRecord};
pub use status::{Standing, Status, instant_text};
pub use store::{Applied, ConsentStore, ConsentView, Stale, TenantIx};
