//! What a filter still holds of events once it is done with them, which only its own buffers tell.

#[path = "../tests/filter/seal.rs"]
mod seal;

use weir_consent::ConsentStore;
use weir_keys::KeyRing;
use weir_policy::{Faults, Source};

use super::*;

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
    let data = |text: &str| format!(r#"{{"user":{{"id":"{text}"}}}}"#);
    let clear = format!(r#"{{"specversion":"1.0",{ATTRIBUTES},"data":{}}}"#, data(r"in\u002dclear"));
    let jwe = seal::seal(&jwk, ATTRIBUTES, data(r"was\u002dsealed").as_bytes());
    let sealed = format!(r#"{{"specversion":"1.0","datacontenttype":"application/jose",{ATTRIBUTES},"data":"{jwe}"}}"#);
    let record = |event| Record::new(Origin(0), 0, Some(event), Headers::NONE);
    // As it stood, and as it was unescaped.
    let holds = |filter: &Filter, text: &str| {
        let (escaped, text) = (text.replace('-', r"\u002d"), text.as_bytes());
        [filter.decoder.holds(escaped.as_bytes()), filter.events.holds(text)]
    };

    let mut out = Filtered::default();
    filter.apply(&[record(clear.as_bytes())], &view, NOW_MS, &mut out);
    assert_eq!(
        holds(&filter, "in-clear"),
        [true; 2],
        "what was read last is in the buffers, or this test looks elsewhere"
    );
    let sealed = [record(sealed.as_bytes())];
    filter.apply(&sealed, &view, NOW_MS, &mut out);
    assert_eq!(out.quarantine, [], "it was opened and read");
    assert_eq!(holds(&filter, "was-sealed"), [false; 2], "what was opened to be filtered is still there");

    let explained = filter.explain(&sealed[0], &view, NOW_MS);
    assert_eq!(explained.fates[0].code(), Some("no_tenant_agreement"));
    assert_eq!(holds(&filter, "was-sealed"), [false; 2], "what was opened to be explained is still there");
}

const ATTRIBUTES: &str =
    r#""id":"1","source":"/test","type":"test.types","time":"2026-11-23T10:15:30.123Z","tenant":"acme""#;

const TYPES: &str = include_str!("../tests/filter/types.toml");
/// 2026-11-23T10:20:00Z.
const NOW_MS: i64 = 1_795_429_200_000;
