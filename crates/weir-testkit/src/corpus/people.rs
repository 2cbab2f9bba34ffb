//! Persons, their organisations, and what they agreed to.

use weir_policy::PurposeId;

use super::text::{write_digits, write_hex, write_uuid};
use super::{Options, Produced, rfc_3339};
use crate::random::{Random, Zipf, mix};

/// Everybody that the corpus knows.
#[derive(Clone, Debug)]
pub(super) struct People {
    seed: u64,
    now_ms: i64,
    window_ms: i64,
    region: String,
    tenants: Vec<String>,
    sizes: Zipf,
    activity: Zipf,
    erased: u32,
    count: u32,
    /// The kinds of identifier by which contracts name persons, sorted: each has consents of its own.
    kinds: Vec<String>,
}

/// One person.
#[derive(Clone, Copy, Debug)]
pub struct Person<'p> {
    /// Name of the organisation.
    pub tenant: &'p str,
    /// The secret from which all that is fixed about the person follows.
    pub(super) traits: u64,
}

impl People {
    pub(super) fn new(seed: u64, options: &Options, kinds: Vec<&str>) -> Self {
        let mut kinds: Vec<String> = kinds.into_iter().map(str::to_owned).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let tenant = |number: u32| {
            let mut name = b"tn-".to_vec();
            write_hex(mix(seed ^ u64::from(number)), 4, &mut name);
            write_digits(u64::from(number), 3, &mut name);
            String::from_utf8(name).expect("written in ASCII")
        };
        Self {
            seed,
            now_ms: options.now_ms,
            window_ms: i64::from(options.days.max(1)) * DAY_MS,
            region: options.region.clone(),
            tenants: (0..options.tenants.max(1)).map(tenant).collect(),
            sizes: Zipf::new(options.tenants, 0.9),
            activity: Zipf::with_head(options.people, options.skew, options.head),
            erased: options.erased,
            count: options.people.max(1),
            kinds,
        }
    }

