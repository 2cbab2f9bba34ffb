//! The state topic: its format, its tombstones, and what a store makes of it.

use weir_consent::{Applied, ConsentStore, StateFault, StateKey, StateRecord, Status};
use weir_keys::PersonKey;
use weir_policy::PurposeId;

use super::{agreement, choice, person, standing};

#[test]
fn bytes_of_the_format_are_fixed() {
    let record = choice(person(7), PurposeId::Reliability, standing(Status::Renewed, 258, None));
    assert_eq!(record.key().encode(), [b"pr".as_slice(), &[7; 16]].concat());
    assert_eq!(record.encode().unwrap(), [&[1, 2, 2, 1, 0, 0, 0, 0, 0, 0][..], &[255; 8]].concat());
    let record = agreement(PurposeId::Troubleshooting, standing(Status::Given, 1, Some(2)), Some(&["eu"]));
    assert_eq!(record.key().encode(), b"ttacme");
    assert_eq!(
        record.encode().unwrap(),
        [&[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 2][..], b"eu"].concat()
    );
    let record = StateRecord::Erasure { person: person(7), before_ms: 3 };
    assert_eq!(record.key().encode(), [b"p*".as_slice(), &[7; 16]].concat());
    assert_eq!(record.encode().unwrap(), [1, 3, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn foreign_records_are_faults() {
    let record = choice(person(7), PurposeId::Reliability, standing(Status::Given, 258, None));
    let (key, value) = (record.key().encode(), record.encode().unwrap());
    let decode = |key: &[u8], value: &[u8]| StateRecord::decode(key, Some(value)).err();
    assert_eq!(decode(&key, &value), None);
    assert_eq!(decode(&key[..17], &value), Some(StateFault::Key));
    assert_eq!(decode(b"acme/user/u-81", &value), Some(StateFault::Key));
    assert_eq!(decode(&[b"pr".as_slice(), &[0; 16]].concat(), &value), Some(StateFault::Key));
    assert_eq!(decode(&key, &value[..17]), Some(StateFault::Value));
    assert_eq!(decode(&key, &[&value[..], &[0]].concat()), Some(StateFault::Value));
    assert_eq!(decode(&key, &[&[2], &value[1..]].concat()), Some(StateFault::NewerFormat));
    assert_eq!(decode(&key, &[&[1, 11], &value[2..]].concat()), Some(StateFault::Value));
    assert_eq!(decode(&key, b""), Some(StateFault::Value));
}

#[test]
fn tombstone_ends_a_yes_and_never_a_no() {
    let purpose = PurposeId::Reliability;
    let key = StateKey::Choice { person: person(1), purpose };
    let tombstone = || StateRecord::decode(&key.encode(), None).unwrap();
    let store = ConsentStore::new();
    assert_eq!(store.apply(tombstone()), Applied::Known);
    store.apply(choice(person(1), purpose, standing(Status::Given, 5, None)));
    assert_eq!(store.apply(tombstone()), Applied::Changed);
    assert!(store.current(&key).is_none());
    let withdrawn = choice(person(1), purpose, standing(Status::Withdrawn, 6, None));
    store.apply(withdrawn.clone());
    assert_eq!(store.apply(tombstone()), Applied::Older, "it is to be put right");
    assert!(store.current(&key) == Some(withdrawn));

    let erasure = StateRecord::Erasure { person: person(1), before_ms: 9 };
    store.apply(erasure.clone());
    store.apply(StateRecord::Tombstone(erasure.key()));
    assert!(store.current(&erasure.key()) == Some(erasure));
}

#[test]
fn late_writer_is_told_apart_from_a_repetition() {
    let purpose = PurposeId::Reliability;
    let store = ConsentStore::new();
    let withdrawn = choice(person(1), purpose, standing(Status::Withdrawn, 6, None));
    assert_eq!(store.apply(withdrawn.clone()), Applied::Changed);
    assert_eq!(store.apply(withdrawn), Applied::Known);
    assert_eq!(store.apply(choice(person(1), purpose, standing(Status::Given, 6, None))), Applied::Older);
    assert_eq!(store.apply(choice(person(1), purpose, standing(Status::Given, 7, None))), Applied::Changed);
}

#[test]
fn renewal_without_a_gap_extends_what_was_given() {
    let purpose = PurposeId::Reliability;
    let given = standing(Status::Given, 5, Some(10));
    for (first, second) in [
        ((given), standing(Status::Renewed, 5, Some(20))),
        (standing(Status::Renewed, 5, Some(20)), standing(Status::Renewed, 5, None)),
    ] {
        let store = ConsentStore::new();
        store.apply(choice(person(1), purpose, first));
        assert_eq!(store.apply(choice(person(1), purpose, second)), Applied::Changed);
        assert_eq!(store.apply(choice(person(1), purpose, first)), Applied::Older);
    }
}

#[test]
fn two_lists_of_regions_of_one_instant_leave_what_both_allow() {
    let given = standing(Status::Given, 5, None);
    let purpose = PurposeId::Reliability;
    let store = ConsentStore::new();
    store.apply(agreement(purpose, given, Some(&["eu", "us"])));
    store.apply(agreement(purpose, given, None));
    store.apply(agreement(purpose, given, Some(&["ap", "eu"])));
    let both = agreement(purpose, given, Some(&["eu"]));
    assert!(store.current(&both.key()) == Some(both));
}

/// Keys as uniform as hashes: a multiplicative generator over 128 bits.
fn people() -> impl Iterator<Item = PersonKey> {
    let next = |number: &u128| Some(number.wrapping_mul(0xda94_2042_e4dd_58b5_0fc9_4a3f_2d6b_8e4d).rotate_left(29) ^ 1);
    std::iter::successors(Some(1), next).map(|number: u128| PersonKey::from_bytes(number.to_le_bytes()).unwrap())
}

#[test]
fn nobody_is_lost_or_mistaken_as_the_store_grows() {
    const EACH: usize = 30_000;
    let chosen = |at| (PurposeId::ALL[at % 3], standing(Status::ALL[at % 10], i64::try_from(at).unwrap(), None));
    let store = ConsentStore::new();
    store.apply_all(people().take(EACH).enumerate().map(|(at, person)| {
        let (purpose, standing) = chosen(at);
        choice(person, purpose, standing)
    }));
    assert_eq!(store.people(), EACH);
    for (at, person) in people().take(2 * EACH).enumerate() {
        for purpose in PurposeId::ALL {
            let expected = Some(chosen(at)).filter(|(its, _)| at < EACH && *its == purpose);
            let expected = expected.map(|(purpose, standing)| choice(person, purpose, standing));
            assert!(store.current(&StateKey::Choice { person, purpose }) == expected);
        }
    }
}

#[test]
fn ten_million_people_fit_into_a_gigabyte() {
    let store = ConsentStore::new();
    let mut everybody = people();
    let mut worst = 0;
    for batch in 0..60 {
        let some = everybody.by_ref().take(5_000);
        store.apply_all(some.map(|person| choice(person, PurposeId::Reliability, standing(Status::Given, 5, Some(6)))));
        // Below this the store's fixed parts weigh more than people do.
        if batch > 5 {
            worst = worst.max(store.memory() / store.people());
        }
    }
    assert_eq!(store.people(), 300_000);
    assert!(worst <= 100, "{worst} bytes a person");
}
