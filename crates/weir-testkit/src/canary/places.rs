//! Where canaries are planted: everywhere that a producer can put text.

mod sealed;

use serde_json::{Map, Value, json};
use weir_policy::{Field, FieldClass, FieldType, Policy, PurposeId};

use super::seal::SealingKey;
use super::{Canaries, shapes};
use crate::corpus::shape::{Node, Shape};
use crate::corpus::{Produced, rfc_3339};

/// Records with markers in them, and the consents that let as many as possible through.
#[derive(Clone, Debug)]
pub struct Planted {
    /// What was planted.
    pub canaries: Canaries,
    /// Records of the telemetry topic.
    pub records: Vec<Produced>,
    /// Records of the consent inbox.
    pub consents: Vec<Produced>,
    /// The tenant of the events that may pass: a marker that may stand in its column, and nowhere else.
    pub tenant: String,
    /// What is sealed in the records.
    pub inside: Vec<Vec<u8>>,
    /// Numbers of the records with sealed data that opens and can be read.
    pub opens: Vec<usize>,
}

/// Plants markers in events of every contract, at `now_ms`, and in records that no contract knows; some are sealed to `key`.
pub fn plant(seed: u64, policy: &Policy, now_ms: i64, key: SealingKey) -> Planted {
    let mut canaries = Canaries::new(seed);
    let tenant = canaries.marker_of_column(TENANT, TENANT);
    let mut garden = Garden {
        canaries,
        tenant,
        key,
        records: Vec::new(),
        consents: Vec::new(),
        inside: Vec::new(),
        opens: Vec::new(),
        now: rfc_3339(now_ms),
        before: rfc_3339(now_ms - 700 * DAY_MS),
    };
    garden.agree();
    for contract in policy.contracts() {
        let shape = Shape::new(contract);
        garden.plant_values(&shape);
        garden.plant_texts(&shape);
        garden.plant_shapes(&shape);
        garden.plant_around(&shape);
        garden.plant_attributes(&shape);
        garden.plant_refused(&shape);
        garden.plant_broken(&shape);
        garden.plant_sealed(&shape);
    }
    garden.plant_strangers();
    let Garden { canaries, tenant, records, consents, inside, opens, .. } = garden;
    Planted { canaries, records, consents, tenant, inside, opens }
}

struct Garden {
    canaries: Canaries,
    tenant: String,
    /// What data is sealed to.
    key: SealingKey,
    records: Vec<Produced>,
    consents: Vec<Produced>,
    inside: Vec<Vec<u8>>,
    opens: Vec<usize>,
    /// Time of all events.
    now: String,
    /// Time since which all consents hold.
    before: String,
}

impl Garden {
    /// Every identifier and content field, and every other field in place of its value, is a marker.
    fn plant_values(&mut self, shape: &Shape) {
        for spelling in ["text", "number"] {
            let subject = self.subject(shape);
            let data = self.filled(shape, &subject, |canaries, field| {
                let place = format!("{} {} as {spelling}", shape.event_type, field.path);
                match (spelling, field.class) {
                    ("number", FieldClass::Content | FieldClass::Identifier) => json!(canaries.number(place)),
                    _ => json!(canaries.marker(place)),
                }
            });
            self.event(shape, &[], &data);
        }
    }

    /// Every field of text holds what has leaked elsewhere: paths, URLs, exceptions, text inside text (LK-1, 2, 4, 7, 9, 13).
    fn plant_texts(&mut self, shape: &Shape) {
        for template in TEXTS {
            let subject = self.subject(shape);
            let data = self.filled(shape, &subject, |canaries, field| {
                json!(canaries.text(format!("{} {} {template}", shape.event_type, field.path), template))
            });
            self.event(shape, &[], &data);
        }
    }

    /// Every field of text looks like an identifier of some kind, and is none of ours (LK-5, LK-6).
    fn plant_shapes(&mut self, shape: &Shape) {
        for (_, example) in shapes::examples() {
            let subject = self.subject(shape);
            let data = self.filled(shape, &subject, |_, _| json!(example));
            self.event(shape, &[], &data);
        }
    }

    /// Undeclared members beside and below the declared ones, keys included, at depths 1 to 32 (LK-3, 5, 11).
    fn plant_around(&mut self, shape: &Shape) {
        let subject = self.subject(shape);
        for depth in 1..=32 {
            let place = format!("{} undeclared at depth {depth}", shape.event_type);
            let mut inner = json!({
                self.canaries.marker(format!("{place}, key")): self.canaries.marker(format!("{place}, text")),
                "n": self.canaries.number(format!("{place}, number")),
                "list": [self.canaries.marker(format!("{place}, item"))],
            });
            for level in 1..depth {
                // Now and then an array lies between; the outermost must be an object, to stand beside declared members.
                inner = if level % 5 == 0 && level + 1 < depth {
                    json!([inner])
                } else {
                    json!({ self.canaries.marker(format!("{place}, key of level {level}")): inner })
                };
            }
            let mut data = self.filled(shape, &subject, |_, field| plausible(field));
            if let (Value::Object(data), Value::Object(inner)) = (&mut data, inner) {
                data.extend(inner);
            }
            self.event(shape, &[], &data);
        }
    }

