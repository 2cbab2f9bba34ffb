//! What the bench filters: events of a corpus, held in memory, with the keys and consents of their people.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_filter::{Filter, Headers, Level, Limits, Origin, Record};
use weir_keys::{KeyRing, KeySet, canonical};
use weir_policy::{Policy, PurposeId};
use weir_testkit::corpus::{Corpus, Flaws, Options, Produced};

use crate::contracts;

/// The present of the bench: 2026-11-24T10:00:00Z.
pub const NOW_MS: i64 = 1_795_514_400_000;
/// Records that a poll of the daemon hands over at once.
pub const POLL: usize = 512;
/// Where the rows live; most tenants of the corpus allow it.
pub const REGION: &str = "eu";

/// How alike events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Eight types, four producers; fields are missing, null, undeclared, members shuffled, records broken.
    Mixed,
    /// Eight types, four producers, and nothing goes wrong.
    Stable,
    /// One type, one producer, and nothing goes wrong.
    One,
}

impl Mode {
    /// All of them, the hardest first.
    pub const ALL: [Self; 3] = [Self::Mixed, Self::Stable, Self::One];

    /// Returns the word for it on a command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Stable => "stable",
            Self::One => "one",
        }
    }

    /// Returns the name that stands in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Stable => "stable",
            Self::One => "one shape",
        }
    }
}

/// Policy, keys and consents.
#[expect(missing_debug_implementations, reason = "keys must not be printable")]
pub struct World {
    /// The contracts, and the rules of the purposes that ship.
    pub policy: Arc<Policy>,
    /// Keys of all tenants and times.
    pub keys: Arc<KeySet>,
    /// What everybody agreed to.
    pub consent: ConsentStore,
    people: u32,
}

impl World {
    /// Makes a world of `types` event types and `people` persons.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub fn new(types: usize, people: u32) -> Result<Self> {
        let policy = Arc::new(contracts::policy(types)?);
        let corpus = Corpus::new(SEED, &policy, options(Mode::Mixed, people, 1));
        let keys = keys(&policy, &corpus)?;
        let mut lines = Vec::new();
        for line in corpus.consents().filter_map(|record| record.value) {
            lines.extend_from_slice(&line);
            lines.push(b'\n');
        }
        let consent = ConsentStore::read_ndjson(&*lines, &keys, NOW_MS).context("the corpus makes good consents")?;
        Ok(Self { policy, keys, consent, people })
    }

    /// Makes a world in which so many persons have made their choices for all purposes that records of them would not fit.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub fn vast(types: usize, people: u32) -> Result<Self> {
        let policy = Arc::new(contracts::policy(types)?);
        let corpus = Corpus::new(SEED, &policy, options(Mode::Mixed, people, 1));
        let keys = keys(&policy, &corpus)?;
        let agreements = corpus.consents().take_while(|record| !record.key.contains(&b'/'));
        let lines: Vec<u8> =
            agreements.filter_map(|record| record.value).flat_map(|line| [line, vec![b'\n']].concat()).collect();
        let consent = ConsentStore::read_ndjson(&*lines, &keys, NOW_MS).context("the corpus makes good consents")?;
        let standing = |status| Standing::new(status, 0, None).expect("1970 can be known");
        let (given, refused) = (standing(Status::Given), standing(Status::Refused));
        for start in (0..people).step_by(CHOICES_AT_ONCE) {
            let some = start..people.min(start.saturating_add(u32::try_from(CHOICES_AT_ONCE)?));
            consent.apply_all(some.flat_map(|number| {
                let named = corpus.person(number);
                let person = keys.person_key(named.tenant, "user", &canonical(&named.identifier("user")));
                // Nine in ten agree: about as many as in the usual world, though to all or nothing.
                let standing = if number % 10 == 0 { refused } else { given };
                PurposeId::ALL.map(|purpose| StateRecord::Choice { person, purpose, standing })
            }));
        }
        Ok(Self { policy, keys, consent, people })
    }

    /// Returns the corpus that the world's events are taken from.
    ///
    /// # Errors
    /// When a contract has a fault.
    pub fn corpus(&self, mode: Mode, events: u64) -> Result<Corpus> {
        self.corpus_over(DAYS, mode, events)
    }

    /// Returns a corpus whose events spread over so many days.
    ///
    /// # Errors
    /// When a contract has a fault.
    pub fn corpus_over(&self, days: u32, mode: Mode, events: u64) -> Result<Corpus> {
        let options = Options { days, ..options(mode, self.people, events) };
        Ok(match mode {
            Mode::Mixed | Mode::Stable => Corpus::new(SEED, &self.policy, options),
            Mode::One => Corpus::new(SEED, &contracts::policy_of_one(1)?, options),
        })
    }

    /// Returns the number of persons.
    pub fn people(&self) -> u32 {
        self.people
    }

    /// Returns a new filter.
    pub fn filter(&self) -> Filter {
        self.filter_at(Level::new())
    }

    /// Returns a new filter that works with these instructions of the processor.
    pub fn filter_at(&self, level: Level) -> Filter {
        let (policy, keys) = (Arc::clone(&self.policy), Arc::clone(&self.keys));
        Filter::at_level(level, policy, keys, Limits::default(), REGION.to_owned())
    }
}

/// Events one after the other, as they lie in a fetched batch.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds events")]
pub struct Events {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Events {
    /// Makes the first `count` events of a corpus.
    pub fn generate(corpus: &Corpus, count: u64) -> Self {
        let mut record = Produced::default();
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for index in 0..count {
            corpus.write(index, &mut record);
            bytes.extend_from_slice(record.value.as_deref().unwrap_or_default());
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    /// Returns the number of events.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns all bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the events.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Returns the events as the source hands them to the filter.
    pub fn records(&self) -> Vec<Record<'_>> {
        let numbered = (0..).zip(self.iter());
        numbered.map(|(position, event)| Record::new(Origin(0), position, Some(event), Headers::NONE)).collect()
    }
}

fn options(mode: Mode, people: u32, events: u64) -> Options {
    let flaws = Flaws {
        missing_field: 50,
        null_field: 20,
        missing_subject: 1,
        undeclared_field: 110,
        undeclared_attribute: 500,
        wrong_value: 1,
        unknown_type: 20,
        missing_attribute: 5,
        shuffled: 30,
        duplicate_key: 1,
        escaped_key: 1,
        malformed: 10,
        ..Flaws::NONE
    };
    let usual = Options {
        people,
        events,
        days: DAYS,
        bytes: 0,
        content_bytes: 20,
        erased: 5,
        skew: 1.05,
        head: 20,
        plain: true,
        ..Options::ending(NOW_MS)
    };
    match mode {
        Mode::Mixed => Options { flaws, ..usual },
        Mode::Stable => Options { flaws: Flaws::NONE, ..usual },
        Mode::One => Options { flaws: Flaws::NONE, producers: 1, ..usual },
    }
}

/// Makes keys of the corpus's tenants; the ring's folder is gone when they are made.
fn keys(policy: &Policy, corpus: &Corpus) -> Result<Arc<KeySet>> {
    let folder = tempfile::tempdir()?;
    let ring = KeyRing::init(&folder.path().join("keys"))?;
    ring.ensure_epochs(policy.purposes(), NOW_MS)?;
    for tenant in corpus.tenants() {
        ring.ensure_tenant(tenant)?;
    }
    Ok(ring.snapshot())
}

/// Days over which events usually spread.
const DAYS: u32 = 2;
/// People whose choices are handed over together.
const CHOICES_AT_ONCE: usize = 10_000;
/// The same events on every machine.
const SEED: u64 = 20_261_124;
