//! What an explanation says, and what it never says.

use crate::world::{LONG_AGO_MS, NOW_MS, World};
use weir_consent::Status;
use weir_filter::{Explanation, Fate, Headers, Origin, Reading, Record, Rule};
use weir_policy::{DenyReason, MalformedCode, PurposeId};

const TYPES: &str = include_str!("types.toml");

fn explain(world: &World, event: &str) -> Explanation {
    let view = world.store.view(NOW_MS, i64::MAX).unwrap();
    let record = Record::new(Origin(0), 0, Some(event.as_bytes()), Headers::NONE);
    world.filter().explain(&record, &view, NOW_MS)
}

fn field(world: &World, explanation: &Explanation, path: &str) -> (Reading, [Rule; 3]) {
    let contract = &world.policy.contracts()[0];
    let place = contract.fields.iter().position(|field| field.path == path).unwrap();
    let field = explanation.fields[place];
    (field.reading, field.rules)
}

#[test]
fn each_field_has_a_fate_and_a_rule() {
    let world = World::new(&[TYPES]);
    world.choose("alice", PurposeId::Troubleshooting, Status::Given, LONG_AGO_MS);
    world.choose("alice", PurposeId::Reliability, Status::Given, LONG_AGO_MS);
    let event = r#"{"specversion":"1.0","id":"1","source":"/test","type":"test.types","time":"2026-11-23T10:15:30Z","tenant":"acme",
        "data":{"user":{"id":"alice"},"friend":"bob","latency":149,"word":"secret","ip":"203.0.113.77","tags":["blue"],"int8":"x","int64":1e30,
        "note":"dear diary","extra":1}}"#;
    let explanation = explain(&world, event);
    let denied = Fate::Denied(DenyReason::NoConsentRecord);
    assert_eq!(explanation.fates, [Fate::Written, Fate::Written, denied]);
    let (not_for, no_row) = (Rule::NotForPurpose, Rule::NoRow);
    for (path, reading, rules) in [
        ("user.id", Reading::Read, [Rule::Pseudonymized, Rule::Pseudonymized, no_row]),
        ("friend", Reading::Read, [not_for, Rule::Pseudonymized, not_for]),
        ("latency", Reading::Read, [Rule::Stored, Rule::Coarsened, not_for]),
        ("word", Reading::OtherWord, [Rule::Replaced, not_for, no_row]),
        ("ip", Reading::Read, [Rule::Coarsened, not_for, not_for]),
        ("tags[]", Reading::Items { count: 1 }, [Rule::Stored, not_for, not_for]),
        ("int8", Reading::WrongType, [Rule::Null, not_for, not_for]),
        ("int64", Reading::OutOfRange, [Rule::Null, not_for, not_for]),
        ("at", Reading::Absent, [Rule::Null, not_for, no_row]),
        ("note", Reading::Content { bytes: 12 }, [Rule::Content; 3]),
    ] {
        assert_eq!(field(&world, &explanation, path), (reading, rules), "{path}");
    }
    assert_eq!((explanation.counts.undeclared, explanation.counts.content), (1, 1));
    let printed = format!("{explanation:?}");
    for value in ["alice", "bob", "149", "secret", "203", "blue", "diary"] {
        assert!(!printed.contains(value), "{value} in {printed}");
    }
}

#[test]
fn explanation_and_filter_agree() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    for event in [
        r#"{"specversion":"1.0","id":"1","source":"/test","type":"test.types","time":"2026-11-23T10:15:30Z","tenant":"acme","data":{"user":{"id":"u-1"},"word":"one"}}"#,
        r#"{"specversion":"1.0","id":"1","source":"/test","type":"test.types","time":"2026-11-23T10:15:30Z","tenant":"acme","data":{"word":"one","word":"two"}}"#,
        r#"{"specversion":"1.0","id":"1","source":"/test","type":"test.none","time":"2026-11-23T10:15:30Z","tenant":"acme","data":{"word":"one"}}"#,
        r#"{"specversion":"1.0","id":"1","source":"/test","type":"test.none","time":"2026-11-23T10:15:30Z","tenant":"acme","data":{"word":on}}"#,
        "",
    ] {
        let explanation = explain(&world, event);
        let out = world.run(&[event]);
        let fates: Vec<_> = out.tally.fates().into_iter().map(|(key, _)| (key.purpose, key.fate)).collect();
        for purpose in PurposeId::ALL {
            assert!(fates.contains(&(purpose, explanation.fates[purpose.index()])), "{event}");
        }
        assert_eq!(explanation.contract.map(|place| out.tally.fields(place)).unwrap_or_default(), explanation.counts);
    }
    assert_eq!(explain(&world, "{").fates, [Fate::Quarantined(MalformedCode::Json); 3]);
}
