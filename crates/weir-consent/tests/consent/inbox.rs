//! What the inbox accepts, and that a refusal quotes nothing.

use weir_consent::{InboxFault, InboxRecord, StateRecord, Status};
use weir_policy::PurposeId;

use super::{NOW_MS, keys, standing};

fn parse(json: &str) -> Result<InboxRecord, InboxFault> {
    InboxRecord::parse(json.as_bytes(), NOW_MS)
}

#[test]
fn record_in_clear_becomes_a_record_without_a_name() {
    let keys = keys();
    let json = r#"{"tenant":"acme","kind":"user","subject":" Alice@Example.COM ","purpose":"reliability","status":"given",
        "at":"2026-11-23T11:15:30.1239+01:00","valid_until":"2027-11-23T00:00:00Z","evidence":{"form":12},"userAgent":"x"}"#;
    let record = parse(json).ok().unwrap();
    assert_eq!(record.key(), "acme/user/Alice@example.com");
    assert_eq!(
        record.value(),
        r#"{"tenant":"acme","kind":"user","subject":"Alice@example.com","purpose":"reliability","status":"given","at":"2026-11-23T10:15:30.123Z","valid_until":"2027-11-23T00:00:00Z","evidence":{"form":12}}"#
    );
    let state = record.state(&keys);
    let person = keys.person_key("acme", "user", "Alice@example.com");
    let given = standing(Status::Given, NOW_MS, Some(1_826_928_000_000));
    assert!(state == super::choice(person, PurposeId::Reliability, given));
    let bytes = [state.key().encode(), state.encode().unwrap()].concat();
    assert!(!bytes.windows(5).any(|window| window.eq_ignore_ascii_case(b"alice")));
}

#[test]
fn whole_number_is_its_decimal_text() {
    let choice = |subject| {
        format!(
            r#"{{"tenant":"a","kind":"user","subject":{subject},"purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z"}}"#
        )
    };
    for (subject, key) in [
        ("81", "a/user/81"),
        ("\"81\"", "a/user/81"),
        ("-3", "a/user/-3"),
        ("18446744073709551615", "a/user/18446744073709551615"),
    ] {
        assert_eq!(parse(&choice(subject)).ok().unwrap().key(), key);
    }
    for subject in ["1.5", "1e3", "true", "[]", "{}", "18446744073709551616"] {
        assert_eq!(parse(&choice(subject)).err(), Some(InboxFault::Json));
    }
}

