//! Laws: what must hold for any records, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_consent::{ConsentStore, InboxRecord, Keeper, Question, Standing, StateKey, StateRecord, Status, Verdict};
use weir_policy::{PurposeId, Purposes};

use super::{NOW_MS, agreement, choice, keys, person, standing, store_of};

const REGIONS: [&[&str]; 4] = [&["eu"], &["eu", "us"], &["us"], &[]];

fn purposes() -> impl Strategy<Value = PurposeId> {
    prop::sample::select(PurposeId::ALL.to_vec())
}

fn statuses() -> impl Strategy<Value = Status> {
    prop::sample::select(Status::ALL.to_vec())
}

/// A record in plain words: the real ones cannot be printed when a law fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Draft {
    Agreement(PurposeId, Standing, Option<&'static [&'static str]>),
    Choice(u8, PurposeId, Standing),
    Erasure(u8, i64),
}

impl Draft {
    pub(crate) fn record(self) -> StateRecord {
        match self {
            Self::Agreement(purpose, standing, regions) => agreement(purpose, standing, regions),
            Self::Choice(who, purpose, standing) => choice(person(who), purpose, standing),
            Self::Erasure(who, before_ms) => StateRecord::Erasure { person: person(who), before_ms },
        }
    }
}

/// Few people and instants, so that records meet.
pub(crate) fn drafts() -> impl Strategy<Value = Draft> {
    let standings = || {
        (statuses(), 0..4_i64, prop::option::of(0..9_i64)).prop_map(|(status, at, until)| standing(status, at, until))
    };
    let regions = prop::option::of(prop::sample::select(REGIONS.to_vec()));
    prop_oneof![
        3 => (purposes(), standings(), regions).prop_map(|(purpose, standing, regions)| Draft::Agreement(purpose, standing, regions)),
        5 => (1..4_u8, purposes(), standings()).prop_map(|(who, purpose, standing)| Draft::Choice(who, purpose, standing)),
        1 => (1..4_u8, 0..9_i64).prop_map(|(who, before_ms)| Draft::Erasure(who, before_ms)),
    ]
}

fn everything(store: &ConsentStore, keys: impl IntoIterator<Item = StateKey>) -> Vec<Option<StateRecord>> {
    keys.into_iter().map(|key| store.current(&key)).collect()
}

/// Which purposes the person's event at an instant may serve.
fn permitted(drafts: &[Draft], event_ms: i64, now_ms: i64) -> [bool; 3] {
    let store = store_of(drafts.iter().map(|draft| draft.record()));
    let view = store.view(0, 0).unwrap();
    let Some(tenant) = view.tenant("acme") else { return [false; 3] };
    let lawful = Purposes::default();
    let others = [person(2)];
    let question =
        Question { tenant, person: Some(person(1)), others: &others, event_ms, now_ms, region: "eu", lawful: &lawful };
    view.judge_all(question).map(|answer| answer.is_ok())
}

