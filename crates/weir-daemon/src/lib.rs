//! The running daemon: threads, queues, configuration, metrics, HTTP.
//!
//! [`pipeline`] is the file to read: it wires the stages of the crates below in the order in which an event passes them.
//! The rest serves it: [`config`] turns files into checked values, [`lake`] and [`keys`] say which lake and ring they mean, [`custody`] how long secrets may be used, [`health`] and [`metrics`] say how it goes, [`http`]
//! shows both, `api` takes decisions about consent, [`rights`] is what is kept about one person and that it goes, and [`clock`] is where time comes from.

mod api;
pub mod clock;
pub mod config;
pub mod custody;
pub mod files;
pub mod health;
pub mod http;
pub mod keys;
pub mod lake;
pub mod logging;
pub mod metrics;
pub mod patience;
pub mod pipeline;
pub mod rights;

pub use api::{ApiFault, FileFault, acceptor as tls_acceptor, check as check_api, private_file};
pub use clock::{Clock, HandClock, SharedClock, SystemClock};
pub use config::Config;
pub use health::{Health, Heart, Obstacle};
pub use metrics::Metrics;

/// The version of weir, as `/version` and `weir_build_info` show it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
