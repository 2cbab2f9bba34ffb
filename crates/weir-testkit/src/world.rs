//! A small world for tests of the filter: a policy, people, events, keys, and both filters.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use weir_filter::{Level, Limits};
use weir_keys::KeySet;
use weir_policy::{Faults, Policy, PolicySource, Source};

use crate::agreement::{self, Agreement};
use crate::corpus::{Corpus, Flaws, Options, Produced};

/// The present of the world: 2026-11-24T10:00:00Z.
pub const NOW_MS: i64 = 1_795_514_400_000;

/// Everything that a filter needs, made from a seed.
#[expect(missing_debug_implementations, reason = "keys must not be printable")]
pub struct World {
    /// The contracts and the rules of the purposes.
    pub policy: Arc<Policy>,
    /// Keys for all of its people and times.
    pub keys: Arc<KeySet>,
    /// Its events and consents.
    pub corpus: Corpus,
    /// Both filters, which know the consents.
    pub agreement: Agreement,
}

impl World {
    /// Makes the world of the example contracts.
    ///
    /// # Panics
    /// Panics when the contracts of this repository cannot be loaded.
    pub fn examples(seed: u64, flaws: Flaws) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let source =
            PolicySource { contracts: root.join("schemas"), purposes: Some(root.join("config/purposes.toml")) };
        let (policy, _) = Policy::load(&source).unwrap_or_else(|report| panic!("{report}"));
        Self::new(seed, Arc::new(policy), flaws)
    }

    /// Makes a world with every type in every place, versions that have expired, and purposes of all lawful bases.
    ///
    /// # Panics
    /// Panics when its files have a fault.
    pub fn edges(seed: u64, flaws: Flaws) -> Self {
        let contracts = [
            Source::new("edges.toml", include_str!("world/edges.toml")),
            Source::new("expired.v1.toml", include_str!("world/expired.v1.toml")),
            Source::new("expired.v2.toml", include_str!("world/expired.v2.toml")),
        ];
        let purposes = Source::new("purposes.toml", include_str!("world/purposes.toml"));
        let parsed = Policy::parse(&contracts, Some(&purposes), Faults::default());
        let (policy, _) = parsed.unwrap_or_else(|report| panic!("{report}"));
        Self::new(seed, Arc::new(policy), flaws)
    }

    fn new(seed: u64, policy: Arc<Policy>, flaws: Flaws) -> Self {
        let options = Options { people: 500, tenants: 60, events: 10_000, flaws, ..Options::ending(NOW_MS) };
        let corpus = Corpus::new(seed, &policy, options);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = agreement::keys(folder.path(), &policy, &corpus, NOW_MS);
        let agreement = Self::agree(&policy, &keys, corpus.consents(), (Limits::default(), Level::new()));
        Self { policy, keys, corpus, agreement }
    }

    /// Gives the filters other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        let agreement = Self::agree(&self.policy, &self.keys, self.corpus.consents(), (limits, Level::new()));
        Self { agreement, ..self }
    }

    /// Gives the fast filter these instructions of the processor.
    #[must_use]
    pub fn at_level(self, level: Level) -> Self {
        let agreement = Self::agree(&self.policy, &self.keys, self.corpus.consents(), (Limits::default(), level));
        Self { agreement, ..self }
    }

    fn agree(
        policy: &Arc<Policy>,
        keys: &Arc<KeySet>,
        consents: impl Iterator<Item = Produced>,
        limits: (Limits, Level),
    ) -> Agreement {
        Agreement::new(Arc::clone(policy), Arc::clone(keys), consents, limits, NOW_MS)
    }

    /// Returns a range of the corpus.
    pub fn events(&self, events: Range<u64>) -> Vec<Produced> {
        events.map(|index| self.corpus.event(index)).collect()
    }
}
