//! What a policy answers: which contract holds, and whether two policies say the same.

use weir_policy::diagnostic::{Faults, Source};
use weir_policy::{Policy, PolicyHash, PurposeId, Resolved};

const ORDER: &str = r#"
[event]
type        = "com.example.order"
version     = 1
description = "An order."
benefit     = "Lets us repair it."
owner       = "order-team"
review      = "https://reviews.example/1"
expires     = 2026-12-31
subject     = "user.id"

[fields."user.id"]
class    = "identifier"
kind     = "user"
category = "user.unique_id"

[fields."state"]
class    = "word"
values   = ["open", "closed"]
category = "system.operations"
purposes = ["reliability", "troubleshooting"]

[fields."wait_ms"]
class     = "measure"
type      = "duration"
unit      = "ms"
range     = [0, 60000]
precision = { reliability = 10 }
category  = "system.operations"
purposes  = ["reliability"]

[fields."note"]
class = "content"
"#;

/// The same contract, with every order that does not count turned round.
const ORDER_REWRITTEN: &str = r#"
# A comment.
fields."note" = { class = "content" }
fields."wait_ms" = { purposes = ["reliability"], precision = { reliability = 10.0 }, category = "system.operations", unit = "ms", range = [0e0, 6_0000], type = "duration", class = "measure" }
fields."state" = { purposes = ["troubleshooting", "reliability"], values = ["closed", "open"], class = "word", category = "system.operations" }
fields."user.id" = { category = "user.unique_id", kind = "user", class = "identifier", purposes = ["troubleshooting", "reliability"] }

[event]
subject     = "user.id"
expires     = 2026-12-31
review      = "https://reviews.example/1"
owner       = "order-team"
benefit     = "Lets us repair it."
description = "An order."
version     = 1
type        = "com.example.order"
"#;

fn policy(texts: &[&str]) -> Policy {
    let sources: Vec<_> =
        texts.iter().enumerate().map(|(number, text)| Source::new(format!("{number}.toml"), *text)).collect();
    match Policy::parse(&sources, None, Faults::default()) {
        Ok((policy, _)) => policy,
        Err(report) => panic!("{report}"),
    }
}

fn second_version() -> String {
    ORDER.replace("version     = 1", "version     = 2").replace("2026-12-31", "2027-12-31")
}

const DAY_MS: i64 = 86_400_000;
/// 2026-12-31.
const LAST_DAY: i64 = 20_818;

#[test]
fn without_a_version_the_highest_that_has_not_expired_holds() {
    let policy = policy(&[&second_version(), ORDER]);
    let [one, two] = [0, 1].map(|place| policy.iter().nth(place).expect("two versions").0);
    let resolve = |version, day: i64| policy.resolve("com.example.order", version, day * DAY_MS);
    assert_eq!(resolve(None, LAST_DAY), Resolved::Contract(two));
    assert_eq!(resolve(Some(1), LAST_DAY), Resolved::Contract(one));
    assert_eq!(resolve(Some(1), LAST_DAY + 1), Resolved::Expired(one));
    assert_eq!(resolve(None, LAST_DAY + 1), Resolved::Contract(two));
    assert_eq!(resolve(None, LAST_DAY + 400), Resolved::Expired(two));
    assert_eq!(resolve(Some(3), LAST_DAY), Resolved::NoContract);
    assert_eq!(policy.resolve("com.example.Order", None, 0), Resolved::NoContract);
}

#[test]
fn the_subject_goes_wherever_the_event_goes() {
    let policy = policy(&[ORDER]);
    let contract = &policy.contracts()[0];
    let subject = contract.subject_field().expect("it has one");
    assert_eq!((subject.column.as_str(), subject.purposes), ("subject", contract.purposes));
    let columns = |purpose| contract.columns(purpose).map(|(_, field)| field.column.as_str()).collect::<Vec<_>>();
    assert_eq!(columns(PurposeId::Reliability), ["state", "wait_us"]);
    assert_eq!(columns(PurposeId::Troubleshooting), ["state"]);
    assert!(columns(PurposeId::Personalization).is_empty());
}

#[test]
fn the_hash_is_of_what_is_said_and_not_of_how() {
    let hash = |texts: &[&str]| policy(texts).hash();
    assert_eq!(hash(&[ORDER]), hash(&[ORDER_REWRITTEN]));
    assert_eq!(hash(&[ORDER, &second_version()]), hash(&[&second_version(), ORDER]));
    let changes: Vec<PolicyHash> = [
        ("An order.", "An order came."),
        ("2026-12-31", "2026-12-30"),
        ("\"closed\"", "\"shut\""),
        ("\"closed\"", "\"closed\", \"lost\""),
        ("[\"reliability\", \"troubleshooting\"]", "[\"reliability\"]"),
        ("reliability = 10 }", "reliability = 20 }"),
        ("[0, 60000]", "[0, 60001]"),
        ("\"ms\"", "\"s\""),
        ("kind     = \"user\"", "kind     = \"buyer\""),
        ("system.operations", "user.behavior"),
        ("\"note\"", "\"remark\""),
    ]
    .into_iter()
    .map(|(from, to)| hash(&[&ORDER.replacen(from, to, 1)]))
    .chain([hash(&[ORDER])])
    .collect();
    for (place, one) in changes.iter().enumerate() {
        assert!(!changes[..place].contains(one), "change {place} is not in the hash");
    }
}

#[test]
fn a_number_leaves_its_type_neither_before_nor_after_rounding() {
    let text = ORDER.replace("type      = \"duration\"\nunit      = \"ms\"\nrange     = [0, 60000]", "type = \"int8\"");
    let policy = policy(&[&text]);
    let field = policy.contracts()[0].fields.iter().find(|field| field.column == "wait_ms").expect("declared");
    let kept = [-128, -120, 127, 128].map(|value| field.keep_whole(PurposeId::Reliability, value));
    assert_eq!(kept, [None, Some(-120), Some(120), None]);
}
