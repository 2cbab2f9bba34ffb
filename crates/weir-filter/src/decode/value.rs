//! One JSON value, read as its field's type.
//!
//! What fits becomes a number, a word of a closed list or, for identifiers, a place in the bytes; what does not becomes
//! nothing, with the reason. No text leaves this file but an identifier's place.

use super::bytes::{Bytes, Place};
use super::words::Words;
use crate::json::{Number, Unfit};
use crate::tally::FieldCounts;
use weir_keys::canonical;
use weir_policy::values::time;
use weir_policy::vocabulary::{http, semver, user_agent};
use weir_policy::{Field, FieldClass, FieldType, Network, Range, Token, Unit};

/// What a field holds in one event.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Bool(bool),
    /// Unscaled.
    Decimal(i128),
    Float(f64),
    /// Where its canonical form is.
    Identifier(Place),
    Int(i64),
    /// The items are in the lists, at the field's place.
    List,
    Network(Network),
    Nothing(Nothing),
    Semver([i32; 3]),
    Token(Token),
    UserAgent((Token, i32)),
}

/// Why a field holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// The event does not have it, or has `null`.
    Absent,
    /// It is content, of so many bytes.
    Content(usize),
    /// A number outside the type or the range.
    OutOfRange,
    /// Another JSON type, or not exactly of the type.
    WrongType,
}

impl Value {
    /// Stands for a field that was not met.
    pub(crate) const ABSENT: Self = Self::Nothing(Nothing::Absent);

    /// Tells whether it is a word that its list declares.
    pub(super) fn is_declared_word(self) -> bool {
        matches!(self, Self::Token(token) if token != Token::OTHER)
    }

    /// Tells whether there is a value that could be stored.
    pub(crate) fn is_something(self) -> bool {
        !matches!(self, Self::Nothing(_))
    }
}

/// A JSON scalar as the walk found it.
pub(crate) enum Scalar {
    Bool(bool),
    Number(Number),
    Text(Place),
    /// A string that is not Unicode text.
    Broken,
}

/// Reads a scalar as the type of a field, whose number in the policy is `number`, and counts what does not fit.
pub(super) fn read(
    field: &Field,
    number: u32,
    scalar: &Scalar,
    bytes: &mut Bytes<'_>,
    words: &mut Words,
    counts: &mut FieldCounts,
) -> Value {
    let value = match field.class {
        // A word's text is of a closed list, if it is one: those that came lately are known.
        FieldClass::Word => match text(scalar, bytes) {
            Ok(text) => words.find(number, text, || typed(field, scalar, bytes)),
            Err(_) => typed(field, scalar, bytes),
        },
        FieldClass::Identifier => identifier(scalar, bytes).map(Value::Identifier),
        FieldClass::Content | FieldClass::Measure | FieldClass::QuasiIdentifier => typed(field, scalar, bytes),
    };
    match value {
        Ok(value) => {
            if let Value::Token(Token::OTHER) | Value::UserAgent((Token::OTHER, _)) = value {
                counts.other_word += 1;
            }
            value
        }
        Err(reason) => {
            match reason {
                Nothing::Absent | Nothing::Content(_) => {}
                Nothing::OutOfRange => counts.out_of_range += 1,
                Nothing::WrongType => counts.wrong_type += 1,
            }
            Value::Nothing(reason)
        }
    }
}

fn typed(field: &Field, scalar: &Scalar, bytes: &Bytes<'_>) -> Result<Value, Nothing> {
    match &field.field_type {
        FieldType::Age(bands) => {
            let years = long(ranged(field, numeric(scalar)?.whole(0)?)?)?;
            bands.token(years).map(Value::Token).ok_or(Nothing::OutOfRange)
        }
        FieldType::Bool => match scalar {
            Scalar::Bool(value) => Ok(Value::Bool(*value)),
            Scalar::Broken | Scalar::Number(_) | Scalar::Text(_) => Err(Nothing::WrongType),
        },
        // Content is not read at all, and an identifier is no value but a place.
        FieldType::Content | FieldType::Identifier { .. } => Err(Nothing::Absent),
        FieldType::Country
        | FieldType::Currency
        | FieldType::Geo
        | FieldType::HttpMethod
        | FieldType::Locale
        | FieldType::Route(_)
        | FieldType::Words(_) => token(field, text(scalar, bytes)?),
        FieldType::Decimal { precision, scale } => decimal(field, scalar, bytes, *precision, *scale),
        FieldType::Duration(unit) => {
            let us = numeric(scalar)?.micros(bytes.record(), *unit).ok_or(Nothing::OutOfRange)?;
            within(field, us).map(Value::Int)
        }
        FieldType::Float64 => float(field, numeric(scalar)?.float(bytes.record())),
        FieldType::HttpStatus => {
            let status = within(field, long(numeric(scalar)?.whole(0)?)?)?;
            let is_status = (http::STATUS_MIN..=http::STATUS_MAX).contains(&status);
            if is_status { Ok(Value::Int(status)) } else { Err(Nothing::OutOfRange) }
        }
        FieldType::Int(int) => {
            let value = within(field, long(numeric(scalar)?.whole(0)?)?)?;
            let fits = int.min() <= value && value <= int.max();
            if fits { Ok(Value::Int(value)) } else { Err(Nothing::OutOfRange) }
        }
        FieldType::Ip => Network::parse(text(scalar, bytes)?).map(Value::Network).ok_or(Nothing::WrongType),
        FieldType::Semver => semver::parse(text(scalar, bytes)?).map(Value::Semver).ok_or(Nothing::WrongType),
        FieldType::Timestamp { unit, .. } => timestamp(field, scalar, bytes, *unit),
        FieldType::UInt64 => {
            let value = ranged(field, numeric(scalar)?.whole(0)?)?;
            if u64::try_from(value).is_ok() { Ok(Value::Decimal(value)) } else { Err(Nothing::OutOfRange) }
        }
        FieldType::UserAgent => {
            Ok(Value::UserAgent(user_agent::parse(text(scalar, bytes)?).unwrap_or((Token::OTHER, 0))))
        }
    }
}

