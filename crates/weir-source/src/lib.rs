//! Kafka and files in, consent topics.
