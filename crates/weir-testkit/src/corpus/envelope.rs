//! The attributes around an event, and the habits of the client library that wrote them.

use super::people::Person;
use super::shape::{PRODUCERS, Shape};
use super::text::{write_digits, write_hex, write_string, write_time, write_time_at, write_uuid};
use super::{Corpus, Options};
use crate::random::{Random, mix};

/// The habits of a client library.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) producer: usize,
    /// A space after each comma and colon, and escapes for everything beyond ASCII.
    pub(super) verbose: bool,
    /// Members stand in an order that only this event has.
    shuffle: Option<u64>,
    /// A key is written with an escape.
    pub(super) escaped_key: bool,
    /// A key is written twice.
    pub(super) duplicate_key: bool,
}

impl Dialect {
    pub(super) fn draw(person: &Person<'_>, options: &Options, random: &mut Random) -> Self {
        let flaws = &options.flaws;
        // A person keeps a device, and a device its client library.
        let producer = match mix(person.traits ^ 4) % 100 {
            0..45 => 0,
            45..75 => 1,
            75..90 => 2,
            _ => 3,
        };
        let last = usize::try_from(options.producers).unwrap_or(PRODUCERS).clamp(1, PRODUCERS) - 1;
        let producer = producer.min(last);
        Self {
            producer,
            verbose: producer == PRODUCERS - 1,
            shuffle: random.chance(flaws.shuffled).then(|| random.bits()),
            escaped_key: random.chance(flaws.escaped_key),
            duplicate_key: random.chance(flaws.duplicate_key),
        }
    }

    /// Returns the places of `count` members in the order in which they are written.
    pub(super) fn order(&self, count: usize) -> impl Iterator<Item = usize> {
        let shuffled = self.shuffle.map(|seed| {
            let mut places: Vec<usize> = (0..count).collect();
            places.sort_by_cached_key(|place| mix(seed ^ u64::try_from(*place).unwrap_or(0)));
            places
        });
        (0..count).map(move |place| shuffled.as_ref().map_or(place, |places| places[place]))
    }
}