fn numeric(scalar: &Scalar) -> Result<&Number, Nothing> {
    match scalar {
        Scalar::Number(number) => Ok(number),
        Scalar::Bool(_) | Scalar::Broken | Scalar::Text(_) => Err(Nothing::WrongType),
    }
}

fn text<'b>(scalar: &Scalar, bytes: &'b Bytes<'_>) -> Result<&'b [u8], Nothing> {
    match scalar {
        Scalar::Text(place) => Ok(bytes.at(*place)),
        Scalar::Bool(_) | Scalar::Broken | Scalar::Number(_) => Err(Nothing::WrongType),
    }
}

fn token(field: &Field, text: &[u8]) -> Result<Value, Nothing> {
    match field.field_type.token(text) {
        Some(token) => Ok(Value::Token(token)),
        None if field.class == FieldClass::Word => Ok(Value::Token(Token::OTHER)),
        None => Err(Nothing::WrongType),
    }
}

fn decimal(field: &Field, scalar: &Scalar, bytes: &Bytes<'_>, precision: u8, scale: u8) -> Result<Value, Nothing> {
    let number = match scalar {
        Scalar::Number(number) => *number,
        Scalar::Text(place) => {
            let text = bytes.at(*place);
            let (number, end) = Number::read(text, 0).ok().ok_or(Nothing::WrongType)?;
            if end == text.len() { number } else { return Err(Nothing::WrongType) }
        }
        Scalar::Bool(_) | Scalar::Broken => return Err(Nothing::WrongType),
    };
    let value = number.whole(scale)?;
    let limit = 10_u128.checked_pow(precision.into()).unwrap_or(u128::MAX);
    if value.unsigned_abs() >= limit {
        return Err(Nothing::OutOfRange);
    }
    ranged(field, value).map(Value::Decimal)
}

fn float(field: &Field, value: f64) -> Result<Value, Nothing> {
    let fits = value.is_finite() && field.range.is_none_or(|range| range.holds_float(value));
    if fits { Ok(Value::Float(value)) } else { Err(Nothing::OutOfRange) }
}

fn timestamp(field: &Field, scalar: &Scalar, bytes: &Bytes<'_>, unit: Option<Unit>) -> Result<Value, Nothing> {
    let us = match unit {
        None => time::parse(text(scalar, bytes)?).ok_or(Nothing::WrongType)?,
        Some(unit) => numeric(scalar)?.micros(bytes.record(), unit).ok_or(Nothing::OutOfRange)?,
    };
    within(field, us).map(Value::Int)
}

fn long(value: i128) -> Result<i64, Nothing> {
    i64::try_from(value).ok().ok_or(Nothing::OutOfRange)
}

fn within(field: &Field, value: i64) -> Result<i64, Nothing> {
    ranged(field, value.into()).map(|_| value)
}

fn ranged(field: &Field, value: i128) -> Result<i128, Nothing> {
    match &field.range {
        None => Ok(value),
        Some(range @ (Range::Whole { .. } | Range::Float { .. })) if range.holds_whole(value) => Ok(value),
        Some(_) => Err(Nothing::OutOfRange),
    }
}

/// Returns where the canonical form of an identifier is; an empty one names nobody.
fn identifier(scalar: &Scalar, bytes: &mut Bytes<'_>) -> Result<Place, Nothing> {
    let place = match scalar {
        Scalar::Text(place) => bytes.canonical(*place),
        Scalar::Number(number) => whole_identifier(number, bytes)?,
        Scalar::Bool(_) | Scalar::Broken => return Err(Nothing::WrongType),
    };
    if bytes.at(place).is_empty() { Err(Nothing::WrongType) } else { Ok(place) }
}

/// Writes an integer as its decimal text: `7`, `7.0` and `"7"` name the same.
fn whole_identifier(number: &Number, bytes: &mut Bytes<'_>) -> Result<Place, Nothing> {
    let value = number.whole(0)?;
    if i64::try_from(value).is_err() && u64::try_from(value).is_err() {
        return Err(Nothing::OutOfRange);
    }
    Ok(bytes.write(format_args!("{value}")))
}

impl From<Unfit> for Nothing {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Fraction => Self::WrongType,
            Unfit::Huge => Self::OutOfRange,
        }
    }
}

impl Bytes<'_> {
    /// Returns where the canonical form of a text is: itself, for nearly all of them.
    fn canonical(&mut self, place: Place) -> Place {
        let form = match std::str::from_utf8(self.at(place)).map(canonical) {
            Ok(std::borrow::Cow::Borrowed(form)) if form.len() == place.len() => return place,
            Ok(form) => form.into_owned(),
            Err(_) => unreachable!("records and headers are checked to be UTF-8"),
        };
        self.write(format_args!("{form}"))
    }
}
