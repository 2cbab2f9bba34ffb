//! The JSON of an inbox record, member by member; nothing is checked here but types.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, Visitor},
};

/// The members that weir knows. What serde says about a fault may quote the input, so it is dropped.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct Raw {
    pub(super) tenant: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "text_or_whole_number", skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    pub(super) purpose: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) valid_until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) erased_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) regions: Option<Vec<String>>,
    /// Only read: what it makes of the status is what is passed on.
    #[serde(default, skip_serializing)]
    pub(super) minor: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) evidence: Option<serde_json::Value>,
}

impl Raw {
    /// Reads a record; a known member that stands twice is a fault.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        // Checked as a whole first: serde_json does not look into strings that it skips.
        let text = std::str::from_utf8(value).ok()?;
        serde_json::from_str(text).ok()
    }
}

/// An integer as an identifier equals its decimal text, as in events.
fn text_or_whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Subject;

    impl Visitor<'_> for Subject {
        type Value = Option<String>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("text or a whole number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Subject)
}
