//! Producers that seal: two JOSE libraries of other languages, with the code that the documentation gives to services.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use weir_testkit::corpus::{Corpus, Flaws, Options, Produced};
use weir_testkit::readers::Engine;

use crate::broker::Broker;
use crate::expected::{Expected, covered};
use crate::program::Weir;
use crate::world::{Settings, World, name};

/// Half of the events are sealed by Python, half by Node, in both modes, the later half to a second key: the lake has the rows of the
/// reference over the same events in clear, and no value of `data` stands in the topic. What comes in clear, for another event, or
/// sealed to a key that was destroyed, gives no row and is accounted for.
#[test]
fn sealed_events_become_the_rows_of_those_in_clear_and_the_broker_sees_none_of_their_data() {
    let broker = Broker::given();
    let settings = Settings::of_kafka(&broker.address, &name("sealed"));
    let world = World::new(&settings);
    let topic = settings.kafka.as_ref().unwrap().topic.clone();
    demand_sealed(&world, &topic);
    broker.create_topics(&settings, 2);
    let corpus = corpus(&world);
    let clear: Vec<_> = (0..EVENTS).map(|number| corpus.event(number)).collect();
    broker.consent(&settings, world.consents(&corpus));

    let (older, newer) = clear.split_at(clear.len() / 2);
    let first_key = new_key(&world);
    let mut sealed = seal(&world, older);
    assert_ne!(new_key(&world), first_key);
    sealed.extend(seal(&world, newer));
    broker.produce(&topic, 2, sealed.iter().cloned());
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();
    let expected = Expected::of(&world, &corpus, world.consents(&corpus), clear.iter().cloned());
    assert!(expected.rows() > EVENTS / 2, "{} rows prove little", expected.rows());
    expected.assert_read_by(&world, &[Engine::Deltalake]);

    let in_clear = format!("{topic}-clear");
    broker.create(&in_clear, 1, &[]);
    broker.produce(&in_clear, 1, clear.iter().map(|record| Produced { key: Vec::new(), ..record.clone() }));
    let [closed, open] = [&topic, &in_clear].map(|topic| String::from_utf8_lossy(&broker.bytes_of(topic)).into_owned());
    let values: Vec<_> = values(&clear).into_iter().filter(|value| open.contains(value)).collect();
    assert!(values.len() > 100, "the search finds {} values where nothing is sealed", values.len());
    let found: Vec<_> = values.iter().filter(|value| closed.contains(*value)).collect();
    assert!(found.is_empty(), "{found:?} stand in the topic");

    // Every third is the bare JWE.
    let explained = (0..60).step_by(3).filter(|at| is_explained(&world, &clear[*at], &sealed[*at])).count();
    assert!(explained > 5, "{explained} have a row");
    Weir::new(&world, ["keys", "destroy", "--sealing", &first_key, "--yes"]).run().assert_done();
    let moved = with_other_tenant(sealed.last().unwrap());
    broker.produce(&topic, 1, [sealed[0].clone(), moved, clear[0].clone()].into_iter());
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();
    expected.assert_read_by(&world, &[Engine::Deltalake]);
    for code in ["seal_key", "seal_event", "not_sealed"] {
        assert_eq!(covered(&world, &format!("reason = '{code}'")), 3, "{code}, once for each purpose");
    }
    Weir::new(&world, ["audit"]).run().assert_done();
}

