//! What becomes of each declared field: the filter is asked about one field at a time.
//!
//! Asking costs nothing that matters for one event, and the answer cannot differ from what `weir run` does, because it is the
//! same code. The world in which it is asked is one where everybody agreed: a field's fate is a matter of its value.

use std::sync::Arc;

use weir_consent::{ConsentStore, Standing, StateRecord, Status};
use weir_filter::FieldCounts;
use weir_keys::KeySet;
use weir_policy::values::time;
use weir_policy::{Contract, ContractIx, Field, FieldClass, PurposeId};

use super::slice::{self, Replace};
use crate::exit::Failure;
use crate::sandbox::{self, Sandbox};

/// What becomes of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldFate {
    /// The event has no such field, or it is null.
    Absent,
    /// Documented as never collected.
    Content,
    /// As the contract says.
    Kept,
    /// It, or an item of it, is outside type, range or buckets: null.
    OutOfRange,
    /// It, or an item of it, is none of the listed words.
    OtherWord,
    /// It, or an item of it, is of another type: null.
    WrongType,
}

impl FieldFate {
    /// Returns the word for it, as in `weir_fields_total`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Content => "content",
            Self::Kept => "kept",
            Self::OtherWord => "other_word",
            Self::OutOfRange => "out_of_range",
            Self::WrongType => "wrong_type",
        }
    }

    /// Says what that means.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Absent => "the event does not have it",
            Self::Content => "never collected",
            Self::Kept => "",
            Self::OtherWord => "a word that is not listed: `__other__`",
            Self::OutOfRange => "a number outside type, range or buckets: null",
            Self::WrongType => "not a value of the type: null",
        }
    }
}

/// Finds out what becomes of the fields of one event.
pub(crate) struct Fields<'e> {
    sandbox: &'e Sandbox,
    contract: &'e Contract,
    record: &'e str,
    data: &'e str,
    keys: Arc<KeySet>,
    consent: ConsentStore,
    now_ms: i64,
}

impl<'e> Fields<'e> {
    /// Prepares the world where everybody agreed, at the time of the event.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub(crate) fn of(sandbox: &'e mut Sandbox, place: ContractIx, record: &'e str) -> Result<Self, Failure> {
        let members = slice::members(record);
        let tenant = sandbox::tenant(record);
        let member = |key| members.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
        let time_us = member("time").and_then(|text| serde_json::from_str::<String>(text).ok());
        let now_ms = time_us.and_then(|text| time::parse(text.as_bytes())).map_or(0, |micros| micros.div_euclid(1_000));
        let keys = sandbox.keys(&tenant, now_ms)?;
        let sandbox = &*sandbox;
        let contract = sandbox.policy().contract(place);
        let consent = sandbox::consent_store();
        let person = sandbox::person(contract, record, &tenant, &keys);
        for purpose in PurposeId::ALL {
            sandbox::agree(&consent, &tenant, purpose);
            if let Some((person, standing)) = person.zip(Standing::new(Status::Given, 0, None)) {
                consent.apply(StateRecord::Choice { person, purpose, standing });
            }
        }
        Ok(Self { sandbox, contract, record, data: member("data").unwrap_or("{}"), keys, consent, now_ms })
    }

    /// Returns each declared field with what becomes of its value.
    pub(crate) fn fates(&self) -> Vec<(&'e Field, FieldFate)> {
        let subject: Vec<&[String]> = self.contract.subject_field().map(|field| &*field.segments).into_iter().collect();
        let without = self.counts(&subject);
        self.contract.fields.iter().map(|field| (field, self.fate(field, &subject, without))).collect()
    }

    fn fate(&self, field: &Field, subject: &[&[String]], without: FieldCounts) -> FieldFate {
        if !self.is_present(field) {
            return FieldFate::Absent;
        }
        if field.class == FieldClass::Content {
            return FieldFate::Content;
        }
        let is_subject = subject.contains(&&*field.segments);
        let with = self.counts(&[subject, &[&*field.segments]].concat());
        let more = |count: fn(&FieldCounts) -> u64| count(&with) > if is_subject { 0 } else { count(&without) };
        if more(|counts| counts.wrong_type) {
            FieldFate::WrongType
        } else if more(|counts| counts.out_of_range) {
            FieldFate::OutOfRange
        } else if more(|counts| counts.other_word) {
            FieldFate::OtherWord
        } else {
            FieldFate::Kept
        }
    }

    fn is_present(&self, field: &Field) -> bool {
        fn leads_to_a_value(text: &str, path: &[String]) -> bool {
            let Some((first, rest)) = path.split_first() else { return text != "null" };
            if let Some(items) = slice::items(text) {
                return items.into_iter().any(|item| leads_to_a_value(item, path));
            }
            let members = slice::members(text);
            // A value that should have been an object is there, and of the wrong type.
            if members.is_empty() && !text.trim_start().starts_with('{') && text != "null" {
                return true;
            }
            members.into_iter().any(|(key, value)| key == *first && leads_to_a_value(value, rest))
        }
        leads_to_a_value(self.data, &field.segments)
    }

    /// Filters the event with nothing but these paths in its data.
    fn counts(&self, paths: &[&[String]]) -> FieldCounts {
        let data = slice::prune(self.data, paths).unwrap_or_else(|| "{}".to_owned());
        let record = slice::with_members(self.record, |key| match key {
            "data" => Replace::With(data.clone()),
            "purposes" | "secgpc" => Replace::Drop,
            _ => Replace::Keep,
        });
        let filtered = self.sandbox.filter(record.as_bytes(), Arc::clone(&self.keys), &self.consent, self.now_ms);
        let contract = filtered.tally.fates().first().and_then(|(key, _)| key.contract);
        contract.map(|contract| filtered.tally.fields(contract)).unwrap_or_default()
    }
}