    /// Attributes of the envelope, known and unknown, in structured and in binary mode (LK-44).
    fn plant_attributes(&mut self, shape: &Shape) {
        let names = ["id", "source", "subject", "traceparent", "dataschema", "purposes", "secgpc", "contractversion"];
        for name in names.into_iter().chain(["time", "specversion", "datacontenttype", "extension"]) {
            let subject = self.subject(shape);
            let data = self.filled(shape, &subject, |_, field| plausible(field));
            let marker = self.canaries.marker(format!("{} attribute {name}", shape.event_type));
            self.event(shape, &[(name, &marker)], &data);
            let marker = self.canaries.marker(format!("{} header ce_{name}", shape.event_type));
            self.binary_event(shape, &[(name, &marker)], &data);
        }
    }

    /// Events that a rule denies: no consent, unknown tenant (LK-19, 32).
    fn plant_refused(&mut self, shape: &Shape) {
        let mark = |canaries: &mut Canaries, field: &Field| json!(canaries.marker(format!("denied {}", field.path)));
        if shape.subject.is_some() {
            let stranger = self.canaries.marker(format!("{} person without consent", shape.event_type));
            let data = self.filled(shape, &stranger, mark);
            self.event(shape, &[], &data);
        }
        let subject = self.subject(shape);
        let data = self.filled(shape, &subject, mark);
        let tenant = self.canaries.marker(format!("{} unknown tenant", shape.event_type));
        self.event(shape, &[("tenant", &tenant)], &data);
        let event_type = format!("{}.{}", shape.event_type, self.canaries.marker("unknown event type"));
        self.event(shape, &[("type", &event_type)], &data);
    }

    /// Records that cannot be read: cut off, not UTF-8, too large, keys twice (LK-12, 15, 41).
    fn plant_broken(&mut self, shape: &Shape) {
        for (number, damage) in BREAKS.into_iter().enumerate() {
            let subject = self.subject(shape);
            let data = self.filled(shape, &subject, |canaries, field| {
                json!(canaries.marker(format!("broken record {number}, {}", field.path)))
            });
            self.event(shape, &[], &data);
            let value = self.records.last_mut().and_then(|record| record.value.as_mut());
            damage(value.expect("an event was just added"));
        }
    }

    /// Records that are no events at all.
    fn plant_strangers(&mut self) {
        for template in ["{}", "\"{}\"", "[\"{}\"]", "user={} password", "{\"{}\":1}", "<event id='{}'/>"] {
            let value = self.canaries.text(format!("foreign record {template}"), &template.replace("{}", "{}-{}-{}"));
            let mut record = self.record();
            record.value = Some(value.into_bytes());
            self.records.push(record);
        }
        let tombstone = self.record();
        self.records.push(tombstone);
    }

    /// Builds the payload of a contract; `leaf` makes the values, but for the subject's.
    fn filled(&mut self, shape: &Shape, subject: &str, mut leaf: impl FnMut(&mut Canaries, &Field) -> Value) -> Value {
        build(shape.tree(0), &mut |place| {
            if shape.subject == Some(place) { json!(subject) } else { leaf(&mut self.canaries, &shape.fields[place]) }
        })
    }

    /// Adds an event in structured mode, with `changes` to its attributes.
    fn event(&mut self, shape: &Shape, changes: &[(&str, &str)], data: &Value) {
        let attributes = self.attributes(shape, changes);
        self.structured(&attributes, data);
    }

    fn structured(&mut self, attributes: &[(String, String)], data: &Value) {
        let mut event: Map<_, _> = attributes.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
        event.insert("data".to_owned(), data.clone());
        let mut record = self.record();
        record.value = Some(Value::Object(event).to_string().into_bytes());
        self.records.push(record);
    }

    fn binary_event(&mut self, shape: &Shape, changes: &[(&str, &str)], data: &Value) {
        let attributes = self.attributes(shape, changes);
        self.binary(&attributes, "application/json", data.to_string().into_bytes());
    }

    fn binary(&mut self, attributes: &[(String, String)], media_type: &str, data: Vec<u8>) {
        let mut record = self.record();
        for (name, text) in attributes {
            record.headers.push((format!("ce_{name}"), text.clone().into_bytes()));
        }
        record.headers.push(("content-type".to_owned(), media_type.as_bytes().to_vec()));
        record.value = Some(data);
        self.records.push(record);
    }

