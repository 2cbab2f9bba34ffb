//! A value of an event as its field's type says, and as each purpose may have it.

use weir_policy::vocabulary::user_agent;
use weir_policy::{
    Coarsen, Field, FieldClass, FieldType, PurposeId, PurposeRules, Range, Routes, Storage, TimePrecision, Unit,
};

use super::cell::Cell;
use super::json::Json;
use super::number::{Decimal, Unfit};
use super::time;

/// What a field holds before a purpose has its say.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value, a word, a network, a version or a user agent: stored as it is.
    Fixed(Cell),
    /// A whole number: integers, decimals at their scale, durations and instants in µs.
    Whole(i128),
    /// A double.
    Float(f64),
    /// An identifier, in its canonical form.
    Identifier(String),
    /// A text outside its closed list; what is stored in its place.
    Other(Cell),
}

/// Why a field holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// It is absent, or null.
    Absent,
    /// A number that the type or the range does not have.
    OutOfRange,
    /// A value of another type, or not exactly one of it.
    WrongType,
}

/// Reads a value of a declared field that is not content.
///
/// # Errors
/// Nothing can be kept, for this reason.
pub fn read(field: &Field, json: &Json<'_>) -> Result<Value, Nothing> {
    if *json == Json::Null {
        return Err(Nothing::Absent);
    }
    match &field.field_type {
        FieldType::Age(bands) => {
            let years = in_range(field, whole(json)?)?;
            if years > 130 {
                return Err(Nothing::OutOfRange);
            }
            let bounds = bands.bounds();
            let place = bounds.iter().rposition(|bound| i128::from(*bound) <= years).ok_or(Nothing::OutOfRange)?;
            Ok(Value::Fixed(Cell::Text(match bounds.get(place + 1) {
                Some(next) => format!("{}-{}", bounds[place], next - 1),
                None => format!("{}+", bounds[place]),
            })))
        }
        FieldType::Bool => match json {
            Json::True => Ok(Value::Fixed(Cell::Bool(true))),
            Json::False => Ok(Value::Fixed(Cell::Bool(false))),
            Json::Null | Json::Number(_) | Json::Text(_) | Json::Array(_) | Json::Object(_) => Err(Nothing::WrongType),
        },
        FieldType::Content => unreachable!("content is never read"),
        FieldType::Decimal { precision, scale } => {
            let value = decimal(json)?.shifted(i64::from(*scale)).whole()?;
            let digits = value.unsigned_abs().to_string().len();
            if value != 0 && digits > usize::from(*precision) {
                return Err(Nothing::OutOfRange);
            }
            in_range(field, value).map(Value::Whole)
        }
        FieldType::Duration(unit) | FieldType::Timestamp { unit: Some(unit), .. } => {
            in_range(field, micros(json, *unit)?).map(Value::Whole)
        }
        FieldType::Float64 => float(field, json),
        FieldType::HttpStatus => {
            let status = in_range(field, whole(json)?)?;
            if (100..=599).contains(&status) { Ok(Value::Whole(status)) } else { Err(Nothing::OutOfRange) }
        }
        FieldType::Identifier { .. } => identifier(json).map(Value::Identifier),
        FieldType::Int(int) => {
            let value = in_range(field, whole(json)?)?;
            let fits = i128::from(int.min()) <= value && value <= i128::from(int.max());
            if fits { Ok(Value::Whole(value)) } else { Err(Nothing::OutOfRange) }
        }
        FieldType::Timestamp { unit: None, .. } => {
            let micros = time::micros(text(json)?).ok_or(Nothing::WrongType)?;
            in_range(field, micros.into()).map(Value::Whole)
        }
        FieldType::UInt64 => {
            let value = in_range(field, whole(json)?)?;
            if (0..=i128::from(u64::MAX)).contains(&value) { Ok(Value::Whole(value)) } else { Err(Nothing::OutOfRange) }
        }
        FieldType::Country
        | FieldType::Currency
        | FieldType::Geo
        | FieldType::HttpMethod
        | FieldType::Ip
        | FieldType::Locale
        | FieldType::Route(_)
        | FieldType::Semver
        | FieldType::UserAgent
        | FieldType::Words(_) => word(field, text(json)?),
    }
}

