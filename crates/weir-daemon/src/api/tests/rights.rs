//! Copies and erasures: taken in, looked up, fetched, and forgotten. The test is the clerk.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::PATIENT;
use super::world::{Answer, KEPT, World};
use crate::api::rights::{Failed, Parcel, Product, Right};

pub(super) fn names(tenant: &str, id: &str) -> String {
    format!(r#"{{"tenant":"{tenant}","ids":[{{"kind":"user","id":"{id}"}},{{"kind":"device","id":7}}]}}"#)
}

/// Returns where a request that was taken in is looked up.
#[track_caller]
pub(super) fn place(answer: &Answer) -> String {
    assert_eq!(answer.status, 202, "{answer:?}");
    let line = answer.head.lines().find_map(|line| line.strip_prefix("location: "));
    line.unwrap().to_owned()
}

fn is_erasure(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "erasure")
}

fn receipt() -> Product {
    Product::Receipt { jws: "a.b.c\n".into(), is_complete: true }
}

#[test]
pub(super) fn request_is_taken_in_looked_up_and_fetched() {
    let world = World::new(PATIENT);
    let copy = place(&world.post("agent", "/v1/access-requests", &names("acme", "marker-81")));
    let erasure = place(&world.post("operator", "/v1/erasures", &names("acme", "marker-81")));
    assert!(!copy.contains("marker") && !copy.contains("acme") && copy != erasure);
    let state = |who: &str, place: &str| world.get(who, place).body;
    assert_eq!(state("agent", &copy)["state"], "waiting");
    let jobs: Vec<_> = world.jobs.lock().unwrap().try_iter().collect();
    assert_eq!(jobs.iter().map(|job| job.right).collect::<Vec<_>>(), [Right::Access, Right::Erasure]);
    assert_eq!((jobs[0].subject.tenant(), jobs[0].subject.names().count()), ("acme", 2));
    world.requests.begin(&jobs[0].id);
    assert_eq!(state("agent", &copy)["state"], "running");
    let answer = format!("{copy}/answer");
    assert_eq!(world.get("agent", &answer).code(), (409, "not_done"));

    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&b"copy ".repeat(50_000)).unwrap();
    let parcel = Arc::new(Parcel::of(file).unwrap());
    world.requests.end(&jobs[0].id, Ok(Product::Copy { parcel, is_complete: false }));
    assert_eq!(state("agent", &copy)["kept_until"], "2026-11-23T10:25:30Z");
    assert_eq!(state("agent", &copy)["complete"], false);
    let fetched = world.get("agent", &answer);
    assert_eq!(fetched.body.as_str().unwrap(), "copy ".repeat(50_000));
    assert!(fetched.head.contains("content-disposition: attachment; filename=\"your-data.zip\""), "{}", fetched.head);

    // Something stood in the way: it stays written down.
    let written = || std::fs::read_dir(world.folder.path()).unwrap().filter(is_erasure).count();
    assert!(world.requests.end(&jobs[1].id, Err(Failed::Unconfirmed)), "nobody tries it again");
    let waiting = state("operator", &erasure);
    assert_eq!((&waiting["state"], &waiting["reason"], written()), (&"waiting".into(), &"not_confirmed".into(), 1));
    assert_eq!(world.get("operator", &format!("{erasure}/receipt")).code(), (409, "not_done"));
    assert!(!world.requests.end(&jobs[1].id, Ok(receipt())));
    assert_eq!((&state("operator", &erasure)["complete"], written()), (&true.into(), 0));
    assert_eq!(world.get("operator", &format!("{erasure}/receipt")).body, "a.b.c\n");
    assert!(!world.requests.end(&jobs[0].id, Err(Failed::Unavailable)), "a copy can be asked for again");
    assert_eq!(state("agent", &copy)["reason"], "unavailable");
    // A count of erasures would date somebody's.
    let page = world.metrics.text();
    assert!(page.contains("endpoint=\"rights\"") && !page.contains("erasure"), "{page}");
}

#[test]
pub(super) fn request_is_nobody_elses_and_is_forgotten() {
    let world = World::new(PATIENT);
    let erasure = place(&world.post("agent", "/v1/erasures", &names("acme", "u-81")));
    let job = world.jobs.lock().unwrap().recv().unwrap();
    world.requests.end(&job.id, Ok(receipt()));
    let never = format!("/v1/erasures/{}", "0".repeat(32));
    let unknown = world.get("agent", &never);
    assert_eq!(unknown.code(), (404, "request_unknown"));
    let other_right = erasure.replace("erasures", "access-requests");
    for (who, path) in [("operator", &erasure), ("agent", &other_right)] {
        assert_eq!(world.get(who, path).body, unknown.body, "{who} {path}");
    }
    assert_eq!(world.get("auditor", &erasure).code(), (403, "role_not_allowed"));
    assert_eq!(world.get("agent", &format!("{erasure}/answer")).code(), (404, "not_found"));
    assert_eq!(world.get("agent", "/v1/erasures/u-81").code(), (404, "not_found"));
    assert_eq!(world.get("agent", &erasure).body["state"], "done");
    world.clock.advance(KEPT);
    assert_eq!(world.get("agent", &erasure).body, unknown.body);
    world.requests.tidy();
}

