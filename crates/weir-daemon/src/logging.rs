//! Logs: text or JSON on standard error, with positions, codes and counts only.
//!
//! Other crates speak at `WARN` and above, whatever the level of ours: what they would say at `TRACE` (requests, buffers,
//! log lines of a table) is not ours to vouch for. s3s does not speak at all: each request that the gate refuses would be an error of
//! its own, with parts of the request. What repeats is said once a while with the number of times that
//! it was not said.
//!
//! A panic is said here, too: what Rust itself would print of one may hold what was formatted into its message.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::thread;
use std::time::Duration;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::clock::millis;

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// When to colour text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Always.
    Always,
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Never.
    Never,
}

impl Color {
    /// Tells whether standard error is to be coloured.
    pub fn on_stderr(self) -> bool {
        match self {
            Self::Always => true,
            Self::Auto => {
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
            }
            Self::Never => false,
        }
    }
}

/// Sends the logs of this process, and its panics, to standard error; a second call changes nothing.
pub fn start(level: LevelFilter, format: LogFormat, color: Color) {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("s3s", LevelFilter::OFF)
        .with_target("weir", level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(color.on_stderr());
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    // Fails only where a subscriber is set already: in tests that start several daemons in one process.
    let first = registry().with(lines.with_filter(targets)).try_init();
    drop(first);
    std::panic::set_hook(Box::new(say_panic));
}

/// Says where a panic was and, where it is one of our own fixed texts, its message.
///
/// A formatted message is left out: what was formatted into it may come from an event.
fn say_panic(panic: &PanicHookInfo<'_>) {
    if weir_source::reads_foreign_text() {
        return;
    }
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message left out)");
    let current = thread::current();
    error!(thread = current.name().unwrap_or("unnamed"), place, message, "weir panicked, which is a bug");
}

/// Lets a repeated message through once a period and counts those it held back.
#[derive(Debug)]
pub struct Throttle {
    period_ms: i64,
    spoke_ms: Option<i64>,
    num_suppressed: u64,
}

impl Throttle {
    /// Lets one message through each `period`.
    pub fn new(period: Duration) -> Self {
        Self { period_ms: millis(period), spoke_ms: None, num_suppressed: 0 }
    }

    /// Returns how many messages were held back since the last one, if one may be said at `now_ms`.
    pub fn admit(&mut self, now_ms: i64) -> Option<u64> {
        if self.spoke_ms.is_some_and(|spoke| now_ms - spoke < self.period_ms) {
            self.num_suppressed += 1;
            return None;
        }
        self.spoke_ms = Some(now_ms);
        Some(std::mem::take(&mut self.num_suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::panic::{catch_unwind, take_hook};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn panic_is_said_by_its_place_without_what_was_formatted_into_it() {
        let said = Said::default();
        let writer = said.clone();
        let lines = registry().with(fmt::layer().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(lines, || {
            std::panic::set_hook(Box::new(say_panic));
            catch_unwind(|| panic!("a text of ours")).unwrap_err();
            let person = "alice@example.org".to_owned();
            catch_unwind(|| panic!("{person} is no number")).unwrap_err();
            drop(take_hook());
        });
        let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said.matches("logging.rs").count(), 2, "{said}");
        assert!(said.contains("a text of ours") && said.contains("(message left out)"), "{said}");
        assert!(!said.contains("alice"), "{said}");
    }

    #[test]
    fn repeats_are_counted_not_said() {
        let mut throttle = Throttle::new(Duration::from_secs(10));
        let said: Vec<_> = [0, 1_000, 9_999, 10_000, 10_001].map(|now| throttle.admit(now)).into();
        assert_eq!(said, [Some(0), None, None, Some(2), None]);
    }
}
