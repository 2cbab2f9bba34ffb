//! The envelope: what CloudEvents calls attributes, from the record's JSON or from its headers.
//!
//! First every named attribute is gathered as it stands, then all are checked together, so that a fault does not depend on
//! their order. Attributes that weir does not name are passed over.

use super::Stop;
use super::bytes::{Bytes, Place, small};
use super::walk::Walk;
use crate::json::{Cursor, Marked, NotJson};
use crate::names::{Name, Names, Within};
use crate::record::Headers;
use std::borrow::Cow;
use weir_policy::values::time;
use weir_policy::{MalformedCode, PurposeId, PurposeSet};

macro_rules! attributes {
    ($($variant:ident = $name:literal,)*) => {
        /// The attributes that weir reads.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Attribute { $($variant,)* }

        impl Attribute {
            const ALL: &[(&str, Self)] = &[$(($name, Self::$variant),)*];
            /// The headers that they are in binary mode.
            const HEADERS: &[(&str, Self)] = &[$((concat!("ce_", $name), Self::$variant),)*];
        }
    };
}

attributes! {
    ContentType = "datacontenttype",
    ContractVersion = "contractversion",
    Data = "data",
    DataBase64 = "data_base64",
    Id = "id",
    Purposes = "purposes",
    SecGpc = "secgpc",
    Source = "source",
    SpecVersion = "specversion",
    Tenant = "tenant",
    Time = "time",
    Type = "type",
}

const ATTRIBUTES: usize = Attribute::ALL.len();

/// The names of the attributes, for look-up.
pub(super) struct AttributeNames(Names<Option<Attribute>>);

impl AttributeNames {
    pub(super) fn new() -> Self {
        Self(Names::new(Attribute::ALL.iter().map(|(name, attribute)| (name.as_bytes(), Some(*attribute))), None))
    }

    #[inline(always)]
    fn find(&self, name: impl Name) -> Option<Attribute> {
        self.0.find(name)
    }
}

/// The attributes of one record, as they stand.
pub(super) struct Attributes {
    values: [Raw; ATTRIBUTES],
    is_met: [bool; ATTRIBUTES],
    is_doubled: bool,
    /// Where an object under `data` is.
    pub(super) data: Option<DataAt>,
}

/// An attribute's value.
#[derive(Clone, Copy)]
enum Raw {
    Absent,
    /// An integer without sign, point and exponent.
    Digits(Place),
    /// Of a type that no attribute has.
    Odd,
    Text(Place),
}

/// Where the event's data opens, an object; for [`Cursor::go_back_to`].
#[derive(Clone, Copy)]
pub(super) struct DataAt(pub(super) usize);

/// What a member of the envelope was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// Its value is still to be read.
    Data,
    Read,
}

impl Met {
    pub(super) fn is_data(self) -> bool {
        self == Self::Data
    }
}

/// A checked envelope.
#[derive(Clone, Copy)]
pub(crate) struct Envelope {
    pub(crate) event_type: Place,
    pub(crate) version: Option<u32>,
    pub(crate) tenant: Place,
    pub(crate) source: Place,
    pub(crate) id: Place,
    /// In µs since 1970.
    pub(crate) time_us: i64,
    /// What the producer's `purposes` leave; all without it.
    pub(crate) narrowed: PurposeSet,
    /// `secgpc` is exactly `"1"`.
    pub(crate) gpc: bool,
}

impl Attributes {
    pub(super) fn new() -> Self {
        Self { values: [Raw::Absent; ATTRIBUTES], is_met: [false; ATTRIBUTES], is_doubled: false, data: None }
    }

    /// Reads a member of a structured event, but not the value of `data`.
    #[inline(always)]
    pub(super) fn member<M: Marked>(
        &mut self,
        walk: &mut Walk<'_, M>,
        cursor: &mut Cursor<M>,
        names: &AttributeNames,
    ) -> Result<Met, NotJson> {
        let key = cursor.key()?;
        let attribute = if key.escaped {
            // An escaped key means what it says: `"t\u0079pe"` is `type`.
            walk.unescaped(cursor.bytes(key)).and_then(|place| names.find(walk.reader.bytes.around(place)))
        } else {
            names.find(cursor.piece(key))
        };
        match attribute {
            None => cursor.skip(walk.nesting)?,
            Some(Attribute::Data) => {
                self.set(Attribute::Data, Raw::Absent);
                return Ok(Met::Data);
            }
            Some(attribute) => {
                let raw = read(walk, cursor)?;
                self.set(attribute, raw);
            }
        }
        Ok(Met::Read)
    }

