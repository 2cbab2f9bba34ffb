//! One declared path of an event's `data`: what it is to a person, to a machine, and what becomes of it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::coarsen::Coarsen;
use crate::purpose::{PurposeId, PurposeSet};
use crate::purposes::{Purposes, TimePrecision};
use crate::vocabulary::{AgeBands, Routes, Token, WordList, country, currency, geo, http, locale, user_agent};

/// One declared path of an event's `data`.
#[derive(Clone, Debug)]
pub struct Field {
    /// Dotted path into `data`, `[]` for each element of an array.
    pub path: String,
    /// The keys of the path, without `[]`.
    pub segments: Vec<String>,
    /// Place in `segments` of the key whose value is the array (`items[].price`: 0); at most one a path.
    pub array: Option<usize>,
    /// Name of the column in every table that has it; the subject's is `subject`.
    pub column: String,
    /// What the value is to a person.
    pub class: FieldClass,
    /// What the value is to a machine.
    pub field_type: FieldType,
    /// fideslang data category; only content may lack one.
    pub category: Option<&'static str>,
    /// The purposes that the value may serve; empty for content.
    pub purposes: PurposeSet,
    /// How the value is coarsened, one place a purpose.
    pub coarsen: [Coarsen; 3],
    /// The values that are kept; others are null and counted. Compared before coarsening.
    pub range: Option<Range>,
    /// What the field says, where the owner wrote it down.
    pub description: Option<String>,
}

impl Field {
    /// Returns a whole number (as it is stored) as `purpose` may have it; `None` is out of range.
    ///
    /// In this order: the number must be one of the type and lie in the range, is coarsened, and must still be one.
    pub fn keep_whole(&self, purpose: PurposeId, value: i128) -> Option<i128> {
        let is_of_type = |value: i128| self.field_type.bounds().is_none_or(|(min, max)| min <= value && value <= max);
        let is_kept = is_of_type(value) && self.range.is_none_or(|range| range.holds_whole(value));
        if !is_kept {
            return None;
        }
        self.coarsen(purpose).whole(value).filter(|value| is_of_type(*value))
    }

    /// Returns a `float64` as `purpose` may have it; `None` is out of range.
    pub fn keep_float(&self, purpose: PurposeId, value: f64) -> Option<f64> {
        if self.range.is_some_and(|range| !range.holds_float(value)) {
            return None;
        }
        self.coarsen(purpose).float(value)
    }

    /// Returns an instant in µs as `purpose` may have it: at the coarser of the purpose's precision and its own.
    pub fn keep_instant(&self, purpose: PurposeId, time_us: i64, purposes: &Purposes) -> i64 {
        let general = purposes.rules(purpose).time_precision;
        let FieldType::Timestamp { precision, .. } = &self.field_type else { return general.floor(time_us) };
        let own = precision[purpose.index()];
        own.map_or(general, |own| own.max(general)).floor(time_us)
    }

    /// Returns how the value is coarsened for `purpose`.
    pub fn coarsen(&self, purpose: PurposeId) -> &Coarsen {
        &self.coarsen[purpose.index()]
    }
}

/// What a value is to a person, and so what may become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldClass {
    /// Never collected; past the decoder it is a length.
    Content,
    /// Names somebody or something; becomes a pseudonym.
    Identifier,
    /// A number or a moment.
    Measure,
    /// Could help to find a person; is coarsened.
    QuasiIdentifier,
    /// A word of a closed list.
    Word,
}

impl FieldClass {
    /// Returns the word used in contracts and column metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Identifier => "identifier",
            Self::Measure => "measure",
            Self::QuasiIdentifier => "quasi-identifier",
            Self::Word => "word",
        }
    }

    /// Returns the class of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Content, Self::Identifier, Self::Measure, Self::QuasiIdentifier, Self::Word]
            .into_iter()
            .find(|class| class.name() == name)
    }
}

/// What a value is to a machine: how its text is read and what is stored.
///
/// [`storage`](Self::storage) says which kind of column holds it.
#[derive(Clone, Debug)]
pub enum FieldType {
    /// A number of years, stored as a band.
    Age(Arc<AgeBands>),
    /// `true` or `false`.
    Bool,
    /// See [`FieldClass::Content`].
    Content,
    /// ISO 3166-1 alpha-2.
    Country,
    /// ISO 4217.
    Currency,
    /// A decimal of `precision` digits, `scale` of them after the point; a number or a text.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// A number of `Unit`, stored in µs.
    Duration(Unit),
    /// The nearest IEEE 754 double.
    Float64,
    /// A latitude and a longitude, stored as a geohash of four characters.
    Geo,
    /// A method of HTTP.
    HttpMethod,
    /// A number from 100 to 599.
    HttpStatus,
    /// A text or whole number that becomes a pseudonym; those of one kind join within a purpose.
    Identifier {
        /// What is named: `user`, `order`.
        kind: Arc<str>,
    },
    /// A whole number that fits `i64`.
    Int(IntType),
    /// An IP address, stored as its network.
    Ip,
    /// BCP 47 language, script and region.
    Locale,
    /// A URL's path, stored as the template that matches.
    Route(Arc<Routes>),
    /// `MAJOR.MINOR.PATCH`.
    Semver,
    /// RFC 3339 text, or with a unit a number of it since 1970; stored in µs at the purpose's precision.
    Timestamp {
        /// The unit of a number; none means text.
        unit: Option<Unit>,
        /// The field's own precision, where it is coarser than the purpose's.
        precision: [Option<TimePrecision>; 3],
    },
    /// A whole number from 0 to 2⁶⁴ − 1.
    UInt64,
    /// A `User-Agent` header, stored as family and major version.
    UserAgent,
    /// A word of the contract's list.
    Words(Arc<WordList>),
}

