//! The progress bar of the demo, which learns from `/metrics` how far the pipeline is, as an operator would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; nothing where that is no terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts the bar for this many events.
    pub(crate) fn new(events: u64) -> Self {
        let bar = ProgressBar::new(events).with_message("events to the broker");
        let style = ProgressStyle::with_template("{msg:22} {wide_bar} {human_pos}/{human_len} {elapsed}");
        Self { bar: style.map_or(bar.clone(), |style| bar.with_style(style)) }
    }

    /// Notes that an event is on its way to the broker.
    pub(crate) fn produced(&self, index: u64) {
        if index.is_multiple_of(STEP) {
            self.bar.set_position(index);
        }
    }

    /// Waits a moment, asks the running pipeline how many records it has read, and shows it.
    pub(crate) fn look(&self, pages: SocketAddr) {
        thread::sleep(PAUSE);
        self.bar.set_message("through the pipeline");
        if let Some(read) = metric(pages, "weir_records_total") {
            self.bar.set_position(read);
        }
    }

    /// Takes the bar away.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

fn metric(pages: SocketAddr, name: &str) -> Option<u64> {
    let mut page = String::new();
    let mut stream = TcpStream::connect(pages).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n").ok()?;
    stream.read_to_string(&mut page).ok()?;
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Events between two moves of the bar.
const STEP: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);
