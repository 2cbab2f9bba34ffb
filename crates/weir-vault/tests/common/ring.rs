//! A ring with epochs and two tenants, and what it makes of somebody.

use weir_keys::{KeyRing, KeySet};
use weir_policy::{PurposeId, Purposes};

pub(crate) const NOW_MS: i64 = 20_000 * 86_400_000;

pub(crate) fn full(ring: &KeyRing) {
    ring.ensure_epochs(&Purposes::default(), NOW_MS).unwrap();
    for tenant in ["acme", "globex"] {
        ring.ensure_tenant(tenant).unwrap();
    }
}

pub(crate) fn pseudonym(keys: &KeySet, tenant: &str) -> Option<[u8; 16]> {
    let purpose = PurposeId::Reliability;
    Some(keys.pseudonym_key(purpose, Purposes::default().epoch(purpose, NOW_MS), tenant, "user")?.digest(b"u-81"))
}
