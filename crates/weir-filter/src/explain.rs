//! Why an event arrived, or did not: each purpose's verdict, each declared field's fate and the rule behind it.
//!
//! It takes a record through the same stages as [`Filter::apply`](crate::Filter::apply), and writes nothing. An explanation holds places, codes and
//! counts; no value, and nothing that a value could be read from, so it may be printed.

use crate::classify::classify;
use crate::consent::{Asker, Judged, permit};
use crate::decode::{Nothing, Value};
use crate::pseudonymize::pseudonymize;
use crate::record::Record;
use crate::tally::{Fate, FieldCounts};
use crate::{Filter, Keys};
use weir_consent::ConsentView;
use weir_policy::{
    Coarsen, ContractIx, DenyReason, Field, FieldClass, FieldType, MalformedCode, Policy, PurposeId, PurposeSet, Token,
};

/// What became of one record, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The contract; none where the record is quarantined.
    pub contract: Option<ContractIx>,
    /// The fate for each purpose, by [`PurposeId::index`].
    pub fates: [Fate; 3],
    /// Each field of the contract, in its order.
    pub fields: Vec<ExplainedField>,
    /// What was dropped or replaced; [`FieldCounts::undeclared`] counts the members that no field declares.
    pub counts: FieldCounts,
}

/// What became of one declared field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedField {
    /// How its value was read.
    pub reading: Reading,
    /// What each purpose gets, by [`PurposeId::index`].
    pub rules: [Rule; 3],
}

/// How a field's value was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The event does not have the field, or it is `null`.
    Absent,
    /// It is content of so many bytes, which were skipped.
    Content {
        /// Bytes of JSON, quotes included.
        bytes: usize,
    },
    /// A list of so many items, some of which may be null.
    Items {
        /// Items of the array.
        count: usize,
    },
    /// A word outside its closed list.
    OtherWord,
    /// A number outside its type or range.
    OutOfRange,
    /// A value of its type.
    Read,
    /// A value of another type.
    WrongType,
}

/// What a purpose gets of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The value, coarsened.
    Coarsened,
    /// Nothing: content is never collected.
    Content,
    /// Nothing: the event has no row for the purpose.
    NoRow,
    /// Nothing: the contract does not give the field to the purpose.
    NotForPurpose,
    /// Null: there is no value that fits.
    Null,
    /// A pseudonym.
    Pseudonymized,
    /// `__other__`.
    Replaced,
    /// The value.
    Stored,
}

impl Filter {
    /// Explains what [`apply`](Self::apply) would make of a record.
    pub fn explain(&mut self, record: &Record<'_>, consent: &ConsentView<'_>, now_ms: i64) -> Explanation {
        self.explained(record, consent, now_ms).unwrap_or_else(|code| Explanation {
            contract: None,
            fates: [Fate::Quarantined(code); 3],
            fields: Vec::new(),
            counts: FieldCounts::default(),
        })
    }

    fn explained(
        &mut self,
        record: &Record<'_>,
        consent: &ConsentView<'_>,
        now_ms: i64,
    ) -> Result<Explanation, MalformedCode> {
        let Self { policy, plans, region, decoder, persons, keys } = self;
        let opened = decoder.open(record)?;
        let classified = match classify(policy, &opened, &decoder.bytes(&opened), now_ms) {
            Ok(classified) => classified,
            Err(code) => return decoder.check_rest(&opened).and(Err(code)),
        };
        let contract = policy.contract(classified.contract);
        let event = decoder.event(&opened, contract, &plans.plans[classified.contract.index()])?;
        let judged = Asker { policy, consent, region, now_ms }.judge(&classified, &event, persons);
        let fates = fates(&judged, policy, keys);
        let written: PurposeSet =
            PurposeId::ALL.into_iter().filter(|purpose| fates[purpose.index()] == Fate::Written).collect();
        let fields = contract.fields.iter().enumerate().map(|(place, field)| {
            let value = event.values[place];
            let reading = read(value, event.lists[place].len());
            ExplainedField { reading, rules: PurposeId::ALL.map(|purpose| rule(field, reading, written, purpose)) }
        });
        let fields = fields.collect();
        let mut counts = event.counts;
        counts.not_permitted += event.not_permitted(written);
        Ok(Explanation { contract: Some(classified.contract), fates, fields, counts })
    }
}

fn fates(judged: &Judged<'_>, policy: &Policy, keys: &mut Keys) -> [Fate; 3] {
    let Keys { hasher, caches: (troubleshooting, reliability, personalization) } = keys;
    let fates = [
        permit(judged).and_then(|permitted| pseudonymize(permitted, policy, hasher, troubleshooting)).map(drop),
        permit(judged).and_then(|permitted| pseudonymize(permitted, policy, hasher, reliability)).map(drop),
        permit(judged).and_then(|permitted| pseudonymize(permitted, policy, hasher, personalization)).map(drop),
    ];
    hasher.finish();
    fates.map(|fate: Result<(), DenyReason>| fate.map_or_else(Fate::Denied, |()| Fate::Written))
}

fn read(value: Value, items: usize) -> Reading {
    match value {
        Value::Nothing(Nothing::Absent) => Reading::Absent,
        Value::Nothing(Nothing::Content(bytes)) => Reading::Content { bytes },
        Value::Nothing(Nothing::OutOfRange) => Reading::OutOfRange,
        Value::Nothing(Nothing::WrongType) => Reading::WrongType,
        Value::List => Reading::Items { count: items },
        Value::Token(Token::OTHER) | Value::UserAgent((Token::OTHER, _)) => Reading::OtherWord,
        Value::Bool(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Identifier(_)
        | Value::Int(_)
        | Value::Network(_)
        | Value::Semver(_)
        | Value::Token(_)
        | Value::UserAgent(_) => Reading::Read,
    }
}

fn rule(field: &Field, reading: Reading, written: PurposeSet, purpose: PurposeId) -> Rule {
    if field.class == FieldClass::Content {
        return Rule::Content;
    }
    if !field.purposes.contains(purpose) {
        return Rule::NotForPurpose;
    }
    if !written.contains(purpose) {
        return Rule::NoRow;
    }
    match reading {
        Reading::Absent | Reading::Content { .. } | Reading::OutOfRange | Reading::WrongType => Rule::Null,
        Reading::OtherWord => Rule::Replaced,
        Reading::Items { .. } | Reading::Read => match field.class {
            FieldClass::Identifier => Rule::Pseudonymized,
            FieldClass::QuasiIdentifier => Rule::Coarsened,
            FieldClass::Content | FieldClass::Measure | FieldClass::Word if is_coarsened(field, purpose) => {
                Rule::Coarsened
            }
            FieldClass::Content | FieldClass::Measure | FieldClass::Word => Rule::Stored,
        },
    }
}

/// Tells whether a purpose gets less than the value: an instant always falls to the purpose's precision.
fn is_coarsened(field: &Field, purpose: PurposeId) -> bool {
    matches!(field.field_type, FieldType::Timestamp { .. }) || *field.coarsen(purpose) != Coarsen::Exact
}
