//! What becomes of the values of an event, field by field.

use crate::world::{LONG, World, fates, row};
use weir_policy::{ContractIx, PurposeId};

const TYPES: &str = include_str!("types.toml");

fn event(data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"1","source":"/test","type":"test.types","time":"2026-11-23T10:15:30.123Z","tenant":"acme","data":{{"user":{{"id":"u-1"}},{data}}}}}"#
    )
}

fn troubleshooting(data: &str) -> (Vec<String>, weir_filter::FieldCounts) {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    let read = |event: String| {
        let out = world.run(&[event]);
        assert_eq!(fates(&out, PurposeId::Troubleshooting), ["written"], "{data}");
        let rows = &out.troubleshooting.tables()[0];
        (row(&world.policy, rows, 0), out.tally.fields(ContractIx(0)))
    };
    let (short, long) = (read(event(data)), read(event(data) + &" ".repeat(LONG)));
    assert_eq!(short, long, "a long record is read where it lies, a short one in a place of its own: {data}");
    short
}

#[test]
fn values_that_fit_are_stored_as_their_type() {
    for (data, want) in [
        (r#""flag":true"#, "flag=true"),
        (r#""int8":-128"#, "int8=-128"),
        (r#""int8":1.0"#, "int8=1"),
        (r#""int8":12.7e1"#, "int8=127"),
        (r#""int8":-0"#, "int8=0"),
        (r#""int64":9007199254740993"#, "int64=9007199254740993"),
        (r#""int64":-9223372036854775808"#, "int64=-9223372036854775808"),
        (r#""uint64":18446744073709551615"#, "uint64=18446744073709551615"),
        (r#""latency":48"#, "latency=48"),
        (r#""float":-0"#, "float=0"),
        (r#""float":0.1"#, "float=0.1"),
        (r#""float":1.5e-7"#, "float=0.00000015"),
        (r#""price":12.5"#, "price=1250"),
        (r#""price":"-9999.99""#, "price=-999999"),
        (r#""took":1.5"#, "took_us=1500"),
        (r#""took":-0.0001"#, "took_us=-1"),
        (r#""at":"2026-11-23T12:34:56.789+02:00""#, "at=1795430040000000"),
        (r#""word":"two""#, "word=two"),
        (r#""word":"t\u0077o""#, "word=two"),
        (r#""country":"de""#, "country=DE"),
        (r#""version":"1.20.3""#, "version=1.20.3"),
        (r#""status":404"#, "status=404"),
        (r#""ip":"203.0.113.77""#, "ip=203.0.113.0/24"),
        (r#""ip":"::ffff:203.0.113.77""#, "ip=203.0.113.0/24"),
        (r#""tags":["red","blue"]"#, "tags=[red,blue]"),
        (r#""tags":[]"#, "tags=[]"),
        (r#""t\u0061gs":["red",null]"#, "tags=[red,null]"),
    ] {
        let (row, counts) = troubleshooting(data);
        assert_eq!(row, [want], "{data}");
        assert_eq!(counts, weir_filter::FieldCounts { not_permitted: 0, ..Default::default() }, "{data}");
    }
}

#[test]
fn other_json_types_and_inexact_values_are_null_and_counted() {
    for data in [
        r#""flag":"true""#,
        r#""flag":1"#,
        r#""int8":"1""#,
        r#""int8":1.5"#,
        r#""int8":true"#,
        r#""int8":[1]"#,
        r#""int8":{}"#,
        r#""float":"1""#,
        r#""price":1.005"#,
        r#""price":"12,5""#,
        r#""price":" 1""#,
        r#""took":"5""#,
        r#""at":"yesterday""#,
        r#""at":5"#,
        r#""word":5"#,
        r#""word":"\ud800""#,
        r#""version":"1.2.3-alice""#,
        r#""status":"404""#,
        r#""ip":"localhost""#,
        r#""where":"nowhere""#,
        r#""tags":"red""#,
        r#""deep":5"#,
        r#""friend":true"#,
        r#""friend":" ""#,
    ] {
        let (row, counts) = troubleshooting(data);
        assert_eq!(row, [""; 0], "{data}");
        assert_eq!(counts, weir_filter::FieldCounts { wrong_type: 1, ..Default::default() }, "{data}");
    }
}

#[test]
fn numbers_outside_their_type_or_range_are_null_and_counted() {
    for data in [
        r#""int8":128"#,
        r#""int8":1e400"#,
        r#""int64":9223372036854775808"#,
        r#""uint64":18446744073709551616"#,
        r#""uint64":-1"#,
        r#""latency":600001"#,
        r#""latency":-1"#,
        r#""float":1e400"#,
        r#""price":10000"#,
        r#""took":1e300"#,
        r#""status":99"#,
        r#""status":600"#,
        r#""friend":1e40"#,
    ] {
        let (row, counts) = troubleshooting(data);
        assert_eq!(row, [""; 0], "{data}");
        assert_eq!(counts, weir_filter::FieldCounts { out_of_range: 1, ..Default::default() }, "{data}");
    }
}

#[test]
fn words_outside_their_list_are_stored_as_other() {
    for (data, want) in [
        (r#""word":"three""#, "word=__other__"),
        (r#""word":"""#, "word=__other__"),
        (r#""country":"Germany""#, "country=__other__"),
        (r#""agent":"Alice's own browser""#, "agent=__other__/0"),
    ] {
        let (row, counts) = troubleshooting(data);
        assert_eq!(row, [want], "{data}");
        assert_eq!(counts, weir_filter::FieldCounts { other_word: 1, ..Default::default() }, "{data}");
    }
}

#[test]
fn items_keep_their_places() {
    let (row, counts) = troubleshooting(
        r#""deep":{"items":[{"size":{"cm":5},"name":"chair"},null,{"name":"bench","x":[{}]},7,{"size":{"cm":300},"note":"private"},{"size":4}]}"#,
    );
    assert_eq!(
        row,
        ["deep_items_size_cm=[5,null,null,null,null,null]", "deep_items_name=[chair,null,__other__,null,null,null]"]
    );
    let want = weir_filter::FieldCounts {
        content: 1,
        other_word: 1,
        out_of_range: 1,
        undeclared: 1,
        wrong_type: 2,
        ..Default::default()
    };
    assert_eq!(counts, want);
}

#[test]
fn undeclared_members_and_content_are_counted_and_nothing_else() {
    let (row, counts) = troubleshooting(
        r#""user_id":"u-1","note":{"a":["b"]},"x":{"flag":true,"y":1},"Flag":true,"flag ":true,"fl\u0061g\u0000":true,"flag":null"#,
    );
    assert_eq!(row, [""; 0]);
    assert_eq!(counts, weir_filter::FieldCounts { content: 1, undeclared: 5, ..Default::default() });
}

#[test]
fn each_purpose_gets_its_own_precision_and_fields() {
    let world = World::new(&[TYPES]);
    world.permit("u-1");
    let out = world.run(&[event(r#""latency":149,"at":"2026-11-23T12:34:56.789Z","word":"one","friend":17"#)]);
    let rows = row(&world.policy, &out.troubleshooting.tables()[0], 0);
    assert_eq!(rows, ["latency=149", "at=1795437240000000", "word=one"]);
    let rows = row(&world.policy, &out.reliability.tables()[0], 0);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].starts_with("friend="));
    assert_eq!(rows[1], "latency=100");
    let rows = row(&world.policy, &out.personalization.tables()[0], 0);
    assert_eq!(rows, ["at=1795392000000000", "word=one"]);
    assert_eq!(out.troubleshooting.tables()[0].heads()[0].time(), 1_795_428_900_000_000);
    assert_eq!(out.reliability.tables()[0].heads()[0].time(), 1_795_428_000_000_000);
    assert_eq!(out.personalization.tables()[0].heads()[0].time(), 1_795_392_000_000_000);
    assert_eq!(out.personalization.tables()[0].date(), 20_780);
}

/// A sentinel such as the least number of a type must not become one that the column cannot hold.
#[test]
fn numbers_that_rounding_takes_out_of_their_type_are_null_and_counted() {
    let types = TYPES.replace("type     = \"int8\"", "type     = \"int8\"\nprecision = 5");
    let types = types.replace("type     = \"decimal(6,2)\"", "type     = \"decimal(6,2)\"\nprecision = 0.3");
    let world = World::new(&[&types]);
    world.permit("u-1");
    let read = |data| {
        let out = world.run(&[event(data)]);
        (row(&world.policy, &out.troubleshooting.tables()[0], 0), out.tally.fields(ContractIx(0)).out_of_range)
    };
    assert_eq!(read(r#""int8":-125,"price":-9999.9"#), (vec!["int8=-125".to_owned(), "price=-999990".to_owned()], 0));
    assert_eq!(read(r#""int8":-126,"price":-9999.91"#), (vec![], 2));
}

/// Every member of large objects, beside, inside and around each other, is told from the others, and met twice it is a fault.
#[test]
fn members_of_large_objects_are_told_apart() {
    let names: Vec<_> = (0..70).map(|number| format!("m{number}")).collect();
    let (head, _) = TYPES.split_once("[fields.\"friend\"]").unwrap();
    let ways = ["", "a.", "a.b.", "list[]."].into_iter();
    let fields = ways.flat_map(|way| names.iter().map(move |name| number_field(&format!("{way}{name}"))));
    let world = World::new(&[&format!("{head}{}", fields.collect::<String>())]);
    world.permit("u-1");
    let run = |twice: [&str; 4]| {
        let members = |at: usize| {
            let again = Some(twice[at]).filter(|name| !name.is_empty());
            let all = names.iter().map(String::as_str).chain(again);
            all.map(|name| format!("\"{name}\":{at}")).collect::<Vec<_>>().join(",")
        };
        let [data, a, b, item] = [0, 1, 2, 3].map(members);
        let list = format!(r#""list":[{{{item}}},{{{item}}}]"#);
        world.run(&[event(&format!(r#""a":{{"empty":{{}},"b":{{{b}}},{a}}},{list},{data}"#))])
    };
    let out = run([""; 4]);
    assert_eq!(fates(&out, PurposeId::Troubleshooting), ["written"]);
    let written = row(&world.policy, &out.troubleshooting.tables()[0], 0);
    for name in &names {
        for want in [format!("{name}=0"), format!("a_{name}=1"), format!("a_b_{name}=2"), format!("list_{name}=[3,3]")]
        {
            assert!(written.contains(&want), "{want} in {written:?}");
        }
    }
    // Of these some are among the last by name, of which a walk keeps account in another way.
    for name in ["m0", "m35", "m69", "m7", "m9"] {
        for at in 0..4 {
            let mut twice = [""; 4];
            twice[at] = name;
            assert_eq!(fates(&run(twice), PurposeId::Troubleshooting), ["duplicate_key"], "{name} in object {at}");
        }
    }
}

fn number_field(path: &str) -> String {
    format!(
        r#"
[fields."{path}"]
class    = "measure"
type     = "int64"
category = "system.operations"
purposes = ["troubleshooting"]
"#
    )
}