/// Returns what the column of a purpose holds; none where its buckets have no place for the number.
pub fn cell(field: &Field, value: &Value, purpose: PurposeId, rules: &PurposeRules) -> Option<Cell> {
    match value {
        Value::Fixed(cell) | Value::Other(cell) => Some(cell.clone()),
        Value::Float(value) => coarsened_float(*value, field.coarsen(purpose)).map(Cell::Float),
        Value::Identifier(_) => unreachable!("identifiers become pseudonyms"),
        Value::Whole(value) => whole_cell(field, *value, purpose, rules),
    }
}

fn whole_cell(field: &Field, value: i128, purpose: PurposeId, rules: &PurposeRules) -> Option<Cell> {
    if let FieldType::Timestamp { precision, .. } = &field.field_type {
        let own = precision[purpose.index()].map_or(0, TimePrecision::micros);
        let step = i128::from(own.max(rules.time_precision.micros()));
        return narrow(value.div_euclid(step) * step);
    }
    let value = coarsened(value, field.coarsen(purpose)).filter(|value| is_of_type(&field.field_type, *value))?;
    if field.field_type.storage() != Storage::Decimal {
        return narrow(value);
    }
    let scale = if let FieldType::Decimal { scale, .. } = field.field_type { scale } else { 0 };
    Some(Cell::Decimal(value, scale))
}

/// Rounded down, the least numbers of a type are none of it.
fn is_of_type(field_type: &FieldType, value: i128) -> bool {
    if let FieldType::Decimal { precision, .. } = field_type {
        value.unsigned_abs() < 10_u128.pow((*precision).into())
    } else if let FieldType::Int(int) = field_type {
        i128::from(int.min()) <= value && value <= i128::from(int.max())
    } else {
        !matches!(field_type, FieldType::HttpStatus) || (100..=599).contains(&value)
    }
}

fn narrow(value: i128) -> Option<Cell> {
    i64::try_from(value).ok().map(Cell::Int)
}

fn coarsened(value: i128, coarsen: &Coarsen) -> Option<i128> {
    match coarsen {
        Coarsen::Buckets(bounds) => bounds.iter().copied().filter(|bound| *bound <= value).max(),
        Coarsen::Multiple(step) => value.div_euclid(*step).checked_mul(*step),
        Coarsen::Exact => Some(value),
        Coarsen::FloatBuckets(_) | Coarsen::FloatMultiple(_) => unreachable!("a whole number has no such coarsening"),
    }
}

fn coarsened_float(value: f64, coarsen: &Coarsen) -> Option<f64> {
    match coarsen {
        Coarsen::FloatBuckets(bounds) => bounds.iter().copied().rfind(|bound| *bound <= value),
        Coarsen::FloatMultiple(step) => {
            // Negative zero and zero are one number.
            let multiple = (value / step).floor() * step + 0.0;
            multiple.is_finite().then_some(multiple)
        }
        Coarsen::Exact => Some(value),
        Coarsen::Buckets(_) | Coarsen::Multiple(_) => unreachable!("a double has no such coarsening"),
    }
}

fn in_range(field: &Field, value: i128) -> Result<i128, Nothing> {
    match field.range {
        Some(Range::Whole { min, max }) if value < min || value > max => Err(Nothing::OutOfRange),
        Some(Range::Float { .. }) => unreachable!("a whole number has no such range"),
        Some(Range::Whole { .. }) | None => Ok(value),
    }
}

fn float(field: &Field, json: &Json<'_>) -> Result<Value, Nothing> {
    let value: f64 = number(json)?.parse().expect("a number of JSON");
    // Negative zero and zero are one number.
    let value = value + 0.0;
    if value.is_infinite() {
        return Err(Nothing::OutOfRange);
    }
    match field.range {
        Some(Range::Float { min, max }) if value < min || value > max => Err(Nothing::OutOfRange),
        _ => Ok(Value::Float(value)),
    }
}

