//! Both filters fed with the same records, and what they do not agree on.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use weir_consent::ConsentStore;
use weir_filter::{Filter, Filtered, Headers, Level, Limits, Origin, Record};
use weir_keys::{KeyRing, KeySet};
use weir_policy::Policy;

use crate::corpus::{Corpus, Produced};
use crate::reference::{Outcome, Raw, Reference};

/// The fast filter and the reference, with the same policy, keys and consents.
#[expect(missing_debug_implementations, reason = "keys must not be printable")]
pub struct Agreement {
    policy: Arc<Policy>,
    store: ConsentStore,
    filter: Filter,
    reference: Reference,
    now_ms: i64,
    /// What came of all records so far, by the reference.
    pub total: Outcome,
}

/// Makes a key ring in `folder`, which is empty, and in it nearly all keys that a corpus of `policy` needs.
///
/// Lost are the oldest epochs, and the secret of the last tenant: events that need them meet a closed epoch.
///
/// # Panics
/// Panics when the folder cannot be written.
pub fn keys(folder: &Path, policy: &Policy, corpus: &Corpus, now_ms: i64) -> Arc<KeySet> {
    let ring = KeyRing::init(&folder.join("keys")).expect("an empty folder takes a key ring");
    ring.ensure_epochs(policy.purposes(), now_ms).expect("the ring takes epochs");
    ring.destroy_expired(policy.purposes(), now_ms + 10 * DAY_MS).expect("the ring loses epochs");
    let tenants: Vec<&str> = corpus.tenants().collect();
    for tenant in tenants.iter().rev().skip(1) {
        ring.ensure_tenant(tenant).expect("the ring takes tenants");
    }
    ring.snapshot()
}

/// A record that the filters do not agree on.
#[derive(Clone, Debug)]
pub struct Disagreement {
    /// The record.
    pub record: Produced,
    /// What differs; the first is the fast filter, the second the reference.
    pub differences: Vec<String>,
}

impl Agreement {
    /// Gives both filters the keys and consents, and the fast one the processor's instructions; `consents` are records of the inbox, one of each matter.
    ///
    /// # Panics
    /// Panics when a consent is none.
    pub fn new(
        policy: Arc<Policy>,
        keys: Arc<KeySet>,
        consents: impl Iterator<Item = Produced>,
        (limits, level): (Limits, Level),
        now_ms: i64,
    ) -> Self {
        let mut reference = Reference::new(Arc::clone(&policy), Arc::clone(&keys), limits, REGION);
        let mut lines = Vec::new();
        for consent in consents {
            let value = consent.value.expect("a consent has a value");
            reference.consents.take(&value);
            lines.extend_from_slice(&value);
            lines.push(b'\n');
        }
        let store = ConsentStore::read_ndjson(&lines[..], &keys, now_ms)
            .unwrap_or_else(|error| panic!("the corpus makes good consents: {error:?}"));
        let filter = Filter::at_level(level, Arc::clone(&policy), keys, limits, REGION.to_owned());
        Self { policy, store, filter, reference, now_ms, total: Outcome::default() }
    }

    /// Filters records twice, as a batch; returns a record that the filters do not agree on.
    ///
    /// # Errors
    /// The filters do not agree.
    ///
    /// # Panics
    /// Panics when they agree on each record but not on the batch.
    pub fn check(&mut self, records: &[Produced]) -> Result<(), Box<Disagreement>> {
        let (fast, slow) = self.both(records);
        let differences = fast.differences(&slow);
        if differences.is_empty() {
            self.total.absorb(slow);
            return Ok(());
        }
        for record in records {
            let (fast, slow) = self.both(std::slice::from_ref(record));
            let differences = fast.differences(&slow);
            if !differences.is_empty() {
                return Err(Box::new(Disagreement { record: record.clone(), differences }));
            }
        }
        panic!("the filters agree on each record of a batch, but not on the batch: {differences:#?}");
    }

    /// Filters records by the fast filter and by the reference.
    pub fn both(&mut self, records: &[Produced]) -> (Outcome, Outcome) {
        let mut slow = Outcome::default();
        let headers: Vec<Vec<(&str, &[u8])>> = records.iter().map(Produced::borrowed_headers).collect();
        let mut fast = Vec::new();
        for ((record, headers), position) in records.iter().zip(&headers).zip(0..) {
            let origin = Origin(u16::try_from(position % 3).unwrap_or(0));
            let value = record.value.as_deref();
            self.reference.filter(&Raw { origin, position, value, headers: &record.headers }, self.now_ms, &mut slow);
            fast.push(Record::new(origin, position, value, Headers::new(headers)));
        }
        let view = self.store.view(self.now_ms, i64::MAX).expect("a store that was read from lines is current");
        let mut filtered = Filtered::default();
        self.filter.apply(&fast, &view, self.now_ms, &mut filtered);
        (Outcome::of(&filtered, &self.policy, &view), slow)
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.record.headers {
            writeln!(out, "header {name}: {}", value.escape_ascii())?;
        }
        match &self.record.value {
            Some(value) => writeln!(out, "value {}", String::from_utf8_lossy(value))?,
            None => writeln!(out, "no value")?,
        }
        self.differences.iter().try_for_each(|difference| writeln!(out, "{difference}"))
    }
}

/// Where the rows of tests live.
pub const REGION: &str = "eu";
const DAY_MS: i64 = 86_400_000;