    /// Gathers the headers of an event in binary mode.
    pub(super) fn headers(&mut self, headers: Headers<'_>, names: &AttributeNames, bytes: &mut Bytes<'_>) {
        for (name, value) in headers.iter() {
            let Some(name) = name.strip_prefix("ce_") else { continue };
            let Some(attribute) = names.find(Within(name.as_bytes(), 0, name.len())) else { continue };
            if attribute == Attribute::Data {
                continue; // The data of binary mode is the value; a header of this name is nothing.
            }
            let raw = match std::str::from_utf8(value) {
                Ok(text) => Raw::Text(bytes.copy(text)),
                Err(_) => Raw::Odd,
            };
            self.set(attribute, raw);
        }
    }

    /// Notes data that is no object: text may be sealed, which never needs an escape.
    pub(super) fn other_data(&mut self, walk: &mut Walk<'_, impl Marked>) -> Result<(), NotJson> {
        if walk.cursor.peek() != b'"' {
            return walk.skip();
        }
        let text = walk.cursor.string()?;
        if !text.escaped {
            self.values[place(Attribute::Data)] = Raw::Text(Place::of_record(text.start, text.end));
        }
        Ok(())
    }

    /// Notes that a whole record is sealed data.
    pub(super) fn whole_is_data(&mut self, record: &[u8]) {
        self.values[place(Attribute::Data)] = Raw::Text(Place::of_record(0, small(record.len())));
    }

    /// Returns the envelope, or the code of its first fault: doubled, then the envelope itself, then the time. One without a fault
    /// may say that the data is sealed.
    pub(super) fn check(&self, bytes: &Bytes<'_>) -> Result<Envelope, Stop> {
        if self.is_doubled {
            return Err(MalformedCode::DuplicateKey.into());
        }
        let content_type = self.text(Attribute::ContentType, bytes)?;
        let is_plain = content_type.is_none_or(is_json);
        let is_sound = self.text(Attribute::SpecVersion, bytes)? == Some(b"1.0")
            && (is_plain || content_type.is_some_and(is_jose))
            && matches!(self.value(Attribute::DataBase64), Raw::Absent);
        if !is_sound {
            return Err(MalformedCode::Envelope.into());
        }
        let envelope = Envelope {
            event_type: self.required(Attribute::Type)?,
            version: self.version(bytes)?,
            tenant: self.required(Attribute::Tenant)?,
            source: self.required(Attribute::Source)?,
            id: self.required(Attribute::Id)?,
            time_us: 0,
            narrowed: self.text(Attribute::Purposes, bytes)?.map_or(PurposeSet::ALL, purposes),
            gpc: self.text(Attribute::SecGpc, bytes)? == Some(b"1"),
        };
        let time = self.text(Attribute::Time, bytes).ok().flatten().and_then(time::parse);
        let envelope = Envelope { time_us: time.ok_or(MalformedCode::Time)?, ..envelope };
        if is_plain { Ok(envelope) } else { Err(Stop::Sealed) }
    }

