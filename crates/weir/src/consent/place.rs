//! Where consent is: the topics, or a file.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use weir_consent::{ConsentStore, InboxRecord, LoadError, Message, StateRecord};
use weir_daemon::Config;
use weir_daemon::config::ConsentSource;
use weir_keys::KeySet;
use weir_source::{Brokers, Outgoing, Producer, States, Unread};

use crate::exit::{Exit, Failure, OrExit as _};
use crate::{setup, validate};

/// Consent as it stands, and the way to change it.
pub(crate) enum Place {
    /// A file, locked against another verb while this one decides.
    File { path: PathBuf, file: File, store: ConsentStore },
    /// The topics.
    Topics { inbox: Inbox, states: Box<States> },
}

/// The inbox topic.
pub(crate) struct Inbox {
    brokers: Brokers,
    group: String,
    topic: String,
}

impl Place {
    /// Opens what the configuration names and reads what stands; a file that is not there is an empty one.
    ///
    /// # Errors
    /// When it cannot be read, or not be trusted.
    pub(crate) fn open(config: &Config, keys: &KeySet) -> Result<Self, Failure> {
        match &config.consent {
            ConsentSource::Path(path) => {
                let file = open_file(path).with_context(|| path.display().to_string()).or_exit(Exit::Io)?;
                let store = ConsentStore::read_ndjson(BufReader::new(&file), keys, setup::now_ms());
                let store = store.map_err(|why| unreadable(path, why))?;
                Ok(Self::File { path: path.clone(), file, store })
            }
            ConsentSource::Topic(topic) => {
                let inbox = Inbox::of(config, topic)?;
                let states = Box::new(inbox.states()?);
                Ok(Self::Topics { inbox, states })
            }
        }
    }

    /// Returns what stands.
    pub(crate) fn store(&self) -> &ConsentStore {
        match self {
            Self::File { store, .. } => store,
            Self::Topics { states, .. } => states.store(),
        }
    }

    /// Writes records down and waits until they count.
    ///
    /// # Errors
    /// When they cannot be written, or nobody has taken them from the inbox in time.
    pub(crate) fn say(&mut self, records: &[InboxRecord], keys: &KeySet, patience: Duration) -> Result<(), Failure> {
        let said: Vec<StateRecord> = records.iter().map(|record| record.state(keys)).collect();
        match self {
            Self::File { path, file, store } => {
                append(file, path, records).with_context(|| path.display().to_string()).or_exit(Exit::Io)?;
                store.apply_all(said);
                Ok(())
            }
            Self::Topics { inbox, states } => {
                inbox.sender()?.send(records)?;
                if states.follow_until(&said, patience).map_err(unread)? {
                    return Ok(());
                }
                let why = anyhow!(
                    "the inbox has it, and it will count, but nobody took it within {patience:?}: is `weir run` up, and do the \
                     clocks agree?"
                );
                Err(Failure::new(Exit::Retry, why))
            }
        }
    }
}

impl Inbox {
    /// Finds the inbox on the brokers of the source.
    ///
    /// # Errors
    /// When the configuration names no brokers.
    pub(super) fn of(config: &Config, topic: &str) -> Result<Self, Failure> {
        let (kafka, brokers) = setup::brokers(config)?;
        Ok(Self { brokers, group: kafka.group.clone(), topic: topic.to_owned() })
    }

    /// Reads what the daemons know.
    ///
    /// # Errors
    /// When the state topic cannot be read, or not be trusted.
    pub(super) fn states(&self) -> Result<States, Failure> {
        States::read(&self.brokers, &self.topic, &self.group, setup::STATES_PATIENCE).map_err(unread)
    }

    /// Reads the receipts under some keys of the state topic.
    ///
    /// # Errors
    /// When the receipts topic cannot be read.
    pub(super) fn receipts(&self, keys: &[Vec<u8>]) -> Result<Vec<Message>, Failure> {
        weir_source::read_receipts(&self.brokers, &self.topic, &self.group, keys, setup::STATES_PATIENCE)
            .map_err(unread)
    }

    /// Returns the way in.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub(super) fn sender(&self) -> Result<Sender<'_>, Failure> {
        Ok(Sender { topic: &self.topic, producer: Producer::connect(&self.brokers).or_exit(Exit::Unavailable)? })
    }
}

/// Writes to the inbox.
pub(super) struct Sender<'i> {
    topic: &'i str,
    producer: Producer,
}

impl Sender<'_> {
    /// Writes records; all replicas have them when this returns.
    ///
    /// # Errors
    /// When the brokers do not take them.
    pub(super) fn send(&self, records: &[InboxRecord]) -> Result<(), Failure> {
        let send = |record: &InboxRecord| self.producer.send(&Outgoing::of(self.topic, &record.message()));
        let queued = records.iter().try_for_each(send);
        queued.and_then(|()| self.producer.flush(FLUSH_PATIENCE)).or_exit(Exit::Unavailable)
    }
}

/// Opens a consent file for reading and appending, readable by its owner only if it is made, and locks it.
fn open_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

/// Appends records, each on a line of its own; they are on the disk when this returns.
fn append(file: &mut File, path: &Path, records: &[InboxRecord]) -> std::io::Result<()> {
    let mut lines = String::new();
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        // A file that a person edited may end without a line break.
        if last != *b"\n" {
            lines.push('\n');
        }
    }
    for record in records {
        lines.push_str(&record.value());
        lines.push('\n');
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    // The name of a new file is in its folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn unreadable(path: &Path, why: LoadError) -> Failure {
    match why {
        LoadError::Io(why) => Failure::new(Exit::Io, anyhow!(why).context(path.display().to_string())),
        LoadError::Lines { faults, count } => {
            Failure::new(Exit::Data, anyhow!("{}", validate::line_faults(path, &faults, count)))
        }
    }
}

fn unread(why: Unread) -> Failure {
    let why = anyhow::Error::new(why).context("cannot read what stands; `weir run` makes and keeps the topics");
    Failure::new(Exit::Unavailable, why)
}

/// A little longer than a producer tries by itself.
const FLUSH_PATIENCE: Duration = Duration::from_secs(35);
