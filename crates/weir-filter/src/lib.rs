//! The hot path and the trusted core: records in, permitted rows out.
//!
//! ```text
//! Record ─ decode, classify ─▶ Decoded ─ consent ─▶ Judged ─▶ Permitted<P> ─ pseudonymize ─▶ Keyed<P> ─ project ─▶ Batch<P>
//! ```
//! One stage, one type, one file, and [`Filter::apply`] goes through them in this order, with a few hundred records at a time:
//! people are hashed many at once, and the consent store's places are brought near before they are asked. The crate has no
//! logger, no clock, no I/O and no way to serialize: what goes in as a [`Record`] comes out as numbers, words of closed lists,
//! pseudonyms and counts, or not at all. A mistake that would change that should not compile; `tests/misuse` has those that
//! were tried.
//!
//! # Which fate a record gets
//!
//! A record has one fate for each purpose. It is **quarantined** for all of them by the first line that applies:
//!
//! | # | code | applies when |
//! |---|---|---|
//! | 1 | `empty` | the value is absent or has no bytes |
//! | 2 | `too_large` | the value, and in binary mode its `ce_` headers, are more than `record_bytes` |
//! | 3 | `utf8` | the value is not UTF-8 |
//! | 4 | `json` | the value, to its last byte, is not RFC 8259; or it is no object, in structured mode |
//! | 5 | `too_deep`, `too_many_fields`, `too_many_items` | nesting, members of all objects together, or items of one array exceed the limit, anywhere in the value |
//! | 6 | `duplicate_key` | an attribute that weir names stands twice |
//! | 7 | `envelope` | `specversion` is not `"1.0"`; `id`, `source`, `type` or `tenant` is absent or empty; `data_base64` is there; a media type is neither `application/json` nor `application/jose`; a batch or another format is announced; an attribute that weir names is not text |
//! | 8 | `time` | `time` is absent or not RFC 3339 |
//! | 9 | `not_sealed` | the event is in clear, in a topic whose events must be sealed |
//! | 10 | `seal_form` | the data is said to be sealed and is not text, or not [the one kind](KeySet::open_sealed) of JWE |
//! | 11 | `seal_key`, `seal_event`, `seal_broken` | it was sealed to a key that is not in the ring, for an event with other attributes, or does not open |
//! | 12 | `foreign_tenant` | the [topic](TopicRules) does not carry events of the tenant |
//! | 13 | `no_contract` | nobody declared the type, or not the version |
//! | 14 | `duplicate_key` | a declared member stands twice in one object |
//!
//! Sealed data, once opened, is held to lines 1 to 5 by itself, as that of an event in binary mode.
//!
//! Otherwise it is **denied** for a purpose by the first line that applies, or **written**:
//!
//! | # | reason | applies when |
//! |---|---|---|
//! | 1 | `not_declared` | no field of the contract has the purpose |
//! | 2 | `narrowed_by_producer` | `purposes` is there and does not name it |
//! | 3 | `gpc` | `secgpc` is `"1"`, for personalization |
//! | 4 | `contract_expired` | the contract's last day has passed |
//! | 5 | `no_subject` | the contract has a subject, and its field holds no identifier |
//! | 6 | `no_tenant_agreement` … `erased` | [`weir_consent`] says so, in its own order |
//! | 7 | `time_out_of_range` | the time is not in [now − retention, now + 10 minutes], both ends included |
//! | 8 | `epoch_closed` | there is no key for the tenant at the event's time |
//!
//! # How an event is read
//!
//! - Attributes: one that is `null` is absent, but counts when it stands twice; others than weir's are passed over. `purposes` is a
//!   list with commas; a name that is no purpose adds nothing. `contractversion` is digits without a leading zero, as text or number.
//! - Mode: `content-type: application/cloudevents+json`, or neither that nor a header `ce_specversion`, is structured; binary mode needs
//!   `content-type: application/json`, or `application/jose` if the value is sealed data. Data that is no object has no fields.
//! - Keys are compared after their escapes are read. An escape that names half a surrogate pair is JSON but no text: as a key it
//!   is undeclared, as a value of the wrong type, as an attribute a fault.
//! - Instants of rules are whole milliseconds, cut down. The date of a row is the UTC day of its event's time.
//! - Event ids: the pseudonym of the source's length (32 bits, little-endian), the source and the id, under a kind of their own.
//!
//! # What is counted of fields
//!
//! Once for each event that has a contract and is not quarantined, whatever its fates ([`FieldCounts`]): a member that is not declared
//! (`undeclared`; nothing inside it is counted again) or is content (`content`); a value of another JSON type, a number that is not whole where
//! it must be, or a text that is not of its type (`wrong_type`: null), also one on the way to declared fields that is no object or array,
//! unless it is `null`; a whole number outside type, range or, for each row, the purpose's buckets (`out_of_range`: null); a word outside
//! its list (`other_word`: `__other__`); a field with a value that no row of the event carries (`not_permitted`). An identifier is text that is
//! not empty in canonical form, or a whole number from −2⁶³ to 2⁶⁴ − 1. Semantic versions, addresses and places that cannot be read are null.

