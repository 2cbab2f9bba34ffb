//! A folder with all that weir needs: configuration, contracts, key ring, and room for the lake and for what weir prints.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
#[cfg(feature = "real-readers")]
use weir_daemon::Config;
#[cfg(feature = "real-readers")]
use weir_keys::KeyRing;
use weir_policy::{Policy, PolicySource};
use weir_testkit::corpus::{Corpus, Options, Produced};

use crate::program::Weir;

/// The folder, and what is known about it.
pub(crate) struct World {
    folder: TempDir,
    /// The contracts in the folder, as they were at the start.
    pub(crate) policy: Arc<Policy>,
    /// When the world began; everything in a corpus happened before.
    pub(crate) now_ms: i64,
}

/// What the configuration says beside the defaults of these tests, as text of its sections.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `[source.kafka]`; without it only files are read.
    pub(crate) kafka: Option<Kafka>,
    /// The name of the consent inbox; without it `consent.ndjson` is read.
    pub(crate) consent_topic: Option<String>,
    /// Whether receipts are issued.
    pub(crate) receipts: bool,
    /// How long a batch may stay open.
    pub(crate) commit_interval: &'static str,
    /// How many rows close a batch.
    pub(crate) commit_rows: u32,
    /// The folder of the lake.
    pub(crate) lake: &'static str,
    /// Where it lies instead, if it lies in a bucket.
    pub(crate) root: Option<String>,
    /// Whether the lake is sealed with keys in the folder `store-keys`.
    pub(crate) sealed: bool,
    /// More sections, as they stand in the file.
    pub(crate) more: String,
    /// How its files are written.
    pub(crate) files: &'static str,
}

/// Where the events are.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) group: String,
    /// A name that survives a restart, so that a killed daemon's successor need not wait for its session to end.
    pub(crate) instance: Option<&'static str>,
    /// More of librdkafka's options, each with a comma before it.
    pub(crate) client: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kafka: None,
            consent_topic: None,
            receipts: false,
            commit_interval: "5m",
            commit_rows: 5_000_000,
            lake: "lake",
            root: None,
            sealed: false,
            more: String::new(),
            files: "clear",
        }
    }
}

impl World {
    /// Makes a folder with the example contracts and a new key ring.
    pub(crate) fn new(settings: &Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&repository().join("schemas"), &folder.path().join("schemas"));
        fs::copy(repository().join("config/purposes.toml"), folder.path().join("purposes.toml")).unwrap();
        fs::create_dir(folder.path().join("output")).unwrap();
        let source = PolicySource {
            contracts: folder.path().join("schemas"),
            purposes: Some(folder.path().join("purposes.toml")),
        };
        let (policy, _) = Policy::load(&source).unwrap_or_else(|report| panic!("{report}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let world = Self { folder, policy: Arc::new(policy), now_ms: i64::try_from(now.as_millis()).unwrap() };
        world.configure("weir.toml", settings);
        Weir::new(&world, ["keys", "init"]).run().assert_done();
        if settings.sealed {
            Weir::new(&world, ["keys", "init-store"]).run().assert_done();
        }
        world
    }

    /// Writes a configuration; several daemons of one world have one each.
    pub(crate) fn configure(&self, name: &str, settings: &Settings) {
        fs::write(self.path(name), settings.text()).unwrap();
    }

    /// Returns the path of something in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has a newer tool than weir write a table of the lake; returns the entry of its log that says so.
    pub(crate) fn outdate(&self, table: impl AsRef<Path>) -> PathBuf {
        let log = self.path("lake/eu").join(table).join("_delta_log");
        let newer =
            r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":99,"readerFeatures":[],"writerFeatures":[]}}"#;
        let entry = log.join(format!("{:020}.json", fs::read_dir(&log).unwrap().count()));
        fs::write(&entry, newer).unwrap();
        entry
    }

    /// Opens the key ring, as the configuration says.
    #[cfg(feature = "real-readers")]
    pub(crate) fn ring(&self) -> KeyRing {
        let config = Config::load(&[self.path("weir.toml")], &[]).unwrap_or_else(|report| panic!("{report}"));
        weir_daemon::keys::open(&config).unwrap()
    }

    /// Returns the folder of a table.
    pub(crate) fn table(&self, purpose: &str, event_type: &str) -> PathBuf {
        self.path("lake/eu").join(purpose).join(event_type)
    }

    /// Returns a corpus that ended a minute before the world began.
    ///
    /// The minute keeps events whose time is a whole number of days ago from being at the edge of a retention that the
    /// reference and weir, seconds apart, would see from different sides.
    pub(crate) fn corpus(&self, seed: u64, options: Options) -> Corpus {
        Corpus::new(seed, &self.policy, Options { now_ms: self.now_ms - 60_000, ..options })
    }

    /// Returns the consents of a corpus without those that end while the test runs.
    pub(crate) fn consents(&self, corpus: &Corpus) -> impl Iterator<Item = Produced> {
        let soon = (self.now_ms - 2 * MINUTE_MS)..(self.now_ms + 60 * MINUTE_MS);
        corpus.consents().filter(move |consent| {
            let record: serde_json::Value = serde_json::from_slice(consent.value.as_deref().unwrap()).unwrap();
            let end = record.get("valid_until").and_then(serde_json::Value::as_str);
            end.is_none_or(|end| !soon.contains(&millis(end)))
        })
    }
}

impl Settings {
    /// Returns these settings for a topic, a group and an inbox of their own.
    #[cfg(feature = "real-kafka")]
    pub(crate) fn of_kafka(brokers: &str, name: &str) -> Self {
        let kafka = Kafka {
            brokers: brokers.to_owned(),
            topic: format!("telemetry-{name}"),
            group: format!("group-{name}"),
            instance: Some("weir-1"),
            client: String::new(),
        };
        Self { kafka: Some(kafka), consent_topic: Some(format!("consent-{name}")), ..Self::default() }
    }