impl FieldType {
    /// Returns the kind of column that holds the value.
    pub const fn storage(&self) -> Storage {
        match self {
            Self::Bool => Storage::Bool,
            Self::Content => Storage::Nothing,
            Self::Decimal { .. } | Self::UInt64 => Storage::Decimal,
            Self::Duration(_) | Self::HttpStatus | Self::Int(_) | Self::Timestamp { .. } => Storage::Int,
            Self::Float64 => Storage::Float,
            Self::Identifier { .. } => Storage::Pseudonym,
            Self::Ip => Storage::Network,
            Self::Semver => Storage::Semver,
            Self::UserAgent => Storage::UserAgent,
            Self::Age(_)
            | Self::Country
            | Self::Currency
            | Self::Geo
            | Self::HttpMethod
            | Self::Locale
            | Self::Route(_)
            | Self::Words(_) => Storage::Token,
        }
    }

    /// Returns the least and the greatest number that a column of whole numbers holds, as it is stored.
    pub fn bounds(&self) -> Option<(i128, i128)> {
        match self {
            Self::Int(int) => Some((int.min().into(), int.max().into())),
            Self::UInt64 => Some((0, u64::MAX.into())),
            Self::Decimal { precision, .. } => {
                let limit = 10_i128.pow(u32::from(*precision)) - 1;
                Some((-limit, limit))
            }
            Self::Duration(_) | Self::Timestamp { .. } => Some((i64::MIN.into(), i64::MAX.into())),
            Self::HttpStatus => Some((http::STATUS_MIN.into(), http::STATUS_MAX.into())),
            Self::Age(_)
            | Self::Bool
            | Self::Content
            | Self::Country
            | Self::Currency
            | Self::Float64
            | Self::Geo
            | Self::HttpMethod
            | Self::Identifier { .. }
            | Self::Ip
            | Self::Locale
            | Self::Route(_)
            | Self::Semver
            | Self::UserAgent
            | Self::Words(_) => None,
        }
    }

    /// Returns what the column is, in words; two versions of a contract must agree on it.
    pub fn column_type(&self) -> String {
        match self {
            Self::Bool => "bool".to_owned(),
            Self::Content => "content".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::Duration(_) => "duration".to_owned(),
            Self::Float64 => "float64".to_owned(),
            Self::HttpStatus => "http_status".to_owned(),
            Self::Identifier { kind } => format!("pseudonym of a {kind}"),
            Self::Int(int) => int.name().to_owned(),
            Self::Ip => "network".to_owned(),
            Self::Semver => "semver".to_owned(),
            Self::Timestamp { .. } => "timestamp".to_owned(),
            Self::UInt64 => "uint64".to_owned(),
            Self::UserAgent => "user_agent".to_owned(),
            Self::Age(_)
            | Self::Country
            | Self::Currency
            | Self::Geo
            | Self::HttpMethod
            | Self::Locale
            | Self::Route(_)
            | Self::Words(_) => "word".to_owned(),
        }
    }

    /// Returns the token of a text, for the types that are stored as tokens and read from text; allocates nothing.
    ///
    /// `None` means that the text is none of the vocabulary's words: the caller stores [`Token::OTHER`] for a word,
    /// null for a quasi-identifier.
    pub fn token(&self, text: &[u8]) -> Option<Token> {
        match self {
            Self::Country => country::token(text),
            Self::Currency => currency::token(text),
            Self::Geo => geo::token(text),
            Self::HttpMethod => http::method(text),
            Self::Locale => locale::token(text),
            Self::Route(routes) => routes.token(text),
            Self::Words(words) => words.token(text),
            Self::Age(_)
            | Self::Bool
            | Self::Content
            | Self::Decimal { .. }
            | Self::Duration(_)
            | Self::Float64
            | Self::HttpStatus
            | Self::Identifier { .. }
            | Self::Int(_)
            | Self::Ip
            | Self::Semver
            | Self::Timestamp { .. }
            | Self::UInt64
            | Self::UserAgent => None,
        }
    }

