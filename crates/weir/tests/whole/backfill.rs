//! Older events under newer contracts: `weir filter` asks the ledger, and an auditor reads what was decided.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_policy::values::time;

use crate::program::{Ended, Weir};
use crate::world::{Settings, World};

const CONTRACT: &str = "schemas/checkout/health.toml";

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Writes a file with one event of a contract about nobody.
fn event(world: &World, name: &str, at_ms: i64) -> String {
    let at = time::render(at_ms * 1000);
    let text = format!(
        r#"{{"specversion":"1.0","id":"{name}","source":"/shop","type":"com.example.checkout.health","time":"{at}","tenant":"acme","data":{{"healthy":true}}}}"#
    );
    fs::write(world.path(name), text + "\n").unwrap();
    world.path(name).to_str().unwrap().to_owned()
}

fn filter(world: &World, arguments: &[&str]) -> Ended {
    Weir::new(world, ["filter"].into_iter().chain(arguments.iter().copied())).run()
}

#[track_caller]
fn assert_refused(ended: &Ended, listed: &[&str]) {
    assert_eq!(ended.status.code(), Some(77), "{}{}", ended.stdout, ended.stderr);
    let found: Vec<_> = ended.stderr.lines().filter(|line| line.contains(" → ")).collect();
    assert_eq!(found, listed);
}

fn rows(world: &World) -> u64 {
    let listed = Weir::new(world, ["lake", "ls", "--format", "json"]).run();
    let tables: serde_json::Value = serde_json::from_str(&listed.assert_done()).unwrap();
    tables.as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum()
}

