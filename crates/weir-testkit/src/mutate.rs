//! Records spoiled on purpose: what a hostile or broken producer could send, for tests of agreement.
//!
//! The mutations work on the text of a record and know a little of JSON, so that many of the results are still JSON and
//! reach the depths of a filter, while others are one byte away from it.

mod lists;

use memchr::{memchr, memmem};
use weir_policy::{Coarsen, Field, FieldType, Policy, Range};

use crate::corpus::Produced;
use crate::random::Random;

/// Spoils records of a policy's events.
#[derive(Clone, Debug)]
pub struct Mutator {
    /// For each declared field: the last key of its path, quoted and with its colon, and values at the edges of its type.
    edges: Vec<(String, Vec<String>)>,
    /// Arrays and objects with each number of each item: to write them for each record would take most of the time.
    wide: Vec<Wide>,
}

/// An array and an object with many of an item.
#[derive(Clone, Debug)]
struct Wide {
    array: String,
    object: String,
}

impl Mutator {
    /// Prepares the edges of all declared fields.
    pub fn new(policy: &Policy) -> Self {
        let fields = policy.contracts().iter().flat_map(|contract| &contract.fields);
        let edges =
            fields.filter_map(|field| Some((format!("\"{}\":", field.segments.last()?), edges_of(field)))).collect();
        let wide = WIDE_ITEMS.iter().flat_map(|item| WIDTHS.map(|items| Wide::of(item, items))).collect();
        Self { edges, wide }
    }

    /// Spoils a record in one way, which `seed` chooses.
    pub fn mutate(&self, record: &mut Produced, seed: u64) {
        let random = &mut Random::new(seed);
        if !record.headers.is_empty() && random.chance(200) {
            return mutate_headers(record, random);
        }
        let value = record.value.get_or_insert_default();
        match random.below(16) {
            0..3 => self.put_edge(value, random),
            3..6 => put_value(value, random.pick(lists::VALUES).as_bytes(), random),
            6 => put_member(value, random),
            7 => double_member(value, random),
            8 => escape_key(value, random),
            9 => nest(value, random),
            10 => self.widen(value, random),
            11 => put_attribute(value, random),
            12 => put_space(value, random),
            13 => put_bytes(value, random),
            14 => flip(value, random),
            _ => replace_all(record, random),
        }
    }

    /// Puts a wide array or object in place of a value.
    fn widen(&self, value: &mut Vec<u8>, random: &mut Random) {
        let (width, item) = (random.index(WIDTHS.len()), random.index(WIDE_ITEMS.len()));
        let wide = &self.wide[item * WIDTHS.len() + width];
        let new = if random.chance(700) { &wide.array } else { &wide.object };
        put_value(value, new.as_bytes(), random);
    }

    /// Gives a declared field a value at the edge of its type, or of another field's.
    fn put_edge(&self, value: &mut Vec<u8>, random: &mut Random) {
        // Fields that the record does not have are passed over; a few tries find one that it has.
        for _ in 0..20 {
            let (key, edges) = &self.edges[random.index(self.edges.len())];
            let edges = if random.chance(100) { &self.edges[random.index(self.edges.len())].1 } else { edges };
            if let (Some(at), false) = (memmem::find(value, key.as_bytes()), edges.is_empty()) {
                let edge = &edges[random.index(edges.len())];
                return replace_value(value, at + key.len(), edge.as_bytes());
            }
        }
    }
}

impl Wide {
    fn of(item: &str, items: usize) -> Self {
        let members: Vec<String> = (0..items).map(|number| format!("\"k{number}\":{item}")).collect();
        Self { array: format!("[{}]", vec![item; items].join(",")), object: format!("{{{}}}", members.join(",")) }
    }
}

/// Values at and just beyond the edges of a field's type, range, scale and buckets.
fn edges_of(field: &Field) -> Vec<String> {
    let (mut points, scale) = bounds_of(&field.field_type);
    if let Some(Range::Whole { min, max }) = field.range {
        points.extend([min, max]);
    }
    for coarsen in &field.coarsen {
        if let Coarsen::Buckets(bounds) = coarsen {
            points.extend(bounds.iter());
        }
    }
    let mut edges = Vec::new();
    for point in points {
        for near in [point.saturating_sub(1), point, point.saturating_add(1)] {
            edges.push(scaled(near, scale));
            edges.push(format!("{near}e-{scale}"));
            edges.push(format!("\"{}\"", scaled(near, scale)));
        }
    }
    edges.extend(texts_of(&field.field_type).iter().map(|text| format!("\"{text}\"")));
    edges
}

