//! What becomes of records: every reason and code, and which of several counts.

use crate::world::{LONG, LONG_AGO_MS, NOW_MS, World, fates, row};
use weir_consent::Status;
use weir_filter::{Head, Headers, Limits, Origin, Record};
use weir_policy::Purpose;
use weir_policy::PurposeId::{self, Personalization, Reliability, Troubleshooting};

const TYPES: &str = include_str!("types.toml");
const DAY_MS: i64 = 86_400_000;

fn event(attributes: &str, data: &str) -> String {
    let required = r#""specversion":"1.0","id":"1","source":"/test","type":"test.types""#;
    format!(
        r#"{{{required},"time":"2026-11-23T10:15:30.123Z","tenant":"acme"{attributes},"data":{{"user":{{"id":"u-1"}}{data}}}}}"#
    )
}

/// Asserts one fate of one record, for each purpose.
fn assert_fates(world: &World, event: impl AsRef<[u8]>, want: [&str; 3]) {
    let event = event.as_ref();
    let out = world.run(&[event]);
    for purpose in PurposeId::ALL {
        let text = String::from_utf8_lossy(event);
        assert_eq!(fates(&out, purpose), [want[purpose.index()]], "{} of {text}", purpose.name());
    }
    let is_quarantined = out.quarantine.len() == 1;
    let is_code = weir_policy::MalformedCode::parse(want[0]).is_some();
    assert_eq!(is_quarantined, is_code);
    if is_code {
        assert_eq!(out.rows(), 0);
        assert_eq!(out.quarantine[0].code.code(), want[0]);
    }
}

fn assert_code(event: impl AsRef<[u8]>, code: &str) {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    assert_fates(&world, &event, [code; 3]);
    if code != "empty" {
        // A long record is read where it lies, a short one in a place of its own.
        let long = [" ".repeat(LONG).as_bytes(), event.as_ref()].concat();
        assert_fates(&world, long, [code; 3]);
    }
}

