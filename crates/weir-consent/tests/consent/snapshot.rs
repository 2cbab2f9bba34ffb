//! A snapshot holds what the store knew, and nothing else is taken for one.

use std::io::{self, ErrorKind};

use proptest::prelude::*;
use weir_consent::{ConsentStore, StateKey, StateRecord, Status};
use weir_policy::PurposeId;

use super::laws::{Draft, drafts};
use super::{agreement, choice, person, standing, store_of};

fn written(store: &ConsentStore) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.write_snapshot(&mut bytes).unwrap();
    bytes
}

fn restored(bytes: &[u8]) -> io::Result<ConsentStore> {
    let store = ConsentStore::new();
    store.restore(&mut &bytes[..]).map(|()| store)
}

/// Somebody who said something, an agreement and an erasure.
fn sample() -> ConsentStore {
    store_of([
        agreement(PurposeId::Reliability, standing(Status::Given, 3, None), Some(&["eu", "us"])),
        choice(person(1), PurposeId::Reliability, standing(Status::Given, 3, Some(9))),
        choice(person(2), PurposeId::Personalization, standing(Status::Withdrawn, 4, None)),
        StateRecord::Erasure { person: person(3), before_ms: 5 },
    ])
}

/// A record of the state topic: mostly what somebody said, now and then a tombstone.
fn records() -> impl Strategy<Value = Vec<(Draft, bool)>> {
    prop::collection::vec((drafts(), prop::bool::weighted(0.2)), 0..32)
}

fn record((draft, is_tombstone): (Draft, bool)) -> StateRecord {
    if is_tombstone { StateRecord::Tombstone(draft.record().key()) } else { draft.record() }
}

fn permits(record: Option<StateRecord>) -> bool {
    match record {
        Some(StateRecord::Agreement { agreement, .. }) => agreement.standing.status().denial().is_none(),
        Some(StateRecord::Choice { standing, .. }) => standing.status().denial().is_none(),
        Some(StateRecord::Erasure { .. } | StateRecord::Tombstone(_)) | None => false,
    }
}

proptest! {
    /// A snapshot that was begun at `from` and copied at any later moment, and the records from `from` on: what reading all gives.
    #[test]
    fn snapshot_and_tail_are_the_whole(all in records(), from in 0..32_usize, copied in 0..32_usize) {
        let copied = copied.min(all.len());
        let from = from.min(copied);
        let keys: Vec<StateKey> = all.iter().map(|(draft, _)| draft.record().key()).collect();
        let has_tombstones = all.iter().any(|(_, is_tombstone)| *is_tombstone);
        let whole = store_of(all.iter().copied().map(record));
        let early = store_of(all[..copied].iter().copied().map(record));
        let store = restored(&written(&early)).unwrap();
        prop_assert!(keys.iter().all(|key| store.current(key) == early.current(key)));
        prop_assert!(store.people() <= early.people() && store.age_ms(0).is_none(), "a snapshot makes nothing current");
        store.apply_all(all[from..].iter().copied().map(record));
        for key in keys {
            let (found, expected) = (store.current(&key), whole.current(&key));
            prop_assert!(found == expected || has_tombstones && !permits(found), "looser, or other, than the whole");
        }
    }

    #[test]
    fn foreign_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048), at in 0..64_usize) {
        drop(restored(&bytes));
        // Behind a sound beginning, where a count promises more than there is.
        let mut cut = written(&sample());
        cut.truncate(at);
        cut.extend_from_slice(&bytes);
        drop(restored(&cut));
    }
}

#[test]
fn every_cut_and_addition_is_refused() {
    let bytes = written(&sample());
    for length in 0..bytes.len() {
        assert_eq!(restored(&bytes[..length]).err().map(|error| error.kind()), Some(ErrorKind::UnexpectedEof));
    }
    assert!(restored(&[&bytes[..], &[0]].concat()).is_err());
    assert_eq!(restored(&bytes).unwrap().people(), 2);
}

/// Goal: bytes that no store wrote are not taken. Method: each part of one person's place is made one that there is not.
#[test]
fn people_that_cannot_be_are_refused() {
    let chosen = standing(Status::Given, 3, Some(9));
    let bytes = written(&store_of(PurposeId::ALL.map(|purpose| choice(person(1), purpose, chosen))));
    let row = bytes.windows(16).position(|window| window == person(1).bytes()).unwrap();
    let changes: [(usize, u8, &str); 5] = [
        (15, 0x80, "another shard"),
        (16, 0x0f, "a state that there is not"),
        (17, 0xf0, "a fourth purpose"),
        (18 + 5, 0xff, "an instant past the year 9999"),
        (18 + 24 + 11, 0xff, "an end past the year 9999"),
    ];
    for (at, bits, what) in changes {
        let mut bytes = bytes.clone();
        bytes[row + at] ^= bits;
        assert!(restored(&bytes).is_err(), "{what}");
    }
}

#[test]
fn promise_of_many_takes_no_memory() {
    let many = [&0_u32.to_le_bytes()[..], &u32::MAX.to_le_bytes()].concat();
    assert!(restored(&many).is_err());
    assert!(restored(&u32::MAX.to_le_bytes()).is_err());
}

#[test]
fn store_that_knows_something_is_left_as_it_is() {
    let store = store_of([choice(person(9), PurposeId::Reliability, standing(Status::Withdrawn, 3, None))]);
    let refused = store.restore(&mut &written(&sample())[..]).unwrap_err();
    assert_eq!((refused.kind(), store.people()), (ErrorKind::AlreadyExists, 1));
}