#[test]
fn faults_have_codes_and_quote_nothing() {
    let good = r#"{"tenant":"acme","kind":"user","subject":"CANARY","purpose":"reliability","status":"given","at":"2026-11-23T10:15:30Z"}"#;
    assert!(parse(good).is_ok());
    let with = |from: &str, to: &str| parse(&good.replace(from, to)).err();
    let members = |more: &str| with("\"kind\"", &format!("{more},\"kind\""));
    for (fault, found) in [
        (InboxFault::Empty, parse("").err()),
        (InboxFault::Json, parse("{").err()),
        (InboxFault::Json, parse(&format!("{good}{good}")).err()),
        (InboxFault::Json, parse("[]").err()),
        (InboxFault::Json, InboxRecord::parse(&good.replace("CANARY", "\u{1}").into_bytes(), NOW_MS).err()),
        (InboxFault::Json, members(r#""purpose":"reliability""#)),
        (InboxFault::Json, with(r#""tenant":"acme","#, "")),
        (InboxFault::Json, with("\"acme\"", "7")),
        (InboxFault::Tenant, with("acme", "a/b")),
        (InboxFault::Tenant, with("acme", "")),
        (InboxFault::Kind, with("user", "User")),
        (InboxFault::Kind, with("user", "a/b")),
        (InboxFault::Kind, with("user", "@event_id")),
        (InboxFault::Subject, with("CANARY", " \u{3000}")),
        (InboxFault::Subject, with("CANARY", &"x".repeat(1025))),
        (InboxFault::TooLarge, members(&format!(r#""evidence":"{}""#, "x".repeat(16 << 10)))),
        (InboxFault::Purpose, with("reliability", "marketing")),
        (InboxFault::Status, with("given", "Given")),
        (InboxFault::Shape, with(r#""kind":"user","#, "")),
        (InboxFault::Shape, with(r#""status":"given","#, "")),
        (InboxFault::Shape, with("reliability", "*")),
        (InboxFault::Shape, members(r#""erased_before":"2026-01-01T00:00:00Z""#)),
        (InboxFault::Regions, members(r#""regions":["eu"]"#)),
        (InboxFault::Time, with("2026-11-23T10:15:30Z", "1969-12-31T23:59:59Z")),
        (InboxFault::Time, with("2026-11-23T10:15:30Z", "2026-11-23")),
        (InboxFault::Time, members(r#""valid_until":"tomorrow""#)),
        (InboxFault::Future, with("2026-11-23T10:15:30Z", "2026-11-23T10:25:30.124Z")),
    ] {
        let found = found.unwrap();
        assert_eq!(found, fault);
        assert!(!format!("{found:?}{found}{}", found.code()).contains("CANARY"));
    }
    assert!(with("2026-11-23T10:15:30Z", "2026-11-23T10:25:30.123Z").is_none(), "ten minutes ahead is accepted");
    let codes: std::collections::BTreeSet<_> = InboxFault::ALL.iter().map(|fault| fault.code()).collect();
    assert_eq!(codes.len(), InboxFault::ALL.len());
}

#[test]
fn agreements_and_erasures_are_records_too() {
    let keys = keys();
    let json = r#"{"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z","regions":["us","eu","eu"]}"#;
    let record = parse(json).ok().unwrap();
    assert_eq!(record.key(), "acme");
    let given = standing(Status::Given, 1_767_225_600_000, None);
    assert!(record.state(&keys) == super::agreement(PurposeId::Reliability, given, Some(&["eu", "us"])));
    assert_eq!(parse(&json.replace("\"us\"", "\"U S\"")).err(), Some(InboxFault::Regions));

    let json =
        r#"{"tenant":"acme","kind":"user","subject":"u-81","purpose":"*","erased_before":"2026-11-23T10:15:30.1231Z"}"#;
    let record = parse(json).ok().unwrap();
    let person = keys.person_key("acme", "user", "u-81");
    // Cut up, not down: an erasure reaches a little further rather than less far.
    assert!(record.state(&keys) == StateRecord::Erasure { person, before_ms: NOW_MS + 1 });
}

#[test]
fn built_records_are_what_the_inbox_reads() {
    let keys = keys();
    let given = standing(Status::Given, NOW_MS, Some(NOW_MS + 5));
    for built in [
        InboxRecord::choice("acme", "user", "u-81", PurposeId::Reliability, given)
            .unwrap_or_else(|_| panic!())
            .with_evidence("form 12"),
        InboxRecord::agreement("acme", PurposeId::Reliability, given, Some(&["eu"])).unwrap_or_else(|_| panic!()),
        InboxRecord::erasure("acme", "user", "u-81", NOW_MS).unwrap_or_else(|_| panic!()),
    ] {
        let read = parse(&built.value()).ok().unwrap();
        assert_eq!(read.key(), built.key());
        assert_eq!(read.value(), built.value());
        assert!(read.state(&keys) == built.state(&keys));
    }
}

/// GDPR, article 8: a child's yes counts when the holder of parental responsibility gave or authorised it, a child's no
/// always. What does not count is a no, and stays one when the record goes back under its canonical key.
#[test]
fn yes_of_a_child_needs_who_is_responsible() {
    let keys = keys();
    let status = |minor: &str, status: &str, evidence: &str| {
        let json = format!(
            r#"{{"tenant":"acme","kind":"user","subject":"u","purpose":"reliability","status":"{status}","at":"2026-01-01T00:00:00Z","minor":{minor},"evidence":{evidence}}}"#
        );
        let record = parse(&json).ok()?;
        let again = parse(&record.value()).ok().unwrap();
        assert!(record.state(&keys) == again.state(&keys));
        match record.state(&keys) {
            StateRecord::Choice { standing, .. } => Some(standing.status()),
            StateRecord::Agreement { .. } | StateRecord::Erasure { .. } | StateRecord::Tombstone(_) => None,
        }
    };
    let parent = r#"{"parental_responsibility":"form 12, mother"}"#;
    assert_eq!(status("true", "given", "\"form 12\""), Some(Status::Invalidated));
    assert_eq!(status("true", "renewed", r#"{"parental_responsibility":" "}"#), Some(Status::Invalidated));
    assert_eq!(status("true", "given", r#"{"parental_responsibility":true}"#), Some(Status::Invalidated));
    assert_eq!(status("true", "given", parent), Some(Status::Given));
    assert_eq!(status("true", "withdrawn", "null"), Some(Status::Withdrawn));
    assert_eq!(status("false", "given", "null"), Some(Status::Given));
    assert_eq!(status("\"yes\"", "given", "null"), None);
    let tenant =
        r#"{"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z","minor":true}"#;
    assert_eq!(parse(tenant).err(), Some(InboxFault::Shape));
}