#![expect(clippy::inline_always, reason = "small leaves of the hot path, so that a loop's state stays in registers")]

mod batch;
mod classify;
mod consent;
mod decode;
mod explain;
mod hash;
mod json;
mod level;
mod names;
mod plan;
mod project;
mod pseudonymize;
mod recent;
mod record;
mod tally;

pub use batch::{Batch, Cells, Column, Coordinates, Filtered, Head, Lists, Rows, Storable, Validity, Values};
pub use explain::{ExplainedField, Explanation, Reading, Rule};
pub use fearless_simd::Level;
pub use level::levels;
pub use pseudonymize::Pseudonym;
pub use record::{Headers, Limits, Origin, Record, Tenants, TopicRules};
pub use tally::{Fate, FieldCounts, Removed, Tally, TallyKey};

use classify::Classifier;
use consent::{Asker, Judged};
use decode::{Decoded, Decoder, Events, Opened};
use plan::Plans;
use project::{Tables, project};
use pseudonymize::{Hasher, KeyCache, Persons, pseudonymize};
use std::sync::Arc;
use weir_consent::ConsentView;
use weir_keys::KeySet;
use weir_policy::{Personalization, Policy, Purpose, Reliability, Troubleshooting};

/// Turns records into rows, one thread's worth of it.
#[expect(missing_debug_implementations, reason = "keys and raw input must not be printable")]
pub struct Filter {
    policy: Arc<Policy>,
    plans: Plans,
    keys: Arc<KeySet>,
    region: String,
    decoder: Decoder,
    events: Events,
    persons: Persons,
    making: Making,
}

impl Filter {
    /// Compiles a policy; `region` is where the rows will live.
    pub fn new(policy: Arc<Policy>, keys: Arc<KeySet>, limits: Limits, region: String) -> Self {
        Self::at_level(Level::new(), policy, keys, limits, region)
    }

    /// Compiles a policy for these instructions of the processor and no better ones, to compare and to measure them.
    pub fn at_level(level: Level, policy: Arc<Policy>, keys: Arc<KeySet>, limits: Limits, region: String) -> Self {
        let plans = Plans::new(&policy);
        let persons = Persons::new(Arc::clone(&keys), Arc::clone(&plans.kinds), level);
        let hasher = Hasher::new(Arc::clone(&keys), Arc::clone(&plans.kinds), level);
        let (decoder, making) = (Decoder::new(limits, level), Making::new(hasher, &policy));
        Self { policy, plans, keys, region, decoder, events: Events::default(), persons, making }
    }