/// One topic is bound to a tenant, the other to nobody, and both get the events of everybody: each event counts once, from the topic
/// that carries its tenant's.
#[test]
fn producer_speaks_for_the_tenants_of_its_topic_only() {
    let broker = Broker::given();
    let settings = Settings::of_kafka(&broker.address, &name("tenants"));
    let world = World::new(&settings);
    let shared = settings.kafka.as_ref().unwrap().topic.clone();
    let own = format!("{shared}-own");
    let corpus = corpus(&world);
    let events: Vec<_> = (0..EVENTS).map(|number| corpus.event(number)).collect();
    let tenant = corpus.person(0).tenant;
    let topics = format!("topics = [\"{shared}\", \"{own}\"]\ntopic_tenants = {{ \"{own}\" = [\"{tenant}\"] }}\n");
    with_topics(&world, &shared, &topics);
    broker.create_topics(&settings, 2);
    broker.create(&own, 1, &[]);
    broker.consent(&settings, world.consents(&corpus));
    broker.produce(&shared, 2, events.iter().cloned());
    broker.produce(&own, 1, events.iter().cloned());
    Weir::new(&world, ["run", "--until-caught-up"]).run().assert_done();

    Expected::of(&world, &corpus, world.consents(&corpus), events.into_iter())
        .assert_read_by(&world, &[Engine::Deltalake]);
    let refused = |topic| {
        covered(&world, &format!("topic = '{topic}' AND reason = 'foreign_tenant' AND purpose = 'reliability'"))
    };
    let (of_shared, of_own) = (refused(&shared), refused(&own));
    assert_eq!(of_shared + of_own, EVENTS, "each event is refused once");
    assert!(of_shared > 0 && of_own > of_shared, "{of_shared} of the one tenant, {of_own} of nineteen others");
    Weir::new(&world, ["audit"]).run().assert_done();
}

/// Says in the configuration that the topic takes sealed events only.
fn demand_sealed(world: &World, topic: &str) {
    let topics = format!("topics = [\"{topic}\"]\n");
    with_topics(world, topic, &format!("{topics}sealed_{topics}"));
}

/// Replaces in the configuration what it says of its topic.
fn with_topics(world: &World, topic: &str, lines: &str) {
    let config = fs::read_to_string(world.path("weir.toml")).unwrap();
    let changed = config.replace(&format!("topics = [\"{topic}\"]\n"), lines);
    assert_ne!(config, changed);
    fs::write(world.path("weir.toml"), changed).unwrap();
}

/// Events in binary mode, since their data stands there as a text of its own; each could come from a service.
fn corpus(world: &World) -> Corpus {
    let flaws = Flaws {
        binary_mode: 1_000,
        missing_attribute: 0,
        duplicate_key: 0,
        malformed: 0,
        tombstone: 0,
        ..Flaws::default()
    };
    world.corpus(31, Options { people: 200, tenants: 20, events: EVENTS, flaws, ..Options::ending(0) })
}

/// Makes a key, publishes it, and returns its name.
fn new_key(world: &World) -> String {
    Weir::new(world, ["keys", "rotate-sealing"]).run().assert_done();
    let public = Weir::new(world, ["keys", "export-public"]).run().assert_done();
    fs::write(world.path("weir-public.json"), &public).unwrap();
    let public: Value = serde_json::from_str(&public).unwrap();
    let newest = public["keys"].as_array().unwrap().iter().find(|key| key["use"] == "enc").unwrap();
    assert_eq!([&newest["alg"], &newest["crv"]], ["ECDH-ES", "P-256"]);
    newest["kid"].as_str().unwrap().to_owned()
}

/// Seals events with the pieces of the documentation: every other by Python, and two of three sealed ones in structured mode.
fn seal(world: &World, clear: &[Produced]) -> Vec<Produced> {
    let half = |rest: usize| clear.iter().skip(rest).step_by(2).map(asked).collect::<String>();
    let python = format!("{}\n{PYTHON}", piece("python"));
    let node = format!("{}\n{NODE}", piece("javascript"));
    let provider = std::env::var("WEIR_TEST_PROVIDER").expect("cargo xtask test installs the libraries of Node");
    let modules = Path::new(&provider).ancestors().nth(2).unwrap();
    if !world.path("node_modules").exists() {
        symlink(modules, world.path("node_modules")).unwrap();
    }
    let interpreter = std::env::var("WEIR_TEST_PYTHON").expect("cargo xtask test installs the libraries of Python");
    let by_python = run(world, Command::new(interpreter).arg(script(world, "seal.py", &python)), &half(0));
    let by_node = run(world, Command::new("node").arg(script(world, "seal.mjs", &node)), &half(1));
    assert_eq!(by_python.len() + by_node.len(), clear.len());
    let (mut by_python, mut by_node) = (by_python.into_iter(), by_node.into_iter());
    let each = (0..clear.len()).map(|at| if at % 2 == 0 { by_python.next() } else { by_node.next() }.unwrap());
    each.enumerate().map(|(at, event)| if at % 3 == 0 { binary(&event) } else { structured(&event) }).collect()
}

