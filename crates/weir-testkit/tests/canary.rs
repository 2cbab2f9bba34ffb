//! Canaries planted in every place of every contract: none comes out of the filter.
//!
//! The test over the whole program is in the crate `weir`; this one finds a leak of the trusted core in a second.

use std::collections::HashSet;
use std::sync::Arc;

use weir_consent::ConsentStore;
use weir_filter::{Filter, Filtered, Headers, Limits, Origin, Record};
use weir_keys::KeyRing;
use weir_policy::{Policy, PurposeId};
use weir_testkit::agreement::REGION;
use weir_testkit::canary::seal::SealingKey;
use weir_testkit::canary::{Finding, Planted, plant};
use weir_testkit::corpus::Flaws;
use weir_testkit::reference::Outcome;
use weir_testkit::reference::cell::canonical;
use weir_testkit::world::{NOW_MS, World};

/// Drives planted records through the filter; searches all rows, counts and coordinates.
#[test]
fn no_marker_leaves_the_filter() {
    for world in [World::examples(1, Flaws::NONE), World::edges(1, Flaws::NONE)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ring = KeyRing::init(&folder.path().join("keys")).expect("a key ring");
        let planted = planted(&world.policy, &ring);
        ring.ensure_epochs(world.policy.purposes(), NOW_MS).expect("epochs");
        ring.ensure_tenant(&planted.tenant).expect("a tenant");
        let keys = ring.snapshot();
        let lines: Vec<Vec<u8>> = planted.consents.iter().filter_map(|record| record.value.clone()).collect();
        let store = ConsentStore::read_ndjson(&lines.join(&b'\n')[..], &keys, NOW_MS).expect("consents are good");
        let view = store.view(NOW_MS, i64::MAX).expect("a store that was read is current");

        let headers: Vec<Vec<(&str, &[u8])>> = planted.records.iter().map(|record| record.borrowed_headers()).collect();
        let records = planted.records.iter().zip(&headers).zip(0..).map(|((record, headers), position)| {
            Record::new(Origin(0), position, record.value.as_deref(), Headers::new(headers))
        });
        let mut filtered = Filtered::default();
        let mut filter = Filter::new(Arc::clone(&world.policy), keys, Limits::default(), REGION.to_owned());
        filter.apply(&records.collect::<Vec<_>>(), &view, NOW_MS, &mut filtered);
        let outcome = Outcome::of(&filtered, &world.policy, &view);

        // What is searched must hold something: rows of every purpose, refusals and quarantine.
        for purpose in PurposeId::ALL {
            assert!(outcome.rows.keys().any(|table| table.purpose == purpose), "no row for {}", purpose.name());
        }
        assert!(outcome.quarantine.len() > 20, "only {} in quarantine", outcome.quarantine.len());
        assert!(!planted.opens.is_empty());
        for place in &outcome.quarantine {
            assert!(
                !planted.opens.iter().any(|opens| i64::try_from(*opens) == Ok(place.position)),
                "{place:?} does not open"
            );
        }
        // Rows have a column for the tenant.
        let rows = outcome.rows.values().flatten().map(|row| canonical(row).replace(&planted.tenant, ""));
        let counts = outcome.fates.iter().map(|count| format!("{count:?}"));
        let coordinates = outcome.quarantine.iter().map(|place| format!("{place:?}"));
        let text: Vec<String> = rows.chain(counts).chain(coordinates).collect();
        let findings = planted.canaries.searcher().bytes("what the filter gave", text.join("\n").as_bytes());
        assert_eq!(findings.iter().map(Finding::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    }
}

/// The search would have found them: it finds every one of them in the records.
#[test]
fn markers_are_in_the_records() {
    let world = World::examples(1, Flaws::NONE);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ring = KeyRing::init(&folder.path().join("keys")).expect("a key ring");
    let planted = planted(&world.policy, &ring);
    let mut bytes = planted.inside.concat();
    for record in &planted.records {
        bytes.extend_from_slice(&record.key);
        bytes.extend_from_slice(record.value.as_deref().unwrap_or_default());
        for (name, value) in &record.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
        }
    }
    let findings = planted.canaries.searcher().bytes("the records", &bytes);
    let found: HashSet<&str> = findings.iter().map(|finding| finding.place.as_str()).collect();
    let missed: Vec<&str> = planted.canaries.places().filter(|place| !found.contains(place)).collect();
    assert_eq!(missed, Vec::<&str>::new());
}

/// Plants markers, some of them sealed to a key of the ring.
fn planted(policy: &Policy, ring: &KeyRing) -> Planted {
    let jwk = ring.rotate_sealing().expect("a key to seal to").jwk();
    plant(2, policy, NOW_MS, SealingKey::of(&serde_json::from_str(&jwk).expect("a key is JSON")))
}