proptest! {
    #[test]
    fn records_in_any_order_and_number_end_in_one_state(
        (first, second) in prop::collection::vec(drafts(), 0..24)
            .prop_flat_map(|all| (Just(all.clone()), Just([all.clone(), all].concat()).prop_shuffle())),
    ) {
        let names: Vec<_> = first.iter().map(|draft| draft.record().key()).collect();
        let [one, other] = [first, second].map(|drafts| store_of(drafts.into_iter().map(Draft::record)));
        prop_assert!(everything(&one, names.clone()) == everything(&other, names));
    }

    #[test]
    fn what_counts_survives_the_state_topic(draft in drafts()) {
        let record = draft.record();
        let read = StateRecord::decode(&record.key().encode(), record.encode().as_deref()).unwrap();
        prop_assert!(read == record);
    }

    #[test]
    fn foreign_bytes_never_panic(key in prop::collection::vec(any::<u8>(), 0..24), value in prop::collection::vec(any::<u8>(), 0..32), letter in "[pt][trp*]") {
        drop(StateRecord::decode(&key, Some(&value)));
        let known = [letter.as_bytes(), &[7; 16]].concat();
        drop(StateRecord::decode(&known, Some(&[&[1], &value[..]].concat())));
        drop(InboxRecord::parse(&value, NOW_MS));
    }

    /// A no that holds since a later instant than anything known ends every permission, at every time.
    #[test]
    fn withdrawing_leaves_nothing_permitted(mut known in prop::collection::vec(drafts(), 0..24), purpose in purposes(), event in 0..9_i64, now in 0..9_i64) {
        known.push(Draft::Choice(1, purpose, standing(Status::Withdrawn, 4, None)));
        prop_assert!(!permitted(&known, event, now)[purpose.index()]);
    }

    /// One step down in any respect never adds a permission; the same step up, read backwards, never removes one.
    #[test]
    fn lowering_consent_never_adds_a_permission(
        purpose in purposes(), agreed in lowerable(), chosen in lowerable(), erased in 0..9_i64,
        lower in 0..7_u8, event in 0..9_i64, now in 0..9_i64, regions in prop::option::of(prop::sample::select(REGIONS.to_vec())),
    ) {
        let higher = vec![
            Draft::Agreement(purpose, agreed.0, regions),
            Draft::Choice(1, purpose, chosen.0),
            Draft::Erasure(2, erased),
        ];
        let mut lowered = higher.clone();
        match lower {
            0 => lowered[0] = Draft::Agreement(purpose, agreed.1, regions),
            1 => lowered[1] = Draft::Choice(1, purpose, chosen.1),
            2 => drop(lowered.remove(0)),
            3 => drop(lowered.remove(1)),
            4 => lowered.push(Draft::Erasure(1, erased)),
            5 => lowered[2] = Draft::Erasure(2, erased + 1),
            _ => {
                let fewer = regions.map_or(&["eu"][..], |listed| &listed[..listed.len() / 2]);
                lowered[0] = Draft::Agreement(purpose, agreed.0, Some(fewer));
            }
        }
        let (before, after) = (permitted(&higher, event, now), permitted(&lowered, event, now));
        prop_assert!(before.iter().zip(after).all(|(before, after)| *before || !after));
    }

    /// Any interleaving of spellings, repetitions and lost acknowledgements ends in what was said last, the stricter on a tie.
    #[test]
    fn keepers_end_in_the_last_word(
        said in prop::collection::vec((0..3_usize, 0..2_usize, statuses(), 0..5_i64), 1..40),
        fates in prop::collection::vec(0..6_u8, 1..40),
    ) {
        const SPELLINGS: [[&str; 2]; 3] = [["a@example.com", "a@EXAMPLE.com"], ["u-81", " u-81"], ["::ffff:192.0.2.7", "192.0.2.7"]];
        let keys = keys();
        let mut last = BTreeMap::new();
        let mut inbox = Vec::new();
        for (who, spelling, status, at) in said {
            let rank = (at, Status::ALL.iter().position(|other| *other == status).unwrap());
            last.entry(who).and_modify(|known: &mut (i64, usize)| *known = rank.max(*known)).or_insert(rank);
            let subject = SPELLINGS[who][spelling];
            let value = format!(r#"{{"tenant":"acme","kind":"user","subject":"{subject}","purpose":"reliability","status":"{}","at":"1970-01-01T00:00:00.00{at}Z"}}"#, status.name());
            inbox.push((format!("acme/user/{subject}").into_bytes(), value.into_bytes()));
        }
        let (store, mut keeper) = (ConsentStore::new(), Keeper::new(keys.clone()));
        let (mut at, mut committed, mut step) = (0, 0, 0);
        while at < inbox.len() {
            let (key, value) = inbox[at].clone();
            if let Verdict::WriteBack(back) = keeper.take(&store, &key, Some(&value), NOW_MS) {
                inbox.push((back.key, back.value));
            }
            at += 1;
            step += 1;
            match fates.get(step).unwrap_or(&0) {
                0 | 1 => { keeper.acknowledged(&store); committed = at }
                // Lost: read again from what was committed.
                2 => { keeper.abandoned(); at = committed }
                _ => {}
            }
        }
        keeper.acknowledged(&store);
        for (who, (at, rank)) in last {
            let person = keys.person_key("acme", "user", &weir_keys::canonical(SPELLINGS[who][0]));
            let expected = choice(person, PurposeId::Reliability, standing(Status::ALL[rank], at, None));
            prop_assert!(store.current(&expected.key()) == Some(expected));
        }
    }
}

/// A standing that permits, and the same one step lower.
fn lowerable() -> impl Strategy<Value = (Standing, Standing)> {
    let permitting = prop::sample::select(vec![Status::Given, Status::Renewed]);
    (permitting, 0..4_i64, prop::option::of(1..9_i64), statuses(), 0..3_u8).prop_map(
        |(status, at, until, other, lower)| {
            let lowered = match lower {
                0 => standing(status, at + 1, until),
                1 => standing(status, at, Some(until.map_or(8, |until| until - 1))),
                _ if other.denial().is_some() => standing(other, at, None),
                _ => standing(Status::Withdrawn, at, None),
            };
            (standing(status, at, until), lowered)
        },
    )
}
