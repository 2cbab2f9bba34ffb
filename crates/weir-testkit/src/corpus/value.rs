//! A plausible value for each type, and now and then one that the contract does not allow.

use weir_policy::{Field, FieldType, IntType, Range, Routes, Unit};

use super::json::Context;
use super::text::{write_digits, write_hex, write_int, write_string, write_time, write_uuid, write_words};
use crate::random::Random;

/// Writes a value for the field at `place` of the contract.
pub(super) fn write_value(context: &Context<'_>, place: usize, random: &mut Random, out: &mut Vec<u8>) {
    let field = &context.shape.fields[place];
    if random.chance(context.options.flaws.wrong_value) {
        return out.extend_from_slice(random.pick(WRONG).as_bytes());
    }
    let (ascii, plain) = (context.dialect.verbose, context.options.plain);
    match &field.field_type {
        FieldType::Age(_) => write_int(random.between(5, 99), out),
        FieldType::Bool => out.extend_from_slice(if random.chance(500) { b"true" } else { b"false" }),
        FieldType::Content => {
            write_words(10 + random.index(context.options.content_bytes.saturating_sub(10)), ascii, random, out);
        }
        FieldType::Country => write_string(random.pick(usual(COUNTRIES, plain)), ascii, out),
        FieldType::Currency => write_string(random.pick(usual(CURRENCIES, plain)), ascii, out),
        FieldType::Decimal { scale, .. } => write_decimal(field, *scale, plain, random, out),
        FieldType::Duration(unit) => write_duration(field, *unit, random, out),
        FieldType::Float64 => write_float(field, plain, random, out),
        FieldType::Geo => write_geo(random, out),
        FieldType::HttpMethod => write_string(random.pick(usual(METHODS, plain)), ascii, out),
        FieldType::HttpStatus => write_int(random.pick(usual(STATUSES, plain)), out),
        FieldType::Identifier { kind } => {
            let is_subject = context.shape.subject == Some(place);
            write_identifier(context, kind, is_subject, random, out);
        }
        FieldType::Int(int) => write_whole(field, *int, plain, random, out),
        FieldType::Ip => write_ip(context, random, out),
        FieldType::Locale => write_string(random.pick(usual(LOCALES, plain)), ascii, out),
        FieldType::Route(routes) => write_route(routes, plain, random, out),
        FieldType::Semver => write_version(plain, random, out),
        FieldType::Timestamp { unit, .. } => write_timestamp(context, *unit, random, out),
        FieldType::UInt64 => write_digits(random.bits() >> random.below(64), 1, out),
        FieldType::UserAgent => write_string(random.pick(usual(USER_AGENTS, plain)), ascii, out),
        FieldType::Words(words) => {
            let mut words = words.words();
            let place = random.index(words.len());
            write_string(words.nth(place).unwrap_or("none"), ascii, out);
        }
    }
}

/// Bounds of a number as it is stored, narrowed so that values are of a size that occurs.
fn bounds(field: &Field, min: i128, max: i128) -> (i64, i64) {
    let (min, max) = match field.range {
        Some(Range::Whole { min: low, max: high }) => (low, high),
        Some(Range::Float { .. }) | None => (min, max),
    };
    let low = i64::try_from(min.max(-SIZE_MAX)).unwrap_or(0);
    let high = i64::try_from(max.min(i128::from(low.max(0)) + SIZE_MAX)).unwrap_or(low);
    (low, high.max(low))
}

fn write_whole(field: &Field, int: IntType, plain: bool, random: &mut Random, out: &mut Vec<u8>) {
    let (low, high) = bounds(field, int.min().max(0).into(), int.max().into());
    write_int(random.between(low, high), out);
    // Some languages know one kind of number only.
    if random.chance(20) && !plain {
        out.extend_from_slice(b".0");
    }
}

fn write_decimal(field: &Field, scale: u8, plain: bool, random: &mut Random, out: &mut Vec<u8>) {
    let (low, high) = bounds(field, 0, 100_000);
    let number = random.between(low, high);
    let text = random.chance(300) && !plain;
    if text {
        out.push(b'"');
    }
    if number < 0 {
        out.push(b'-');
    }
    let unit = 10_u64.saturating_pow(scale.into());
    write_digits(number.unsigned_abs() / unit, 1, out);
    if scale > 0 {
        out.push(b'.');
        write_digits(number.unsigned_abs() % unit, scale.min(19).into(), out);
    }
    if text {
        out.push(b'"');
    }
}

fn write_duration(field: &Field, unit: Unit, random: &mut Random, out: &mut Vec<u8>) {
    let (low, high) = bounds(field, 0, 3_600_000_000);
    let micros = random.between(low, high);
    match unit {
        Unit::Nanos => write_int(micros.saturating_mul(1000), out),
        Unit::Micros => write_int(micros, out),
        Unit::Millis if random.chance(300) && micros >= 0 => {
            write_int(micros / 1000, out);
            out.push(b'.');
            write_digits(micros.unsigned_abs() % 1000, 3, out);
        }
        Unit::Millis | Unit::Seconds | Unit::Minutes | Unit::Hours | Unit::Days => {
            write_int(micros / (unit.nanos() / 1000), out);
        }
    }
}

fn write_float(field: &Field, plain: bool, random: &mut Random, out: &mut Vec<u8>) {
    let (low, high) = match field.range {
        Some(Range::Float { min, max }) => (min.max(-1e9), max.min(1e9)),
        Some(Range::Whole { .. }) | None => (0.0, 1000.0),
    };
    let value = low + (high - low) * random.fraction();
    let text = match random.below(20) {
        0 if !plain => format!("{value:e}"),
        1 if !plain => format!("{value}"),
        _ => format!("{value:.3}"),
    };
    out.extend_from_slice(text.as_bytes());
}

