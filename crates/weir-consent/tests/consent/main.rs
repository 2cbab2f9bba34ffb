//! What may be done with whose data: the rule, the two topics, the file, and the laws they obey.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod decision;
mod file;
mod inbox;
mod judge;
mod keeper;
mod laws;
mod receipt;
mod snapshot;
mod state;

use std::sync::{Arc, LazyLock};

use weir_consent::{Agreement, ConsentStore, Standing, StateRecord, Status};
use weir_keys::{KeyRing, KeySet, PersonKey};
use weir_policy::PurposeId;

/// 2026-11-23T10:15:30.123Z
const NOW_MS: i64 = 1_795_428_930_123;

fn keys() -> Arc<KeySet> {
    static KEYS: LazyLock<Arc<KeySet>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        KeyRing::init(&folder.path().join("keys")).unwrap().snapshot()
    });
    KEYS.clone()
}

fn person(number: u8) -> PersonKey {
    PersonKey::from_bytes([number.max(1); 16]).unwrap()
}

fn standing(status: Status, at_ms: i64, valid_until_ms: Option<i64>) -> Standing {
    Standing::new(status, at_ms, valid_until_ms).unwrap()
}

fn choice(person: PersonKey, purpose: PurposeId, standing: Standing) -> StateRecord {
    StateRecord::Choice { person, purpose, standing }
}

fn agreement(purpose: PurposeId, standing: Standing, regions: Option<&[&str]>) -> StateRecord {
    let regions = regions.map(|regions| regions.iter().map(|region| Box::from(*region)).collect());
    StateRecord::Agreement { tenant: "acme".into(), purpose, agreement: Agreement { standing, regions } }
}

fn store_of(records: impl IntoIterator<Item = StateRecord>) -> ConsentStore {
    let store = ConsentStore::new();
    store.apply_all(records);
    store.mark_current(i64::MAX);
    store
}
