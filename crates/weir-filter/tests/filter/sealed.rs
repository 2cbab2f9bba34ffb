//! Events whose data is sealed: the rows of those in clear, and a code for whatever does not open.

use crate::seal::seal;
use crate::world::{NOW_MS, World, fates, row};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use weir_filter::{Batch, Filtered, Headers, Limits, Origin, Pseudonym, Record, Tenants, TopicRules};
use weir_policy::{ContractIx, MalformedCode, Purpose, PurposeId};

const TYPES: &str = include_str!("types.toml");
const ATTRIBUTES: &str =
    r#""id":"1","source":"/test","type":"test.types","time":"2026-11-23T10:15:30.123Z","tenant":"acme""#;

fn world() -> (World, String) {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    let jwk = world.ring.rotate_sealing().unwrap().jwk();
    (world, jwk)
}

fn structured(attributes: &str, data: &str) -> String {
    format!(r#"{{"specversion":"1.0",{attributes},"data":{data}}}"#)
}

fn sealed(jwk: &str, attributes: &str, data: &str) -> String {
    let jwe = seal(jwk, attributes, data.as_bytes());
    structured(&format!(r#""datacontenttype":"Application/JOSE",{attributes}"#), &format!("\"{jwe}\""))
}

/// Headers of the event in binary mode, whose data is of a type.
fn headers(data: &'static str) -> [(&'static str, &'static [u8]); 7] {
    [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", b"/test"),
        ("ce_type", b"test.types"),
        ("ce_time", b"2026-11-23T10:15:30.123Z"),
        ("ce_tenant", b"acme"),
        ("content-type", data.as_bytes()),
    ]
}

fn run_binary(world: &World, media_type: &'static str, data: &str) -> Filtered {
    let headers = headers(media_type);
    world.run_records(&[Record::new(Origin(3), 0, Some(data.as_bytes()), Headers::new(&headers))])
}

/// Says all that became of events: fates, counts of fields, and every row.
fn seen(world: &World, out: &Filtered) -> String {
    fn rows<P: Purpose>(world: &World, batch: &Batch<P>, seen: &mut String) {
        for rows in batch.tables() {
            for at in 0..rows.len() {
                let head = &rows.heads()[at];
                let (id, subject) = (head.event_id().bytes(), head.subject().map(Pseudonym::bytes));
                writeln!(seen, "{} {id:?} {subject:?} {:?}", P::ID.name(), row(&world.policy, rows, at)).unwrap();
            }
        }
    }
    let mut seen =
        format!("{:?}\n{:?}\n", PurposeId::ALL.map(|purpose| fates(out, purpose)), out.tally.fields(ContractIx(0)));
    rows(world, &out.troubleshooting, &mut seen);
    rows(world, &out.reliability, &mut seen);
    rows(world, &out.personalization, &mut seen);
    seen
}

#[test]
fn sealed_events_give_the_rows_of_those_in_clear() {
    let (mut world, jwk) = world();
    world.limits = Limits { depth: 6, fields: 20, array_items: 3, ..Limits::default() };
    let more = r#","secgpc":"1","purposes":"reliability,personalization","contractversion":"1""#;
    let whole = r#"{"user":{"id":"u-1"},"friend":"b\u006fb","int8":7,"latency":149,"word":"red","tags":["red",null,"x"],"note":"dear diary","y":1}"#;
    let mut differing = BTreeSet::new();
    for data in [
        whole,
        r#"{"user":{"id":"u-2"}}"#,
        r#"{"user":{"id":"u-1"},"user":{"id":"u-2"}}"#,
        r#"{"us\u0065r":{"id":"u-1"},"int8":1e9}"#,
        r#"{"user":{"id":"u-1"},"tags":[1,2,3,4]}"#,
        r#"{"user":{"id":"u-1"},"x":[[[[[[1]]]]]]}"#,
        r#"{"user":{"id":"u-1"},"a":{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"0":1,"a":{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1}}}"#,
        r#"{"user":{"id":"u-1"}"#,
        r#"{"user":{"id":"u-1"}},"tenant":"globex""#,
        "null",
        " [1] ",
        "\"u-1\"",
    ] {
        let clear = run_binary(&world, "application/json", data);
        let want = seen(&world, &clear);
        assert_eq!(
            seen(&world, &run_binary(&world, "application/jose", &seal(&jwk, ATTRIBUTES, data.as_bytes()))),
            want,
            "{data}"
        );
        assert_eq!(seen(&world, &world.run(&[sealed(&jwk, ATTRIBUTES, data)])), want, "{data}");
        differing.insert(want);
        if clear.quarantine.is_empty() {
            let attributes = format!("{ATTRIBUTES}{more}");
            let want = seen(&world, &world.run(&[structured(&attributes, data)]));
            assert_eq!(seen(&world, &world.run(&[sealed(&jwk, &attributes, data)])), want, "{data}");
            let number = sealed(&jwk, &attributes, data).replace(r#""contractversion":"1""#, r#""contractversion":1"#);
            assert_eq!(seen(&world, &world.run(&[number])), want, "a number is its digits");
        }
    }
    assert!(differing.len() > 6, "the data makes no difference");
}

#[test]
fn sealed_and_clear_events_stand_together() {
    let (world, jwk) = world();
    let clear = structured(ATTRIBUTES, r#"{"user":{"id":"u-1"}}"#);
    let closed = sealed(&jwk, ATTRIBUTES, r#"{"user":{"id":"u-1"},"int8":3}"#);
    let out =
        world.run(&[clear.clone(), closed.clone(), "{".to_owned(), closed.replace("acme", "globex"), closed, clear]);
    let mut words = fates(&out, PurposeId::Reliability);
    words.sort_unstable();
    assert_eq!(words, ["json", "seal_event", "written", "written", "written", "written"]);
    let places: Vec<_> = out.quarantine.iter().map(|place| (place.position, place.code.code())).collect();
    assert_eq!(places, [(2, "json"), (3, "seal_event")]);
}

#[test]
fn what_does_not_open_has_a_code() {
    let (world, jwk) = world();
    let data = r#"{"user":{"id":"u-1"}}"#;
    let good = sealed(&jwk, ATTRIBUTES, data);
    let code = |event: &str| {
        let out = world.run(&[event]);
        assert_eq!(out.rows(), 0, "{event}");
        fates(&out, PurposeId::Troubleshooting)[0]
    };
    let with_data = |data: &str| structured(&format!(r#""datacontenttype":"application/jose",{ATTRIBUTES}"#), data);
    for data in ["5", "null", r#"{"user":{"id":"u-1"}}"#, "[]", "\"\"", r#""a.b.c.d.e""#, r#""\u0061.b.c.d.e""#] {
        assert_eq!(code(&with_data(data)), "seal_form", "{data}");
    }
    assert_eq!(
        code(
            &structured(&format!(r#""datacontenttype":"application/jose",{ATTRIBUTES}"#), "1")
                .replace(r#","data":1"#, "")
        ),
        "seal_form"
    );
    let other = World::new(&[TYPES]).ring.rotate_sealing().unwrap().jwk();
    assert_eq!(code(&sealed(&other, ATTRIBUTES, data)), "seal_key");
    let (before, tag) = good.rsplit_once('.').unwrap();
    let changed = if tag.starts_with('A') { tag.replacen('A', "B", 1) } else { format!("A{}", tag.split_at(1).1) };
    assert_eq!(code(&format!("{before}.{changed}")), "seal_broken");
    // Who carries the event cannot give it to somebody else, make it newer, or widen what it may serve.
    for (from, to) in [
        (r#""tenant":"acme","data""#, r#""tenant":"globex","data""#),
        (r#""id":"1","#, r#""id":"2","#),
        ("T10:15:30.123Z", "T10:15:30.124Z"),
        (r#""specversion""#, r#""purposes":"personalization","specversion""#),
        (r#""specversion""#, r#""secgpc":"1","specversion""#),
        (r#""specversion""#, r#""contractversion":1,"specversion""#),
    ] {
        assert_eq!(code(&good.replacen(from, to, 1)), "seal_event", "{to}");
    }
    let narrowed = format!(r#"{ATTRIBUTES},"purposes":"reliability""#);
    let stripped = sealed(&jwk, &narrowed, data).replacen(r#","purposes":"reliability""#, "", 1);
    assert_eq!(code(&stripped), "seal_event");
    // A fault of the envelope is told before one of the seal.
    assert_eq!(code(&good.replace("T10:15:30.123Z", "yesterday")), "time");
    assert_eq!(code(&good.replacen(r#""tenant":"acme","#, "", 1)), "envelope");
    assert_eq!(code(&good.replacen(r#""data""#, r#""data":1,"data""#, 1)), "duplicate_key");
    assert_eq!(fates(&run_binary(&world, "application/jose", data), PurposeId::Reliability), ["seal_form"]);
}

#[test]
fn event_in_clear_is_refused_where_events_must_be_sealed() {
    let (world, jwk) = world();
    let (clear, closed) =
        (structured(ATTRIBUTES, r#"{"user":{"id":"u-1"}}"#), sealed(&jwk, ATTRIBUTES, r#"{"user":{"id":"u-1"}}"#));
    let headers = headers("application/json");
    let rules = TopicRules { only_sealed: true, tenants: Tenants::AllBut(BTreeSet::new()) };
    let records = [
        Record::new(Origin(3), 0, Some(clear.as_bytes()), Headers::NONE).under(&rules),
        Record::new(Origin(3), 1, Some(b"{}"), Headers::new(&headers)).under(&rules),
        Record::new(Origin(3), 2, Some(b"{"), Headers::NONE).under(&rules),
        Record::new(Origin(3), 3, Some(closed.as_bytes()), Headers::NONE).under(&rules),
        Record::new(Origin(3), 4, Some(clear.as_bytes()), Headers::NONE),
    ];
    let out = world.run_records(&records);
    let places: Vec<_> = out.quarantine.iter().map(|place| (place.position, place.code.code())).collect();
    assert_eq!(places, [(0, "not_sealed"), (1, "not_sealed"), (2, "json")]);
    assert_eq!(out.rows(), 6);
}

/// Goal: a topic that is bound to tenants carries no other's events, whatever they look like, and one that is not none of those
/// that are bound elsewhere.
#[test]
fn event_of_a_tenant_that_its_topic_does_not_carry_is_refused() {
    let (world, jwk) = world();
    let data = r#"{"user":{"id":"u-1"}}"#;
    let events = [
        structured(ATTRIBUTES, data),
        structured(&ATTRIBUTES.replacen("acme", r"a\u0063me", 1), data),
        sealed(&jwk, ATTRIBUTES, data),
        structured(&ATTRIBUTES.replacen("acme", "acme ", 1), data),
    ];
    let refused = |tenants: Tenants| {
        let rules = TopicRules { only_sealed: false, tenants };
        let records = events.iter().zip(0..).map(|(event, position)| {
            Record::new(Origin(3), position, Some(event.as_bytes()), Headers::NONE).under(&rules)
        });
        let out = world.run_records(&records.collect::<Vec<_>>());
        let foreign = out.quarantine.iter().filter(|place| place.code == MalformedCode::ForeignTenant);
        let mut places: Vec<_> = foreign.map(|place| place.position).collect();
        places.sort_unstable();
        places
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(refused(Tenants::Only(names(&["acme", "globex"]))), [3]);
    assert_eq!(refused(Tenants::Only(names(&["acme "]))), [0, 1, 2]);
    assert_eq!(refused(Tenants::AllBut(names(&["acme"]))), [0, 1, 2]);
    assert_eq!(refused(Tenants::AllBut(names(&[]))), [0; 0]);
}

#[test]
fn older_key_opens_until_it_is_destroyed() {
    let (world, first) = world();
    let second = world.ring.rotate_sealing().unwrap();
    let events = [&first, &second.jwk()].map(|jwk| sealed(jwk, ATTRIBUTES, r#"{"user":{"id":"u-1"}}"#));
    assert_eq!(fates(&world.run(&events), PurposeId::Reliability), ["written", "written"]);
    let kid = world.keys().sealing_keys().last().unwrap().kid().to_owned();
    assert!(world.ring.destroy_sealing(&kid).unwrap());
    let mut words = fates(&world.run(&events), PurposeId::Reliability);
    words.sort_unstable();
    assert_eq!(words, ["seal_key", "written"]);
}

#[test]
fn sealed_event_is_explained_as_one_in_clear() {
    let (world, jwk) = world();
    let view = world.store.view(NOW_MS, i64::MAX).unwrap();
    let explain = |event: &str| {
        let record = Record::new(Origin(0), 0, Some(event.as_bytes()), Headers::NONE);
        world.filter().explain(&record, &view, NOW_MS)
    };
    for data in [r#"{"user":{"id":"u-1"},"int8":"x","note":"dear","z":1}"#, "{", "5"] {
        let clear = explain(&structured(ATTRIBUTES, data));
        assert_eq!(explain(&sealed(&jwk, ATTRIBUTES, data)), clear, "{data}");
    }
    let refused = explain(&sealed(&jwk, ATTRIBUTES, "{}").replacen("acme", "globex", 1));
    assert_eq!(refused.fates[0].code(), Some("seal_event"));
}
