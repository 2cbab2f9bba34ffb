//! `vectors.json`, made by another implementation (Python's blake3), against this one.

use serde_json::Value;

use super::*;
use crate::canonical;

#[test]
fn every_vector_holds() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors.json")).unwrap();
    let keys = key_set(&vectors["secrets"]);
    for case in list(&vectors["canonical"]) {
        assert_eq!(canonical(text(&case["text"])), text(&case["form"]));
    }
    for case in list(&vectors["pseudonyms"]) {
        let key = keys.pseudonym_key(purpose(case), epoch(case), text(&case["tenant"]), text(&case["kind"])).unwrap();
        assert_eq!(hex(&key.digest(text(&case["identifier"]).as_bytes())), text(&case["pseudonym"]));
    }
    for case in list(&vectors["people"]) {
        let person = keys.person_key(text(&case["tenant"]), text(&case["kind"]), text(&case["identifier"]));
        assert_eq!(hex(&person.bytes()), text(&case["person"]));
    }
    for case in list(&vectors["lake_keys"]) {
        assert_eq!(hex(keys.lake_key(text(&case["context"])).expose()), text(&case["key"]));
    }
}

#[test]
fn no_two_vectors_share_a_result() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors.json")).unwrap();
    let results = [
        ("pseudonyms", "pseudonym"),
        ("people", "person"),
        ("lake_keys", "key"),
        ("files", "key"),
        ("files", "wrapped"),
    ];
    let mut all: Vec<_> = results
        .iter()
        .flat_map(|(cases, result)| list(&vectors[cases]).iter().map(move |case| text(&case[*result])))
        .collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

pub(crate) fn key_set(secrets: &Value) -> KeySet {
    let epochs = list(&secrets["epochs"]).iter().map(|case| ((purpose(case), epoch(case)), secret(&case["secret"])));
    let tenants = list(&secrets["tenants"]).iter().map(|case| (text(&case["tenant"]).into(), secret(&case["secret"])));
    KeySet {
        id: RingId([0; 16]),
        consent: secret(&secrets["consent"]),
        lake: secret(&secrets["lake"]),
        epochs: epochs.collect(),
        tenants: tenants.collect(),
        has_lapsed: false,
        sealing: BTreeMap::new(),
        epoch_days: [None; 3],
    }
}

fn secret(hex: &Value) -> Arc<Secret> {
    let digits = text(hex).as_bytes().chunks_exact(2);
    let bytes: Vec<_> =
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    Arc::new(Secret::from_bytes(&bytes.try_into().unwrap()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn purpose(case: &Value) -> PurposeId {
    PurposeId::parse(text(&case["purpose"])).unwrap()
}

fn epoch(case: &Value) -> i32 {
    case["epoch"].as_i64().unwrap().try_into().unwrap()
}