    /// Returns the text that a token of this type stands for.
    pub fn render(&self, token: Token) -> Cow<'_, str> {
        if token == Token::OTHER {
            return Token::OTHER_TEXT.into();
        }
        match self {
            Self::Age(bands) => bands.render(token).into(),
            Self::Country => country::render(token).into(),
            Self::Currency => currency::render(token).into(),
            Self::Geo => geo::render(token).into(),
            Self::HttpMethod => http::render(token).into(),
            Self::Locale => locale::render(token).into(),
            Self::Route(routes) => routes.render(token).into(),
            Self::Words(words) => words.render(token).into(),
            Self::UserAgent => user_agent::render(token).into(),
            Self::Bool
            | Self::Content
            | Self::Decimal { .. }
            | Self::Duration(_)
            | Self::Float64
            | Self::HttpStatus
            | Self::Identifier { .. }
            | Self::Int(_)
            | Self::Ip
            | Self::Semver
            | Self::Timestamp { .. }
            | Self::UInt64 => Token::OTHER_TEXT.into(),
        }
    }
}

/// The kinds of column: what a row holds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// A truth value.
    Bool,
    /// A scaled `i128`: decimals (at their scale) and `uint64` (at scale 0).
    Decimal,
    /// An `f64`.
    Float,
    /// An `i64`: integers, HTTP status, durations and timestamps in µs.
    Int,
    /// A [`Network`](crate::vocabulary::Network).
    Network,
    /// No column: content.
    Nothing,
    /// A pseudonym of 16 bytes.
    Pseudonym,
    /// Three `i32`.
    Semver,
    /// A [`Token`].
    Token,
    /// A family's [`Token`] and a major version.
    UserAgent,
}

/// The integer types whose values fit `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntType {
    /// −2⁷ to 2⁷ − 1.
    Int8,
    /// −2¹⁵ to 2¹⁵ − 1.
    Int16,
    /// −2³¹ to 2³¹ − 1.
    Int32,
    /// −2⁶³ to 2⁶³ − 1.
    Int64,
    /// 0 to 2⁸ − 1.
    UInt8,
    /// 0 to 2¹⁶ − 1.
    UInt16,
    /// 0 to 2³² − 1.
    UInt32,
}

impl IntType {
    /// Every type, for tables and tests.
    pub const ALL: [Self; 7] =
        [Self::Int8, Self::Int16, Self::Int32, Self::Int64, Self::UInt8, Self::UInt16, Self::UInt32];

    /// Returns the word used in contracts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
        }
    }

    /// Returns the smallest value.
    pub const fn min(self) -> i64 {
        match self {
            Self::Int8 => -(1 << 7),
            Self::Int16 => -(1 << 15),
            Self::Int32 => -(1 << 31),
            Self::Int64 => i64::MIN,
            Self::UInt8 | Self::UInt16 | Self::UInt32 => 0,
        }
    }

    /// Returns the greatest value.
    pub const fn max(self) -> i64 {
        match self {
            Self::Int8 => (1 << 7) - 1,
            Self::Int16 => (1 << 15) - 1,
            Self::Int32 => (1 << 31) - 1,
            Self::Int64 => i64::MAX,
            Self::UInt8 => (1 << 8) - 1,
            Self::UInt16 => (1 << 16) - 1,
            Self::UInt32 => (1 << 32) - 1,
        }
    }
}

/// A unit of time in which producers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// Nanoseconds; rounded down to µs.
    Nanos,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days of 24 hours.
    Days,
}

impl Unit {
    /// Every unit, finest first.
    pub const ALL: [Self; 7] =
        [Self::Nanos, Self::Micros, Self::Millis, Self::Seconds, Self::Minutes, Self::Hours, Self::Days];

    /// Returns the word used in contracts and as a path's last part.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nanos => "ns",
            Self::Micros => "us",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Minutes => "min",
            Self::Hours => "h",
            Self::Days => "d",
        }
    }

    /// Returns the unit of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Returns the length in nanoseconds.
    pub const fn nanos(self) -> i64 {
        match self {
            Self::Nanos => 1,
            Self::Micros => 1_000,
            Self::Millis => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
            Self::Days => 86_400_000_000_000,
        }
    }
}

/// The values of a number that are kept, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Of a `float64`.
    Float {
        /// Smallest value kept.
        min: f64,
        /// Greatest value kept.
        max: f64,
    },
    /// Of any other number, as it is stored: decimals at their scale, durations in µs.
    Whole {
        /// Smallest value kept.
        min: i128,
        /// Greatest value kept.
        max: i128,
    },
}

impl Range {
    /// Tells whether a whole number is kept.
    pub fn holds_whole(&self, value: i128) -> bool {
        match *self {
            Self::Whole { min, max } => min <= value && value <= max,
            Self::Float { .. } => false,
        }
    }

    /// Tells whether a `float64` is kept.
    pub fn holds_float(&self, value: f64) -> bool {
        match *self {
            Self::Float { min, max } => min <= value && value <= max,
            Self::Whole { .. } => false,
        }
    }
}