fn script(world: &World, name: &str, text: &str) -> std::path::PathBuf {
    fs::write(world.path(name), text).unwrap();
    world.path(name)
}

/// Returns what a program prints when it is given these lines.
fn run(world: &World, program: &mut Command, lines: &str) -> Vec<Value> {
    let input = script(world, "to-seal.ndjson", lines);
    let program = program.current_dir(world.path("")).stdin(File::open(input).unwrap()).stderr(Stdio::inherit());
    let output = program.output().unwrap();
    assert!(output.status.success(), "a producer failed");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the piece of the documentation in a language.
fn piece(language: &str) -> &'static str {
    let (_, rest) = include_str!("../../docs/security.md").split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// What a producer knows of an event, as a line: its attributes, and its data as text.
fn asked(record: &Produced) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let attributes = record.headers.iter().filter_map(|(name, value)| Some((name.strip_prefix("ce_")?, text(value))));
    let attributes: serde_json::Map<_, _> = attributes.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    format!("{}\n", json!({"attributes": attributes, "data": text(record.value.as_deref().unwrap())}))
}

fn structured(event: &Value) -> Produced {
    Produced { value: Some(event.to_string().into_bytes()), ..Produced::default() }
}

fn binary(event: &Value) -> Produced {
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let attributes =
        event.as_object().unwrap().iter().filter(|(name, _)| *name != "data" && *name != "datacontenttype");
    let mut headers: Vec<_> = attributes.map(|(name, value)| (format!("ce_{name}"), text(value))).collect();
    headers.push(("content-type".to_owned(), text(&event["datacontenttype"])));
    Produced { headers, value: Some(text(&event["data"])), ..Produced::default() }
}

/// What somebody makes of a sealed event who would have it count for another tenant.
fn with_other_tenant(record: &Produced) -> Produced {
    let mut event: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    event["tenant"] = json!("somebody-else");
    structured(&event)
}

/// Returns texts of the events' data that are nobody's attribute.
fn values(records: &[Produced]) -> Vec<String> {
    let mut values = Vec::new();
    for record in records {
        let Ok(data) = serde_json::from_slice::<Value>(record.value.as_deref().unwrap()) else { continue };
        let mut left = vec![&data];
        while let Some(value) = left.pop() {
            match value {
                Value::Array(items) => left.extend(items),
                Value::Object(members) => left.extend(members.values()),
                Value::String(text) if text.len() >= 8 => values.push(text.clone()),
                Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
            }
        }
    }
    values.sort_unstable();
    values.dedup();
    let headers: Vec<_> = records.iter().flat_map(|record| &record.headers).map(|(_, value)| value).collect();
    let is_attribute = |text: &String| headers.iter().any(|value| String::from_utf8_lossy(value).contains(text));
    let step = values.len().div_ceil(400).max(1);
    values.into_iter().step_by(step).filter(|text| !is_attribute(text)).collect()
}

/// Sees that `weir explain` says of a sealed event what it says of the same one in clear; tells whether it has a row.
fn is_explained(world: &World, clear: &Produced, sealed: &Produced) -> bool {
    let mut event: Value = serde_json::from_str(&asked(clear)).unwrap();
    let mut attributes = event["attributes"].take();
    let path = world.path("event.json");
    let mut explain = |media_type: &str, data: &str| {
        (attributes["datacontenttype"], attributes["data"]) = (json!(media_type), json!("@data@"));
        fs::write(&path, attributes.to_string().replace("\"@data@\"", data)).unwrap();
        Weir::new(world, ["explain", "--assume-consent", path.to_str().unwrap()]).run().assert_done()
    };
    let in_clear = explain("application/json", event["data"].as_str().unwrap());
    let jwe = String::from_utf8(sealed.value.clone().unwrap()).unwrap();
    assert_eq!(explain("application/jose", &format!("\"{jwe}\"")), in_clear);
    in_clear.contains("a row is written")
}

const EVENTS: u64 = 1_200;

const PYTHON: &str = r#"
import sys
for line in sys.stdin:
    event = json.loads(line)
    print(json.dumps(seal(event["attributes"], event["data"])))
"#;

const NODE: &str = r#"
for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const event = JSON.parse(line);
  console.log(JSON.stringify(await seal(event.attributes, event.data)));
}
"#;
