//! Where everything lies: `<root>/<region>/<purpose>/<event_type>/date=YYYY-MM-DD/<uuid>.parquet`.
//!
//! The purpose is a plain folder, never `purpose=x`: Polars' `scan_delta` takes such a folder for a partition. The names
//! of weir's own tables start with `_`, which no purpose does.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_policy::PurposeId;

/// The name of a table, which is its folder below the region's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum TableName {
    /// `_coverage`: which offsets became what.
    Coverage,
    /// `_quarantine`: the coordinates of records that could not be used.
    Quarantine,
    /// The rows of one purpose and event type.
    Events {
        /// The purpose.
        purpose: PurposeId,
        /// The event type, as its contracts write it.
        event_type: Arc<str>,
    },
}

impl TableName {
    /// Names the table of one purpose and event type.
    pub fn events(purpose: PurposeId, event_type: impl Into<Arc<str>>) -> Self {
        Self::Events { purpose, event_type: event_type.into() }
    }

    /// Returns the purpose; `None` for weir's own tables.
    pub fn purpose(&self) -> Option<PurposeId> {
        match self {
            Self::Events { purpose, .. } => Some(*purpose),
            Self::Coverage | Self::Quarantine => None,
        }
    }

    /// Returns the event type; `None` for weir's own tables.
    pub fn event_type(&self) -> Option<&str> {
        match self {
            Self::Events { event_type, .. } => Some(event_type),
            Self::Coverage | Self::Quarantine => None,
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coverage => f.write_str(COVERAGE),
            Self::Quarantine => f.write_str(QUARANTINE),
            Self::Events { purpose, event_type } => write!(f, "{}/{event_type}", purpose.name()),
        }
    }
}

/// The text is no table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a table: write <purpose>/<event type>, _coverage or _quarantine")]
pub struct NotATable;

impl FromStr for TableName {
    type Err = NotATable;

    fn from_str(text: &str) -> Result<Self, NotATable> {
        match text {
            COVERAGE => Ok(Self::Coverage),
            QUARANTINE => Ok(Self::Quarantine),
            _ => {
                let (purpose, event_type) = text.split_once('/').ok_or(NotATable)?;
                let purpose = PurposeId::parse(purpose).ok_or(NotATable)?;
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
                let is_type =
                    event_type.starts_with(|first: char| first.is_ascii_lowercase()) && event_type.bytes().all(plain);
                is_type.then(|| Self::events(purpose, event_type)).ok_or(NotATable)
            }
        }
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for TableName {
    type Error = NotATable;

    fn try_from(text: String) -> Result<Self, NotATable> {
        text.parse()
    }
}

/// A data file's place below its table: a day's folder and a random name that tells nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FilePlace {
    pub(crate) folder: String,
    pub(crate) name: Uuid,
}

impl FilePlace {
    /// Returns a new place in the folder of a day (days since the epoch), or in the table's root without one.
    pub(crate) fn new(day: Option<i32>) -> Self {
        Self { folder: day.map_or_else(String::new, |day| format!("date={}/", day_text(day))), name: Uuid::new_v4() }
    }

    /// Returns the path that readers see, once the file is in a commit.
    pub(crate) fn path(&self) -> String {
        format!("{}{}.parquet", self.folder, self.name)
    }

    /// Returns the path of a file of rows that are set aside, below the folder of those of its table.
    pub(crate) fn aside_path(&self) -> String {
        format!("{}{}{ASIDE_ENDING}", self.folder, self.name)
    }

    /// Returns the day of a path.
    pub(crate) fn day_of(path: &str) -> Option<i32> {
        path.strip_prefix("date=")?.split_once('/').and_then(|(day, _)| parse_day(day))
    }

    /// Returns the path while nothing refers to the file: a dot name, which globs and readers pass over.
    pub(crate) fn staged_path(&self) -> String {
        format!("{}.{}.parquet", self.folder, self.name)
    }
}

/// Writes a day (since the epoch) as `YYYY-MM-DD`.
pub(crate) fn day_text(day: i32) -> String {
    let date = jiff::civil::Date::constant(1970, 1, 1);
    date.checked_add(jiff::Span::new().days(day)).map_or_else(|_| format!("day {day}"), |date| date.to_string())
}

/// Reads a day written as `YYYY-MM-DD`.
pub(crate) fn parse_day(text: &str) -> Option<i32> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let days = date.since((jiff::Unit::Day, jiff::civil::Date::constant(1970, 1, 1))).ok()?;
    Some(days.get_days())
}

/// How the name of a file of rows that are set aside ends.
pub(crate) const ASIDE_ENDING: &str = ".sealed";
const COVERAGE: &str = "_coverage";
const QUARANTINE: &str = "_quarantine";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = TableName::events(PurposeId::Reliability, "com.example.checkout");
        assert_eq!(name.to_string(), "reliability/com.example.checkout");
        for name in [name, TableName::Coverage, TableName::Quarantine] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        for wrong in ["", "reliability", "marketing/x", "reliability/../x", "reliability/", "reliability/A"] {
            assert_eq!(wrong.parse::<TableName>(), Err(NotATable), "{wrong}");
        }
    }

    #[test]
    fn days_are_read_as_they_are_written() {
        assert_eq!(day_text(0), "1970-01-01");
        assert_eq!(day_text(20_781), "2026-11-24");
        assert_eq!(parse_day("2026-11-24"), Some(20_781));
        assert_eq!(parse_day("1969-12-31"), Some(-1));
    }
}
