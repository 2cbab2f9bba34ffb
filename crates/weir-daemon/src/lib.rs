//! Threads, queues, configuration, metrics, HTTP.
