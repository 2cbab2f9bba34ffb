//! What a bench filters: records, and a world in which most of them are permitted.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tempfile::TempDir;
use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_filter::{Filter, Limits};
use weir_keys::{HeadFile, KeyRing, KeySet, tenant_name_is_sound};
use weir_lake::{Lake, LakeConfig};
use weir_policy::{Policy, PurposeId};
use weir_testkit::corpus::{Corpus, Options, Produced};

use crate::exit::{Exit, Failure, OrExit as _};
use crate::sandbox;

/// Records with their keys, consents and clock.
pub(crate) struct Load {
    /// The records.
    pub(crate) records: Vec<Produced>,
    /// Bytes of their values.
    pub(crate) bytes: usize,
    /// Keys of their tenants.
    pub(crate) keys: Arc<KeySet>,
    /// What their tenants and people agreed to.
    pub(crate) consent: ConsentStore,
    /// The clock by which they are judged.
    pub(crate) now_ms: i64,
    /// Where the ring and the lake are, as long as they are needed.
    folder: TempDir,
}

impl Load {
    /// Generates events from the contracts, and consents of the people in them.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn generated(policy: &Policy, events: u64, bytes: usize, now_ms: i64) -> Result<Self, Failure> {
        let options = Options { bytes, events, ..Options::ending(now_ms) };
        let region = options.region.clone();
        let corpus = Corpus::new(SEED, policy, options);
        debug_assert_eq!(region, REGION, "the corpus agrees to the region of the bench");
        let records: Vec<_> = (0..events).map(|index| corpus.event(index)).collect();
        let (folder, keys) = keys(policy, corpus.tenants(), now_ms)?;
        let mut lines = Vec::new();
        for line in corpus.consents().filter_map(|record| record.value) {
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        let consent = ConsentStore::read_ndjson(&*lines, &keys, now_ms).or_exit(Exit::Software)?;
        Ok(Self::new(records, keys, consent, now_ms, folder))
    }

    /// Reads events from a file, as often as it takes; everybody in them has agreed to everything.
    ///
    /// # Errors
    /// When the file cannot be read or is empty, or there is no room for temporary files.
    pub(crate) fn sample(policy: &Policy, file: &Path, events: u64, now_ms: i64) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))
            .or_exit(Exit::NoInput)?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.is_empty() {
            return Err(Failure::new(Exit::NoInput, anyhow::anyhow!("{} has no event", file.display())));
        }
        let tenants: Vec<String> = lines.iter().map(|line| sandbox::tenant(line)).collect();
        let (folder, keys) = keys(policy, tenants.iter().map(String::as_str), now_ms)?;
        let consent = agreed(policy, lines.iter().copied().zip(&tenants), &keys);
        let count = usize::try_from(events).unwrap_or(usize::MAX);
        let produced = |line: &str| Produced { value: Some(line.as_bytes().to_vec()), ..Produced::default() };
        let records = lines.iter().cycle().take(count).map(|line| produced(line)).collect();
        Ok(Self::new(records, keys, consent, now_ms, folder))
    }

    /// Makes a filter of a policy for these records.
    pub(crate) fn filter(&self, policy: Arc<Policy>) -> Filter {
        Filter::new(policy, Arc::clone(&self.keys), Limits::default(), REGION.to_owned())
    }

    /// Opens the lake that rounds are committed to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn lake(&self) -> Result<Lake, Failure> {
        let config = LakeConfig::new(self.folder.path().join("lake"), REGION, "bench");
        let ledger = config.ledger(self.keys.signing_key("bench"), HeadFile::new(self.folder.path().join("head")));
        Lake::open(config, &self.keys.lake_key("bench"), ledger).or_exit(Exit::CannotCreate)
    }

    fn new(records: Vec<Produced>, keys: Arc<KeySet>, consent: ConsentStore, now_ms: i64, folder: TempDir) -> Self {
        let bytes = records.iter().filter_map(|record| record.value.as_ref()).map(Vec::len).sum();
        Self { records, bytes, keys, consent, now_ms, folder }
    }
}

fn keys<'t>(
    policy: &Policy,
    tenants: impl Iterator<Item = &'t str>,
    now_ms: i64,
) -> Result<(TempDir, Arc<KeySet>), Failure> {
    let folder = tempfile::Builder::new().prefix("weir-bench-").tempdir().or_exit(Exit::CannotCreate)?;
    let ring = KeyRing::init(&folder.path().join("keys")).or_exit(Exit::CannotCreate)?;
    ring.ensure_epochs(policy.purposes(), now_ms).or_exit(Exit::CannotCreate)?;
    for tenant in tenants.filter(|tenant| tenant_name_is_sound(tenant)) {
        ring.ensure_tenant(tenant).or_exit(Exit::CannotCreate)?;
    }
    Ok((folder, ring.snapshot()))
}

fn agreed<'e>(policy: &Policy, events: impl Iterator<Item = (&'e str, &'e String)>, keys: &KeySet) -> ConsentStore {
    let consent = sandbox::consent_store();
    let standing = Standing::new(Status::Given, 0, None).expect("1970 can be known");
    for (event, tenant) in events {
        for purpose in PurposeId::ALL {
            sandbox::agree(&consent, tenant, purpose);
            for contract in policy.contracts() {
                if let Some(person) = sandbox::person(contract, event, tenant, keys) {
                    consent.apply(StateRecord::Choice { person, purpose, standing });
                }
            }
        }
    }
    consent
}

/// The region of the bench's lake, which generated tenants allow.
const REGION: &str = "eu";
/// The same events on every machine.
const SEED: u64 = 1;
