//! What a value is to a machine: how it is read, what is stored, and the words and bounds of each type.

use std::borrow::Cow;
use std::sync::Arc;

use crate::purposes::TimePrecision;
use crate::vocabulary::{AgeBands, Routes, Token, WordList, country, currency, geo, http, locale, user_agent};

/// What a value is to a machine: how its text is read and what is stored.
///
/// [`storage`](Self::storage) says which kind of column holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A number of years, stored as a band.
    Age(Arc<AgeBands>),
    /// `true` or `false`.
    Bool,
    /// See [`FieldClass::Content`](crate::FieldClass::Content).
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

    /// Returns how many words the type's list has, whose tokens are the numbers from 1 on; `None` where a word is put together of
    /// parts, or the type has none.
    pub fn words(&self) -> Option<usize> {
        match self {
            Self::Age(bands) => Some(bands.bounds().len()),
            Self::Country => Some(country::COUNT),
            Self::Currency => Some(currency::COUNT),
            Self::HttpMethod => Some(http::COUNT),
            Self::Route(routes) => Some(routes.templates().len()),
            Self::UserAgent => Some(user_agent::families().len()),
            Self::Words(words) => Some(words.words().len()),
            Self::Bool
            | Self::Content
            | Self::Decimal { .. }
            | Self::Duration(_)
            | Self::Float64
            | Self::Geo
            | Self::HttpStatus
            | Self::Identifier { .. }
            | Self::Int(_)
            | Self::Ip
            | Self::Locale
            | Self::Semver
            | Self::Timestamp { .. }
            | Self::UInt64 => None,
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
        self.facts().0
    }

    /// Returns the smallest value.
    pub const fn min(self) -> i64 {
        self.facts().1
    }

    /// Returns the greatest value.
    pub const fn max(self) -> i64 {
        self.facts().2
    }

    const fn facts(self) -> (&'static str, i64, i64) {
        match self {
            Self::Int8 => ("int8", -(1 << 7), (1 << 7) - 1),
            Self::Int16 => ("int16", -(1 << 15), (1 << 15) - 1),
            Self::Int32 => ("int32", -(1 << 31), (1 << 31) - 1),
            Self::Int64 => ("int64", i64::MIN, i64::MAX),
            Self::UInt8 => ("uint8", 0, (1 << 8) - 1),
            Self::UInt16 => ("uint16", 0, (1 << 16) - 1),
            Self::UInt32 => ("uint32", 0, (1 << 32) - 1),
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
        self.facts().0
    }

    /// Returns the unit of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Returns the length in nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.facts().1
    }

    const fn facts(self) -> (&'static str, i64) {
        match self {
            Self::Nanos => ("ns", 1),
            Self::Micros => ("us", 1_000),
            Self::Millis => ("ms", 1_000_000),
            Self::Seconds => ("s", 1_000_000_000),
            Self::Minutes => ("min", 60_000_000_000),
            Self::Hours => ("h", 3_600_000_000_000),
            Self::Days => ("d", 86_400_000_000_000),
        }
    }
}