    /// Returns sealed data and what it must have been sealed for; none where the data is no text. The attributes were [checked](Self::check).
    pub(super) fn sealed<'b>(&self, bytes: &'b Bytes<'_>) -> Option<(&'b [u8], weir_keys::Attributes<'b>)> {
        let text = |attribute| Some(Cow::Borrowed(std::str::from_utf8(self.bytes(attribute, bytes)?).ok()?));
        let attributes = weir_keys::Attributes {
            id: text(Attribute::Id)?,
            source: text(Attribute::Source)?,
            event_type: text(Attribute::Type)?,
            time: text(Attribute::Time)?,
            tenant: text(Attribute::Tenant)?,
            contract_version: text(Attribute::ContractVersion),
            purposes: text(Attribute::Purposes),
            sec_gpc: text(Attribute::SecGpc),
        };
        Some((self.bytes(Attribute::Data, bytes)?, attributes))
    }

    /// Returns the attributes as headers of the event in binary mode, with its data in clear.
    pub(super) fn as_headers(&self, bytes: &Bytes<'_>) -> Vec<(&'static str, Vec<u8>)> {
        let kept = Attribute::HEADERS
            .iter()
            .filter(|(_, attribute)| !matches!(attribute, Attribute::ContentType | Attribute::Data));
        let kept = kept.filter_map(|(name, attribute)| Some((*name, self.bytes(*attribute, bytes)?.to_vec())));
        kept.chain([("content-type", JSON.to_vec())]).collect()
    }

    /// Tells whether neither type nor data was met.
    pub(super) fn leads_nowhere_yet(&self) -> bool {
        !self.is_met[place(Attribute::Type)] && self.data.is_none()
    }

    /// Returns what leads to a contract, as far as it is known.
    pub(super) fn type_and_version(&self, bytes: &Bytes<'_>) -> Result<(Place, Option<u32>), MalformedCode> {
        Ok((self.required(Attribute::Type)?, self.version(bytes)?))
    }

    #[inline]
    fn set(&mut self, attribute: Attribute, raw: Raw) {
        let at = place(attribute);
        self.is_doubled |= self.is_met[at];
        self.is_met[at] = true;
        self.values[at] = raw;
    }

    fn value(&self, attribute: Attribute) -> Raw {
        self.values[place(attribute)]
    }

    fn bytes<'b>(&self, attribute: Attribute, bytes: &'b Bytes<'_>) -> Option<&'b [u8]> {
        match self.value(attribute) {
            Raw::Absent | Raw::Odd => None,
            Raw::Digits(place) | Raw::Text(place) => Some(bytes.at(place)),
        }
    }

    fn text<'b>(&self, attribute: Attribute, bytes: &'b Bytes<'_>) -> Result<Option<&'b [u8]>, MalformedCode> {
        match self.value(attribute) {
            Raw::Absent => Ok(None),
            Raw::Text(place) => Ok(Some(bytes.at(place))),
            Raw::Digits(_) | Raw::Odd => Err(MalformedCode::Envelope),
        }
    }

    fn required(&self, attribute: Attribute) -> Result<Place, MalformedCode> {
        match self.value(attribute) {
            Raw::Text(place) if place.len() > 0 => Ok(place),
            Raw::Absent | Raw::Digits(_) | Raw::Odd | Raw::Text(_) => Err(MalformedCode::Envelope),
        }
    }

    fn version(&self, bytes: &Bytes<'_>) -> Result<Option<u32>, MalformedCode> {
        let place = match self.value(Attribute::ContractVersion) {
            Raw::Absent => return Ok(None),
            Raw::Digits(place) | Raw::Text(place) => place,
            Raw::Odd => return Err(MalformedCode::Envelope),
        };
        let digits = bytes.at(place);
        let is_number = digits.iter().all(u8::is_ascii_digit) && (digits.len() == 1 || !digits.starts_with(b"0"));
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.filter(|_| is_number).map(Some).ok_or(MalformedCode::Envelope)
    }
}

fn place(attribute: Attribute) -> usize {
    #[expect(clippy::as_conversions, reason = "a field-less enum is its index")]
    let place = attribute as usize;
    place
}

/// Reads an attribute's value; `null` is as good as none (CloudEvents JSON format, section 2.2), but still there.
#[inline(always)]
fn read<M: Marked>(walk: &mut Walk<'_, M>, cursor: &mut Cursor<M>) -> Result<Raw, NotJson> {
    match cursor.peek() {
        b'"' => {
            let text = cursor.string()?;
            if !text.escaped {
                return Ok(Raw::Text(Place::of_record(text.start, text.end)));
            }
            Ok(walk.unescaped(cursor.bytes(text)).map_or(Raw::Odd, Raw::Text))
        }
        b'0'..=b'9' => {
            let start = cursor.position();
            let number = cursor.number()?;
            let is_plain = number.is_plain(cursor.all());
            Ok(if is_plain { Raw::Digits(Place::of_record(small(start), small(cursor.position()))) } else { Raw::Odd })
        }
        b'n' => cursor.literal(b"null").map(|()| Raw::Absent),
        _ => cursor.skip(walk.nesting).map(|()| Raw::Odd),
    }
}

/// Returns the purposes that a list names; a name that is none of them adds nothing, so it narrows.
fn purposes(list: &[u8]) -> PurposeSet {
    let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.filter_map(|name| PurposeId::ALL.into_iter().find(|purpose| purpose.name().as_bytes() == name)).collect()
}

/// Tells whether a media type is `application/json`, whatever its parameters.
pub(super) fn is_json(media_type: &[u8]) -> bool {
    essence(media_type).eq_ignore_ascii_case(JSON)
}

/// Tells whether a media type says that the data is sealed.
pub(super) fn is_jose(media_type: &[u8]) -> bool {
    essence(media_type).eq_ignore_ascii_case(b"application/jose")
}

/// Returns a media type without its parameters.
pub(super) fn essence(media_type: &[u8]) -> &[u8] {
    media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

const JSON: &[u8] = b"application/json";
