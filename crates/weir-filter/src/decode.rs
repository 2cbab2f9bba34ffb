//! A record becomes an event: its envelope first, then its data along the contract.
//!
//! Everything is checked here, also what is dropped, and every way to fail is a [`MalformedCode`]: a code holds no byte of
//! the record. Past this stage content is a length, undeclared members are a count, and text is left in two places only:
//! closed words on their way to a token, and identifiers, which `pseudonymize` alone reads.
//!
//! Which code a record with several faults gets is fixed, see the table in the crate's documentation: first whether it is
//! JSON at all, to its last byte, then the limits, then the envelope, then the contract.

mod attributes;
mod bytes;
mod value;
mod walk;
mod words;

pub(crate) use attributes::Envelope;
pub(crate) use bytes::{Bytes, Place};
pub(crate) use value::{Nothing, Value};

use crate::json::{Cursor, Index, NotJson, Sizes};
use crate::plan::Plan;
use crate::pseudonymize::KeyInUse;
use crate::record::{Headers, Limits, Record};
use crate::tally::FieldCounts;
use attributes::{AttributeNames, Attributes, DataAt};
use walk::{Slots, Walk};
use weir_policy::{Contract, MalformedCode};

/// Decodes one record after the other in buffers that it keeps.
pub(crate) struct Decoder {
    limits: Limits,
    names: AttributeNames,
    index: Index,
    written: Vec<u8>,
    slots: Slots,
}

/// A record whose envelope was read, and whose data was not.
pub(crate) struct Opened<'r> {
    value: &'r [u8],
    data: Option<DataAt>,
    sizes: Sizes,
    /// The envelope, or its fault: that counts only once the data is known to be JSON.
    pub(crate) envelope: Result<Envelope, MalformedCode>,
}

/// A decoded event.
pub(crate) struct Event<'e> {
    pub(crate) contract: &'e Contract,
    /// One a field of the contract.
    pub(crate) values: &'e [Value],
    /// One a field: the items, where its value is a list.
    pub(crate) lists: &'e [Vec<Value>],
    /// Identifiers beside the subject, with their fields.
    pub(crate) others: &'e [(usize, Place)],
    pub(crate) plan: &'e Plan,
    pub(crate) counts: FieldCounts,
    pub(crate) bytes: Bytes<'e>,
}

/// An identifier in its canonical form, which only a key can read.
#[derive(Clone, Copy)]
pub(crate) struct Identifier<'e>(&'e [u8]);

impl<'e> Identifier<'e> {
    /// Returns the bytes to whoever is about to hash them; `pseudonymize` alone can make a [`KeyInUse`].
    pub(crate) fn expose(self, _: KeyInUse) -> &'e [u8] {
        self.0
    }
}

