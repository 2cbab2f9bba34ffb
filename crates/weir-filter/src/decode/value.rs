//! One JSON value, read as its field's type.
//!
//! What fits becomes a number, a word of a closed list or, for identifiers, a place in the bytes; what does not becomes
//! nothing, with the reason. No text leaves this file but an identifier's place.

use super::bytes::{Bytes, Place};
use crate::json::{Number, Unfit};
use crate::names::Name;
use crate::plan::Slot;
use crate::recent::Recent;
use crate::tally::FieldCounts;
use weir_keys::{canonical, is_canonical_at_sight};
use weir_policy::values::time;
use weir_policy::vocabulary::{semver, user_agent};
use weir_policy::{FieldType, Network, Token};

/// What a field holds in one event, in two words that fit two registers.
#[derive(Clone, Copy)]
pub(crate) struct Value {
    kind: Kind,
    bits: u64,
}

/// What a value is, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The event does not have it, or has `null`.
    Absent,
    Bool,
    /// It is content, of so many bytes.
    Content,
    Float,
    /// Where its canonical form is.
    Identifier,
    Int,
    /// Its items among those of all events: where they start, and how many there are.
    List,
    Network,
    /// A number outside the type or the range.
    OutOfRange,
    /// Where its numbers are, among the wide ones.
    Semver,
    Token,
    /// Family and major version.
    UserAgent,
    /// Where the number is, unscaled, among the wide ones.
    Wide,
    /// Another JSON type, or not exactly of the type.
    WrongType,
}

impl Value {
    /// Stands for a field that was not met.
    pub(crate) const ABSENT: Self = Self::new(Kind::Absent, 0);
    const OUT_OF_RANGE: Self = Self::new(Kind::OutOfRange, 0);
    const WRONG_TYPE: Self = Self::new(Kind::WrongType, 0);

    const fn new(kind: Kind, bits: u64) -> Self {
        Self { kind, bits }
    }

    #[inline]
    fn pair(kind: Kind, high: u32, low: u32) -> Self {
        Self::new(kind, u64::from(high) << 32 | u64::from(low))
    }

    /// Returns a truth value.
    pub(super) fn truth(truth: bool) -> Self {
        Self::new(Kind::Bool, truth.into())
    }

    /// Returns the value of content of so many bytes.
    pub(super) fn content(bytes: usize) -> Self {
        Self::new(Kind::Content, u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Returns the value of a list.
    pub(super) fn list(start: u32, length: u32) -> Self {
        Self::pair(Kind::List, start, length)
    }

    pub(crate) const fn kind(self) -> Kind {
        self.kind
    }

    /// Returns the value itself, where it is no place of one.
    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.bits
    }

    /// Tells whether there is a value that could be stored.
    #[inline]
    pub(crate) fn is_something(self) -> bool {
        !matches!(self.kind, Kind::Absent | Kind::Content | Kind::OutOfRange | Kind::WrongType)
    }

    #[inline]
    pub(crate) fn as_bool(self) -> bool {
        self.bits != 0
    }

    #[inline]
    pub(crate) fn as_float(self) -> f64 {
        f64::from_bits(self.bits)
    }

    #[inline]
    pub(crate) fn as_int(self) -> i64 {
        self.bits.cast_signed()
    }

    #[inline]
    pub(crate) fn as_network(self) -> Network {
        Network::from_number(self.bits)
    }

    #[inline]
    pub(crate) fn as_token(self) -> Token {
        Token::from_number(self.low())
    }

    #[inline]
    pub(crate) fn as_user_agent(self) -> (Token, i32) {
        (Token::from_number(self.high()), self.low().cast_signed())
    }

    /// Returns where an identifier is.
    #[inline]
    pub(crate) fn as_place(self) -> Place {
        Place::from_bits(self.bits)
    }

    /// Returns where a list's items start, and how many there are.
    #[inline]
    pub(crate) fn as_list(self) -> (u32, u32) {
        (self.high(), self.low())
    }

    /// Returns the place among the wide numbers, or the length of content.
    #[inline]
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.bits).unwrap_or(usize::MAX)
    }

    #[inline]
    fn high(self) -> u32 {
        u32::try_from(self.bits >> 32).unwrap_or_default()
    }

    #[inline]
    fn low(self) -> u32 {
        u32::try_from(self.bits & u64::from(u32::MAX)).unwrap_or_default()
    }
}

/// What reading values needs and fills.
pub(super) struct Reader<'r> {
    pub(super) bytes: Bytes<'r>,
    /// Words of closed lists that came lately.
    pub(super) words: &'r mut Recent<Token>,
    /// Numbers of more than 64 bits, of all events.
    pub(super) wides: &'r mut Vec<i128>,
    pub(super) counts: FieldCounts,
}