/// Whether another tenant has such a person is not told, and neither is whether there is such a tenant.
#[test]
fn another_tenants_person_is_as_good_as_none() {
    let world = World::new(PATIENT);
    for path in ["/v1/access-requests", "/v1/erasures"] {
        let [other, none] = ["globex", "initech"].map(|tenant| world.post("agent", path, &names(tenant, "u-1")));
        assert_eq!(other.code(), (403, "tenant_not_allowed"));
        assert_eq!(other.body, none.body);
        assert_eq!(world.post("auditor", path, &names("acme", "u-1")).code(), (403, "role_not_allowed"));
        assert_eq!(world.post("nobody", path, &names("acme", "u-1")).code(), (401, "unauthenticated"));
    }
    assert!(world.jobs.lock().unwrap().try_recv().is_err(), "nothing is to be done");
}

#[test]
fn bad_names_are_told_their_member_and_nothing_is_repeated() {
    let world = World::new(PATIENT);
    let many = (0..33).map(|n| format!(r#"{{"kind":"user","id":"zebra-{n}"}}"#)).collect::<Vec<_>>().join(",");
    for (member, body) in [
        ("ids", r#"{"tenant":"acme","ids":[]}"#),
        ("ids", r#"{"tenant":"acme","ids":[{"kind":"user","id":["zebra"]}]}"#),
        ("ids", &format!(r#"{{"tenant":"acme","ids":[{many}]}}"#)),
        ("kind", r#"{"tenant":"acme","ids":[{"kind":"Zebra","id":"zebra"}]}"#),
        ("tenant", r#"{"tenant":"zebra/","ids":[{"kind":"user","id":"zebra"}]}"#),
    ] {
        let answer = world.post("agent", "/v1/erasures", body);
        assert_eq!((answer.code(), &answer.body["member"]), ((400, "invalid"), &member.into()), "{body}");
        assert!(!answer.body.to_string().to_lowercase().contains("zebra"));
    }
    let more = names("acme", "zebra").replace('{', r#"{"all":true,"#);
    assert_eq!(world.post("agent", "/v1/erasures", &more).code(), (400, "json"));
    assert_eq!(world.ask("GET", "/v1/erasures", "", "").code(), (405, "method_not_allowed"));
}

#[test]
fn same_key_is_one_request_and_a_flood_is_refused() {
    let world = World::new(PATIENT);
    let send = |path: &str, id: &str| world.post_with("agent", path, &names("acme", id), "Idempotency-Key: k\r\n");
    let first = place(&send("/v1/erasures", "u-1"));
    assert_eq!(place(&send("/v1/erasures", "u-1")), first);
    assert_eq!(world.jobs.lock().unwrap().try_iter().count(), 1);
    assert_eq!(send("/v1/erasures", "u-2").code(), (422, "idempotency_key_reused"));
    assert_eq!(send("/v1/access-requests", "u-1").code(), (422, "idempotency_key_reused"));

    // Asked again before anybody began with it, it is the same request and takes no second place, for as long as its pace lets one ask.
    let answers: Vec<_> = (0..11).map(|_| world.post("agent", "/v1/erasures", &names("acme", "u-3"))).collect();
    assert_eq!(answers[10].code(), (429, "too_many_decisions"));
    let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 202).map(place).collect();
    assert!(taken.len() > 5 && taken.iter().all(|place| *place == taken[0]), "{taken:?}");
    world.clock.advance(Duration::from_mins(10));
    for (token, path) in [("agent", "/v1/access-requests"), ("operator", "/v1/erasures")] {
        assert_eq!(world.post(token, path, &names("acme", "u-3")).status, 202);
    }
    let jobs: Vec<_> = world.jobs.lock().unwrap().try_iter().collect();
    assert_eq!(jobs.len(), 3);
    world.requests.begin(&jobs[0].id);
    let next = place(&world.post("agent", "/v1/erasures", &names("acme", "u-3")));
    assert_ne!(next, taken[0]);
    world.requests.end(&jobs[0].id, Ok(receipt()));
    assert_eq!(world.get("agent", &taken[0]).body["state"], "done");
    let jobs: Vec<_> = world.jobs.lock().unwrap().try_iter().collect();
    assert_eq!(jobs.len(), 1, "what came since it was begun is not in it");
    // One that is done takes no place beside the next one.
    world.requests.end(&jobs[0].id, Ok(receipt()));
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(world.post("agent", "/v1/erasures", &names("acme", "u-3")).status, 202);
    assert_eq!(world.get("agent", &next).code(), (404, "request_unknown"));
    assert_eq!(world.jobs.lock().unwrap().try_iter().count(), 1);
    world.clock.advance(Duration::from_mins(10));
    let full = (0..33).map(|n| {
        let body = format!(r#"{{"tenant":"acme","ids":[{{"kind":"user","id":"v-{n}"}}]}}"#);
        world.post("operator", "/v1/access-requests", &body)
    });
    assert_eq!(full.last().unwrap().code(), (503, "overloaded"));
    world.health.end();
    assert_eq!(world.post("agent", "/v1/erasures", &names("acme", "u-4")).code(), (503, "ending"));
}
