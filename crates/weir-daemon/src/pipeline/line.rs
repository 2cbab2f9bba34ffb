//! The line to the brokers, which may change under way: certificates and secrets are read anew at SIGHUP.
//!
//! librdkafka reads them when a client is made and never again. So whoever has a client asks here, turn by turn, whether its line is
//! still the one in force, and makes another client where nothing of its own is under way.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::{error, info};
use weir_ledger::Sha256;
use weir_source::{AskError, Brokers, Producer};

use crate::config::{BrokersFault, Kafka};
use crate::pipeline::shared::chain;

/// How the brokers are reached now.
pub(crate) struct Line {
    kafka: Kafka,
    number: AtomicU64,
    /// The brokers, and a digest of the files that their options name.
    now: Mutex<(Brokers, String)>,
}

/// The new files cannot be used.
#[derive(Debug, thiserror::Error)]
enum LineFault {
    #[error(transparent)]
    Brokers(#[from] BrokersFault),
    #[error(transparent)]
    Client(#[from] AskError),
}

impl Line {
    /// Reads secrets and certificates for the first time.
    ///
    /// # Errors
    /// When a secret cannot be had, or librdkafka refuses an option.
    pub(crate) fn new(kafka: Kafka) -> Result<Self, BrokersFault> {
        let now = (kafka.connection()?, digest(&kafka));
        Ok(Self { kafka, number: AtomicU64::new(0), now: Mutex::new(now) })
    }

    /// Returns the brokers, and the number of their line.
    pub(crate) fn current(&self) -> (u64, Brokers) {
        let now = self.now.lock();
        (self.number(), now.0.clone())
    }

    /// Returns the number of the line in force.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Puts what the files say now in force, where they changed; what was in force stays where they have faults.
    pub(crate) fn reload(&self) {
        let (had, found) = (self.now.lock().1.clone(), digest(&self.kafka));
        if had == found {
            return;
        }
        match self.try_reload(found) {
            Ok(()) => info!("certificates and secrets for the brokers are in force"),
            Err(fault) => error!(error = chain(&fault), "new certificates or secrets are refused, the old ones stay"),
        }
    }

    fn try_reload(&self, found: String) -> Result<(), LineFault> {
        let brokers = self.kafka.connection()?;
        // A client reads them all; it need not reach anybody.
        Producer::connect(&brokers)?;
        let mut now = self.now.lock();
        *now = (brokers, found);
        self.number.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// Returns a digest of all files that the options name; one that cannot be read is as good as none.
fn digest(kafka: &Kafka) -> String {
    let mut sha256 = Sha256::new();
    for path in kafka.files() {
        let bytes = fs::read(path).unwrap_or_default();
        sha256.update(&bytes.len().to_le_bytes());
        sha256.update(&bytes);
    }
    sha256.hex()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn certify(folder: &Path) {
        let made = rcgen::generate_simple_self_signed(["weir".to_owned()]).unwrap();
        fs::write(folder.join("client.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("client-key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn files_that_changed_make_another_line_unless_they_have_faults() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let text = "contracts = \"s\"\nregion = \"eu\"\n[source.kafka]\nbrokers = \"localhost:1\"\ntopics = [\"t\"]\n\
             group = \"g\"\n[consent]\ntopic = \"c\"\n[lake]\nroot = \"file:l\"\n[keys]\nprovider = \"file:k\"\n";
        fs::write(path("weir.toml"), text).unwrap();
        let kafka = Config::load(&[path("weir.toml").into()], &[]).unwrap().kafka.unwrap();
        let client = BTreeMap::from(
            [
                ("security.protocol", "ssl".to_owned()),
                ("ssl.certificate.location", path("client.pem")),
                ("ssl.key.location", path("client-key.pem")),
            ]
            .map(|(option, value)| (option.to_owned(), value)),
        );
        certify(folder.path());
        let line = Line::new(Kafka { client, ..kafka }).unwrap();
        let numbers = [
            ("nothing changed", 0),
            ("another certificate", 1),
            ("no certificate", 1),
            ("no file", 1),
            ("a third certificate", 2),
        ];
        for (what, number) in numbers {
            match what {
                "no certificate" => fs::write(path("client.pem"), "no certificate").unwrap(),
                "no file" => fs::remove_file(path("client.pem")).unwrap(),
                "nothing changed" => {}
                _ => certify(folder.path()),
            }
            line.reload();
            assert_eq!(line.number(), number, "{what}");
        }
    }
}
