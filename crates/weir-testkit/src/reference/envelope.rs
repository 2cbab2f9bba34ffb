//! The attributes of an event, from its JSON or from the headers of the binary mode.

use std::collections::BTreeMap;

use weir_policy::{MalformedCode, PurposeId, PurposeSet};

use super::Raw;
use super::json::{Json, Text};
use super::time;

/// A record taken apart: what its attributes say, and its data.
#[derive(Clone, Debug)]
pub struct Opened<'t> {
    /// The attributes, or why they are no envelope.
    pub envelope: Result<Envelope, MalformedCode>,
    /// The data; none where there is none.
    pub data: Option<Json<'t>>,
}

/// A good envelope.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// `type`.
    pub event_type: String,
    /// `contractversion`.
    pub version: Option<u32>,
    /// `tenant`.
    pub tenant: String,
    /// `source`.
    pub source: String,
    /// `id`.
    pub id: String,
    /// `time`, in µs since 1970.
    pub time_us: i64,
    /// What `purposes` leaves.
    pub narrowed: PurposeSet,
    /// Whether `secgpc` is `"1"`.
    pub gpc: bool,
}

/// How CloudEvents puts an event into a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Binary,
    /// A batch, or another format than JSON.
    Foreign,
    Structured,
}

/// Takes a record apart whose value is the JSON `value`.
///
/// # Errors
/// A structured event is no object.
pub fn open<'t>(record: &Raw<'_>, value: Json<'t>) -> Result<Opened<'t>, MalformedCode> {
    match mode(record) {
        Mode::Foreign => Ok(Opened { envelope: Err(MalformedCode::Envelope), data: Some(value) }),
        Mode::Binary => {
            let json = media_type(record).is_some_and(|media_type| media_type == "application/json");
            let envelope = if json { check(&from_headers(record)) } else { Err(MalformedCode::Envelope) };
            Ok(Opened { envelope, data: Some(value) })
        }
        Mode::Structured => {
            let Json::Object(members) = value else { return Err(MalformedCode::Json) };
            let envelope = check(&members);
            let data = members.into_iter().find(|(name, _)| name.text() == Some("data")).map(|(_, data)| data);
            Ok(Opened { envelope, data })
        }
    }
}

fn mode(record: &Raw<'_>) -> Mode {
    let has_attributes = record.headers.iter().any(|(name, _)| name == "ce_specversion");
    match media_type(record) {
        Some(media_type) if media_type == "application/cloudevents+json" => Mode::Structured,
        Some(media_type) if media_type.starts_with("application/cloudevents") => Mode::Foreign,
        _ if has_attributes => Mode::Binary,
        _ => Mode::Structured,
    }
}

/// Returns the first `content-type` without its parameters, in lower case.
fn media_type(record: &Raw<'_>) -> Option<String> {
    let (_, value) = record.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
    let essence = value.split(|byte| *byte == b';').next()?;
    Some(String::from_utf8_lossy(essence.trim_ascii()).to_ascii_lowercase())
}

/// Writes the headers as the members that they would be in structured mode.
fn from_headers<'r>(record: &Raw<'r>) -> Vec<(Text<'r>, Json<'r>)> {
    let attributes = record.headers.iter().filter_map(|(name, value)| Some((name.strip_prefix("ce_")?, value)));
    // The data of binary mode is the value: a header of that name is nothing.
    let attributes = attributes.filter(|(name, _)| *name != "data");
    let whole = |text: &'r str| Text::Whole(text.into());
    let text = |value: &'r [u8]| std::str::from_utf8(value).map_or(Text::Broken, whole);
    attributes.map(|(name, value)| (whole(name), Json::Text(text(value)))).collect()
}

/// Checks the attributes: first that none stands twice, then all but the time, then the time.
fn check(members: &[(Text<'_>, Json<'_>)]) -> Result<Envelope, MalformedCode> {
    let mut attributes: BTreeMap<&str, &Json<'_>> = BTreeMap::new();
    for (name, value) in members {
        let Some(name) = name.text() else { continue };
        if READ.contains(&name) && attributes.insert(name, value).is_some() {
            return Err(MalformedCode::DuplicateKey);
        }
    }
    // An attribute that is null is absent.
    attributes.retain(|_, value| **value != Json::Null);
    let text = |name: &str| match attributes.get(name) {
        None => Ok(None),
        Some(Json::Text(Text::Whole(text))) => Ok(Some(&**text)),
        Some(_) => Err(MalformedCode::Envelope),
    };
    let required = |name: &str| match text(name)? {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(MalformedCode::Envelope),
    };
    let is_json = |media_type: &str| {
        media_type.split(';').next().unwrap_or_default().trim_ascii().eq_ignore_ascii_case("application/json")
    };
    if text("specversion")? != Some("1.0")
        || !text("datacontenttype")?.is_none_or(is_json)
        || attributes.contains_key("data_base64")
    {
        return Err(MalformedCode::Envelope);
    }
    Ok(Envelope {
        event_type: required("type")?,
        version: version(attributes.get("contractversion").copied())?,
        tenant: required("tenant")?,
        source: required("source")?,
        id: required("id")?,
        narrowed: text("purposes")?.map_or(PurposeSet::ALL, named),
        gpc: text("secgpc")? == Some("1"),
        time_us: text("time").ok().flatten().and_then(time::micros).ok_or(MalformedCode::Time)?,
    })
}

/// A version is a whole number in plain digits, written as text or as a number.
fn version(value: Option<&Json<'_>>) -> Result<Option<u32>, MalformedCode> {
    let written = match value {
        None => return Ok(None),
        Some(Json::Text(Text::Whole(written))) => written,
        Some(Json::Number(written)) => *written,
        Some(_) => return Err(MalformedCode::Envelope),
    };
    let number: u32 = written.parse().map_err(|_beyond| MalformedCode::Envelope)?;
    // Signs and leading zeros are another spelling, and refused.
    if number.to_string() == *written { Ok(Some(number)) } else { Err(MalformedCode::Envelope) }
}

/// A name that is no purpose adds none.
fn named(list: &str) -> PurposeSet {
    list.split(',').filter_map(|name| PurposeId::parse(name.trim_ascii())).collect()
}

/// The attributes that weir reads; others may stand as often as they like.
const READ: [&str; 12] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "tenant",
    "contractversion",
    "purposes",
    "secgpc",
    "datacontenttype",
    "data",
    "data_base64",
];