    fn attributes(&mut self, shape: &Shape, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let id = self.canaries.marker(format!("{} event id", shape.event_type));
        let usual = [
            ("specversion", "1.0"),
            ("id", &id),
            ("source", "/canary"),
            ("type", &shape.event_type),
            ("time", &self.now),
            ("tenant", &self.tenant),
        ];
        let replaced = |name: &str| changes.iter().any(|(change, _)| *change == name);
        let kept = usual.iter().filter(|(name, _)| !replaced(name));
        kept.chain(changes).map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    /// Starts a record whose key and headers are markers.
    fn record(&mut self) -> Produced {
        let number = self.records.len();
        let key = self.canaries.marker(format!("key of record {number}"));
        let name = self.canaries.marker(format!("header name of record {number}"));
        let value = self.canaries.marker(format!("header value of record {number}"));
        Produced { key: key.into_bytes(), headers: vec![(name, value.into_bytes())], value: None }
    }

    /// Makes a person who agreed to everything; events about nobody need none.
    fn subject(&mut self, shape: &Shape) -> String {
        if shape.subject.is_none() {
            return String::new();
        }
        let subject = self.canaries.marker(format!("{} subject", shape.event_type));
        let kind = shape.subject_kind();
        for purpose in PurposeId::ALL {
            self.consent(&json!({
                "tenant": self.tenant, "kind": kind, "subject": subject, "purpose": purpose.name(),
                "status": "given", "at": self.before, "evidence": "a test",
            }));
        }
        subject
    }

    fn agree(&mut self) {
        for purpose in PurposeId::ALL {
            self.consent(&json!({
                "tenant": self.tenant, "purpose": purpose.name(), "status": "given", "at": self.before, "evidence": "a test",
            }));
        }
    }

    fn consent(&mut self, record: &Value) {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let key = match (text("kind"), text("subject")) {
            (Some(kind), Some(subject)) => format!("{}/{kind}/{subject}", self.tenant),
            _ => self.tenant.clone(),
        };
        let value = Some(record.to_string().into_bytes());
        self.consents.push(Produced { key: key.into_bytes(), headers: Vec::new(), value });
    }
}

fn build(node: &Node, leaf: &mut dyn FnMut(usize) -> Value) -> Value {
    if let Some(element) = &node.element {
        return json!([build(element, leaf), build(element, leaf)]);
    }
    match node.field {
        Some(place) if node.members.is_empty() => leaf(place),
        _ => node.members.iter().map(|(key, member)| (key.clone(), build(member, leaf))).collect(),
    }
}

/// A value that the contract allows, so that the event passes and only what is around it is a marker.
fn plausible(field: &Field) -> Value {
    match &field.field_type {
        FieldType::Bool => json!(true),
        FieldType::Country => json!("DE"),
        FieldType::Currency => json!("EUR"),
        FieldType::HttpMethod => json!("GET"),
        FieldType::HttpStatus => json!(200),
        FieldType::Identifier { .. } => json!("plain-identifier"),
        FieldType::Ip => json!("203.0.113.9"),
        FieldType::Locale => json!("en-GB"),
        FieldType::Semver => json!("1.2.3"),
        FieldType::Words(words) => json!(words.words().next()),
        FieldType::Age(_)
        | FieldType::Content
        | FieldType::Decimal { .. }
        | FieldType::Duration(_)
        | FieldType::Float64
        | FieldType::Geo
        | FieldType::Int(_)
        | FieldType::Route(_)
        | FieldType::Timestamp { .. }
        | FieldType::UInt64
        | FieldType::UserAgent => Value::Null,
    }
}

/// What text that leaked from other pipelines looked like; `{}` is the marker.
const TEXTS: &[&str] = &[
    "/home/{}/notes.txt",
    "C:\\Users\\{}\\notes.txt",
    "\\\\server\\{}\\share",
    "\\\\wsl$\\Ubuntu\\home\\{}",
    "file:///Users/{}/report%20final.pdf",
    "%2Fhome%2F{}%2Fnotes.txt",
    "https://{}:secret@shop.example/orders/1?token={}#{}",
    "https://shop.example/{}/orders?q={}",
    "webIsolated=https://{}.example",
    "ENOENT: no such file or directory, open '/home/{}/app.log'",
    "TypeError: {} is not a function\n    at run (/home/{}/app.js:1:2)",
    "SELECT * FROM users WHERE name = '{}'",
    "{\"user\":{\"name\":\"{}\"}}",
    "[\"{}\"]",
    "Mozilla/5.0 ({}) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
    "acme-desktop/7.2 ({})",
    "1.2.3-{}",
    "en-US-x-{}",
    "{}@example.org",
    "::ffff:{}",
    "52.5,13.4;{}",
    "dGhlIHVzZXIgaXMg{}",
    " {} ",
    "{}\u{0}{}",
    "ﬁle {} ＜script＞",
];
/// The place of the tenant's marker, and the column that may hold it.
pub const TENANT: &str = "tenant";
/// What makes the text of an object unreadable.
const BREAKS: [fn(&mut Vec<u8>); 6] = [
    |value| value.truncate(value.len() - 3),
    |value| value.extend_from_slice(b"\xff"),
    |value| value.extend_from_slice(b"{\"more\":1}"),
    |value| value.resize(2 << 20, b' '),
    |value| value.retain(|byte| *byte != b':'),
    |value| {
        let twice = value.clone();
        value.pop();
        value.push(b',');
        value.extend_from_slice(&twice[1..]);
    },
];
const DAY_MS: i64 = 86_400_000;
