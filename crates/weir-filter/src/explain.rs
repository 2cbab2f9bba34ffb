//! Why an event arrived, or did not: each purpose's verdict, each declared field's fate and the rule behind it.
//!
//! It takes a record through the same stages as [`Filter::apply`](crate::Filter::apply), and writes nothing. An explanation holds places, codes and
//! counts; no value, and nothing that a value could be read from, so it may be printed.

use crate::batch::Filtered;
use crate::classify::Classifier;
use crate::consent::Asker;
use crate::decode::{Kind, Opened, Value};
use crate::record::Record;
use crate::tally::{Fate, FieldCounts};
use crate::{Filter, keep_each};
use weir_consent::ConsentView;
use weir_policy::{Coarsen, ContractIx, Field, FieldClass, FieldType, MalformedCode, PurposeId, PurposeSet, Token};

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
        let explained = self.explain_unless_sealed(record, consent, now_ms);
        explained.unwrap_or_else(|| {
            let mut refused = None;
            let records = std::slice::from_ref(record);
            let opened = Opened::new(records, &mut self.events, &self.keys, |_, code| refused = Some(code));
            let explained = opened.lend(|records| self.explain_unless_sealed(records.first()?, consent, now_ms));
            self.forget();
            explained.unwrap_or_else(|| quarantined(refused.expect("a sealed record opens or is malformed")))
        })
    }

    /// Explains a record; none if it has to be opened first.
    fn explain_unless_sealed(
        &mut self,
        record: &Record<'_>,
        consent: &ConsentView<'_>,
        now_ms: i64,
    ) -> Option<Explanation> {
        let Self { policy, plans, region, decoder, events, persons, making, .. } = self;
        let classifier = Classifier { policy, plans, now_ms };
        let mut refused = None;
        let records = std::slice::from_ref(record);
        let decoded = decoder.read_all(records, &classifier, events, |_, code| refused = Some(code));
        let [event] = decoded.events() else { return refused.map(quarantined) };
        let judged = Asker { consent, region, now_ms }.judge(decoded, persons);
        let fates = keep_each(&judged, making, &mut Filtered::default())[0];
        let written = PurposeId::ALL.into_iter().filter(|purpose| fates[purpose.index()] == Fate::Written).collect();
        let fields = decoded.contract(event).fields.iter().zip(decoded.values(event)).map(|(field, value)| {
            let reading = read(*value);
            ExplainedField { reading, rules: PurposeId::ALL.map(|purpose| rule(field, reading, written, purpose)) }
        });
        let (fields, counts) = (fields.collect(), event.counts_after(decoded, fates));
        Some(Explanation { contract: Some(event.contract), fates, fields, counts })
    }
}

fn quarantined(code: MalformedCode) -> Explanation {
    Explanation {
        contract: None,
        fates: [Fate::Quarantined(code); 3],
        fields: Vec::new(),
        counts: FieldCounts::default(),
    }
}

fn read(value: Value) -> Reading {
    match value.kind() {
        Kind::Absent => Reading::Absent,
        Kind::Content => Reading::Content { bytes: value.as_usize() },
        Kind::OutOfRange => Reading::OutOfRange,
        Kind::WrongType => Reading::WrongType,
        Kind::List => {
            let (_, length) = value.as_list();
            Reading::Items { count: usize::try_from(length).expect("usize has at least 32 bits") }
        }
        Kind::Token if value.as_token() == Token::OTHER => Reading::OtherWord,
        Kind::UserAgent if value.as_user_agent().0 == Token::OTHER => Reading::OtherWord,
        Kind::Bool
        | Kind::Float
        | Kind::Identifier
        | Kind::Int
        | Kind::Network
        | Kind::Semver
        | Kind::Token
        | Kind::UserAgent
        | Kind::Wide => Reading::Read,
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