fn write_geo(random: &mut Random, out: &mut Vec<u8>) {
    let (latitude, longitude) = (random.between(-89, 89), random.between(-179, 179));
    out.extend_from_slice(if random.chance(200) { b"\"geo:" } else { b"\"" });
    write_int(latitude, out);
    out.push(b'.');
    write_digits(random.below(100_000), 5, out);
    out.push(b',');
    write_int(longitude, out);
    out.push(b'.');
    write_digits(random.below(100_000), 5, out);
    out.push(b'"');
}

/// The person's own, somebody else's, or one that occurs once; numbers come as such or as text.
fn write_identifier(context: &Context<'_>, kind: &str, is_subject: bool, random: &mut Random, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'"');
    match random.below(3) {
        0 if !is_subject => write_uuid(random.bits(), random.bits(), out),
        1 if !is_subject => context.people.draw(random).write_identifier(kind, out),
        _ => context.person.write_identifier(kind, out),
    }
    // The same identifier in another spelling.
    let plain = context.options.plain;
    if random.chance(30) && !plain {
        out[start..].make_ascii_uppercase();
    }
    if random.chance(10) && !plain {
        out.push(b' ');
    }
    out.push(b'"');
    let number = out[start + 1..out.len() - 1].iter().all(u8::is_ascii_digit);
    if number && random.chance(500) && !plain {
        out.remove(start);
        out.pop();
    }
}

fn write_ip(context: &Context<'_>, random: &mut Random, out: &mut Vec<u8>) {
    let home = context.person.traits;
    out.push(b'"');
    match random.below(20) {
        0 => {
            out.extend_from_slice(b"2001:db8:");
            write_hex(home >> 30, 4, out);
            out.push(b':');
            write_hex(home >> 46, 4, out);
            out.extend_from_slice(b"::");
            write_hex(random.bits(), 3, out);
        }
        kind => {
            if kind == 1 && !context.options.plain {
                out.extend_from_slice(b"::ffff:");
            }
            for octet in [11 + (home >> 30) % 200, home >> 38 & 255, home >> 46 & 255] {
                write_digits(octet, 1, out);
                out.push(b'.');
            }
            write_digits(random.below(256), 1, out);
        }
    }
    out.push(b'"');
}

/// A path, or a whole URL with all that must not be kept.
fn write_route(routes: &Routes, plain: bool, random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'"');
    let url = random.chance(300) && !plain;
    if url {
        out.extend_from_slice(b"https://alice:secret@shop.example:8443");
    }
    let templates = routes.templates();
    for segment in templates[random.index(templates.len())].split('/').skip(1) {
        out.push(b'/');
        if segment.starts_with('{') {
            write_digits(random.below(1_000_000), 1, out);
        } else {
            out.extend_from_slice(segment.as_bytes());
        }
    }
    if url {
        out.extend_from_slice(b"?token=");
        write_hex(random.bits(), 16, out);
        out.extend_from_slice(b"#section");
    }
    out.push(b'"');
}

fn write_version(plain: bool, random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'"');
    write_digits(random.below(5), 1, out);
    out.push(b'.');
    write_digits(random.below(30), 1, out);
    out.push(b'.');
    write_digits(random.below(9), 1, out);
    if random.chance(50) && !plain {
        out.extend_from_slice(b"-beta.1");
    }
    out.push(b'"');
}

fn write_timestamp(context: &Context<'_>, unit: Option<Unit>, random: &mut Random, out: &mut Vec<u8>) {
    let time_ms = context.options.now_ms - random.between(0, 90 * 86_400_000);
    if let Some(unit) = unit {
        let nanos = i128::from(time_ms) * 1_000_000;
        return write_int(i64::try_from(nanos / i128::from(unit.nanos())).unwrap_or(0), out);
    }
    out.push(b'"');
    write_time(time_ms, if random.chance(200) && !context.options.plain { 6 } else { 3 }, out);
    out.push(b'"');
}

/// Returns the half of a list that has no odd forms and near misses: the first.
fn usual<T>(values: &[T], plain: bool) -> &[T] {
    if plain { &values[..values.len() / 2] } else { values }
}

/// Greatest distance from the lower bound that values have.
const SIZE_MAX: i128 = 1_000_000_000;

/// Values that hardly any type takes.
const WRONG: &[&str] = &[
    "\"oops\"",
    "7",
    "-1",
    "1.5",
    "true",
    "{}",
    "[]",
    "[\"a\"]",
    "\"\"",
    "1e400",
    "9007199254740993",
    "{\"value\":3}",
    "\"/home/alice/notes.txt\"",
    "-0",
    "1e2",
    "\"12\"",
    "99999999999999999999",
];
const COUNTRIES: &[&str] = &["DE", "FR", "US", "GB", "JP", "BR", "IN", "de", "XX"];
const CURRENCIES: &[&str] = &["EUR", "USD", "GBP", "JPY", "eur", "ABC"];
const METHODS: &[&str] = &["GET", "GET", "POST", "PUT", "DELETE", "PATCH", "get"];
const STATUSES: &[i64] = &[200, 200, 200, 201, 204, 304, 400, 404, 429, 500, 503, 999];
const LOCALES: &[&str] = &["en-US", "de-DE", "fr", "pt-BR", "zh-Hant-TW", "es-419", "EN-gb", "tlh", "en-US-x-alice"];
const USER_AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "okhttp/5.1.0",
    "acme-desktop/7.2 (build for alice)",
];
