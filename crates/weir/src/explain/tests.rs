//! What `weir explain` says about an event in which everything happens; the texts are golden.

use std::sync::Arc;

use weir_policy::PolicySource;

use super::*;

const EVENT: &str = r#"{
  "specversion": "1.0", "id": "1", "source": "/checkout", "type": "com.example.paid", "time": "2026-11-23T10:15:30Z",
  "tenant": "acme", "datacontenttype": "application/json",
  "data": {
    "user": "CANARY-user", "provider": "CANARY-provider", "latency": 600001, "note": "CANARY-note", "CANARY-key": 1,
    "items": [{"price": 12.5}, {"price": "CANARY-price"}], "ip": "203.0.113.77"
  }
}"#;

fn policy() -> Arc<Policy> {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("paid.toml"), sandbox::PAID).unwrap();
    let source = PolicySource { contracts: folder.path().to_owned(), purposes: None };
    Arc::new(Policy::load(&source).unwrap().0)
}

fn explained(event: &str, assume_consent: bool) -> (String, String) {
    let policy = policy();
    let now_ms = setup::instant("2026-11-23T10:16:00Z").unwrap();
    let mut sandbox = Sandbox::new(Arc::clone(&policy)).unwrap();
    let keys = sandbox.keys("acme", now_ms).unwrap();
    let consent = if assume_consent { agreed(&policy, event, "acme", &keys) } else { sandbox::consent_store() };
    let explained = Explained::new(&policy, sandbox.explain(event.as_bytes(), keys, &consent, now_ms));
    (explained.to_string(), explained.json().to_string())
}

#[test]
fn each_field_has_its_fate_and_no_value_is_repeated() {
    let (text, json) = explained(EVENT, true);
    // The first line names a temporary folder.
    let text = text.split_once('\n').unwrap().1;
    assert_eq!(text.trim(), include_str!("everything.txt").trim(), "{text}");
    for shown in [text, &json] {
        assert!(!shown.contains("CANARY") && !shown.contains("600001") && !shown.contains("203.0.113"), "{shown}");
    }
}

/// Without consent every purpose is denied, and the fields still say what their values are.
#[test]
fn denied_event_is_explained_by_its_reason() {
    let (text, json) = explained(EVENT, false);
    assert!(text.contains("no_tenant_agreement"), "{text}");
    assert!(json.contains(r#""fate":"out_of_range""#), "{json}");
    assert!(json.contains(r#""written_for":[]"#), "{json}");
}

#[test]
fn broken_record_is_explained_by_its_code() {
    let (text, _) = explained("{CANARY", true);
    assert_eq!(text, "quarantined: json: the record is not JSON as RFC 8259 defines it, or not an object\n");
}