    /// Filters records: adds rows, counts and coordinates to `out`, whose earlier ones are of the same policy.
    ///
    /// `consent` must always be a view of the same store. Each record gets exactly one fate for each purpose.
    pub fn apply(&mut self, records: &[Record<'_>], consent: &ConsentView<'_>, now_ms: i64, out: &mut Filtered) {
        for records in record::together(records) {
            self.apply_together(records, consent, now_ms, out);
            if self.events.are_sealed() {
                let refuse = |record: &Record<'_>, code| out.quarantine(record, code);
                let opened = Opened::new(records, &mut self.events, &self.keys, refuse);
                opened.lend(|records| self.apply_together(records, consent, now_ms, out));
                self.forget();
            }
        }
    }

    /// Overwrites what was read of data that was opened.
    fn forget(&mut self) {
        self.decoder.forget();
        self.events.forget();
    }

    /// Filters records that are read together, but those that are sealed.
    fn apply_together(&mut self, records: &[Record<'_>], consent: &ConsentView<'_>, now_ms: i64, out: &mut Filtered) {
        let Self { policy, plans, region, decoder, events, persons, making, .. } = self;
        let classifier = Classifier { policy, plans, now_ms };
        let decoded = decoder.read_all(records, &classifier, events, |record, code| out.quarantine(record, code));
        let judged = Asker { consent, region, now_ms }.judge(decoded, persons);
        let fates = keep_each(&judged, making, out);
        account(decoded, &fates, &mut out.tally);
    }
}

/// Makes a row for each event and purpose that permits it; returns what became of the events.
fn keep_each(judged: &Judged<'_>, making: &mut Making, out: &mut Filtered) -> Vec<[Fate; 3]> {
    let Making { hasher, troubleshooting, reliability, personalization } = making;
    let mut keeper = Keeper { judged, order: judged.decoded.by_table(), hasher, fates: judged.fates() };
    keeper.keep(troubleshooting, &mut out.troubleshooting, &mut out.tally);
    keeper.keep(reliability, &mut out.reliability, &mut out.tally);
    keeper.keep(personalization, &mut out.personalization, &mut out.tally);
    keeper.fates
}

/// Makes the rows of judged events, one purpose after the other.
struct Keeper<'k> {
    judged: &'k Judged<'k>,
    order: Vec<usize>,
    hasher: &'k mut Hasher,
    fates: Vec<[Fate; 3]>,
}

impl Keeper<'_> {
    fn keep<P: Purpose>(&mut self, means: &mut Means<P>, batch: &mut Batch<P>, tally: &mut Tally) {
        let permitted = self.judged.permit(&self.order);
        let keyed = pseudonymize(permitted, self.hasher, &mut means.keys, &mut self.fates);
        let pseudonyms = self.hasher.finish(&keyed);
        project(keyed, pseudonyms, batch, &means.tables, tally);
    }
}

/// Counts what became of events and of their fields.
fn account(decoded: Decoded<'_>, fates: &[[Fate; 3]], tally: &mut Tally) {
    tally.add_events(decoded.events().iter().zip(fates).map(|(event, fates)| {
        (decoded.record(event).origin(), event.contract, *fates, event.counts_after(decoded, *fates))
    }));
}

/// What rows are made with.
struct Making {
    hasher: Hasher,
    troubleshooting: Means<Troubleshooting>,
    reliability: Means<Reliability>,
    personalization: Means<Personalization>,
}

impl Making {
    fn new(hasher: Hasher, policy: &Policy) -> Self {
        let (troubleshooting, reliability) = (Means::new(policy), Means::new(policy));
        Self { hasher, troubleshooting, reliability, personalization: Means::new(policy) }
    }
}

/// What rows of one purpose are made with.
struct Means<P: Purpose> {
    keys: KeyCache<P>,
    tables: Tables<P>,
}

impl<P: Purpose> Means<P> {
    fn new(policy: &Policy) -> Self {
        Self { keys: KeyCache::default(), tables: Tables::new(policy) }
    }
}

#[cfg(test)]
mod tests;
