//! Line by line, the table of `judge`'s documentation.

use weir_consent::{ConsentStore, Question, Status};
use weir_policy::{DenyReason, LawfulBasis, PurposeId, Purposes};

use super::{NOW_MS, agreement, choice, person, standing, store_of};

type Times = (Status, i64, Option<i64>);
type Spoiler = (DenyReason, fn(&mut Case));

/// A question and all that the store knows; permitted as it is made.
#[derive(Clone)]
struct Case {
    purpose: PurposeId,
    basis: LawfulBasis,
    agreed: Option<(Times, Option<Vec<&'static str>>)>,
    has_person: bool,
    chosen: Option<Times>,
    erased_before: Option<i64>,
    other_erased_before: Option<i64>,
    event_ms: i64,
}

impl Case {
    fn permitted() -> Self {
        Self {
            purpose: PurposeId::Reliability,
            basis: LawfulBasis::Consent,
            agreed: Some(((Status::Given, 0, Some(NOW_MS + 1)), Some(vec!["eu", "us"]))),
            has_person: true,
            chosen: Some((Status::Given, NOW_MS - 1000, Some(NOW_MS + 1))),
            erased_before: Some(NOW_MS - 1000),
            other_erased_before: None,
            event_ms: NOW_MS - 1000,
        }
    }

    fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    fn store(&self) -> ConsentStore {
        // Something is always known of the tenant, so that it has an index.
        let unrelated =
            [PurposeId::Reliability, PurposeId::Personalization].into_iter().find(|other| *other != self.purpose);
        let mut records = vec![agreement(unrelated.unwrap(), standing(Status::Given, 0, None), None)];
        if let Some(((status, at, until), regions)) = &self.agreed {
            records.push(agreement(self.purpose, standing(*status, *at, *until), regions.as_deref()));
        }
        if let Some((status, at, until)) = self.chosen {
            records.push(choice(person(1), self.purpose, standing(status, at, until)));
        }
        for (who, before) in [(1, self.erased_before), (2, self.other_erased_before)] {
            records
                .extend(before.map(|before_ms| weir_consent::StateRecord::Erasure { person: person(who), before_ms }));
        }
        store_of(records)
    }

