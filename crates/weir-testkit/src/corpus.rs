//! Events and consents for any policy: what producers send on a good day, and on a bad one.
//!
//! The corpus reads the contracts and makes, for every declared field, a plausible value, and beside it what a contract
//! cannot rule out: missing and undeclared fields, content, wrong types, unknown event types, broken bytes. Producers
//! differ in key order, spacing and escapes; few people cause most events; most have agreed, some have not. Event
//! number `n` is a function of seed, policy, options and `n`, so any part of a corpus can be made again, by any thread.

mod damage;
mod envelope;
mod json;
mod people;
pub(crate) mod shape;
mod text;
mod value;

use weir_policy::{Contract, FieldType, Policy, PurposeId};

use crate::random::{Random, Zipf};
use envelope::{Dialect, Envelope};
use people::People;
use shape::Shape;

pub use people::Person;

/// What a corpus is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of persons; the first cause most events.
    pub people: u32,
    /// Number of customer organisations; the first have most persons.
    pub tenants: u32,
    /// Instant at which the last event happens, in milliseconds since 1970.
    pub now_ms: i64,
    /// Days before `now_ms` over which the events spread, evenly by number.
    pub days: u32,
    /// Number of events over which `days` are spread; later ones start again.
    pub events: u64,
    /// Size that events are padded to with undeclared text.
    pub bytes: usize,
    /// Greatest length of a text that is content, about.
    pub content_bytes: usize,
    /// How unevenly events fall on persons: the exponent of Zipf's law.
    pub skew: f64,
    /// Number of persons at the top who are about equally busy.
    pub head: u32,
    /// Number of client libraries that send events, at most 4; each has its own order of members, one its own spacing.
    pub producers: u32,
    /// Values and attributes come in the usual form only, not in one that readers must understand besides.
    pub plain: bool,
    /// Persons who asked to be forgotten, in thousandths.
    pub erased: u32,
    /// Region that most tenants allow.
    pub region: String,
    /// What goes wrong, and how often.
    pub flaws: Flaws,
}

impl Options {
    /// Returns the usual mix, ending at `now_ms`: a hundred thousand persons of 200 tenants, four dates, 1 KB events.
    pub fn ending(now_ms: i64) -> Self {
        Self {
            people: 100_000,
            tenants: 200,
            now_ms,
            days: 3,
            events: 100_000,
            bytes: 1000,
            content_bytes: 130,
            skew: 0.8,
            head: 0,
            producers: 4,
            plain: false,
            erased: 40,
            region: "eu".to_owned(),
            flaws: Flaws::default(),
        }
    }
}

/// How often something is wrong or odd, in thousandths: of fields, or of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaws {
    /// A declared field is absent.
    pub missing_field: u32,
    /// A declared field is null.
    pub null_field: u32,
    /// The field that names the person is absent, or what it stands in.
    pub missing_subject: u32,
    /// An undeclared field follows a declared one.
    pub undeclared_field: u32,
    /// An event has an attribute that weir does not know.
    pub undeclared_attribute: u32,
    /// A value is of another type, or out of its range, or not in its list.
    pub wrong_value: u32,
    /// An event is of a type that nobody declared.
    pub unknown_type: u32,
    /// An event lacks an attribute that CloudEvents or weir requires.
    pub missing_attribute: u32,
    /// An event's members come in an order that no producer has.
    pub shuffled: u32,
    /// An event has a key twice.
    pub duplicate_key: u32,
    /// An event has a key written with an escape.
    pub escaped_key: u32,
    /// An event's time is far off, or at the edge of what is taken.
    pub wrong_time: u32,
    /// An event's bytes are broken.
    pub malformed: u32,
    /// A record has no value.
    pub tombstone: u32,
    /// An event comes in the binary mode of CloudEvents.
    pub binary_mode: u32,
    /// A producer narrows the purposes of an event.
    pub narrowed: u32,
    /// The person's browser sends Global Privacy Control.
    pub gpc: u32,
}

/// The rates of a service in the field.
impl Default for Flaws {
    fn default() -> Self {
        Self {
            missing_field: 50,
            null_field: 20,
            missing_subject: 50,
            undeclared_field: 60,
            undeclared_attribute: 400,
            wrong_value: 10,
            unknown_type: 20,
            missing_attribute: 5,
            shuffled: 30,
            duplicate_key: 1,
            escaped_key: 2,
            wrong_time: 5,
            malformed: 10,
            tombstone: 1,
            binary_mode: 60,
            narrowed: 30,
            gpc: 20,
        }
    }
}

impl Flaws {
    /// Nothing goes wrong: every event is whole, declared and in structured mode.
    pub const NONE: Self = Self {
        missing_field: 0,
        null_field: 0,
        missing_subject: 0,
        undeclared_field: 0,
        undeclared_attribute: 0,
        wrong_value: 0,
        unknown_type: 0,
        missing_attribute: 0,
        shuffled: 0,
        duplicate_key: 0,
        escaped_key: 0,
        wrong_time: 0,
        malformed: 0,
        tombstone: 0,
        binary_mode: 0,
        narrowed: 0,
        gpc: 0,
    };

