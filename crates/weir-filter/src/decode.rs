//! A record becomes an event: its envelope and, along its contract, its data.
//!
//! Everything is checked here, also what is dropped, and every way to fail is a [`MalformedCode`]: a code holds no byte of
//! the record. Past this stage content is a length, undeclared members are a count, and text is left in two places only:
//! attributes, and identifiers, which `pseudonymize` alone reads.
//!
//! Which code a record with several faults gets is fixed, see the table in the crate's documentation: first whether it is
//! JSON at all, to its last byte, then the limits, then the envelope, then the contract.

mod attributes;
mod bytes;
mod events;
mod sealed;
mod value;
mod walk;

pub(crate) use attributes::Envelope;
pub(crate) use events::{Decoded, Event, Events, Identifier};
pub(crate) use sealed::Opened;
pub(crate) use value::{Kind, Value, unpack_version};

use crate::classify::{Classified, Classifier};
use crate::json::{self, Cursor, Index, Marked, Nesting, NotJson};
use crate::recent::Recent;
use crate::record::{Headers, Limits, Record};
use crate::tally::FieldCounts;
use attributes::{AttributeNames, Attributes, DataAt};
use bytes::Bytes;
use fearless_simd::Level;
use value::Reader;
use walk::{Found, Walk};
use weir_policy::{MalformedCode, Token};

/// Decodes one record after the other, with buffers that it keeps.
pub(crate) struct Decoder {
    limits: Limits,
    names: AttributeNames,
    index: Index,
    nesting: Nesting,
    words: Recent<Token>,
}

impl Decoder {
    pub(crate) fn new(limits: Limits, level: Level) -> Self {
        let limits = Limits { record_bytes: limits.record_bytes.min(RECORD_BYTES_MAX), ..limits };
        Self {
            limits,
            names: AttributeNames::new(),
            index: Index::new(level),
            nesting: Nesting::keeping(limits.array_items),
            words: Recent::new(Token::OTHER),
        }
    }

    /// Reads records; hands those that are malformed or have no contract to `refuse`, with the code. Those that are sealed are noted
    /// in `events`, to be [opened](Opened).
    pub(crate) fn read_all<'d>(
        &mut self,
        records: &'d [Record<'_>],
        classifier: &Classifier<'d>,
        events: &'d mut Events,
        mut refuse: impl FnMut(&Record<'_>, MalformedCode),
    ) -> Decoded<'d> {
        events.clear();
        for (place, record) in records.iter().enumerate() {
            match self.read(place, record, classifier, events) {
                Ok(()) | Err(Stop::Sealed) => {}
                Err(Stop::Malformed(code)) => refuse(record, code),
            }
        }
        Decoded { policy: classifier.policy, plans: classifier.plans, records, events }
    }

    /// Reads the record at `place` of those that are read together; adds its event.
    fn read(
        &mut self,
        place: usize,
        record: &Record<'_>,
        classifier: &Classifier<'_>,
        events: &mut Events,
    ) -> Result<(), Stop> {
        let (values, items, others) = (events.values.len(), events.items.len(), events.others.len());
        let read = self.event(place, record, classifier, events);
        if read.is_err() {
            events.cut(values, items, others);
        }
        read
    }

    fn event(
        &mut self,
        place: usize,
        record: &Record<'_>,
        classifier: &Classifier<'_>,
        events: &mut Events,
    ) -> Result<(), Stop> {
        let (value, headers) = (record.value(), record.headers());
        if value.is_empty() {
            return Err(MalformedCode::Empty.into());
        }
        if value.len().saturating_add(headers.attribute_bytes()) > self.limits.record_bytes {
            return Err(MalformedCode::TooLarge.into());
        }
        let mode = Mode::of(headers);
        if let Mode::Binary(DataIs::Sealed) = mode {
            return Err(events.note_sealed(place, record, &self.names));
        }
        let Self { limits, names, index, nesting, words } = self;
        let reading = Reading { limits, names, nesting, words, classifier, place, record, mode };
        match index.read(value)? {
            json::Read::Near(text) => reading.event(text, events),
            json::Read::Far(text) => reading.event(text, events),
        }
    }

    /// Overwrites what was read last.
    pub(crate) fn forget(&mut self) {
        self.index.forget();
    }

    /// Tells whether these bytes are still there of what was read.
    #[cfg(test)]
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        self.index.holds(bytes)
    }
}