/// The attributes of one event: name and text of each.
pub(super) struct Envelope {
    attributes: Vec<(&'static str, Vec<u8>)>,
}

impl Envelope {
    pub(super) fn draw(corpus: &Corpus, shape: &Shape, person: &Person<'_>, index: u64, random: &mut Random) -> Self {
        let Options { flaws, plain, .. } = corpus.options;
        let mut attributes: Vec<(&'static str, Vec<u8>)> = Vec::with_capacity(12);
        let mut add = |name, write: &dyn Fn(&mut Random, &mut Vec<u8>)| {
            let mut text = Vec::with_capacity(40);
            write(random, &mut text);
            attributes.push((name, text));
        };
        add("specversion", &|_, out| out.extend_from_slice(b"1.0"));
        add("id", &|random, out| write_uuid(random.bits(), random.bits(), out));
        add("source", &|random, out| out.extend_from_slice(random.pick(SOURCES).as_bytes()));
        add("type", &|random, out| {
            if random.chance(flaws.unknown_type) {
                out.extend_from_slice(b"com.example.beta.");
                write_digits(random.below(5), 1, out);
            } else {
                out.extend_from_slice(shape.event_type.as_bytes());
            }
        });
        let time_ms = corpus.time(index, random);
        let mut add = |name, random: &mut Random, per_mille, write: &dyn Fn(&mut Random, &mut Vec<u8>)| {
            if random.chance(per_mille) {
                let mut text = Vec::with_capacity(60);
                write(random, &mut text);
                attributes.push((name, text));
            }
        };
        add("time", random, 1000, &|random, out| match random.below(10) {
            form if !plain => write_event_time(time_ms, form, random, out),
            _ => write_time(time_ms, 3, out),
        });
        add("tenant", random, 1000, &|_, out| out.extend_from_slice(person.tenant.as_bytes()));
        add("contractversion", random, if plain { 0 } else { 500 }, &|_, out| {
            write_digits(shape.version.into(), 1, out);
        });
        add("purposes", random, flaws.narrowed, &|random, out| out.extend_from_slice(random.pick(NARROWED).as_bytes()));
        add("secgpc", random, flaws.gpc, &|_, out| out.push(b'1'));
        add("datacontenttype", random, if plain { 0 } else { 500 }, &|_, out| {
            out.extend_from_slice(b"application/json");
        });
        add("traceparent", random, flaws.undeclared_attribute, &|random, out| {
            out.extend_from_slice(b"00-");
            write_hex(random.bits(), 16, out);
            write_hex(random.bits(), 16, out);
            out.push(b'-');
            write_hex(random.bits(), 16, out);
            out.extend_from_slice(b"-01");
        });
        if random.chance(flaws.missing_attribute) {
            attributes.remove(random.index(attributes.len()));
        }
        Self { attributes }
    }

    /// Writes the event in structured mode; `data` writes its payload.
    pub(super) fn write(&self, dialect: &Dialect, out: &mut Vec<u8>, data: impl FnOnce(&mut Vec<u8>)) {
        // One producer writes the payload first: a reader that expects the attributes before it must look back.
        let data_at = if dialect.producer == 2 { 0 } else { self.attributes.len() };
        let (comma, colon): (&[u8], &[u8]) = if dialect.verbose { (b", ", b": ") } else { (b",", b":") };
        let count = self.attributes.len();
        let mut data = Some(data);
        out.push(b'{');
        for (at, place) in dialect.order(count + 1).enumerate() {
            if at > 0 {
                out.extend_from_slice(comma);
            }
            if place == data_at
                && let Some(data) = data.take()
            {
                out.extend_from_slice(b"\"data\"");
                out.extend_from_slice(colon);
                data(out);
                continue;
            }
            let before = if place > data_at { place - 1 } else { place };
            let (name, text) = &self.attributes[(before + dialect.producer) % count];
            write_string(name, false, out);
            out.extend_from_slice(colon);
            out.push(b'"');
            out.extend_from_slice(text);
            out.push(b'"');
        }
        out.push(b'}');
    }

    /// Writes the attributes as headers of the binary mode.
    pub(super) fn write_headers(&self, headers: &mut Vec<(String, Vec<u8>)>) {
        for (name, text) in &self.attributes {
            let name = match *name {
                "datacontenttype" => continue,
                name => format!("ce_{name}"),
            };
            headers.push((name, text.clone()));
        }
        headers.push(("content-type".to_owned(), b"application/json; charset=utf-8".to_vec()));
        headers.push(("x-request-id".to_owned(), b"trace-me".to_vec()));
    }
}

impl Corpus {
    /// Returns when event number `index` happened: the events spread evenly over the days, a little out of order.
    fn time(&self, index: u64, random: &mut Random) -> i64 {
        let options = &self.options;
        let window_ms = i64::from(options.days.max(1)) * 86_400_000;
        if random.chance(options.flaws.wrong_time) {
            if random.chance(500) {
                return random.pick(&self.turns_ms) + random.between(-1, 1);
            }
            let far = random.between(-900, 900) * 86_400_000;
            return options.now_ms.saturating_add(far);
        }
        let events = options.events.max(1);
        let progress = u128::from(index % events) * u128::from(window_ms.unsigned_abs()) / u128::from(events);
        let late_ms = random.between(0, 90_000);
        options.now_ms - window_ms + i64::try_from(progress).unwrap_or(0) - late_ms
    }
}

fn write_event_time(time_ms: i64, form: u64, random: &mut Random, out: &mut Vec<u8>) {
    match form {
        0 => write_time(time_ms, 0, out),
        1 => write_time(time_ms, 6, out),
        2 => write_time(time_ms, 9, out),
        3 => write_time_at(time_ms, random.between(-11, 14), out),
        _ => write_time(time_ms, 3, out),
    }
}

const SOURCES: &[&str] = &["/checkout", "/desktop/windows", "/desktop/macos", "https://shop.example/checkout"];
const NARROWED: &[&str] = &[
    "troubleshooting",
    "reliability",
    "troubleshooting,reliability",
    "personalization",
    "reliability, personalization",
    "",
    "troubleshooting,analytics",
];