    fn judge(&self) -> Result<(), DenyReason> {
        let store = self.store();
        let view = store.view(0, 0).unwrap();
        let mut rules = Purposes::default().rules(self.purpose).clone();
        rules.lawful_basis = self.basis;
        let question = Question {
            tenant: view.tenant("acme").unwrap(),
            person: self.has_person.then(|| person(1)),
            others: &[person(2), person(3)],
            event_ms: self.event_ms,
            now_ms: NOW_MS,
            region: "eu",
            lawful: &Purposes::default().with(self.purpose, rules),
        };
        let answer = view.judge(question, self.purpose);
        assert_eq!(view.judge_all(question)[self.purpose.index()], answer);
        answer
    }
}

fn chosen(case: &mut Case) -> &mut Times {
    case.chosen.as_mut().unwrap()
}

fn agreed(case: &mut Case) -> &mut Times {
    &mut case.agreed.as_mut().unwrap().0
}

/// Each line's ways to apply, in the order of the table.
const SPOILERS: [Spoiler; 21] = [
    (DenyReason::NoTenantAgreement, |case| case.agreed = None),
    (DenyReason::NoTenantAgreement, |case| agreed(case).0 = Status::Withdrawn),
    (DenyReason::NoTenantAgreement, |case| agreed(case).0 = Status::Requested),
    (DenyReason::NoTenantAgreement, |case| agreed(case).1 = case.event_ms + 1),
    (DenyReason::NoTenantAgreement, |case| agreed(case).2 = Some(NOW_MS)),
    (DenyReason::NoConsentRecord, |case| case.chosen = None),
    (DenyReason::NoConsentRecord, |case| chosen(case).0 = Status::Unknown),
    (DenyReason::ConsentRequested, |case| chosen(case).0 = Status::Requested),
    (DenyReason::ConsentDeferred, |case| chosen(case).0 = Status::Deferred),
    (DenyReason::ConsentRefused, |case| chosen(case).0 = Status::Refused),
    (DenyReason::ConsentExpired, |case| chosen(case).0 = Status::Expired),
    (DenyReason::ConsentWithdrawn, |case| chosen(case).0 = Status::Withdrawn),
    (DenyReason::ConsentRevoked, |case| chosen(case).0 = Status::Revoked),
    (DenyReason::ConsentInvalidated, |case| chosen(case).0 = Status::Invalidated),
    (DenyReason::ConsentExpired, |case| *chosen(case) = (Status::Given, NOW_MS - 9000, Some(NOW_MS))),
    (DenyReason::ConsentAfterEvent, |case| *chosen(case) = (Status::Renewed, case.event_ms + 1, None)),
    (DenyReason::Region, |case| case.agreed.as_mut().unwrap().1 = Some(vec!["us"])),
    (DenyReason::Region, |case| case.agreed.as_mut().unwrap().1 = Some(vec![])),
    (DenyReason::Erased, |case| case.erased_before = Some(case.event_ms + 1)),
    (DenyReason::Erased, |case| case.other_erased_before = Some(case.event_ms + 1)),
    (DenyReason::Erased, |case| case.erased_before = Some(i64::MAX >> 16)),
];

#[test]
fn first_line_that_applies_is_the_reason() {
    assert_eq!(Case::permitted().judge(), Ok(()));
    assert_eq!(Case::permitted().but(|case| chosen(case).0 = Status::Renewed).judge(), Ok(()));
    assert_eq!(Case::permitted().but(|case| case.agreed.as_mut().unwrap().1 = None).judge(), Ok(()));
    for (later, (_, spoil_later)) in SPOILERS.iter().enumerate() {
        for (reason, spoil) in &SPOILERS[..=later] {
            // The earlier line is spoiled last, since two lines may be about the same record.
            let spoiled = Case::permitted().but(|case| {
                spoil_later(case);
                spoil(case);
            });
            assert_eq!(spoiled.judge(), Err(*reason));
        }
    }
}

#[test]
fn consent_must_hold_at_the_event_and_now() {
    let at = |event_ms, times| {
        let agreed = Some(((Status::Given, 0, None), None));
        Case { chosen: Some(times), event_ms, agreed, erased_before: None, ..Case::permitted() }.judge()
    };
    // A yes that came after the event does not release what came before it.
    assert_eq!(at(NOW_MS - 5001, (Status::Given, NOW_MS - 5000, None)), Err(DenyReason::ConsentAfterEvent));
    assert_eq!(at(NOW_MS - 5000, (Status::Given, NOW_MS - 5000, None)), Ok(()));
    // A yes that is not yet, for an event that is not yet.
    assert_eq!(at(NOW_MS + 60, (Status::Given, NOW_MS + 50, None)), Err(DenyReason::ConsentAfterEvent));
    // Ended before the event, or between the event and now.
    assert_eq!(at(NOW_MS + 60, (Status::Given, 0, Some(NOW_MS + 60))), Err(DenyReason::ConsentExpired));
    assert_eq!(at(NOW_MS - 60, (Status::Given, 0, Some(NOW_MS - 10))), Err(DenyReason::ConsentExpired));
    // Taken back after the event: what was permitted then is not now.
    assert_eq!(at(NOW_MS - 60, (Status::Withdrawn, NOW_MS - 10, None)), Err(DenyReason::ConsentWithdrawn));
}

#[test]
fn another_basis_needs_the_tenant_and_no_objection() {
    for basis in [LawfulBasis::Contract, LawfulBasis::LegitimateInterests] {
        let case = Case { basis, ..Case::permitted() };
        assert_eq!(case.but(|case| case.chosen = None).judge(), Ok(()));
        assert_eq!(case.but(|case| chosen(case).1 = NOW_MS).judge(), Ok(()));
        assert_eq!(case.but(|case| chosen(case).0 = Status::Requested).judge(), Err(DenyReason::ConsentRequested));
        assert_eq!(case.but(|case| chosen(case).0 = Status::Unknown).judge(), Err(DenyReason::NoConsentRecord));
        assert_eq!(case.but(|case| chosen(case).2 = Some(NOW_MS)).judge(), Err(DenyReason::ConsentExpired));
        assert_eq!(case.but(|case| case.agreed = None).judge(), Err(DenyReason::NoTenantAgreement));
        let personal = case.but(|case| (case.purpose, case.chosen) = (PurposeId::Personalization, None));
        assert_eq!(personal.judge(), Err(DenyReason::NoConsentRecord));
    }
}

#[test]
fn event_without_a_person_needs_the_tenant_only() {
    let case = Case { has_person: false, chosen: Some((Status::Withdrawn, 0, None)), ..Case::permitted() };
    assert_eq!(case.judge(), Ok(()));
    assert_eq!(case.but(|case| agreed(case).0 = Status::Revoked).judge(), Err(DenyReason::NoTenantAgreement));
    assert_eq!(case.but(|case| case.erased_before = Some(NOW_MS)).judge(), Ok(()));
    assert_eq!(case.but(|case| case.other_erased_before = Some(NOW_MS)).judge(), Err(DenyReason::Erased));
}

#[test]
fn store_that_nobody_vouches_for_answers_nothing() {
    let store = ConsentStore::new();
    assert_eq!(store.view(1000, 5000).err().unwrap().age_ms, None);
    store.mark_current(1000);
    assert!(store.view(6000, 5000).is_ok());
    assert_eq!(store.view(6001, 5000).err().unwrap().age_ms, Some(5001));
    store.mark_current(900);
    assert_eq!(store.age_ms(1000), Some(0), "an older vouching takes nothing back");
    store.mark_unknown();
    assert!(store.view(1000, i64::MAX).is_err());
}

#[test]
fn empty_store_knows_no_tenant() {
    let store = store_of([]);
    assert!(store.view(0, 0).unwrap().tenant("acme").is_none());
}