impl Reader<'_> {
    /// Reads a text as the type of a field, and counts what does not fit.
    #[inline(never)]
    pub(super) fn text(&mut self, slot: &Slot, place: Place) -> Value {
        let value = if slot.is_listed {
            self.word(slot, place)
        } else {
            match &*slot.field_type {
                FieldType::Identifier { .. } => self.identifier(place),
                FieldType::Ip => network(self.bytes.at(place)),
                FieldType::Semver => self.version(place),
                FieldType::Timestamp { unit: None, .. } => within(slot, time::parse(self.bytes.at(place))),
                FieldType::UserAgent => agent(self.bytes.at(place)),
                FieldType::Decimal { scale, .. } => self.decimal_text(slot, place, *scale),
                FieldType::Age(_)
                | FieldType::Bool
                | FieldType::Content
                | FieldType::Country
                | FieldType::Currency
                | FieldType::Duration(_)
                | FieldType::Float64
                | FieldType::Geo
                | FieldType::HttpMethod
                | FieldType::HttpStatus
                | FieldType::Int(_)
                | FieldType::Locale
                | FieldType::Route(_)
                | FieldType::Timestamp { .. }
                | FieldType::UInt64
                | FieldType::Words(_) => self.token(slot, place),
            }
        };
        self.counted(value)
    }

    /// Reads a number as the type of a field, and counts what does not fit.
    #[inline]
    pub(super) fn number(&mut self, slot: &Slot, number: &Number) -> Value {
        let value = match &*slot.field_type {
            FieldType::Float64 => float(slot, number.float(self.bytes.record())),
            FieldType::HttpStatus | FieldType::Int(_) => whole(slot, number),
            FieldType::Age(bands) => {
                let years = whole(slot, number);
                if years.kind == Kind::Int { found(bands.token(years.as_int()), Value::OUT_OF_RANGE) } else { years }
            }
            FieldType::Decimal { scale, .. } => self.wide(slot, number.whole(*scale)),
            FieldType::Duration(unit) | FieldType::Timestamp { unit: Some(unit), .. } => {
                let micros = number.micros(self.bytes.record(), *unit);
                micros.map_or(Value::OUT_OF_RANGE, |micros| within(slot, Some(micros)))
            }
            FieldType::Identifier { .. } => self.whole_identifier(number),
            FieldType::UInt64 => self.wide(slot, number.whole(0)),
            FieldType::Bool
            | FieldType::Content
            | FieldType::Country
            | FieldType::Currency
            | FieldType::Geo
            | FieldType::HttpMethod
            | FieldType::Ip
            | FieldType::Locale
            | FieldType::Route(_)
            | FieldType::Semver
            | FieldType::Timestamp { unit: None, .. }
            | FieldType::UserAgent
            | FieldType::Words(_) => Value::WRONG_TYPE,
        };
        self.counted(value)
    }

    /// Reads a truth value as the type of a field, and counts what does not fit.
    pub(super) fn truth(&mut self, slot: &Slot, truth: bool) -> Value {
        if let FieldType::Bool = *slot.field_type { Value::truth(truth) } else { self.misfit() }
    }

    /// Counts a value that is of another type, whatever it is.
    pub(super) fn misfit(&mut self) -> Value {
        self.counted(Value::WRONG_TYPE)
    }

    /// Counts what there is to count of a value.
    #[inline]
    pub(super) fn counted(&mut self, value: Value) -> Value {
        match value.kind {
            Kind::Content => self.counts.content += 1,
            Kind::OutOfRange => self.counts.out_of_range += 1,
            Kind::WrongType => self.counts.wrong_type += 1,
            Kind::Token if value.as_token() == Token::OTHER => self.counts.other_word += 1,
            Kind::UserAgent if value.as_user_agent().0 == Token::OTHER => self.counts.other_word += 1,
            Kind::Absent
            | Kind::Bool
            | Kind::Float
            | Kind::Identifier
            | Kind::Int
            | Kind::List
            | Kind::Network
            | Kind::Semver
            | Kind::Token
            | Kind::UserAgent
            | Kind::Wide => {}
        }
        value
    }

    /// Reads a text as a word of the field's closed list, which is none of routes.
    #[inline(always)]
    pub(super) fn listed(&mut self, slot: &Slot, text: impl Name) -> Value {
        let value = token_value(match &slot.words {
            Some(words) => words.find(text),
            None => lately(self.words, slot, text),
        });
        self.counts.other_word += u64::from(value.as_token() == Token::OTHER);
        value
    }

    /// Takes a whole number.
    #[inline(always)]
    pub(super) fn whole(&mut self, slot: &Slot, number: i64) -> Value {
        let holds = slot.bounds.hold(number);
        self.counts.out_of_range += u64::from(!holds);
        if holds { Value::new(Kind::Int, number.cast_unsigned()) } else { Value::OUT_OF_RANGE }
    }

    /// Takes a double.
    #[inline(always)]
    pub(super) fn float(&mut self, slot: &Slot, number: f64) -> Value {
        let value = float(slot, number);
        self.counts.out_of_range += u64::from(value.kind == Kind::OutOfRange);
        value
    }

    /// Reads a text as an identifier.
    #[inline]
    pub(super) fn named(&mut self, place: Place) -> Value {
        let value = self.identifier(place);
        self.counted(value)
    }

    #[inline]
    fn word(&mut self, slot: &Slot, place: Place) -> Value {
        token_value(if let FieldType::Route(_) = *slot.field_type {
            // What fits a template is not the list's text but the event's own, and is not remembered.
            slot.field_type.token(self.bytes.at(place)).unwrap_or(Token::OTHER)
        } else {
            lately(self.words, slot, self.bytes.around(place))
        })
    }

    fn token(&self, slot: &Slot, place: Place) -> Value {
        found(slot.field_type.token(self.bytes.at(place)), Value::WRONG_TYPE)
    }

    fn version(&mut self, place: Place) -> Value {
        let Some([major, minor, patch]) = semver::parse(self.bytes.at(place)) else { return Value::WRONG_TYPE };
        let packed = i128::from(major) << 64 | i128::from(minor) << 32 | i128::from(patch);
        Value { kind: Kind::Semver, ..self.put_wide(packed) }
    }

    fn decimal_text(&mut self, slot: &Slot, place: Place, scale: u8) -> Value {
        let text = self.bytes.at(place);
        match Number::read(text, 0) {
            Ok(number) if number.range().end == text.len() => self.wide(slot, number.whole(scale)),
            Ok(_) | Err(_) => Value::WRONG_TYPE,
        }
    }

    fn wide(&mut self, slot: &Slot, number: Result<i128, Unfit>) -> Value {
        match number {
            Ok(number) if slot.bounds.hold_wide(number) => self.put_wide(number),
            Ok(_) => Value::OUT_OF_RANGE,
            Err(unfit) => unfit.into(),
        }
    }

    fn put_wide(&mut self, number: i128) -> Value {
        self.wides.push(number);
        Value::new(Kind::Wide, u64::try_from(self.wides.len() - 1).expect("memory has fewer than 2^64 numbers"))
    }

    /// Returns where the canonical form of an identifier is: itself, for nearly all of them; an empty one names nobody.
    #[inline]
    fn identifier(&mut self, place: Place) -> Value {
        let is_canonical = is_canonical_at_sight(self.bytes.at(place));
        let place = if is_canonical { place } else { self.bytes.canonical(place) };
        if place.len() == 0 { Value::WRONG_TYPE } else { Value::new(Kind::Identifier, place.bits()) }
    }

    /// Writes an integer as its decimal text: `7`, `7.0` and `"7"` name the same.
    fn whole_identifier(&mut self, number: &Number) -> Value {
        match number.whole(0) {
            Ok(value) if i64::try_from(value).is_ok() || u64::try_from(value).is_ok() => {
                Value::new(Kind::Identifier, self.bytes.write(format_args!("{value}")).bits())
            }
            Ok(_) => Value::OUT_OF_RANGE,
            Err(unfit) => unfit.into(),
        }
    }
}