/// The reading of one record, before its text is walked.
struct Reading<'r, 'v> {
    limits: &'r Limits,
    names: &'r AttributeNames,
    nesting: &'r mut Nesting,
    words: &'r mut Recent<Token>,
    classifier: &'r Classifier<'r>,
    place: usize,
    record: &'r Record<'v>,
    mode: Mode,
}

impl Reading<'_, '_> {
    /// Walks the record's text; adds its event.
    fn event(self, text: impl Marked, events: &mut Events) -> Result<(), Stop> {
        let Self { limits, names, nesting, words, classifier, place, record, mode } = self;
        nesting.clear();
        let Events { all, values, items, others, wides, written, sealed } = events;
        let (first_value, first_other) = (values.len(), others.len());
        let bytes = Bytes::new(record.value(), written);
        let mut walk = Walk {
            cursor: Cursor::new(text),
            reader: Reader { bytes, words, wides, counts: FieldCounts::default() },
            nesting,
            found: Found::after(values, items, others),
            subject: None,
            is_doubled: false,
        };
        let mut read = Read { attributes: Attributes::new(), classifier, along: None };
        match mode {
            Mode::Structured => read.structured(&mut walk, names)?,
            Mode::Binary(_) | Mode::Other => read.binary(&mut walk, record.headers(), names)?,
        }
        check_limits(limits, walk.nesting)?;
        if matches!(mode, Mode::Binary(DataIs::Other) | Mode::Other) {
            return Err(MalformedCode::Envelope.into());
        }
        let envelope = match read.attributes.check(&walk.reader.bytes) {
            Ok(envelope) => {
                record.check(|| walk.reader.bytes.at(envelope.tenant))?;
                envelope
            }
            Err(stop) => {
                if let Stop::Sealed = stop {
                    sealed.push((place, read.attributes));
                }
                return Err(stop);
            }
        };
        let Classified { contract, is_expired } = read.along_contract(&mut walk, &envelope)?;
        if walk.is_doubled {
            return Err(MalformedCode::DuplicateKey.into());
        }
        let (counts, subject) = (walk.reader.counts, walk.subject);
        all.push(Event {
            record: place,
            contract,
            date: events::date(envelope.time_us),
            is_expired,
            envelope,
            counts,
            subject,
            values: first_value,
            others: first_other..others.len(),
        });
        Ok(())
    }
}

/// What is found out of one record on the way.
struct Read<'r> {
    attributes: Attributes,
    classifier: &'r Classifier<'r>,
    /// What the data was walked along, and the version that was known then.
    along: Option<(Classified, Option<u32>)>,
}

