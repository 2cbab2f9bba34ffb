//! Consent from a file.

use weir_consent::{ConsentStore, InboxFault, LineFault, LoadError, StateKey, StateRecord, Status};
use weir_policy::PurposeId;

use super::{NOW_MS, keys};

fn line(subject: &str, status: &str, at: &str) -> String {
    format!(
        r#"{{"tenant":"acme","kind":"user","subject":"{subject}","purpose":"reliability","status":"{status}","at":"{at}"}}"#
    ) + "\n"
}

#[test]
fn later_line_wins_whatever_its_instant() {
    let keys = keys();
    let text =
        line("u-81", "withdrawn", "2026-11-23T00:00:00Z") + "\r\n" + &line(" u-81", "given", "2026-01-01T00:00:00Z");
    let store = ConsentStore::read_ndjson(text.as_bytes(), &keys, NOW_MS).unwrap_or_else(|_| panic!());
    let key = StateKey::Choice { person: keys.person_key("acme", "user", "u-81"), purpose: PurposeId::Reliability };
    let Some(StateRecord::Choice { standing, .. }) = store.current(&key) else { panic!() };
    assert_eq!(standing.status(), Status::Given);
    assert!(store.view(i64::MAX, 0).is_ok(), "a file is current for ever");
}

#[test]
fn every_faulty_line_is_named_and_none_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("consent.ndjson");
    let at = "2026-01-01T00:00:00Z";
    let text = line("u-81", "given", at)
        + "\n"
        + &line("CANARY", "maybe", at)
        + "CANARY\n"
        + &line("CANARY", "given", "2027-01-01T00:00:00Z");
    std::fs::write(&path, text.trim_end()).unwrap();
    let error = ConsentStore::load_ndjson(&path, &keys(), NOW_MS).err().unwrap();
    assert!(!format!("{error:?} {error}").contains("CANARY"));
    let LoadError::Lines { faults, count: 3 } = error else { panic!("{error}") };
    let expected = [(3, InboxFault::Status), (4, InboxFault::Json), (5, InboxFault::Future)];
    assert_eq!(faults, expected.map(|(line, fault)| LineFault { line, fault }));
}