/// Returns the three numbers that a version's wide number holds.
pub(crate) fn unpack_version(packed: i128) -> [i32; 3] {
    let [patch, minor, major, _] = *packed.to_le_bytes().as_chunks().0 else { return [0; 3] };
    [major, minor, patch].map(i32::from_le_bytes)
}

/// A word's text is of its closed list, mostly: those that came lately are known.
fn lately(words: &mut Recent<Token>, slot: &Slot, text: impl Name) -> Token {
    let find = |text: &[u8]| slot.field_type.token(text);
    words.find(slot.list, text, find).unwrap_or(Token::OTHER)
}

#[inline]
fn token_value(token: Token) -> Value {
    Value::pair(Kind::Token, 0, token.number())
}

#[inline]
fn found(token: Option<Token>, otherwise: Value) -> Value {
    token.map_or(otherwise, token_value)
}

fn network(text: &[u8]) -> Value {
    Network::parse(text).map_or(Value::WRONG_TYPE, |network| Value::new(Kind::Network, network.number()))
}

fn agent(text: &[u8]) -> Value {
    let (family, major) = user_agent::parse(text).unwrap_or((Token::OTHER, 0));
    Value::pair(Kind::UserAgent, family.number(), major.cast_unsigned())
}

/// Takes a number that the field's bounds hold; none is of the wrong type.
#[inline]
fn within(slot: &Slot, number: Option<i64>) -> Value {
    match number {
        Some(number) if slot.bounds.hold(number) => Value::new(Kind::Int, number.cast_unsigned()),
        Some(_) => Value::OUT_OF_RANGE,
        None => Value::WRONG_TYPE,
    }
}

/// Takes a number that is whole and that the field's bounds hold.
#[inline]
fn whole(slot: &Slot, number: &Number) -> Value {
    match number.long() {
        Some(number) => within(slot, Some(number)),
        None => match number.whole(0).map(i64::try_from) {
            Ok(Ok(number)) => within(slot, Some(number)),
            Ok(Err(_)) => Value::OUT_OF_RANGE,
            Err(unfit) => unfit.into(),
        },
    }
}

#[inline]
fn float(slot: &Slot, number: f64) -> Value {
    if slot.bounds.hold_float(number) { Value::new(Kind::Float, number.to_bits()) } else { Value::OUT_OF_RANGE }
}

impl From<Unfit> for Value {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Fraction => Self::WRONG_TYPE,
            Unfit::Huge => Self::OUT_OF_RANGE,
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
        self.copy(&form)
    }
}
