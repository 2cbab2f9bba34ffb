//! How far a search through the tables is, on standard error; nothing where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use weir_lake::Progress;

/// A bar over all tables, each as long as the others.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Starts the bar.
    pub(super) fn start(what: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_message(what);
        let style = ProgressStyle::with_template("{msg:22} {wide_bar} {percent}% {elapsed}");
        Self(style.map_or(bar.clone(), |style| bar.with_style(style)))
    }

    /// Shows how far it is.
    pub(super) fn show(&self, progress: Progress) {
        let Progress { tables: (done, all), files: (read, files) } = progress;
        let here = read * TABLE / files.max(1);
        let number = |steps: usize| u64::try_from(steps).unwrap_or(u64::MAX);
        self.0.set_length(number(all * TABLE));
        self.0.set_position(number(done * TABLE + here));
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// Steps of one table.
const TABLE: usize = 1_000;
