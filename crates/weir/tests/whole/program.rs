//! The binary: run to its end, or as a daemon that is watched, asked and killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::World;

/// A call of the binary.
#[derive(Debug)]
pub(crate) struct Weir {
    command: Command,
    /// Where its output goes, without the ending.
    output: PathBuf,
}

/// A call that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Weir {
    /// Prepares a call with the configuration `weir.toml` of the world.
    pub(crate) fn new<'a>(world: &World, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::with_config(world, "weir.toml", arguments)
    }

    /// Prepares a call with another configuration of the world.
    pub(crate) fn with_config<'a>(world: &World, config: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        // A measurement names another build of the same binary.
        let binary = std::env::var("WEIR_TEST_BINARY");
        let mut command = Command::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_weir")));
        command.arg("-c").arg(world.path(config)).args(arguments).stdin(Stdio::null());
        // Temporary files, if weir makes any, are part of what it wrote.
        let temporary = world.path("tmp");
        fs::create_dir_all(&temporary).unwrap();
        command.env("TMPDIR", temporary).env("RUST_BACKTRACE", "full").current_dir(world.path("output"));
        let number = fs::read_dir(world.path("output")).unwrap().count();
        Self { command, output: world.path(&format!("output/{number}")) }
    }

    /// Puts its temporary files elsewhere.
    #[cfg(feature = "real-kafka")]
    pub(crate) fn with_temporary(mut self, folder: &Path) -> Self {
        self.command.env("TMPDIR", folder);
        self
    }

    /// Runs it to its end with a text on its standard input.
    pub(crate) fn run_with(mut self, input: &str) -> Ended {
        let file = self.output.with_extension("stdin");
        fs::write(&file, input).unwrap();
        self.command.stdin(File::open(&file).unwrap());
        fs::remove_file(file).unwrap();
        self.run()
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        let mut child = self.spawn();
        let status = child.wait().unwrap();
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| self.printed(stream));
        Ended { status, stdout, stderr }
    }

    /// Starts it in the background.
    #[cfg(all(feature = "real-kafka", feature = "real-readers"))]
    pub(crate) fn start(mut self) -> Running {
        let child = self.spawn();
        Running { weir: self, child }
    }

    fn spawn(&mut self) -> Child {
        let [stdout, stderr] =
            ["stdout", "stderr"].map(|stream| File::create(self.output.with_extension(stream)).unwrap());
        self.command.stdout(stdout).stderr(stderr).spawn().unwrap()
    }

    fn printed(&self, stream: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.output.with_extension(stream)).unwrap()).into_owned()
    }
}

/// A call in the background; it is killed with this value.
#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
#[derive(Debug)]
pub(crate) struct Running {
    weir: Weir,
    child: Child,
}

#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
impl Running {
    /// Ends it; returns what it printed.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        ["stdout", "stderr"].map(|stream| self.weir.printed(stream)).concat()
    }
}