    /// Everything goes wrong often: for tests that look for what is rare.
    pub const MANY: Self = Self {
        missing_field: 150,
        null_field: 60,
        missing_subject: 100,
        undeclared_field: 200,
        undeclared_attribute: 400,
        wrong_value: 150,
        unknown_type: 20,
        missing_attribute: 50,
        shuffled: 200,
        duplicate_key: 100,
        escaped_key: 100,
        wrong_time: 80,
        malformed: 100,
        tombstone: 10,
        binary_mode: 250,
        narrowed: 150,
        gpc: 150,
    };
}

/// A record as a producer hands it to the broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Produced {
    /// Record key.
    pub key: Vec<u8>,
    /// Record headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Record value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Produced {
    /// Returns the headers as name and value pairs that are lent.
    pub fn borrowed_headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }
}

/// An endless corpus of events, and the consents that go with it.
#[derive(Clone, Debug)]
pub struct Corpus {
    seed: u64,
    options: Options,
    shapes: Vec<Shape>,
    people: People,
    /// Some event types are frequent, others rare.
    weights: Zipf,
    /// Instants at which a rule begins or ends to apply.
    turns_ms: Vec<i64>,
}

impl Corpus {
    /// Prepares the corpus of `seed` for the contracts of `policy`.
    ///
    /// # Panics
    /// Panics when the policy has no contract.
    pub fn new(seed: u64, policy: &Policy, options: Options) -> Self {
        let shapes: Vec<Shape> = policy.contracts().iter().map(Shape::new).collect();
        assert!(!shapes.is_empty(), "a corpus needs a contract");
        let kinds = policy.contracts().iter().filter_map(subject_kind).collect();
        let people = People::new(seed, &options, kinds);
        let types = u32::try_from(shapes.len()).unwrap_or(u32::MAX);
        let turns_ms = turns(policy, options.now_ms);
        Self { seed, options, shapes, people, weights: Zipf::new(types, 0.7), turns_ms }
    }

    /// Makes event number `index`.
    pub fn event(&self, index: u64) -> Produced {
        // Most events fit without growing.
        let value = Vec::with_capacity(self.options.bytes + self.options.bytes / 2);
        let mut record = Produced { value: Some(value), ..Produced::default() };
        self.write(index, &mut record);
        record
    }

    /// Makes event number `index` in the buffers of `record`.
    pub fn write(&self, index: u64, record: &mut Produced) {
        let random = &mut Random::of(self.seed, index);
        let flaws = &self.options.flaws;
        let shape = &self.shapes[self.weights.draw(random)];
        let person = self.people.draw(random);
        let mut value = record.value.take().unwrap_or_default();
        value.clear();
        record.key.clear();
        record.headers.clear();
        record.key.extend_from_slice(person.tenant.as_bytes());
        record.key.push(b'/');
        person.write_identifier(shape.subject_kind(), &mut record.key);
        if random.chance(flaws.tombstone) {
            return;
        }
        let envelope = Envelope::draw(self, shape, &person, index, random);
        let dialect = Dialect::draw(&person, &self.options, random);
        if random.chance(flaws.binary_mode) {
            envelope.write_headers(&mut record.headers);
            self.write_data(shape, &person, &dialect, random, &mut value);
        } else {
            envelope.write(&dialect, &mut value, |value| self.write_data(shape, &person, &dialect, random, value));
        }
        if random.chance(flaws.malformed) {
            damage::damage(&mut value, random);
        }
        record.value = Some(value);
    }

    /// Returns the events from number 0 on, without end.
    pub fn events(&self) -> impl Iterator<Item = Produced> {
        (0..).map(|index| self.event(index))
    }

    /// Returns the tenants' agreements, the persons' choices and a few erasures, as records of the consent inbox.
    pub fn consents(&self) -> impl Iterator<Item = Produced> {
        self.people.agreements().chain(self.people.choices()).chain(self.people.erasures())
    }

    /// Returns the names of all organisations.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.people.tenants()
    }

    /// Returns a person by number.
    pub fn person(&self, number: u32) -> Person<'_> {
        self.people.person(number)
    }

    fn write_data(
        &self,
        shape: &Shape,
        person: &Person<'_>,
        dialect: &Dialect,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) {
        let Self { people, options, .. } = self;
        json::write_data(&json::Context { shape, person, people, dialect, options }, random, out);
    }
}

/// Returns the instants at which events begin or end to be taken: the edges of retention, of days and of epochs.
fn turns(policy: &Policy, now_ms: i64) -> Vec<i64> {
    let day_ms = 86_400_000;
    let mut turns = vec![now_ms, now_ms + 600_000, now_ms.div_euclid(day_ms) * day_ms];
    for purpose in PurposeId::ALL {
        let purposes = policy.purposes();
        let epoch = purposes.epoch(purpose, now_ms);
        turns.extend([purposes.epoch_end_ms(purpose, epoch - 1), now_ms - purposes.retention_ms(purpose)]);
    }
    turns
}

/// Writes an instant as RFC 3339 in UTC, with milliseconds.
pub fn rfc_3339(time_ms: i64) -> String {
    let mut text = Vec::new();
    text::write_time(time_ms, 3, &mut text);
    String::from_utf8(text).expect("written in ASCII")
}

/// Returns the kind of identifier by which a contract names the person.
fn subject_kind(contract: &Contract) -> Option<&str> {
    let field = contract.subject_field()?;
    if let FieldType::Identifier { kind } = &field.field_type { Some(kind) } else { None }
}