fn number<'t>(json: &Json<'t>) -> Result<&'t str, Nothing> {
    if let Json::Number(written) = json { Ok(written) } else { Err(Nothing::WrongType) }
}

fn text<'j>(json: &'j Json<'_>) -> Result<&'j str, Nothing> {
    let Json::Text(text) = json else { return Err(Nothing::WrongType) };
    text.text().ok_or(Nothing::WrongType)
}

fn whole(json: &Json<'_>) -> Result<i128, Nothing> {
    Ok(Decimal::of(number(json)?).whole()?)
}

/// A decimal may be text, which must be a number as JSON has it.
fn decimal(json: &Json<'_>) -> Result<Decimal, Nothing> {
    let Json::Text(_) = json else { return Ok(Decimal::of(number(json)?)) };
    let text = text(json)?;
    match super::json::parse(text) {
        // White space around a number is JSON, but no part of the number.
        Ok(Json::Number(written)) if written == text => Ok(Decimal::of(written)),
        _ => Err(Nothing::WrongType),
    }
}

/// Returns a number of `unit` in µs, rounded down.
///
/// A number that is written so exactly that its nanoseconds need more than 128 bits counts as out of range.
fn micros(json: &Json<'_>, unit: Unit) -> Result<i128, Nothing> {
    let nanos = unit.nanos().unsigned_abs();
    let written = Decimal::of(number(json)?);
    if !written.fits_after(nanos) {
        return Err(Nothing::OutOfRange);
    }
    let micros = written.times(nanos).shifted(-3).floor().whole().map_err(|_huge| Nothing::OutOfRange)?;
    i64::try_from(micros).map(i128::from).map_err(|_beyond| Nothing::OutOfRange)
}

/// An integer as an identifier equals its decimal text.
fn identifier(json: &Json<'_>) -> Result<String, Nothing> {
    let identifier = if let Json::Number(_) = json {
        let number = whole(json)?;
        if number < i128::from(i64::MIN) || number > i128::from(u64::MAX) {
            return Err(Nothing::OutOfRange);
        }
        number.to_string()
    } else {
        weir_keys::canonical(text(json)?).into_owned()
    };
    if identifier.is_empty() { Err(Nothing::WrongType) } else { Ok(identifier) }
}

/// A text of a closed vocabulary; for a quasi-identifier there is no "other".
fn word(field: &Field, text: &str) -> Result<Value, Nothing> {
    let field_type = &field.field_type;
    let found = if let FieldType::Semver = field_type {
        return version(text).map(Value::Fixed).ok_or(Nothing::WrongType);
    } else if let FieldType::UserAgent = field_type {
        return Ok(client(text));
    } else if let FieldType::Geo = field_type {
        geohash(text)
    } else if let FieldType::Ip = field_type {
        network(text)
    } else if let FieldType::Route(routes) = field_type {
        route(routes, text)
    } else if let FieldType::Words(words) = field_type {
        words.words().find(|word| *word == text).map(str::to_owned)
    } else {
        // The lists of ISO and BCP 47 are data, not code: there is nothing to do differently.
        field_type.token(text.as_bytes()).map(|token| field_type.render(token).into_owned())
    };
    match found {
        Some(word) => Ok(Value::Fixed(Cell::Text(word))),
        None if field.class == FieldClass::Word => Ok(Value::Other(Cell::Text(OTHER.to_owned()))),
        None => Err(Nothing::WrongType),
    }
}

fn client(text: &str) -> Value {
    let known = user_agent::parse(text.as_bytes());
    let (family, major) = known.map_or((OTHER, 0), |(family, major)| (user_agent::render(family), major));
    let parts = vec![("family", Cell::Text(family.to_owned())), ("major", Cell::Int(major.into()))];
    if known.is_some() { Value::Fixed(Cell::Struct(parts)) } else { Value::Other(Cell::Struct(parts)) }
}