    fn text(&self) -> String {
        let mut text = String::from("contracts = \"schemas\"\npurposes = \"purposes.toml\"\nregion = \"eu\"\n");
        if let Some(Kafka { brokers, topic, group, instance, client }) = &self.kafka {
            write!(text, "[source.kafka]\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\ngroup = \"{group}\"\n")
                .unwrap();
            if let Some(instance) = instance {
                writeln!(text, "instance_id = \"{instance}\"").unwrap();
            }
            // A member that died is missed within seconds; the default is made for networks.
            let usual = "\"session.timeout.ms\" = \"6000\", \"heartbeat.interval.ms\" = \"500\"";
            writeln!(text, "client = {{ {usual}{client} }}").unwrap();
        }
        match &self.consent_topic {
            Some(topic) => write!(text, "[consent]\ntopic = \"{topic}\"\n").unwrap(),
            None => text.push_str("[consent]\npath = \"consent.ndjson\"\n"),
        }
        if self.receipts {
            text.push_str(RECEIPTS);
        }
        let Self { commit_interval, commit_rows, lake, files, more, .. } = self;
        let root = self.root.clone().unwrap_or_else(|| format!("file:{lake}"));
        let store_keys = if self.sealed { "store_keys = \"file:store-keys\"\n" } else { "" };
        write!(
            text,
            "[lake]\nroot = \"{root}\"\nfiles = \"{files}\"\ncommit_interval = \"{commit_interval}\"\n\
             commit_rows = {commit_rows}\n{store_keys}\
             [keys]\nprovider = \"file:keys\"\n[http]\nlisten = \"127.0.0.1:0\"\n{more}"
        )
        .unwrap();
        text
    }
}

/// Lists the files below a folder, in order.
pub(crate) fn every_file(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = entries.flat_map(|path| if path.is_dir() { every_file(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

/// Copies a folder with modes and times, to where nothing is.
#[cfg(feature = "real-readers")]
pub(crate) fn copy(from: &Path, to: &Path) {
    assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Returns all that stands in the files below a folder.
#[cfg(any(feature = "real-kafka", feature = "real-readers"))]
pub(crate) fn texts(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { texts(&path) } else { fs::read_to_string(path).unwrap() }).collect()
}

/// Returns a name for the topics of a test that no other run has, long enough to be searched for.
#[cfg(feature = "real-kafka")]
pub(crate) fn name(test: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{test}-{:x}-{:016x}", std::process::id(), now.as_nanos())
}

/// Returns an RFC 3339 instant that the corpus wrote, in milliseconds.
fn millis(instant: &str) -> i64 {
    weir_testkit::reference::time::micros(instant).unwrap().div_euclid(1000)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

const MINUTE_MS: i64 = 60_000;

const RECEIPTS: &str = r#"[receipts]
controller = "Example GmbH"
identifier = "HRB 12345"
address = "Weg 1, 10115 Berlin"
contact = "privacy@example.com"
jurisdiction = "DE"
privacy_notice = "https://example.com/privacy"
language = "en"
withdrawal = "Settings, Privacy: one switch for each purpose."
"#;
