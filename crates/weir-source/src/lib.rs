//! Records in, from Kafka and from files; offsets out, only for what the lake has made durable.
//!
//! ```text
//! Brokers ─ Consumer::join ─▶ poll ─▶ Assigned ─▶ start(watermarks of the tables)
//!                              │  ├──▶ Records  ─▶ lend ─▶ the filter
//!                              │  └──▶ Revoked  ─▶ commit or drop ─▶ release
//!                              └◀── acknowledge(Receipt) ◀─ the lake
//! ```
//! Reading order: [`brokers`] (what is not the operator's to set) → [`consumer`] (where reading starts) → [`poll`] (one
//! turn of the loop) → [`coverage`] (which offsets it spans) → [`acknowledge`]. Beside them [`cluster`] answers questions
//! about topics, [`raw_life`] how long they keep records, [`tail`] tells whether a partition's end holds a record, [`consent_topics`] keeps consent current, [`files`]
//! reads lines, and [`mock`] is a broker inside the process.

pub mod acknowledge;
pub mod admin;
pub mod brokers;
pub mod cluster;
pub mod consent_topics;
pub mod consumer;
mod context;
pub mod coverage;
pub mod files;
mod foreign;
pub mod lag;
pub mod mock;
mod partition;
pub mod poll;
pub mod problem;
pub mod producer;
pub mod raw_life;
pub mod tail;

pub use acknowledge::AcknowledgeError;
pub use admin::{Admin, TopicPlan};
pub use brokers::{Brokers, OptionRefused};
pub use cluster::{AskError, Bounds, Cluster};
pub use consent_topics::{
    Clerk, Clocks, ConsentStop, ConsentTopics, ConsentTopicsSettings, FeedStop, Snapshot, SnapshotRefusal,
    SnapshotSettings, StateTopicPolicy, States, Turned, Unread, read_receipts,
};
pub use consumer::{Assigned, Consumer, FirstOffset, Membership, Revoked, Start, Started};
pub use coverage::Position;
pub use files::{FileError, LineBatch, Lines};
pub use foreign::reads_foreign_text;
pub use lag::Lag;
pub use mock::{MockBroker, MockError};
pub use partition::TopicPartition;
pub use poll::{PollLimits, Polled, Records};
pub use problem::{Problem, Reach};
pub use producer::{Outgoing, Producer, SendError};
pub use raw_life::{Overstay, RawLife};
pub use tail::Tail;