fn version(text: &str) -> Option<Cell> {
    let parts: Vec<&str> = text.split('.').collect();
    let [major, minor, patch] = parts[..] else { return None };
    let part = |text: &str| {
        let number: i32 = text.parse().ok()?;
        (number.to_string() == text && number >= 0).then_some(Cell::Int(number.into()))
    };
    Some(Cell::Struct(vec![("major", part(major)?), ("minor", part(minor)?), ("patch", part(patch)?)]))
}

fn network(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        let [a, b, c, _] = address.octets();
        return Some(format!("{a}.{b}.{c}.0/24"));
    }
    let address: std::net::Ipv6Addr = text.parse().ok()?;
    if let [0, 0, 0, 0, 0, 0xffff, high, low] | [0x2002, high, low, ..] = address.segments() {
        let ([a, b], [c, _]) = (high.to_be_bytes(), low.to_be_bytes());
        return Some(format!("{a}.{b}.{c}.0/24"));
    }
    let [a, b, c, ..] = address.segments();
    Some(format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)))
}

/// Compares a path with each template, segment by segment; literals in front win over variables.
fn route(routes: &Routes, text: &str) -> Option<String> {
    let text = text.split(['?', '#']).next()?;
    let path = if text.starts_with('/') {
        text
    } else {
        let (_, rest) = text.split_once("://")?;
        rest.find('/').map_or("/", |slash| rest.get(slash..).unwrap_or_default())
    };
    let given = segments(path);
    let matches = |template: &&String| {
        let wanted = segments(template);
        let fits = |(wanted, given): (&&str, &&str)| {
            if wanted.starts_with('{') { !given.is_empty() } else { wanted == given }
        };
        wanted.len() == given.len() && wanted.iter().zip(&given).all(fits)
    };
    let variables =
        |template: &&String| -> Vec<bool> { segments(template).iter().map(|part| part.starts_with('{')).collect() };
    routes.templates().iter().filter(matches).min_by_key(variables).cloned()
}

fn segments(path: &str) -> Vec<&str> {
    path.strip_suffix('/').unwrap_or(path).split('/').skip(1).collect()
}

/// Halves the world twenty times, by longitude and latitude in turn: each half is a bit, five bits are a character.
fn geohash(text: &str) -> Option<String> {
    let has_scheme = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("geo:"));
    let place = if has_scheme { text.get(4..)?.split(';').next()? } else { text };
    let parts: Vec<&str> = place.split(',').collect();
    let (latitude, longitude) = match parts[..] {
        [latitude, longitude] => (latitude, longitude),
        [latitude, longitude, altitude] if has_scheme => {
            degrees(altitude, f64::MAX)?;
            (latitude, longitude)
        }
        _ => return None,
    };
    let mut axes = [(degrees(longitude, 180.0)?, -180.0, 180.0), (degrees(latitude, 90.0)?, -90.0, 90.0)];
    let mut bits = Vec::new();
    for place in 0..20 {
        let (value, low, high) = &mut axes[place % 2];
        let middle = f64::midpoint(*low, *high);
        bits.push(*value >= middle);
        if *value >= middle {
            *low = middle;
        } else {
            *high = middle;
        }
    }
    let letters = bits.chunks(5).map(|five| five.iter().fold(0, |letter, bit| letter * 2 + usize::from(*bit)));
    letters.map(|letter| GEOHASH.chars().nth(letter)).collect()
}

/// Reads degrees, written as `[-]digits[.digits]` with spaces around them.
fn degrees(text: &str, limit: f64) -> Option<f64> {
    let text = text.trim_matches(' ');
    let digits = text.strip_prefix('-').unwrap_or(text);
    let parts: Vec<&str> = digits.split('.').collect();
    let is_digits = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    if parts.len() > 2 || !parts.iter().all(is_digits) {
        return None;
    }
    text.parse().ok().filter(|degrees: &f64| degrees.abs() <= limit)
}

impl From<Unfit> for Nothing {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Fraction => Self::WrongType,
            Unfit::Huge => Self::OutOfRange,
        }
    }
}

/// Stands for every text outside a closed list.
const OTHER: &str = "__other__";
/// The digits of base 32 as geohash has them: no a, i, l, o.
const GEOHASH: &str = "0123456789bcdefghjkmnpqrstuvwxyz";
