//! The rows that the reference makes, against those that other tools read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_filter::{Limits, Origin};
use weir_policy::PurposeId;
use weir_testkit::corpus::{Corpus, Produced};
use weir_testkit::readers::{Digest, Engine, duckdb_sql};
use weir_testkit::reference::{Outcome, Raw, Reference};

use crate::world::World;

/// The digest of each table that has rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    tables: BTreeMap<(PurposeId, String), Digest>,
}

impl Expected {
    /// Lets the reference filter some records with the consents of a corpus.
    pub(crate) fn of(
        world: &World,
        corpus: &Corpus,
        consents: impl Iterator<Item = Produced>,
        records: impl Iterator<Item = Produced>,
    ) -> Self {
        let [all, none] = Self::split(world, corpus, consents, records, |_| true);
        assert_eq!(none.rows(), 0);
        all
    }

    /// The same, parted by the rows' canonical lines: those of which `first` says yes, and the others.
    pub(crate) fn split(
        world: &World,
        corpus: &Corpus,
        consents: impl Iterator<Item = Produced>,
        records: impl Iterator<Item = Produced>,
        mut first: impl FnMut(&str) -> bool,
    ) -> [Self; 2] {
        let reference = reference(world, corpus, consents);
        let mut parts = [Self::default(), Self::default()];
        let mut outcome = Outcome::default();
        for (record, position) in records.zip(0..) {
            let raw = Raw { origin: Origin(0), position, value: record.value.as_deref(), headers: &record.headers };
            reference.filter(&raw, world.now_ms, &mut outcome);
            // Whole rows of a million events would need gigabytes.
            if outcome.len() >= ROWS_HELD {
                absorb(&mut parts, world, &std::mem::take(&mut outcome), &mut first);
            }
        }
        absorb(&mut parts, world, &outcome, &mut first);
        parts
    }

    /// Returns the largest table of each purpose, with its digest.
    pub(crate) fn largest(&self, world: &World) -> Vec<(PathBuf, Digest)> {
        let of = |purpose| self.tables.iter().filter(move |((of, _), _)| *of == purpose);
        let largest =
            PurposeId::ALL.into_iter().filter_map(|purpose| of(purpose).max_by_key(|(_, digest)| digest.rows));
        largest.map(|((purpose, event), digest)| (world.table(purpose.name(), event), *digest)).collect()
    }

    /// Returns the digest of a table, by its path.
    pub(crate) fn digest(&self, world: &World, path: &Path) -> Digest {
        let mut tables = self.tables.iter();
        let found = tables.find(|((purpose, event), _)| world.table(purpose.name(), event) == path);
        found.map(|(_, digest)| *digest).unwrap_or_default()
    }

    /// Returns the tables of a purpose: event types, each with its digest.
    pub(crate) fn of_purpose(&self, purpose: PurposeId) -> impl Iterator<Item = (&str, Digest)> {
        let tables = self.tables.iter().filter(move |((of, _), _)| *of == purpose);
        tables.map(|((_, event_type), digest)| (event_type.as_str(), *digest))
    }

    /// Returns the number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.tables.values().map(|digest| digest.rows).sum()
    }

    /// Adds what another part of the same records came to.
    pub(crate) fn join(&mut self, other: Self) {
        for (table, digest) in other.tables {
            self.tables.entry(table).or_default().join(digest);
        }
    }

    /// Demands that each engine reads exactly these rows.
    #[track_caller]
    pub(crate) fn assert_read_by(&self, world: &World, engines: &[Engine]) {
        for engine in engines {
            assert_eq!(Self::read(world, *engine), *self, "{engine:?} reads other rows than the reference makes");
        }
    }

    /// Returns what an engine reads.
    pub(crate) fn read(world: &World, engine: Engine) -> Self {
        Self::read_at(world, engine, |purpose, event_type| world.table(purpose.name(), event_type))
    }

    /// Returns what an engine reads of each table's place.
    pub(crate) fn read_at(world: &World, engine: Engine, place: impl Fn(PurposeId, &str) -> PathBuf) -> Self {
        let mut tables = Vec::new();
        for purpose in PurposeId::ALL {
            let types: BTreeSet<_> =
                world.policy.contracts().iter().map(|contract| contract.event_type.clone()).collect();
            let table = |event_type: String| (purpose, event_type);
            tables.extend(types.into_iter().map(table));
        }
        tables.retain(|(purpose, event_type)| world.table(purpose.name(), event_type).exists());
        let paths: Vec<PathBuf> = tables.iter().map(|(purpose, event_type)| place(*purpose, event_type)).collect();
        if paths.is_empty() {
            return Self::default();
        }
        let digests = engine.digests(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        // A table may be there without rows: all of its rows were withdrawn in time.
        let with_rows = tables.into_iter().zip(digests).filter(|(_, digest)| digest.rows > 0);
        Self { tables: with_rows.collect() }
    }
}

fn absorb([kept, left]: &mut [Expected; 2], world: &World, outcome: &Outcome, first: &mut impl FnMut(&str) -> bool) {
    let tables: BTreeSet<_> = outcome.rows.keys().map(|table| (table.purpose, table.event_type.clone())).collect();
    for (purpose, event_type) in tables {
        for line in outcome.lake_lines(&world.policy, purpose, &event_type) {
            let part = if first(&line) { &mut *kept } else { &mut *left };
            part.tables.entry((purpose, event_type.clone())).or_default().add(&line);
        }
    }
}

/// Returns how many fates coverage counts under a condition, as DuckDB reads it.
pub(crate) fn covered(world: &World, condition: &str) -> u64 {
    let coverage = world.path("lake/eu/_coverage");
    let sql = format!(
        "SELECT coalesce(sum(\"count\"), 0)::BIGINT AS n FROM delta_scan('{}') WHERE {condition}",
        coverage.display()
    );
    let lines = duckdb_sql(&sql);
    let answer: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    answer["n"].as_u64().unwrap()
}

/// Makes the reference with the keys of the world's ring; a key that weir has not made yet is made, as weir would.
fn reference(world: &World, corpus: &Corpus, consents: impl Iterator<Item = Produced>) -> Reference {
    let ring = world.ring();
    ring.ensure_epochs(world.policy.purposes(), world.now_ms).unwrap();
    for tenant in corpus.tenants() {
        ring.ensure_tenant(tenant).unwrap();
    }
    let mut reference = Reference::new(Arc::clone(&world.policy), ring.snapshot(), Limits::default(), "eu");
    for consent in consents {
        reference.consents.take(&consent.value.unwrap());
    }
    reference
}

const ROWS_HELD: usize = 20_000;
