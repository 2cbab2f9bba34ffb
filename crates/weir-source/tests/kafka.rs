//! What only a real Kafka can show: restarts, rebalances, markers, compaction, topics made anew.
//!
//! Needs the broker that `WEIR_TEST_KAFKA` names; `cargo xtask test` starts one. Each test makes topics of its own.
#![expect(clippy::disallowed_methods, reason = "a real broker takes real time")]

#[path = "kafka/consent.rs"]
mod consent;
#[path = "kafka/groups.rs"]
mod groups;
#[path = "kafka/support.rs"]
mod support;
#[path = "kafka/topics.rs"]
mod topics;
