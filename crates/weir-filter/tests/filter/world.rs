//! A small world for the filter's tests: one policy, one tenant that agreed, people who said yes.

use std::sync::Arc;
use tempfile::TempDir;
use weir_consent::{Agreement, ConsentStore, Standing, StateRecord, Status};
use weir_filter::{Cells, Column, Filter, Filtered, Headers, Limits, Origin, Record, Rows, Storable, Values};
use weir_keys::{KeyRing, KeySet, canonical};
use weir_policy::{Faults, Field, Policy, Purpose, PurposeId, Source};

/// 2026-11-23T10:20:00Z.
pub(crate) const NOW_MS: i64 = 1_795_429_200_000;
/// A record of so many bytes is long: it is read where it lies.
pub(crate) const LONG: usize = 20_000;
/// Consent given long before any event.
pub(crate) const LONG_AGO_MS: i64 = NOW_MS - 400 * 86_400_000;

pub(crate) struct World {
    pub(crate) policy: Arc<Policy>,
    pub(crate) ring: KeyRing,
    pub(crate) store: ConsentStore,
    pub(crate) limits: Limits,
    _folder: TempDir,
}

impl World {
    /// Makes a world with these contracts, in which the tenant `acme` agreed to everything.
    pub(crate) fn new(contracts: &[&str]) -> Self {
        let sources: Vec<_> =
            contracts.iter().enumerate().map(|(at, text)| Source::new(format!("{at}.toml"), *text)).collect();
        let Ok((policy, _)) = Policy::parse(&sources, None, Faults::default()) else {
            panic!("a contract has a fault")
        };
        let folder = TempDir::new().unwrap();
        let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
        ring.ensure_epochs(policy.purposes(), NOW_MS).unwrap();
        ring.ensure_tenant("acme").unwrap();
        let store = ConsentStore::new();
        store.mark_current(i64::MAX);
        let world = Self { policy: Arc::new(policy), ring, store, limits: Limits::default(), _folder: folder };
        for purpose in PurposeId::ALL {
            world.agree("acme", purpose, Status::Given);
        }
        world
    }

    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.ring.snapshot()
    }

    pub(crate) fn agree(&self, tenant: &str, purpose: PurposeId, status: Status) {
        let standing = Standing::new(status, LONG_AGO_MS, None).unwrap();
        let agreement = Agreement { standing, regions: None };
        self.store.apply(StateRecord::Agreement { tenant: tenant.into(), purpose, agreement });
    }

    pub(crate) fn choose(&self, user: &str, purpose: PurposeId, status: Status, at_ms: i64) {
        let person = self.keys().person_key("acme", "user", &canonical(user));
        let standing = Standing::new(status, at_ms, None).unwrap();
        self.store.apply(StateRecord::Choice { person, purpose, standing });
    }

    /// Lets a person say yes to everything.
    pub(crate) fn permit(&self, user: &str) {
        for purpose in PurposeId::ALL {
            self.choose(user, purpose, Status::Given, LONG_AGO_MS);
        }
    }

    pub(crate) fn erase(&self, kind: &str, id: &str, before_ms: i64) {
        let person = self.keys().person_key("acme", kind, &canonical(id));
        self.store.apply(StateRecord::Erasure { person, before_ms });
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter::new(Arc::clone(&self.policy), self.keys(), self.limits, "eu".to_owned())
    }

    /// Filters structured events.
    pub(crate) fn run<E: AsRef<[u8]>>(&self, events: &[E]) -> Filtered {
        let records: Vec<_> = (0..)
            .zip(events)
            .map(|(position, event)| Record::new(Origin(3), position, Some(event.as_ref()), Headers::NONE))
            .collect();
        self.run_records(&records)
    }

    pub(crate) fn run_records(&self, records: &[Record<'_>]) -> Filtered {
        let mut out = Filtered::default();
        let view = self.store.view(NOW_MS, i64::MAX).unwrap();
        self.filter().apply(records, &view, NOW_MS, &mut out);
        for purpose in PurposeId::ALL {
            assert_eq!(out.tally.total(purpose), u64::try_from(records.len()).unwrap(), "every record has one fate");
        }
        out
    }
}

/// Returns the fates of all records of a run, one word each, for one purpose: `written`, or the reason or code.
pub(crate) fn fates(out: &Filtered, purpose: PurposeId) -> Vec<&'static str> {
    let of_purpose = out.tally.fates().into_iter().filter(|(key, _)| key.purpose == purpose);
    let words = of_purpose.map(|(key, count)| {
        let word = key.fate.code().unwrap_or_else(|| key.fate.name());
        std::iter::repeat_n(word, usize::try_from(count).unwrap())
    });
    words.flatten().collect()
}

/// Returns the declared columns of a table's row as text: `name=value`, nulls left out.
pub(crate) fn row<P: Purpose>(policy: &Policy, rows: &Rows<P>, at: usize) -> Vec<String> {
    let contract = policy.contract(rows.contract());
    let at = [at];
    let cells = rows.columns(&at).map(|column| {
        let field = &contract.fields[column.field()];
        render(field, &column).map(|value| format!("{}={value}", field.column))
    });
    cells.flatten().collect()
}

/// Says what a column of one row holds.
fn render<P: Purpose>(field: &Field, column: &Column<P>) -> Option<String> {
    let Some(lists) = column.lists() else { return item(field, column.values(), 0) };
    if !lists.validity().is_valid(0) {
        return None;
    }
    let items = (0..column.values().len()).map(|at| item(field, column.values(), at).unwrap_or("null".into()));
    Some(format!("[{}]", items.collect::<Vec<_>>().join(",")))
}

fn item<P: Purpose>(field: &Field, values: &Values<P>, at: usize) -> Option<String> {
    fn of<T: Storable>(cells: &Cells<T>, at: usize) -> Option<T> {
        cells.validity().is_valid(at).then(|| cells.values()[at])
    }
    match values {
        Values::Bool(cells) => of(cells, at).map(|value| value.to_string()),
        Values::Decimal(cells) => of(cells, at).map(|value| value.to_string()),
        Values::Float(cells) => of(cells, at).map(|value| value.to_string()),
        Values::Int(cells) => of(cells, at).map(|value| value.to_string()),
        Values::Network(cells) => of(cells, at).map(|value| value.to_string()),
        Values::Pseudonym(cells) => of(cells, at).map(|value| format!("{:032x}", u128::from_be_bytes(value.bytes()))),
        Values::Semver(cells) => of(cells, at).map(|[major, minor, patch]| format!("{major}.{minor}.{patch}")),
        Values::Token(cells) => of(cells, at).map(|value| field.field_type.render(value).into_owned()),
        Values::UserAgent(cells) => {
            of(cells, at).map(|(family, major)| format!("{}/{major}", field.field_type.render(family)))
        }
    }
}