#[cfg(all(feature = "real-kafka", feature = "real-readers"))]
impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended; either way nothing is left of it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ended {
    /// Demands an exit code, and returns what stood on standard error.
    #[track_caller]
    pub(crate) fn assert_refused(self, code: i32) -> String {
        assert_eq!(self.status.code(), Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }

    /// Demands the exit code 0, and returns what stood on standard output.
    #[track_caller]
    pub(crate) fn assert_done(self) -> String {
        assert!(self.status.success(), "weir ended with {}:\n{}{}", self.status, self.stdout, self.stderr);
        self.stdout
    }
}

/// Returns an address that was free a moment ago; nobody else on this machine takes ports that fast.
pub(crate) fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// `weir run` or `weir gate` in the background; it is killed with this value.
#[derive(Debug)]
pub(crate) struct Daemon {
    weir: Weir,
    child: Child,
    /// Where its pages are.
    address: String,
}

impl Daemon {
    /// Starts the daemon of `weir.toml`, at `-v` levels of detail as `arguments` say.
    pub(crate) fn start<'a>(world: &World, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::with_config(world, "weir.toml", arguments)
    }

    /// Starts the daemon of another configuration.
    pub(crate) fn with_config<'a>(world: &World, config: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of_verb(world, config, ("run", "http.listen"), arguments)
    }

    /// Starts `weir gate` of a configuration.
    #[cfg(feature = "real-readers")]
    pub(crate) fn gate<'a>(world: &World, config: &str, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of_verb(world, config, ("gate", "gate.pages"), arguments)
    }

    fn of_verb<'a>(
        world: &World,
        config: &str,
        (verb, key): (&str, &str),
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let address = free();
        let mut weir = Weir::with_config(world, config, [verb, "--set", &format!("{key}={address}")]);
        weir.command.args(arguments);
        let child = weir.spawn();
        Self { weir, child, address }
    }

    /// Returns the number of its process.
    #[cfg(feature = "real-kafka")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash does: `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{name} was not sent");
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn end(mut self, within: Duration) -> Ended {
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < within, "weir did not end within {within:?}\n{}", self.state());
            thread::sleep(POLL);
        };
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| self.weir.printed(stream));
        Ended { status, stdout, stderr }
    }

    /// Waits until something holds; `what` says what in the failure.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let asked = Instant::now();
        while !holds(self) {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("weir ended with {status} before {what}\n{}", self.state());
            }
            assert!(asked.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", self.state());
            thread::sleep(POLL);
        }
    }

    /// Waits until the daemon says that it is ready.
    #[track_caller]
    pub(crate) fn until_ready(&mut self) {
        self.until("the daemon is ready", |daemon| daemon.page("/readyz").starts_with("200 "));
    }

    /// Waits until `/readyz` fails and says all of `words`.
    #[track_caller]
    pub(crate) fn until_stopped_by(&mut self, words: &[&str]) {
        self.until(&format!("/readyz says {words:?}"), |daemon| {
            let page = daemon.page("/readyz");
            page.starts_with("503 ") && words.iter().all(|word| page.contains(word))
        });
    }

    /// Returns status code and text of a page; nothing while nobody listens.
    pub(crate) fn page(&self, path: &str) -> String {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n")?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply)?;
            Ok(reply)
        };
        let reply = ask().unwrap_or_default();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
        format!("{} {body}", head.split(' ').nth(1).unwrap_or_default())
    }

    /// Returns what `/metrics` shows.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::parse(&self.page("/metrics"))
    }

    /// Returns what helps to understand a failure.
    fn state(&self) -> String {
        let printed = self.weir.printed("stderr") + &self.weir.printed("stdout");
        let lines: Vec<&str> = printed.lines().collect();
        let last = lines[lines.len().saturating_sub(30)..].join("\n");
        format!("/readyz: {}\nlast lines:\n{last}", self.page("/readyz"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A daemon that ended already cannot be killed, which is as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A scrape.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By name and labels, as they stand.
    series: BTreeMap<String, f64>,
}

impl Metrics {
    fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self { series: series.collect() }
    }

    /// Returns the sum of a metric over all series that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let is_asked = |series: &str| {
            series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label.as_str()))
        };
        self.series.iter().filter(|(series, _)| is_asked(series)).map(|(_, value)| value).sum()
    }
}

/// Tells whether a daemon has read at least so many records.
pub(crate) fn has_read(daemon: &Daemon, records: u64) -> bool {
    // Counts of a test are far below what a double holds exactly.
    let read = format!("{:.0}", daemon.metrics().sum("weir_records_total", &[]));
    read.parse().is_ok_and(|read: u64| read >= records)
}

/// Tells whether a daemon has read so many records and committed all there are.
pub(crate) fn has_committed(daemon: &Daemon, records: u64) -> bool {
    has_read(daemon, records) && daemon.metrics().sum("kafka_consumer_lag", &[]) < 0.5
}

/// How often to look.
const POLL: Duration = Duration::from_millis(20);
/// Much longer than anything takes, even beside a build: a failure, not a measurement.
const PATIENCE: Duration = Duration::from_mins(2);