/// Returns the least and greatest numbers of a type, and the digits that stand after the point.
fn bounds_of(field_type: &FieldType) -> (Vec<i128>, u8) {
    if let FieldType::Decimal { precision, scale } = field_type {
        let beyond = 10_i128.saturating_pow((*precision).into());
        (vec![-beyond, beyond], *scale)
    } else if let FieldType::Int(int) = field_type {
        (vec![int.min().into(), int.max().into()], 0)
    } else if let FieldType::Age(bands) = field_type {
        (bands.bounds().iter().copied().chain([130]).map(i128::from).collect(), 0)
    } else if let FieldType::HttpStatus = field_type {
        (vec![100, 599], 0)
    } else {
        (vec![0, u64::MAX.into()], 0)
    }
}

/// Returns texts that are nearly of a type, or just so.
fn texts_of(field_type: &FieldType) -> &'static [&'static str] {
    match field_type {
        FieldType::Timestamp { .. } => lists::TIMES,
        FieldType::Ip => lists::ADDRESSES,
        FieldType::Geo => lists::PLACES,
        FieldType::Locale | FieldType::Country | FieldType::Currency => lists::LOCALES,
        FieldType::Semver => lists::VERSIONS,
        FieldType::Route(_) => lists::ROUTES,
        FieldType::Identifier { .. } => lists::IDENTIFIERS,
        FieldType::UserAgent => lists::AGENTS,
        FieldType::Words(_) | FieldType::HttpMethod => {
            &["one", "One", "a-word-that-is-longer-than-sixteen", "GET", "get"]
        }
        FieldType::Age(_)
        | FieldType::Bool
        | FieldType::Content
        | FieldType::Decimal { .. }
        | FieldType::Duration(_)
        | FieldType::Float64
        | FieldType::HttpStatus
        | FieldType::Int(_)
        | FieldType::UInt64 => &[],
    }
}

fn scaled(number: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Puts `new` in place of a value that stands after a random colon.
fn put_value(value: &mut Vec<u8>, new: &[u8], random: &mut Random) {
    if let Some(colon) = find_any(value, b':', random) {
        replace_value(value, colon + 1, new);
    }
}

/// Puts `new` in place of the value that starts at `start`; of an array or object only its opening goes.
fn replace_value(value: &mut Vec<u8>, start: usize, new: &[u8]) {
    let mut end = start;
    let mut in_string = false;
    while let Some(byte) = value.get(end) {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => end += 1,
            b',' | b'}' | b']' if !in_string => break,
            _ => {}
        }
        end += 1;
    }
    let end = end.min(value.len());
    // In one piece: a splice would go byte by byte, and `new` may be long.
    *value = [&value[..start], new, &value[end..]].concat();
}

/// Adds an undeclared member to a random object.
fn put_member(value: &mut Vec<u8>, random: &mut Random) {
    if let Some(brace) = find_any(value, b'{', random) {
        let (key, inner) = (random.pick(lists::KEYS), random.pick(lists::VALUES));
        let comma = if value.get(brace + 1) == Some(&b'}') { "" } else { "," };
        value.splice(brace + 1..=brace, format!("{key}:{inner}{comma}").into_bytes());
    }
}

/// Writes a member a second time.
fn double_member(value: &mut Vec<u8>, random: &mut Random) {
    let Some(colon) = find_any(value, b':', random) else { return };
    let Some(start) = value[..colon].iter().rposition(|byte| matches!(byte, b'{' | b',')) else { return };
    let end = value[colon..].iter().position(|byte| matches!(byte, b',' | b'}')).map_or(value.len(), |end| colon + end);
    let mut member = value[start + 1..end].to_vec();
    member.push(b',');
    value.splice(start + 1..=start, member);
}

/// Writes a letter of a key (or of a string) as an escape.
fn escape_key(value: &mut Vec<u8>, random: &mut Random) {
    if let Some(quote) = find_any(value, b'"', random)
        && let Some(letter) = value.get(quote + 1).copied().filter(u8::is_ascii_alphanumeric)
    {
        let escape = if random.chance(500) { format!("\\u{letter:04x}") } else { format!("\\u{letter:04X}") };
        value.splice(quote + 1..quote + 2, escape.into_bytes());
    }
}