/// Fields that were not exposed when an event happened, or of which nobody knows, need a decision, which the ledger keeps.
#[test]
fn broader_policy_than_at_collection_needs_a_decision() {
    let world = World::new(&Settings::default());
    let agreement = r#"{"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z"}"#;
    fs::write(world.path("consent.ndjson"), agreement).unwrap();
    let broad = fs::read_to_string(world.path(CONTRACT)).unwrap();
    let narrow = broad.split("[fields.").take(3).collect::<Vec<_>>().join("[fields.");
    fs::write(world.path(CONTRACT), &narrow).unwrap();
    let old = event(&world, "old", now_ms() - 3_600_000);

    // Nothing is known of the time before the first policy.
    let fields = ["healthy", "shard"].map(|field| format!("com.example.checkout.health: {field} → reliability"));
    assert_refused(&filter(&world, &[&old]), &[&fields[0], &fields[1]]);
    // What can be read only once is looked at before it is committed.
    let piped = Weir::new(&world, ["filter", "--source", "pipe", "-"]).run_with(&fs::read_to_string(&old).unwrap());
    assert_refused(&piped, &[&fields[0], &fields[1]]);
    assert_eq!(rows(&world), 0, "nothing is written");
    filter(&world, &["--decision", "minutes of 2026-11-20", &old]).assert_done();
    assert_eq!(rows(&world), 1);

    // What happens from here on is known, and the same file adds nothing.
    let new = event(&world, "new", now_ms());
    filter(&world, &[&new, &old]).assert_done();
    assert_eq!(rows(&world), 2);

    // The contract grows: what it adds is not taken from what happened before.
    fs::write(world.path(CONTRACT), &broad).unwrap();
    let before = event(&world, "before", now_ms() - 1);
    let refused = filter(&world, &[&before]);
    assert!(refused.stderr.contains("com.example.checkout.health: bytes_served → reliability"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("shard"), "{}", refused.stderr);
    assert_eq!((refused.status.code(), rows(&world)), (Some(77), 2));
    // A decision is about one input: the ledger is told for each.
    let other = event(&world, "other", now_ms() - 1);
    filter(&world, &["--decision", "minutes of 2026-11-27", &before, &other]).assert_done();
    filter(&world, &[&event(&world, "after", now_ms())]).assert_done();
    assert_eq!(rows(&world), 5);

    let audit = Weir::new(&world, ["audit", "--ledger", "--format", "json"]).run().assert_done();
    let audit: serde_json::Value = serde_json::from_str(&audit).unwrap();
    assert_eq!((audit["entries"]["decision.backfill"].as_u64(), audit["waiting"].as_u64()), (Some(3), Some(0)));
    assert_eq!(audit["entries"]["policy.filter"].as_u64(), Some(2));
    // The head that it prints is good for the next audit, and its file for those after.
    let head = audit["head"]["jws"].as_str().unwrap();
    Weir::new(&world, ["audit", "--ledger", "--head", head]).run().assert_done();
    let kept = world.path("keys/heads/eu");
    Weir::new(&world, ["audit", "--ledger", "--head", kept.to_str().unwrap()]).run().assert_done();
    let forged = format!("{head}x");
    let found = Weir::new(&world, ["audit", "--ledger", "--head", &forged]).run();
    assert_eq!(found.status.code(), Some(65), "{}", found.stdout);

    // A lake that is set back is not written on.
    fs::remove_dir_all(world.path("lake/eu/_ledger")).unwrap();
    let refused = filter(&world, &[&event(&world, "later", now_ms())]);
    assert_eq!((refused.status.code(), rows(&world)), (Some(77), 5), "{}", refused.stderr);
    assert!(refused.stderr.contains("does not contain its entry"), "{}", refused.stderr);
}

/// Returns a line with an event of a person.
pub(crate) fn of_person(id: &str, at_ms: i64) -> String {
    let at = time::render(at_ms * 1000);
    format!(
        r#"{{"specversion":"1.0","id":"{id}-{at_ms}","source":"/shop","type":"com.example.checkout.completed","time":"{at}","tenant":"acme","data":{{"user":{{"id":"{id}"}}}}}}"#
    ) + "\n"
}

/// Where the lawful basis is no consent, events of people are written who were never asked; until they object.
#[test]
fn person_who_was_never_asked_can_stop_what_rests_on_another_basis() {
    let world = World::new(&Settings::default());
    let purposes = fs::read_to_string(world.path("purposes.toml")).unwrap();
    let (before, reliability) = purposes.split_once("[reliability]").unwrap();
    let reliability = reliability.replacen("\"consent\"", "\"legitimate_interests\"", 1);
    fs::write(world.path("purposes.toml"), format!("{before}[reliability]{reliability}")).unwrap();
    let agreement = r#"{"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z"}"#;
    fs::write(world.path("consent.ndjson"), agreement).unwrap();
    let take = |name: &str| {
        let lines = ["u-1", "u-2", "u-3"].map(|id| of_person(id, now_ms()));
        fs::write(world.path(name), lines.concat()).unwrap();
        filter(&world, &["--decision", "TEST-1", world.path(name).to_str().unwrap()]).assert_done();
    };
    take("first");
    assert_eq!(rows(&world), 3);
    let about = |verb: &str, id: &str| {
        let line = format!("{verb} --tenant acme --kind user --id {id} --purpose reliability");
        Weir::new(&world, line.split(' ')).run().assert_done();
    };
    about("subject restrict", "u-1");
    about("consent refuse", "u-2");
    assert_eq!(rows(&world), 2, "what is there is hidden of u-1 only");
    take("second");
    assert_eq!(rows(&world), 3, "only u-3 did not object");
    about("subject restrict --lift", "u-1");
    take("third");
    assert_eq!(rows(&world), 5, "the old row is back, and a no stands until the person says yes");
}

/// Consent on topics holds for files too, with a daemon or without: who was erased or withdrew there does not come back.
#[cfg(feature = "real-kafka")]
#[test]
fn file_brings_nobody_back_who_left_through_the_topics() {
    use weir_testkit::corpus::Produced;

    use crate::broker::Broker;
    use crate::world::name;

    let broker = Broker::given();
    let settings = Settings::of_kafka(&broker.address, &name("backfill"));
    let world = World::new(&settings);
    broker.create_topics(&settings, 2);
    let tenant = r#"{"tenant":"acme","purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z"}"#;
    let now = time::render(now_ms() * 1000);
    let person = |id: &str, says: &str| format!(r#"{{"tenant":"acme","kind":"user","subject":"{id}",{says}}}"#);
    let given = r#""purpose":"reliability","status":"given","at":"2026-01-01T00:00:00Z""#;
    let said = [
        ("acme", tenant.to_owned()),
        ("acme/user/u-1", person("u-1", given)),
        ("acme/user/u-2", person("u-2", given)),
        ("acme/user/u-3", person("u-3", given)),
        ("acme/user/u-2", person("u-2", &format!(r#""purpose":"*","erased_before":"{now}""#))),
        ("acme/user/u-3", person("u-3", &format!(r#""purpose":"reliability","status":"withdrawn","at":"{now}""#))),
    ];
    let record = |(key, text): (&str, String)| Produced {
        key: key.into(),
        value: Some(text.into_bytes()),
        ..Produced::default()
    };
    broker.consent(&settings, said.map(record).into_iter());

    let lines = ["u-1", "u-2", "u-3"].map(|id| of_person(id, now_ms() - 3_600_000));
    fs::write(world.path("old"), lines.concat()).unwrap();
    filter(&world, &["--decision", "TEST-1", world.path("old").to_str().unwrap()]).assert_done();
    assert_eq!(rows(&world), 1);
}