impl Event<'_> {
    /// Returns the identifier at a place that a value names.
    pub(crate) fn identifier(&self, place: Place) -> Identifier<'_> {
        Identifier(self.bytes.at(place))
    }

    /// Returns where the identifiers of a field are: one, or those among its items.
    pub(crate) fn identifiers(&self, field: usize) -> impl Iterator<Item = Place> {
        let value = &self.values[field];
        let values = if matches!(value, Value::List) { &self.lists[field][..] } else { std::slice::from_ref(value) };
        values.iter().filter_map(|value| if let Value::Identifier(place) = value { Some(*place) } else { None })
    }

    /// Returns the identifier that names the person, if it is one.
    pub(crate) fn subject(&self) -> Option<(usize, Identifier<'_>)> {
        let field = self.contract.subject?;
        let Value::Identifier(place) = self.values[field] else { return None };
        Some((field, self.identifier(place)))
    }
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            names: AttributeNames::new(),
            index: Index::default(),
            written: Vec::new(),
            slots: Slots::default(),
        }
    }

    /// Returns the bytes of the record that was opened last.
    pub(crate) fn bytes<'d>(&'d mut self, opened: &Opened<'d>) -> Bytes<'d> {
        Bytes::new(opened.value, &mut self.written)
    }

    /// Reads a record's envelope.
    pub(crate) fn open<'r>(&mut self, record: &Record<'r>) -> Result<Opened<'r>, MalformedCode> {
        let (value, headers) = (record.value(), record.headers());
        if value.is_empty() {
            return Err(MalformedCode::Empty);
        }
        if value.len().saturating_add(headers.attribute_bytes()) > self.limits.record_bytes {
            return Err(MalformedCode::TooLarge);
        }
        self.index.read(value)?;
        self.written.clear();
        let mut bytes = Bytes::new(value, &mut self.written);
        let mut cursor = Cursor::new(value, &self.index);
        let mut attributes = Attributes::new();
        let envelope = match Mode::of(headers) {
            Mode::Structured => {
                attributes.gather(&mut cursor, &self.names, &mut bytes, &mut self.slots.frames)?;
                attributes.check(&bytes)
            }
            Mode::Binary { is_json } => {
                attributes.gather_headers(headers, &self.names, &mut bytes);
                attributes.whole_value(&mut cursor, &mut self.slots.frames)?;
                if is_json { attributes.check(&bytes) } else { Err(MalformedCode::Envelope) }
            }
            Mode::Other => {
                attributes.whole_value(&mut cursor, &mut self.slots.frames)?;
                Err(MalformedCode::Envelope)
            }
        };
        Ok(Opened { value, data: attributes.data, sizes: cursor.sizes, envelope })
    }

    /// Reads the data of a record along its contract.
    pub(crate) fn event<'e>(
        &'e mut self,
        opened: &Opened<'e>,
        contract: &'e Contract,
        plan: &'e Plan,
    ) -> Result<Event<'e>, MalformedCode> {
        self.slots.clear(plan, contract);
        let mut walk = Walk {
            cursor: self.index.cursor(opened),
            bytes: Bytes::new(opened.value, &mut self.written),
            slots: &mut self.slots,
            plan,
            contract,
            counts: FieldCounts::default(),
            is_doubled: false,
        };
        if let Some(data) = opened.data {
            walk.data()?;
            walk.cursor.ended_at(data.end)?;
        }
        let Walk { cursor, counts, is_doubled, bytes, slots, .. } = walk;
        check_limits(&self.limits, &self.index, cursor.sizes)?;
        if is_doubled {
            return Err(MalformedCode::DuplicateKey);
        }
        let Slots { values, lists, others, .. } = slots;
        Ok(Event { contract, values, lists, others, plan, counts, bytes })
    }

    /// Checks the data of a record that has no contract, so that what is not JSON is called that.
    pub(crate) fn check_rest(&mut self, opened: &Opened<'_>) -> Result<(), MalformedCode> {
        let mut cursor = self.index.cursor(opened);
        if let Some(data) = opened.data {
            cursor.skip(&mut self.slots.frames)?;
            cursor.ended_at(data.end)?;
        }
        check_limits(&self.limits, &self.index, cursor.sizes)
    }
}

impl Index {
    /// Returns a cursor at the data of an opened record.
    fn cursor<'i>(&'i self, opened: &Opened<'i>) -> Cursor<'i> {
        let mut cursor = Cursor::new(opened.value, self);
        cursor.sizes = opened.sizes;
        if let Some(data) = opened.data {
            cursor.go_to(data.place);
        }
        cursor
    }
}

fn check_limits(limits: &Limits, index: &Index, sizes: Sizes) -> Result<(), MalformedCode> {
    if index.depth() > limits.depth {
        Err(MalformedCode::TooDeep)
    } else if sizes.members > limits.fields {
        Err(MalformedCode::TooManyFields)
    } else if sizes.items > limits.array_items {
        Err(MalformedCode::TooManyItems)
    } else {
        Ok(())
    }
}

/// How CloudEvents puts an event into a Kafka record.
enum Mode {
    /// Attributes are headers, the value is the data.
    Binary {
        /// Whether the data is said to be JSON.
        is_json: bool,
    },
    /// A format that weir does not read: batches, Avro, protobuf.
    Other,
    /// The value is the event.
    Structured,
}

impl Mode {
    fn of(headers: Headers<'_>) -> Self {
        let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let essence = content_type.map(|(_, value)| attributes::essence(value));
        let cloud_event = essence.filter(|essence| {
            essence.get(..CLOUD_EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(CLOUD_EVENTS))
        });
        match cloud_event {
            Some(essence) if essence[CLOUD_EVENTS.len()..].eq_ignore_ascii_case(b"+json") => Self::Structured,
            Some(_) => Self::Other,
            None if headers.iter().any(|(name, _)| name == "ce_specversion") => {
                Self::Binary { is_json: essence.is_some_and(attributes::is_json) }
            }
            None => Self::Structured,
        }
    }
}

const CLOUD_EVENTS: &[u8] = b"application/cloudevents";

impl From<NotJson> for MalformedCode {
    fn from(NotJson: NotJson) -> Self {
        Self::Json
    }
}