#[test]
fn what_is_permitted_is_written() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    for event in [
        event("", ""),
        event(r#","contractversion":"1""#, ""),
        event(r#","contractversion":1"#, ""),
        event(r#","contractversion":null,"purposes":null,"unknown":{"a":[1]}"#, ""),
        event(r#","secgpc":"0""#, ""),
        event(r#","datacontenttype":"Application/JSON; charset=utf-8""#, ""),
        format!(" \t\r\n{}\n", event("", r#" , "int8" : 1 "#).replace(':', " :\t"))
            .replace("T10 :\t15 :\t30", "T10:15:30"),
    ] {
        assert_fates(&world, event, ["written"; 3]);
    }
    let late = r#"{"data":{"user":{"id":"u-1"}},"t\u0079pe":"test.types","tenant":"ac\u006de","time":"2026-11-23T10:15:30Z","source":"s","id":"1","specversion":"1.0"}"#;
    assert_fates(&world, late, ["written"; 3]);
}

#[test]
fn reasons_come_in_the_order_of_the_table() {
    let contract = TYPES
        .replace("\"personalization\"", "\"reliability\"")
        .replace("[\"reliability\", \"reliability\"]", "[\"reliability\"]");
    let expired = contract.replace("2030-01-01", "2026-11-22");
    let narrowed = r#","purposes":"reliability, troubleshooting ,advertising","secgpc":"1""#;
    let world = World::new(&[&contract]);
    // Nobody agreed to anything: each step on the way takes the reason before it away.
    world.agree("acme", Troubleshooting, Status::Withdrawn);
    let nobody = event(narrowed, "").replace("\"u-1\"", "1.5");
    assert_fates(&world, nobody, ["no_subject", "no_subject", "not_declared"]);
    assert_fates(
        &World::new(&[&expired]),
        event(narrowed, ""),
        ["contract_expired", "contract_expired", "not_declared"],
    );
    assert_fates(&world, event(narrowed, ""), ["no_tenant_agreement", "no_consent_record", "not_declared"]);

    let world = World::new(&[TYPES]);
    let limit = |purposes: &str| format!(r#","secgpc":"1","purposes":"{purposes}""#);
    let narrow = "narrowed_by_producer";
    assert_fates(&world, event(&limit(""), ""), [narrow; 3]);
    assert_fates(&world, event(&limit("marketing"), ""), [narrow; 3]);
    assert_fates(&world, event(&limit("personalization"), ""), [narrow, narrow, "gpc"]);
    assert_fates(&world, event(&limit("reliability"), ""), [narrow, "no_consent_record", narrow]);
}

#[test]
fn consent_is_that_of_the_canonical_subject_and_its_tenant() {
    let world = World::new(&[TYPES]);
    world.choose("u-1", Troubleshooting, Status::Given, LONG_AGO_MS);
    world.choose("u-1", Reliability, Status::Refused, LONG_AGO_MS);
    world.choose("u-1", Personalization, Status::Given, NOW_MS);
    let want = ["written", "consent_refused", "consent_after_event"];
    assert_fates(&world, event("", ""), want);
    assert_fates(&world, event("", "").replace("\"u-1\"", "\" u-1\\t\""), want);
    assert_fates(&world, event("", "").replace("acme", "other"), ["no_tenant_agreement"; 3]);
    world.choose("17", Troubleshooting, Status::Given, LONG_AGO_MS);
    assert_fates(&world, event("", "").replace("\"u-1\"", "17"), ["written", "no_consent_record", "no_consent_record"]);
    assert_fates(
        &world,
        event("", "").replace("\"u-1\"", "1.7e1"),
        ["written", "no_consent_record", "no_consent_record"],
    );
}

#[test]
fn erasure_reaches_every_identifier_of_an_event() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    world.erase("user", "u-2", NOW_MS);
    assert_fates(&world, event("", r#","friend":"u-3""#), ["written"; 3]);
    assert_fates(&world, event("", r#","friend":"u-2""#), ["erased"; 3]);

    let friends = "\n[fields.\"friends[]\"]\nclass = \"identifier\"\nkind = \"user\"\ncategory = \"user.unique_id\"\npurposes = [\"reliability\"]\n";
    let world = World::new(&[&format!("{TYPES}{friends}")]);
    world.permit("u-1");
    world.erase("user", "f-7", NOW_MS);
    let named = |numbers: std::ops::Range<u32>| {
        // Each twice, and the subject among them.
        let names: Vec<_> = numbers.clone().chain(numbers).map(|number| format!("\"f-{number}\"")).collect();
        event("", &format!(r#","friends":["u-1",{},"u-1"]"#, names.join(",")))
    };
    for many in [5, 500] {
        assert_fates(&world, named(0..many), if many > 7 { ["erased"; 3] } else { ["written"; 3] });
        assert_fates(&world, named(8..many + 8), ["written"; 3]);
    }
}

#[test]
fn time_must_be_one_that_the_purpose_keeps() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    let at =
        |ms: i64| event("", "").replace("2026-11-23T10:15:30.123Z", &weir_policy::values::time::render(ms * 1_000));
    let late = "time_out_of_range";
    assert_fates(&world, at(NOW_MS + 600_000), ["written"; 3]);
    assert_fates(&world, at(NOW_MS + 600_001), [late; 3]);
    assert_fates(&world, at(NOW_MS - 30 * DAY_MS), ["written"; 3]);
    assert_fates(&world, at(NOW_MS - 30 * DAY_MS - 1), [late, "written", "written"]);
    assert_fates(&world, at(NOW_MS - 180 * DAY_MS - 1), [late, "written", late]);
    assert_fates(&world, at(NOW_MS - 395 * DAY_MS - 1), [late; 3]);
    assert_fates(&world, at(253_402_300_799_999), [late; 3]);
}

#[test]
fn without_keys_the_epoch_is_closed() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    world.ring.destroy_tenant("acme").unwrap();
    assert_fates(&world, event("", ""), ["epoch_closed"; 3]);
}

#[test]
fn what_is_not_json_is_malformed_also_where_it_would_be_dropped() {
    let good = event("", r#","x":{"y":[1,"a",null]}"#);
    for (from, to) in [
        (r#"[1,"a",null]"#, r#"[1,"a",nul]"#),
        (r#"[1,"a",null]"#, r#"[1,"a",,null]"#),
        (r#"[1,"a",null]"#, r#"[1,"a",null}"#),
        (r#"[1,"a",null]"#, r"[01]"),
        (r#"[1,"a",null]"#, r"[1.]"),
        (r#"[1,"a",null]"#, r#"["\x"]"#),
        (r#"[1,"a",null]"#, r#"["\u12"]"#),
        (r#"[1,"a",null]"#, "[\"\t\"]"),
        (r#"[1,"a",null]"#, "[1]]"),
        (r#"[1,"a",null]"#, "'a'"),
        (r#"[1,"a",null]"#, "{a:1}"),
        (r#"[1,"a",null]"#, r#"{"a"}"#),
        (r#"[1,"a",null]"#, r#"{"a":1,}"#),
        (r#"[1,"a",null]"#, "[true false]"),
        (r#"[1,"a",null]"#, "tru"),
        (r#"[1,"a",null]"#, "[1]\"\""),
        (r#"[1,"a",null]"#, "[1]\\\"\\\""),
        (r#"{"specversion""#, r#"{,"specversion""#),
        (r#"{"specversion""#, r"{specversion"),
        (r#"{"specversion""#, r#"{}{"specversion""#),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert_code(&bad, "json");
        // The same without a contract, and without a tenant: still not JSON.
        assert_code(bad.replace("test.types", "test.nobody"), "json");
        assert_code(bad.replace("\"tenant\"", "\"tenants\""), "json");
    }
    for bad in ["null", "[]", "\"\"", "5", " ", "{", "}", "{}{}", "\u{feff}{}", "{\"a\":1}x", "{\"a\":1}\0"] {
        assert_code(bad, "json");
    }
    assert_code([&b"{\"a\":\"\xC3\x28\"}"[..]].concat(), "utf8");
    assert_code([&b"{\"a\":\"\xED\xA0\x80\", "[..]].concat(), "utf8");
}

#[test]
fn the_envelope_must_be_that_of_cloudevents() {
    for (from, to, code) in [
        (r#""specversion":"1.0","#, "", "envelope"),
        (r#""specversion":"1.0""#, r#""specversion":"0.3""#, "envelope"),
        (r#""specversion":"1.0""#, r#""specversion":1.0"#, "envelope"),
        (r#""id":"1","#, "", "envelope"),
        (r#""id":"1""#, r#""id":"""#, "envelope"),
        (r#""id":"1""#, r#""id":1"#, "envelope"),
        (r#""id":"1""#, r#""id":null"#, "envelope"),
        (r#""id":"1""#, r#""id":"\ud800""#, "envelope"),
        (r#""source":"/test","#, "", "envelope"),
        (r#""tenant":"acme","#, "", "envelope"),
        (r#""tenant":"acme""#, r#""tenant":{"a":1}"#, "envelope"),
        (r#""type":"test.types","#, "", "envelope"),
        (r#""data""#, r#""secgpc":1,"data""#, "envelope"),
        (r#""data""#, r#""purposes":["reliability"],"data""#, "envelope"),
        (r#""data""#, r#""contractversion":"v1","data""#, "envelope"),
        (r#""data""#, r#""contractversion":"01","data""#, "envelope"),
        (r#""data""#, r#""contractversion":1.0,"data""#, "envelope"),
        (r#""data""#, r#""contractversion":"2","data""#, "no_contract"),
        (r#""data""#, r#""datacontenttype":"text/plain","data""#, "envelope"),
        (r#""data""#, r#""data_base64":"AA==","data""#, "envelope"),
        ("test.types", "test.type", "no_contract"),
        (r#""time":"2026-11-23T10:15:30.123Z","#, "", "time"),
        ("2026-11-23T10:15:30.123Z", "2026-11-23", "time"),
        (r#""2026-11-23T10:15:30.123Z""#, "5", "time"),
        (r#""id":"1""#, r#""id":"1","id":"1""#, "duplicate_key"),
        (r#""id":"1""#, r#""id":null,"i\u0064":"1""#, "duplicate_key"),
        (r#""data":{"#, r#""data":{"a":1},"data":{"#, "duplicate_key"),
        (r#""user":{"#, r#""user":{},"user":{"#, "duplicate_key"),
        (r#""user":{"id":"u-1"}"#, r#""user":{"id":"u-1","\u0069d":"u-2"}"#, "duplicate_key"),
        (r#""user":{"#, r#""note":1,"note":2,"user":{"#, "duplicate_key"),
        (r#""user":{"#, r#""x":1,"x":2,"user":{"#, "written"),
        (r#""user":{"#, r#""deep":{"items":[{"name":"a"},{"name":"a","name":"b"}]},"user":{"#, "duplicate_key"),
        (r#""user":{"#, r#""deep":{"items":[{"name":"a"},{"name":"a"}]},"user":{"#, "written"),
    ] {
        let event = event("", "");
        let changed = event.replace(from, to);
        assert_ne!(changed, event);
        let world = World::new(&[TYPES]);
        world.permit("u-1");
        assert_fates(&world, changed, [code; 3]);
    }
}

#[test]
fn data_that_is_no_object_has_no_fields() {
    let world = World::new(&[TYPES]);
    for data in ["null", "5", "\"u-1\"", "[{\"user\":{\"id\":\"u-1\"}}]", "{}", "{\"user\":\"u-1\"}"] {
        let event = event("", "").replace(r#"{"user":{"id":"u-1"}}"#, data);
        assert_fates(&world, event, ["no_subject"; 3]);
    }
}

#[test]
fn limits_are_exact() {
    let mut world = World::new(&[TYPES]);
    world.permit("u-1");
    let event = event("", r#","x":[[[1]]],"tags":["red","red","red"]"#);
    world.limits = Limits { record_bytes: event.len(), depth: 5, fields: 11, array_items: 3 };
    assert_fates(&world, &event, ["written"; 3]);
    for (limits, code) in [
        (Limits { record_bytes: event.len() - 1, ..world.limits }, "too_large"),
        (Limits { depth: 4, ..world.limits }, "too_deep"),
        (Limits { fields: 10, ..world.limits }, "too_many_fields"),
        (Limits { array_items: 2, ..world.limits }, "too_many_items"),
        (Limits { array_items: 0, ..world.limits }, "too_many_items"),
    ] {
        world.limits = limits;
        assert_fates(&world, &event, [code; 3]);
        world.limits = Limits { record_bytes: event.len(), depth: 5, fields: 11, array_items: 3 };
    }
    let bomb = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    world.limits = Limits::default();
    assert_fates(&world, event.replace("[[[1]]]", &bomb), ["too_deep"; 3]);
    assert_fates(&world, event.replace("[[[1]]]", bomb.strip_prefix('[').unwrap()), ["json"; 3]);
}

#[test]
fn binary_mode_says_the_same() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    let headers: Vec<(&str, &[u8])> = vec![
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"/test"),
        ("ce_type", b"test.types"),
        ("ce_time", b"2026-11-23T10:15:30.123Z"),
        ("ce_tenant", b"acme"),
        ("traceparent", b"\xFF"),
    ];
    let run = |headers: &[(&str, &[u8])], value: &[u8]| {
        let out = world.run_records(&[Record::new(Origin(0), 0, Some(value), Headers::new(headers))]);
        fates(&out, Troubleshooting)[0]
    };
    let value = br#"{"user":{"id":"u-1"}}"#;
    assert_eq!(run(&headers, value), "written");
    assert_eq!(run(&headers[1..], value), "envelope", "data without a content type is not known to be JSON");
    assert_eq!(run(&headers[..6], value), "envelope", "no tenant");
    assert_eq!(run(&headers, b"{\"user\":{\"id\":\"u-1\"}"), "json");
    assert_eq!(run(&headers, b"5"), "no_subject");
    assert_eq!(run(&[&headers[..], &[("ce_id", b"2")]].concat(), value), "duplicate_key");
    assert_eq!(run(&[&headers[..], &[("ce_purposes", b"\xFF")]].concat(), value), "envelope");
    let structured = event("", "");
    let json: (&str, &[u8]) = ("Content-Type", b"application/cloudevents+json; charset=UTF-8");
    assert_eq!(run(&[json, ("ce_specversion", b"1.0")], structured.as_bytes()), "written");
    let batch: (&str, &[u8]) = ("content-type", b"application/cloudevents-batch+json");
    assert_eq!(run(&[batch], format!("[{structured}]").as_bytes()), "envelope");
    let out = world.run_records(&[Record::new(Origin(0), 0, None, Headers::new(&headers))]);
    assert_eq!(fates(&out, Reliability), ["empty"]);
}

#[test]
fn withdrawal_takes_rows_out_of_open_columns() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    world.permit("u-2");
    world.permit("u-3");
    let events = ["u-1", "u-2", "u-3"].map(|user| event("", r#","tags":["red",null]"#).replace("u-1", user));
    let mut out = world.run(&events);
    assert_eq!(out.rows(), 9);
    world.choose("u-1", Reliability, Status::Withdrawn, NOW_MS);
    world.erase("user", "u-3", NOW_MS);
    let view = world.store.view(NOW_MS, i64::MAX).unwrap();
    assert_eq!(out.retain_permitted(&view, &world.policy, "eu", NOW_MS), 4);
    assert_eq!(fates(&out, Reliability), ["withdrawn_before_commit", "erased", "written"]);
    assert_eq!(fates(&out, Troubleshooting), ["erased", "written", "written"]);
    let rows = &out.troubleshooting.tables()[0];
    assert_eq!(rows.len(), 2);
    assert_eq!(row(&world.policy, rows, 1), ["tags=[red,null]"]);
    assert_eq!(out.retain_permitted(&view, &world.policy, "eu", NOW_MS), 0);
}

#[test]
fn pseudonyms_join_within_a_purpose_and_nowhere_else() {
    fn subject<P: Purpose>(head: &Head<P>) -> [u8; 16] {
        head.subject().unwrap().bytes()
    }
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    let out = world.run(&[event("", r#","friend":"u-1""#), event("", "").replace("\"id\":\"1\"", "\"id\":\"2\"")]);
    let (one, two) = (&out.troubleshooting.tables()[0], &out.reliability.tables()[0]);
    let ([first, second], other) = ([0, 1].map(|row| &one.heads()[row]), &two.heads()[0]);
    assert_eq!(subject(first), subject(second));
    assert_ne!(subject(first), subject(other));
    assert_ne!(first.event_id().bytes(), second.event_id().bytes());
    assert_ne!(first.event_id().bytes(), other.event_id().bytes());
    let friend = row(&world.policy, two, 0);
    let subject = u128::from_be_bytes(subject(other));
    assert_eq!(friend, [format!("friend={subject:032x}")], "one kind joins within a purpose");
    assert_eq!((one.people(), two.people()), (1, 1));
}