    /// Draws the person that an event is about.
    pub(super) fn draw(&self, random: &mut Random) -> Person<'_> {
        self.person(u32::try_from(self.activity.draw(random)).unwrap_or(0))
    }

    pub(super) fn person(&self, number: u32) -> Person<'_> {
        let traits = mix(self.seed ^ mix(u64::from(number)));
        let place = Random::of(traits, 1).fraction();
        Person { tenant: &self.tenants[self.sizes.at(place)], traits }
    }

    pub(super) fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.iter().map(String::as_str)
    }

    /// What organisations agreed to: nearly all to all three purposes, a few to less, some for another region.
    pub(super) fn agreements(&self) -> impl Iterator<Item = Produced> {
        self.tenants.iter().zip(0_u32..).flat_map(move |(tenant, number)| {
            PurposeId::ALL.into_iter().filter_map(move |purpose| self.agreement(tenant, number, purpose))
        })
    }

    fn agreement(&self, tenant: &str, number: u32, purpose: PurposeId) -> Option<Produced> {
        let (status, region) = match number % 40 {
            13 => return None,
            21 if purpose == PurposeId::Personalization => return None,
            29 => ("withdrawn", &*self.region),
            33 => ("given", "us"),
            _ => ("given", &*self.region),
        };
        let mut value = format!(r#"{{"tenant":"{tenant}","purpose":"{}","status":"{status}","at":""#, purpose.name());
        value.push_str(&rfc_3339(self.now_ms - self.window_ms - 500 * DAY_MS));
        value.extend([r#"","regions":[""#, region, r#""],"evidence":"order form"}"#]);
        Some(Produced { key: tenant.as_bytes().to_vec(), headers: Vec::new(), value: Some(value.into_bytes()) })
    }

    /// What persons chose: 70 % all, 20 % some, 5 % nothing; the other 5 % were never asked.
    pub(super) fn choices(&self) -> impl Iterator<Item = Produced> {
        (0..self.count).flat_map(move |number| {
            let person = self.person(number);
            self.kinds.iter().flat_map(move |kind| {
                PurposeId::ALL.into_iter().filter_map(move |purpose| self.choice(&person, kind, purpose))
            })
        })
    }

    /// Who asked to be forgotten, up to an instant in the days of the events.
    pub(super) fn erasures(&self) -> impl Iterator<Item = Produced> {
        let asked = (0..self.count)
            .map(|number| self.person(number))
            .filter(|person| mix(person.traits ^ 6) % 1000 < u64::from(self.erased));
        asked.flat_map(move |person| self.kinds.iter().map(move |kind| self.erasure(&person, kind)))
    }

    fn erasure(&self, person: &Person<'_>, kind: &str) -> Produced {
        let before_ms = self.now_ms - Random::of(person.traits, 7).between(0, self.window_ms);
        let identifier = person.identifier(kind);
        let tenant = person.tenant;
        let mut value = format!(
            r#"{{"tenant":"{tenant}","kind":"{kind}","subject":"{identifier}","purpose":"*","erased_before":""#
        );
        value.push_str(&rfc_3339(before_ms));
        value.push_str("\"}");
        let key = format!("{tenant}/{kind}/{identifier}").into_bytes();
        Produced { key, headers: Vec::new(), value: Some(value.into_bytes()) }
    }

    fn choice(&self, person: &Person<'_>, kind: &str, purpose: PurposeId) -> Option<Produced> {
        let (mood, some) = (mix(person.traits ^ 2) % 1000, mix(person.traits ^ 3) % 6 + 1);
        let agrees = match mood {
            0..700 => true,
            700..900 => some >> purpose.index() & 1 == 1,
            900..950 => false,
            _ => return None,
        };
        let random = &mut Random::of(person.traits, 0x5e + u64::from(u8::from(agrees)) + mix(mood ^ some) % 7);
        let status = if agrees { random.pick(YES) } else { random.pick(NO) };
        // Most chose long ago; some in the days of the events, so that a part of their events is older than the choice.
        let window = self.window_ms;
        let ago = if random.chance(30) { random.between(0, window) } else { window + random.between(0, 400 * DAY_MS) };
        let identifier = person.identifier(kind);
        let (tenant, purpose) = (person.tenant, purpose.name());
        let mut value = format!(
            r#"{{"tenant":"{tenant}","kind":"{kind}","subject":"{identifier}","purpose":"{purpose}","status":"{status}","at":""#
        );
        value.push_str(&rfc_3339(self.now_ms - ago));
        value.push('"');
        if random.chance(100) {
            value.push_str(r#","valid_until":""#);
            value.push_str(&rfc_3339(self.now_ms + random.between(-window, 300 * DAY_MS)));
            value.push('"');
        }
        value.push_str(r#","evidence":"settings page"}"#);
        let key = format!("{tenant}/{kind}/{identifier}").into_bytes();
        Some(Produced { key, headers: Vec::new(), value: Some(value.into_bytes()) })
    }
}

impl Person<'_> {
    /// Returns the identifier of a kind that belongs to this person, as it is usually spelled.
    pub fn identifier(&self, kind: &str) -> String {
        let mut identifier = Vec::new();
        self.write_identifier(kind, &mut identifier);
        String::from_utf8(identifier).expect("identifiers are written in ASCII")
    }

    /// Writes the same.
    pub fn write_identifier(&self, kind: &str, out: &mut Vec<u8>) {
        let kind_hash = kind.bytes().fold(5, |hash, byte| mix(hash ^ u64::from(byte)));
        let (high, low) = (mix(self.traits ^ kind_hash), mix(self.traits ^ kind_hash ^ 9));
        write_identifier(kind, kind_hash, high, low, out);
    }
}

/// Writes an identifier in the form that its kind has: an address, a UUID, a number, or letter and digits.
fn write_identifier(kind: &str, kind_hash: u64, high: u64, low: u64, out: &mut Vec<u8>) {
    if kind.contains("mail") {
        write_hex(high, 10, out);
        out.extend_from_slice(b"@example.org");
        return;
    }
    match kind_hash % 3 {
        0 => write_uuid(high, low, out),
        1 => write_digits(high % 9_000_000_000 + 1_000_000_000, 10, out),
        _ => {
            out.push(kind.bytes().next().unwrap_or(b'x'));
            out.push(b'-');
            write_hex(high, 16, out);
        }
    }
}

const YES: &[&str] = &["given", "given", "given", "given", "given", "renewed"];
const NO: &[&str] = &[
    "refused",
    "refused",
    "refused",
    "refused",
    "withdrawn",
    "withdrawn",
    "requested",
    "deferred",
    "expired",
    "revoked",
    "invalidated",
];
const DAY_MS: i64 = 86_400_000;
