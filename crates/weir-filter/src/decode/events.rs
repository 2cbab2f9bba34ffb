//! Decoded events, side by side: what a few hundred records said, before anyone is asked.

use super::attributes::{Attributes, Envelope};
use super::bytes::{self, Place};
use super::value::Value;
use crate::json::usize_of;
use crate::names::Within;
use crate::plan::{Plan, Plans};
use crate::pseudonymize::KeyInUse;
use crate::record::Record;
use crate::tally::{Fate, FieldCounts};
use std::ops::Range;
use weir_policy::{Contract, ContractIx, Policy, PurposeId, PurposeSet};
use zeroize::Zeroize as _;

/// What decoding leaves; its buffers are used again for the next records.
#[derive(Default)]
pub(crate) struct Events {
    pub(super) all: Vec<Event>,
    /// One a field, event after event.
    pub(super) values: Vec<Value>,
    /// Items of lists: for each item, one value a field of its array.
    pub(super) items: Vec<Value>,
    /// Identifiers beside the subjects.
    pub(super) others: Vec<Named>,
    pub(super) wides: Vec<i128>,
    pub(super) written: Vec<u8>,
    /// Records whose data is sealed, by their places, with their attributes.
    pub(super) sealed: Vec<(usize, Attributes)>,
}

/// A decoded event.
pub(crate) struct Event {
    /// Its record's place among those that are read together.
    pub(super) record: usize,
    pub(crate) contract: ContractIx,
    /// The UTC day of its time.
    pub(super) date: i32,
    /// Whether the contract's last day has passed.
    pub(crate) is_expired: bool,
    pub(crate) envelope: Envelope,
    pub(crate) counts: FieldCounts,
    /// The identifier that names the person, if it is one.
    pub(super) subject: Option<Named>,
    /// Where its values start among those of all events.
    pub(crate) values: usize,
    pub(super) others: Range<usize>,
}

/// An identifier.
pub(crate) struct Named {
    /// The number of its kind.
    pub(crate) kind: u32,
    pub(crate) place: Place,
}

impl Named {
    fn kind(&self) -> usize {
        usize::try_from(self.kind).expect("usize has at least 32 bits")
    }
}

impl Events {
    /// Forgets the events.
    pub(crate) fn clear(&mut self) {
        let Self { all, values, items, others, wides, written, sealed } = self;
        all.clear();
        values.clear();
        items.clear();
        others.clear();
        wides.clear();
        written.clear();
        sealed.clear();
    }

    /// Overwrites what was written of the events' texts, also of those before the last ones; the buffer stays as long until it is cleared.
    pub(crate) fn forget(&mut self) {
        self.written.resize(self.written.capacity(), 0);
        self.written.as_mut_slice().zeroize();
    }

    /// Tells whether these bytes are there of what was written.
    #[cfg(test)]
    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        self.written.windows(bytes.len()).any(|found| found == bytes)
    }

    /// Forgets what a record left that is no event.
    pub(super) fn cut(&mut self, values: usize, items: usize, others: usize) {
        self.values.truncate(values);
        self.items.truncate(items);
        self.others.truncate(others);
    }
}

/// Decoded events, with the records that they came from and the policy that they follow.
#[derive(Clone, Copy)]
pub(crate) struct Decoded<'d> {
    pub(crate) policy: &'d Policy,
    pub(crate) plans: &'d Plans,
    pub(crate) records: &'d [Record<'d>],
    pub(crate) events: &'d Events,
}

/// An identifier in its canonical form, which only a key can read.
#[derive(Clone, Copy)]
pub(crate) struct Identifier<'d>(&'d [u8]);

impl<'d> Identifier<'d> {
    /// Returns the bytes to whoever is about to hash them; `pseudonymize` alone can make a [`KeyInUse`].
    #[inline]
    pub(crate) fn expose(self, _: KeyInUse) -> &'d [u8] {
        self.0
    }
}