impl Read<'_> {
    /// Reads a value that is the event.
    fn structured(&mut self, walk: &mut Walk<'_, impl Marked>, names: &AttributeNames) -> Result<(), NotJson> {
        // A copy, as in the walk.
        let mut cursor = walk.cursor;
        if cursor.peek() != b'{' {
            return Err(NotJson);
        }
        let mut more = cursor.enter(b'}')?;
        walk.nesting.enter();
        let mut is_left = false;
        while more {
            walk.nesting.members += 1;
            if self.attributes.member(walk, &mut cursor, names)?.is_data() {
                walk.cursor = cursor;
                if cursor.peek() == b'{' && self.attributes.leads_nowhere_yet() {
                    // Some producers write the data first: it is read once it is known along which contract.
                    self.attributes.data = Some(DataAt(cursor.met()));
                    is_left = true;
                    cursor.hop()?;
                } else {
                    self.data(walk)?;
                    cursor = walk.cursor;
                }
            }
            more = cursor.next(b'}')?;
        }
        cursor.end()?;
        if let Some(DataAt(met)) = self.attributes.data.take_if(|_| is_left) {
            walk.cursor.go_back_to(met);
            self.data(walk)?;
        }
        walk.nesting.leave();
        Ok(())
    }

    /// Reads headers that are the attributes, and a value that is the data.
    fn binary(
        &mut self,
        walk: &mut Walk<'_, impl Marked>,
        headers: Headers<'_>,
        names: &AttributeNames,
    ) -> Result<(), NotJson> {
        self.attributes.headers(headers, names, &mut walk.reader.bytes);
        self.data(walk)?;
        walk.cursor.end()
    }

    /// Walks the data along the contract that the attributes so far lead to; most producers write the data last.
    fn data(&mut self, walk: &mut Walk<'_, impl Marked>) -> Result<(), NotJson> {
        if walk.cursor.peek() != b'{' || self.attributes.data.is_some() {
            // Data that is no object has no fields; data that stands twice is a fault anyway.
            return self.attributes.other_data(walk);
        }
        self.attributes.data = Some(DataAt(walk.cursor.met()));
        let bytes = &walk.reader.bytes;
        let classified = self.attributes.type_and_version(bytes).and_then(|(event_type, version)| {
            Ok((self.classifier.classify(bytes.around(event_type), version)?, version))
        });
        match classified {
            Ok(along) => {
                self.along = Some(along);
                walk.data(self.classifier.plans.plan_for_walk(along.0.contract))
            }
            Err(_) => walk.skip(),
        }
    }

    /// Finds the contract, and walks the data along it if that was not done.
    fn along_contract(
        &mut self,
        walk: &mut Walk<'_, impl Marked>,
        envelope: &Envelope,
    ) -> Result<Classified, MalformedCode> {
        // The type stands once, or the record was refused.
        let along = self.along.filter(|(_, version)| *version == envelope.version);
        if let Some((classified, _)) = along {
            return Ok(classified);
        }
        let event_type = walk.reader.bytes.around(envelope.event_type);
        let classified = self.classifier.classify(event_type, envelope.version)?;
        if self.along.is_some_and(|(along, _)| along.contract == classified.contract) {
            return Ok(classified);
        }
        let plan = self.classifier.plans.plan(classified.contract);
        match self.attributes.data {
            None => walk.begin(plan),
            Some(DataAt(place)) => {
                walk.cursor.go_back_to(place);
                walk.data(plan)?;
            }
        }
        Ok(classified)
    }
}

fn check_limits(limits: &Limits, sizes: &Nesting) -> Result<(), MalformedCode> {
    if sizes.deepest > limits.depth {
        Err(MalformedCode::TooDeep)
    } else if sizes.members > limits.fields {
        Err(MalformedCode::TooManyFields)
    } else if sizes.items > limits.array_items {
        Err(MalformedCode::TooManyItems)
    } else {
        Ok(())
    }
}

/// A record that is larger is too large whatever the limit: places in it are numbers of 31 bits.
const RECORD_BYTES_MAX: usize = 256 << 20;

/// How CloudEvents puts an event into a Kafka record.
enum Mode {
    /// Attributes are headers, the value is the data.
    Binary(DataIs),
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
            None if headers.iter().any(|(name, _)| name == "ce_specversion") => Self::Binary(match essence {
                Some(essence) if attributes::is_json(essence) => DataIs::Json,
                Some(essence) if attributes::is_jose(essence) => DataIs::Sealed,
                Some(_) | None => DataIs::Other,
            }),
            None => Self::Structured,
        }
    }
}

/// What the data of an event in binary mode is said to be.
enum DataIs {
    Json,
    Other,
    Sealed,
}

/// Why a record is no event.
enum Stop {
    Malformed(MalformedCode),
    /// Its data is sealed: it has to be opened first.
    Sealed,
}

const CLOUD_EVENTS: &[u8] = b"application/cloudevents";

impl From<MalformedCode> for Stop {
    fn from(code: MalformedCode) -> Self {
        Self::Malformed(code)
    }
}

impl From<NotJson> for Stop {
    fn from(not_json: NotJson) -> Self {
        MalformedCode::from(not_json).into()
    }
}

impl From<NotJson> for MalformedCode {
    fn from(NotJson: NotJson) -> Self {
        Self::Json
    }
}
