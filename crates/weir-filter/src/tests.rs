//! What a filter still holds of events once it is done with them, which only its own buffers tell.

#[path = "../tests/filter/seal.rs"]
mod seal;

use weir_consent::ConsentStore;
use weir_keys::KeyRing;
use weir_policy::{Faults, MalformedCode, Source};

use super::*;

const ATTRIBUTES: &str =
    r#""id":"1","source":"/test","type":"test.unknown","time":"2026-11-23T10:15:30.123Z","tenant":"acme""#;

/// What a producer sealed leaves the filter's buffers with the records: when a batch was filtered, and when an event was explained.
#[test]
fn nothing_is_left_of_what_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
    let jwk = ring.rotate_sealing().unwrap().jwk();
    let Ok((policy, _)) = Policy::parse(&[Source::new("types.toml", TYPES)], None, Faults::default()) else {
        panic!("the contract has a fault")
    };
    let mut filter = Filter::new(policy.into(), ring.snapshot(), Limits::default(), "eu".to_owned());
    let store = ConsentStore::new();
    store.mark_current(i64::MAX);
    let view = store.view(NOW_MS, i64::MAX).unwrap();
    let clear = format!(r#"{{"specversion":"1.0",{ATTRIBUTES},"data":{{"user":"in-clear"}}}}"#);
    let jwe = seal::seal(&jwk, ATTRIBUTES, br#"{"user":"was-sealed"}"#);
    let sealed = format!(r#"{{"specversion":"1.0","datacontenttype":"application/jose",{ATTRIBUTES},"data":"{jwe}"}}"#);
    let record = |event| Record::new(Origin(0), 0, Some(event), Headers::NONE);

    let mut out = Filtered::default();
    let records = [record(clear.as_bytes())];
    filter.apply(&records, &view, NOW_MS, &mut out);
    assert!(filter.decoder.holds(b"in-clear"), "what was read last is in the buffer, or this test looks elsewhere");
    let records = [record(sealed.as_bytes())];
    filter.apply(&records, &view, NOW_MS, &mut out);
    let codes: Vec<_> = out.quarantine.iter().map(|place| place.code).collect();
    assert_eq!(codes, [MalformedCode::NoContract; 2], "it was opened and read");
    assert!(!filter.decoder.holds(b"was-sealed"), "what was opened to be filtered is still there");

    let explained = filter.explain(&records[0], &view, NOW_MS);
    assert_eq!(explained.fates[0].code(), Some("no_contract"));
    assert!(!filter.decoder.holds(b"was-sealed"), "what was opened to be explained is still there");
}

const TYPES: &str = include_str!("../tests/filter/types.toml");
/// 2026-11-23T10:20:00Z.
const NOW_MS: i64 = 1_795_429_200_000;