impl<'d> Decoded<'d> {
    /// Returns the events, in the order of their records.
    pub(crate) fn events(self) -> &'d [Event] {
        &self.events.all
    }

    pub(crate) fn record(self, event: &Event) -> &'d Record<'d> {
        &self.records[event.record]
    }

    pub(crate) fn contract(self, event: &Event) -> &'d Contract {
        self.policy.contract(event.contract)
    }

    pub(crate) fn plan(self, event: &Event) -> &'d Plan {
        self.plans.plan(event.contract)
    }

    /// Returns what a field holds.
    #[inline]
    pub(crate) fn value(self, event: &Event, field: usize) -> Value {
        self.events.values[event.values + field]
    }

    /// Returns what all fields hold.
    pub(crate) fn values(self, event: &Event) -> &'d [Value] {
        &self.events.values[event.values..][..self.plan(event).slots.len()]
    }

    /// Returns a field's items, of a list.
    #[inline]
    pub(crate) fn items(self, plan: &Plan, field: usize, list: Value) -> impl Iterator<Item = Value> {
        let (start, length) = list.as_list();
        let slot = &plan.slots[field];
        let (values, of_item) = (usize_of(slot.item_values), usize_of(slot.at));
        let [start, length] = [start, length].map(|number| usize::try_from(number).expect("usize has 32 bits"));
        let items = &self.events.items[start..start + length * values];
        items.chunks_exact(values).map(move |item| item[of_item])
    }

    /// Returns a number that a value points to.
    #[inline]
    pub(crate) fn wide(self, value: Value) -> i128 {
        self.events.wides[value.as_usize()]
    }

    /// Returns the bytes of an attribute.
    #[inline]
    pub(crate) fn attribute(self, event: &Event, place: Place) -> &'d [u8] {
        bytes::at(self.record(event).value(), &self.events.written, place)
    }

    /// Returns an attribute within its text.
    #[inline]
    pub(crate) fn around(self, event: &Event, place: Place) -> Within<'d> {
        bytes::around(self.record(event).value(), &self.events.written, place)
    }

    /// Returns the identifier at a place that a value names.
    #[inline]
    pub(crate) fn identifier(self, event: &Event, place: Place) -> Identifier<'d> {
        Identifier(self.attribute(event, place))
    }

    /// Returns the identifier that names the person, if it is one, and the number of its kind.
    #[inline]
    pub(crate) fn subject(self, event: &Event) -> Option<(usize, Identifier<'d>)> {
        event.subject.as_ref().map(|subject| (subject.kind(), self.identifier(event, subject.place)))
    }

    /// Returns the identifiers beside the subject, with the numbers of their kinds.
    pub(crate) fn others(self, event: &Event) -> impl Iterator<Item = (usize, Identifier<'d>)> {
        let others = &self.events.others[event.others.clone()];
        others.iter().map(move |other| (other.kind(), self.identifier(event, other.place)))
    }

    /// Returns the events' places, those of one contract and day after each other.
    pub(crate) fn by_table(self) -> Vec<usize> {
        let mut places: Vec<_> = self.events().iter().map(Event::table).zip(0_usize..).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, place)| place).collect()
    }
}

impl Event {
    /// Returns the event's time, cut down to milliseconds: all rules compare it so.
    pub(crate) fn event_ms(&self) -> i64 {
        self.envelope.time_us.div_euclid(1_000)
    }

    /// Returns the UTC day of the event's time.
    #[inline]
    pub(crate) fn date(&self) -> i32 {
        self.date
    }

    /// Returns a number for contract and day together.
    #[inline]
    pub(crate) fn table(&self) -> u64 {
        u64::from(self.contract.0) << 32 | u64::from(self.date.cast_unsigned())
    }

    /// Returns what was done to the event's fields, once its fates are known.
    pub(crate) fn counts_after(&self, decoded: Decoded<'_>, fates: [Fate; 3]) -> FieldCounts {
        let written = PurposeId::ALL.into_iter().filter(|purpose| fates[purpose.index()] == Fate::Written);
        let lost = self.not_permitted(decoded, written.collect());
        FieldCounts { not_permitted: lost, ..self.counts }
    }

    /// Counts the values that no row carries: those whose purposes are not among the `written`.
    fn not_permitted(&self, decoded: Decoded<'_>, written: PurposeSet) -> u64 {
        let values = decoded.values(self);
        decoded.plan(self).lost(written).iter().map(|field| u64::from(values[*field].is_something())).sum()
    }
}

/// Returns the UTC day of an instant.
pub(super) fn date(time_us: i64) -> i32 {
    i32::try_from(time_us.div_euclid(DAY_US)).expect("an i64 of µs has fewer than 2^31 days")
}

const DAY_US: i64 = 86_400_000_000;
