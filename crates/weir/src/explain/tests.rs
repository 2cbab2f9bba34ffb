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
    std::fs::write(folder.path().join("paid.toml"), CONTRACT).unwrap();
    let source = PolicySource { contracts: folder.path().to_owned(), purposes: None };
    Arc::new(Policy::load(&source).unwrap().0)
}

fn explained(event: &str, assume_consent: bool) -> (String, String) {
    let policy = policy();
    let now_ms = instant("2026-11-23T10:16:00Z").unwrap();
    let mut sandbox = Sandbox::new(Arc::clone(&policy)).unwrap();
    let keys = sandbox.keys("acme", now_ms).unwrap();
    let consent = if assume_consent { agreed(&policy, event, "acme", &keys) } else { sandbox::consent_store() };
    let filtered = sandbox.filter(event.as_bytes(), keys, &consent, now_ms);
    let explanation = explanation(&policy, &mut sandbox, event.as_bytes(), &filtered).unwrap();
    (explanation.to_string(), explanation.json().to_string())
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

const CONTRACT: &str = r#"
[event]
type = "com.example.paid"
version = 1
description = "A customer paid."
benefit = "Lets us find failing payment providers."
owner = "checkout-team"
review = "https://reviews.example/1"
expires = 2027-06-30
subject = "user"
[fields.user]
class = "identifier"
kind = "user"
category = "user.unique_id"
[fields.provider]
class = "word"
values = ["adyen", "stripe"]
category = "system.operations"
purposes = ["reliability", "troubleshooting"]
[fields.latency]
class = "measure"
type = "uint32"
range = [0, 600000]
category = "system.operations"
purposes = ["reliability"]
[fields."items[].price"]
class = "measure"
type = "decimal(10,2)"
category = "system.operations"
purposes = ["reliability"]
[fields.ip]
class = "quasi-identifier"
type = "ip"
category = "user.device.ip_address"
purposes = ["troubleshooting"]
[fields.retries]
class = "measure"
type = "uint8"
category = "system.operations"
purposes = ["reliability"]
[fields.note]
class = "content"
"#;
