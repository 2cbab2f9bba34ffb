//! Events whose data is sealed: opened, they are read as those in clear.
//!
//! An event says so with the media type `application/jose`. Its envelope is in clear and was checked; its data is opened with a key of
//! the ring, if it was sealed for just this envelope, and the event is then read as if it had come in binary mode with that data. So
//! every rule that holds for an event in clear holds for it, and the path of those in clear has no step for it.

use super::attributes::{AttributeNames, Attributes};
use super::bytes::Bytes;
use super::{Events, Stop};
use crate::record::{Headers, Record};
use weir_keys::{JweFault, KeySet};
use weir_policy::MalformedCode;
use zeroize::Zeroizing;

/// Records that were sealed, opened; what was opened is overwritten when they are dropped.
pub(crate) struct Opened<'r>(Vec<OpenedRecord<'r>>);

struct OpenedRecord<'r> {
    record: &'r Record<'r>,
    data: Zeroizing<Vec<u8>>,
    headers: Vec<(&'static str, Vec<u8>)>,
}

impl<'r> Opened<'r> {
    /// Opens what decoding found sealed among `records`; hands those that do not open to `refuse`, with the code.
    pub(crate) fn new(
        records: &'r [Record<'r>],
        events: &mut Events,
        keys: &KeySet,
        mut refuse: impl FnMut(&Record<'_>, MalformedCode),
    ) -> Self {
        let mut opened = Vec::with_capacity(events.sealed.len());
        for (place, attributes) in std::mem::take(&mut events.sealed) {
            let record = &records[place];
            match open(record, &attributes, &mut events.written, keys) {
                Ok(event) => opened.push(event),
                Err(code) => refuse(record, code),
            }
        }
        Self(opened)
    }

    /// Lends the records in binary mode.
    pub(crate) fn lend<T>(&self, take: impl FnOnce(&[Record<'_>]) -> T) -> T {
        let headers: Vec<Vec<_>> = self.0.iter().map(OpenedRecord::pairs).collect();
        let records = self
            .0
            .iter()
            .zip(&headers)
            .map(|(OpenedRecord { record, data, .. }, headers)| record.opened(data, Headers::new(headers)));
        take(&records.collect::<Vec<_>>())
    }
}

impl OpenedRecord<'_> {
    fn pairs(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect()
    }
}

impl Events {
    /// Tells whether decoding met events that have to be opened.
    #[inline]
    pub(crate) fn are_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Notes an event in binary mode whose data is sealed.
    #[cold]
    pub(super) fn note_sealed(&mut self, place: usize, record: &Record<'_>, names: &AttributeNames) -> Stop {
        let mut attributes = Attributes::new();
        let mut bytes = Bytes::new(record.value(), &mut self.written);
        attributes.headers(record.headers(), names, &mut bytes);
        attributes.whole_is_data(record.value());
        match attributes.check(&bytes) {
            Ok(_) | Err(Stop::Sealed) => {
                self.sealed.push((place, attributes));
                Stop::Sealed
            }
            Err(stop) => stop,
        }
    }
}

fn open<'r>(
    record: &'r Record<'r>,
    attributes: &Attributes,
    written: &mut Vec<u8>,
    keys: &KeySet,
) -> Result<OpenedRecord<'r>, MalformedCode> {
    let bytes = Bytes::new(record.value(), written);
    let (jwe, event) = attributes.sealed(&bytes).ok_or(MalformedCode::SealForm)?;
    let data = keys.open_sealed(jwe, &event).map_err(|fault| match fault {
        JweFault::Broken => MalformedCode::SealBroken,
        JweFault::Event => MalformedCode::SealEvent,
        JweFault::Form => MalformedCode::SealForm,
        JweFault::Key => MalformedCode::SealKey,
    })?;
    Ok(OpenedRecord { record, data, headers: attributes.as_headers(&bytes) })
}
