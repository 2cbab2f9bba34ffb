//! From the inbox to the state topic.

use weir_consent::{ConsentStore, InboxFault, InboxRecord, Keeper, Message, StateRecord, Status, Verdict};
use weir_policy::PurposeId;

use super::{NOW_MS, keys, standing};

fn said(subject: &str, status: Status, at_ms: i64) -> InboxRecord {
    let standing = standing(status, at_ms, None);
    InboxRecord::choice("acme", "user", subject, PurposeId::Reliability, standing).unwrap_or_else(|_| panic!())
}

fn take(keeper: &mut Keeper, store: &ConsentStore, record: &InboxRecord) -> Verdict {
    keeper.take(store, record.key().as_bytes(), Some(record.value().as_bytes()), NOW_MS)
}

fn published(verdict: Verdict) -> Option<StateRecord> {
    match verdict {
        Verdict::Publish(Message { key, value }) => Some(StateRecord::decode(&key, Some(&value)).unwrap()),
        Verdict::Known | Verdict::Refused(_) | Verdict::WriteBack(_) => None,
    }
}

#[test]
fn what_is_published_counts_once_it_is_durable() {
    let keys = keys();
    let (store, mut keeper) = (ConsentStore::new(), Keeper::new(keys.clone()));
    let record = said("u-81", Status::Given, 5);
    assert!(published(take(&mut keeper, &store, &record)) == Some(record.state(&keys)));
    assert!(store.current(&record.state(&keys).key()).is_none());
    keeper.acknowledged(&store);
    assert!(store.current(&record.state(&keys).key()) == Some(record.state(&keys)));
    assert!(matches!(take(&mut keeper, &store, &record), Verdict::Known));
}

#[test]
fn records_on_their_way_are_ordered_too() {
    let keys = keys();
    let (store, mut keeper) = (ConsentStore::new(), Keeper::new(keys.clone()));
    assert!(published(take(&mut keeper, &store, &said("u-81", Status::Withdrawn, 7))).is_some());
    assert!(matches!(take(&mut keeper, &store, &said("u-81", Status::Given, 6)), Verdict::Known));
    assert!(
        matches!(take(&mut keeper, &store, &said("u-81", Status::Given, 7)), Verdict::Known),
        "the stricter wins a tie"
    );
    // What was not acknowledged is taken again, and published again.
    keeper.abandoned();
    assert!(published(take(&mut keeper, &store, &said("u-81", Status::Withdrawn, 7))).is_some());
}

#[test]
fn what_another_keeper_published_is_known() {
    let keys = keys();
    let (store, mut keeper) = (ConsentStore::new(), Keeper::new(keys.clone()));
    assert!(published(take(&mut keeper, &store, &said("u-81", Status::Given, 5))).is_some());
    store.apply(said("u-81", Status::Withdrawn, 9).state(&keys));
    assert!(matches!(take(&mut keeper, &store, &said("u-81", Status::Given, 8)), Verdict::Known));
}

#[test]
fn other_spelling_goes_back_under_the_canonical_key() {
    let (store, mut keeper) = (ConsentStore::new(), Keeper::new(keys()));
    let record = said("Alice@example.com", Status::Given, 5);
    let value = record.value().replace("example.com", "EXAMPLE.com");
    for key in ["acme/user/Alice@EXAMPLE.com", "acme/user/ Alice@Example.com", ""] {
        let Verdict::WriteBack(back) = keeper.take(&store, key.as_bytes(), Some(value.as_bytes()), NOW_MS) else {
            panic!()
        };
        assert_eq!(back.key, record.key().into_bytes());
        assert_eq!(back.value, record.value().into_bytes());
    }
    // The second time round it is in its place, whatever the spelling inside.
    assert!(matches!(
        keeper.take(&store, record.key().as_bytes(), Some(value.as_bytes()), NOW_MS),
        Verdict::Publish(_)
    ));
}

#[test]
fn key_of_somebody_else_is_refused() {
    let (store, mut keeper) = (ConsentStore::new(), Keeper::new(keys()));
    let record = said("u-81", Status::Given, 5);
    for key in ["acme/user/u-82", "acme/device/u-81", "other/user/u-81", "acme/user", "acme", "acme/user/u-81/x"] {
        let verdict = keeper.take(&store, key.as_bytes(), Some(record.value().as_bytes()), NOW_MS);
        assert!(matches!(verdict, Verdict::Refused(InboxFault::Key)));
    }
    let verdict = keeper.take(&store, b"acme/user/\xff", Some(record.value().as_bytes()), NOW_MS);
    assert!(matches!(verdict, Verdict::Refused(InboxFault::Key)));
    assert!(matches!(keeper.take(&store, record.key().as_bytes(), None, NOW_MS), Verdict::Refused(InboxFault::Empty)));
}
