//! The state machine of decisions.

use weir_consent::{Decision, Standing, Status, Undecidable, status_now};

use crate::standing;

const NOW: i64 = 1_000_000;

fn stands(status: Status) -> Option<Standing> {
    (status != Status::Unknown).then(|| standing(status, 10, None))
}

/// Every state with every decision: the state that follows, `-` for nothing to change, `!` for no such step.
#[test]
fn state_machine_is_that_of_the_vocabulary() {
    let table = Status::ALL.map(|status| {
        let cells = Decision::ALL.map(|decision| match decision.take(stands(status), NOW, None) {
            Ok(Some(next)) => next.status().name(),
            Ok(None) => "-",
            Err(_) => "!",
        });
        format!("{}: {}", status.name(), cells.join(" "))
    });
    // defer grant invalidate refuse renew request revoke withdraw
    let expected = [
        "given: ! ! invalidated ! renewed ! revoked withdrawn",
        "renewed: ! ! invalidated ! renewed ! revoked withdrawn",
        "unknown: - ! - refused ! requested revoked withdrawn",
        "requested: deferred given - refused renewed - - -",
        "deferred: - given - refused renewed requested - -",
        "expired: - ! - - ! requested - -",
        "refused: - ! - - ! requested - -",
        "invalidated: - ! - - ! requested - -",
        "revoked: - ! - - ! requested - -",
        "withdrawn: - ! - - ! requested - -",
    ];
    assert_eq!(table.join("\n"), expected.join("\n"));
}

#[test]
fn renewal_without_a_gap_keeps_the_instant_and_one_with_a_gap_does_not() {
    let given = standing(Status::Given, 10, Some(NOW + 1));
    let renewed = Decision::Renew.take(Some(given), NOW, Some(NOW + 9)).unwrap().unwrap();
    assert_eq!(renewed, standing(Status::Renewed, 10, Some(NOW + 9)));
    assert!(renewed.precedence(given).is_gt(), "the renewal counts over what it renews");
    assert_eq!(status_now(Some(given), NOW + 1), Status::Expired);
    let late = Decision::Renew.take(Some(given), NOW + 1, None);
    assert_eq!(late, Err(Undecidable::Step { status: Status::Expired, decision: Decision::Renew }));
    let asked = Decision::Request.take(Some(given), NOW + 1, None).unwrap().unwrap();
    assert_eq!(
        Decision::Renew.take(Some(asked), NOW + 5, None).unwrap(),
        Some(standing(Status::Renewed, NOW + 5, None))
    );
}

/// What follows counts over what was, also when both happen within a millisecond.
#[test]
fn each_decision_counts_over_the_one_before() {
    let mut now = stands(Status::Unknown);
    for decision in [Decision::Request, Decision::Grant, Decision::Withdraw, Decision::Request, Decision::Renew] {
        let next = decision.take(now, NOW, None).unwrap();
        assert!(now.is_none_or(|before| next.unwrap().precedence(before).is_gt()), "{}", decision.name());
        now = next;
    }
}

#[test]
fn yes_that_is_over_before_it_begins_is_refused() {
    assert_eq!(Decision::Grant.take(stands(Status::Requested), NOW, Some(NOW)), Err(Undecidable::Ended));
}