/// Nests a value deeply, well closed or not.
fn nest(value: &mut Vec<u8>, random: &mut Random) {
    let depth = random.pick(&[5, 28, 29, 30, 31, 32, 33, 64, 400]);
    let (open, close) = random.pick(&[("[", "]"), ("{\"a\":", "}"), ("[[],", "]"), ("{\"\":{},\"b\":", "}")]);
    let missing = random.index(20) / 19;
    let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth - missing));
    put_value(value, nested.as_bytes(), random);
}

/// Gives an attribute of the envelope a value that it should not have, or one at its edge.
fn put_attribute(value: &mut Vec<u8>, random: &mut Random) {
    let (name, new) = random.pick(lists::ATTRIBUTES);
    let quoted = format!("\"{name}\":");
    match memmem::find(value, quoted.as_bytes()) {
        Some(at) => replace_value(value, at + quoted.len(), new.as_bytes()),
        None => {
            if let Some(brace) = memchr(b'{', value) {
                value.splice(brace + 1..=brace, format!("{quoted}{new},").into_bytes());
            }
        }
    }
}

/// Puts white space, or what only looks like it, around a token.
fn put_space(value: &mut Vec<u8>, random: &mut Random) {
    if let Some(at) = find_any(value, random.pick(b":,{}[\""), random) {
        let space =
            random.pick(&[" ", "\t", "\n", "\r\n", "  \t ", "\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "\u{2028}", "\0"]);
        let at = at + random.index(2);
        value.splice(at..at, space.bytes());
    }
}

/// Puts bytes anywhere, at the start and the end a little more often.
fn put_bytes(value: &mut Vec<u8>, random: &mut Random) {
    let bytes = random.pick(lists::BYTES);
    let at = match random.below(4) {
        0 => 0,
        1 => value.len(),
        _ => random.index(value.len() + 1),
    };
    value.splice(at..at, bytes.iter().copied());
}

/// Changes a byte, or cuts the record off.
fn flip(value: &mut Vec<u8>, random: &mut Random) {
    let at = random.index(value.len());
    if random.chance(300) {
        return value.truncate(at);
    }
    let bit = 1 << random.below(8);
    let new = if random.chance(500) { random.pick(b"{}[]:,\"\\0-.eE+tfn \x00\x1f\x7f\x80\xc0\xff") } else { bit };
    if let Some(byte) = value.get_mut(at) {
        *byte = if new == bit { *byte ^ bit } else { new };
    }
}

/// Replaces the record by something else altogether.
fn replace_all(record: &mut Produced, random: &mut Random) {
    let whole = random.pick(lists::WHOLE);
    match random.below(4) {
        0 => record.value = None,
        1 => record.value = Some(Vec::new()),
        2 => record.value = Some(whole.as_bytes().to_vec()),
        _ => {
            let value = record.value.take().unwrap_or_default();
            record.value = Some([b"[", &value[..], b"]"].concat());
        }
    }
}

/// Changes, doubles, adds or removes a header.
fn mutate_headers(record: &mut Produced, random: &mut Random) {
    let at = random.index(record.headers.len());
    let new = random.pick(lists::HEADERS);
    let (name, bytes) = random.pick(new);
    match random.below(5) {
        0 => drop(record.headers.remove(at)),
        1 => record.headers.push(record.headers[at].clone()),
        2 => record.headers[at].1 = bytes.to_vec(),
        3 => record.headers.insert(at, (name.to_owned(), bytes.to_vec())),
        _ => {
            record.headers.retain(|(other, _)| other != name);
            record.headers.push((name.to_owned(), bytes.to_vec()));
        }
    }
}

/// Finds one of the places where a byte stands.
fn find_any(value: &[u8], wanted: u8, random: &mut Random) -> Option<usize> {
    let start = random.index(value.len());
    let place = |from: usize| memchr(wanted, value.get(from..)?).map(|at| from + at);
    place(start).or_else(|| place(0))
}

/// How many items a wide array or object has: few, and around a limit.
const WIDTHS: [usize; 6] = [0, 1, 100, 4095, 4096, 4097];
/// What a wide array or object holds.
const WIDE_ITEMS: [&str; 5] = ["0", "null", "{}", "{\"price\":1,\"quantity\":2}", "\"x\""];
