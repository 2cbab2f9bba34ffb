//! The interleavings of a withdrawal with the filter and the commit, all of them. `cargo xtask model` runs it.
//!
//! What is checked stands with the model (`weir_lake::model`). The broken variants show that it would notice: each of them is
//! found out in some order of steps.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by panicking, and how many orders there were"
)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use weir_keys::KeyRing;
use weir_lake::model::{Committer, End, Ground, Learner, explore};
use weir_policy::{Faults, Policy, Source};

/// 2026-11-23T10:20:00Z.
const NOW_MS: i64 = 1_795_429_200_000;

const CONTRACT: &str = r#"
[event]
type = "test.speed"
version = 1
description = "Somebody did something."
benefit = "Lets tests see rows."
owner = "lake-team"
review = "https://reviews.example/1"
expires = 2030-01-01
subject = "user"
[fields.user]
class = "identifier"
kind = "user"
category = "user.unique_id"
[fields.took]
class = "measure"
type = "uint32"
category = "system.operations"
purposes = ["reliability"]
"#;

fn ground() -> Arc<Ground> {
    let folder = TempDir::new().unwrap();
    let (policy, _) = Policy::parse(&[Source::new("speed.toml", CONTRACT)], None, Faults::default()).unwrap();
    let ring = KeyRing::init(&folder.path().join("keys")).unwrap();
    ring.ensure_epochs(policy.purposes(), NOW_MS).unwrap();
    ring.ensure_tenant("acme").unwrap();
    let events = ["u0", "u1"].map(|user| {
        format!(
            r#"{{"specversion": "1.0", "id": "of-{user}", "source": "/test", "type": "test.speed",
            "time": "2026-11-23T10:10:30Z", "tenant": "acme", "data": {{"user": "{user}", "took": 48}}}}"#
        )
    });
    Arc::new(Ground { policy: Arc::new(policy), keys: ring.snapshot(), events, now_ms: NOW_MS })
}

/// Walks every order; returns what they came to.
fn walk(committer: Committer, learner: Learner, max_staleness_ms: i64) -> BTreeSet<End> {
    let (ground, seen) = (ground(), Arc::new(Mutex::new((0, BTreeSet::new()))));
    let into = Arc::clone(&seen);
    loom::model(move || {
        let end = explore(&ground, committer, learner, max_staleness_ms);
        let mut seen = into.lock().unwrap();
        seen.0 += 1;
        seen.1.insert(end);
    });
    let (orders, ends) = seen.lock().unwrap().clone();
    println!("{committer:?}, {learner:?}, {max_staleness_ms} ms: {orders} orders, {ends:?}");
    ends
}

fn is_found_out(committer: Committer, learner: Learner, max_staleness_ms: i64, how: &str) {
    let walked = catch_unwind(AssertUnwindSafe(|| walk(committer, learner, max_staleness_ms)));
    let panicked = walked.expect_err("some order breaks a promise");
    let message = panicked.downcast_ref::<&str>().copied().map(str::to_owned);
    let message = message.or_else(|| panicked.downcast_ref::<String>().cloned()).unwrap_or_default();
    assert!(message.contains(how), "found out by another rule: {message}");
}

/// With a store that may be a little stale: every end that there can be is reached in some order, so the model is not empty.
#[test]
fn withdrawal_counts_in_every_order_where_the_inbox_is_taken() {
    let ends = walk(Committer::AsBuilt, Learner::Keeper, 1);
    assert_eq!(ends, [End::Both, End::DeniedAtOnce, End::LeftBeforePut].into());
}

#[test]
fn withdrawal_counts_in_every_order_where_the_state_topic_is_followed() {
    let ends = walk(Committer::AsBuilt, Learner::Feed, 1);
    assert_eq!(ends, [End::Both, End::DeniedAtOnce, End::LeftBeforePut].into());
}

/// With a store that may not be stale at all, what it is vouched for as of is what it must know.
#[test]
fn store_that_is_vouched_for_knows_the_withdrawal_in_every_order() {
    let ends = walk(Committer::AsBuilt, Learner::Keeper, 0);
    assert_eq!(ends, [End::Both, End::DeniedAtOnce, End::LeftBeforePut, End::Stale].into());
}

#[test]
fn retry_without_a_recheck_is_found_out() {
    is_found_out(Committer::AsksOnce, Learner::Keeper, 1, "after the withdrawal was acknowledged");
}

#[test]
fn answers_held_over_a_wait_are_found_out() {
    is_found_out(Committer::AsksTooEarly, Learner::Keeper, 1, "after the withdrawal was acknowledged");
}

#[test]
fn answer_before_the_withdrawal_counts_is_found_out() {
    is_found_out(Committer::AsBuilt, Learner::AnswersFirst, 1, "after the withdrawal was acknowledged");
}

#[test]
fn store_vouched_for_without_the_withdrawal_is_found_out() {
    is_found_out(Committer::AsBuilt, Learner::VouchesFirst, 0, "vouched for without the withdrawal");
}
