//! The explanation, for people and as JSON.

use std::fmt;

use serde_json::{Value, json};
use weir_filter::{ExplainedField, Explanation, Fate, Reading, Rule};
use weir_policy::{Contract, Field, FieldClass, Policy, PurposeId, PurposeSet};

use crate::reasons;
use crate::table::Table;

/// What becomes of an event, and why, in the words of its contract.
pub(crate) struct Explained<'p> {
    policy: &'p Policy,
    explanation: Explanation,
}

impl<'p> Explained<'p> {
    /// Takes an explanation of an event that was judged under `policy`.
    pub(crate) fn new(policy: &'p Policy, explanation: Explanation) -> Self {
        Self { policy, explanation }
    }

    /// Returns the explanation as JSON.
    pub(crate) fn json(&self) -> Value {
        let Explanation { fates, counts, .. } = &self.explanation;
        let purposes = PurposeId::ALL.map(|purpose| {
            let fate = fates[purpose.index()];
            json!({
                "purpose": purpose.name(), "fate": fate.name(), "reason": fate.code(), "why": reasons::sentence(fate),
            })
        });
        let Some(contract) = self.contract() else { return json!({ "purposes": purposes }) };
        let fields = self.fields(contract).map(|(field, explained)| {
            json!({
                "path": field.path, "class": field.class.name(), "fate": fate(explained.reading),
                "written_for": names(written(explained)),
            })
        });
        json!({
            "purposes": purposes,
            "event_type": contract.event_type,
            "contract_version": contract.version,
            "fields": fields.collect::<Vec<_>>(),
            "undeclared": counts.undeclared,
        })
    }

    /// Returns the contract of the event; none where the record is quarantined.
    fn contract(&self) -> Option<&'p Contract> {
        self.explanation.contract.map(|place| self.policy.contract(place))
    }

    fn fields(&self, contract: &'p Contract) -> impl Iterator<Item = (&'p Field, &ExplainedField)> {
        contract.fields.iter().zip(&self.explanation.fields)
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { fates, counts, .. } = &self.explanation;
        if let Fate::Quarantined(code) = fates[0] {
            return writeln!(f, "quarantined: {}: {}", code.code(), reasons::sentence(fates[0]));
        }
        let Some(contract) = self.contract() else { return Ok(()) };
        writeln!(f, "{}, version {} ({})\n", contract.event_type, contract.version, contract.file.display())?;
        let mut purposes = Table::new(["purpose", "fate", "reason", "why"]);
        for purpose in PurposeId::ALL {
            let fate = fates[purpose.index()];
            let reason = fate.code().unwrap_or_default().to_owned();
            purposes.push([purpose.name().into(), fate.name().into(), reason, reasons::sentence(fate).into()]);
        }
        writeln!(f, "{purposes}")?;
        let mut fields = Table::new(["field", "class", "fate", "written for", "rule"]);
        for (field, explained) in self.fields(contract) {
            let written = names(written(explained)).join(", ");
            let written = if written.is_empty() { "-".to_owned() } else { written };
            let fate = fate(explained.reading).to_owned();
            fields.push([field.path.clone(), field.class.name().into(), fate, written, rule(field, explained)]);
        }
        writeln!(f, "{fields}")?;
        writeln!(f, "{} members that the contract does not declare were dropped", counts.undeclared)
    }
}

/// Returns the word for how a value was read, as in `weir_fields_total`.
const fn fate(reading: Reading) -> &'static str {
    match reading {
        Reading::Absent => "absent",
        Reading::Content { .. } => "content",
        Reading::Items { .. } | Reading::Read => "kept",
        Reading::OtherWord => "other_word",
        Reading::OutOfRange => "out_of_range",
        Reading::WrongType => "wrong_type",
    }
}

/// Says how a value of the field is stored, or why none is.
fn rule(field: &Field, explained: &ExplainedField) -> String {
    match explained.reading {
        Reading::Absent => "the event does not have it".to_owned(),
        Reading::Content { .. } => "never collected".to_owned(),
        Reading::Items { count } => format!("{}; {count} items, null where one does not fit", stored(field)),
        Reading::OtherWord => "a word that is not listed: `__other__`".to_owned(),
        Reading::OutOfRange => "a number outside type, range or buckets: null".to_owned(),
        Reading::Read => stored(field),
        Reading::WrongType => "not a value of the type: null".to_owned(),
    }
}

fn stored(field: &Field) -> String {
    let stored = field.field_type.column_type();
    let coarser =
        PurposeId::ALL.into_iter().any(|purpose| field.coarsen[purpose.index()] != weir_policy::Coarsen::Exact);
    match field.class {
        FieldClass::Identifier => format!("{stored}, another one for each purpose"),
        FieldClass::Measure if coarser => format!("{stored}, coarsened"),
        FieldClass::Content | FieldClass::Measure | FieldClass::Word => stored,
        FieldClass::QuasiIdentifier => format!("{stored}, coarser than the event has it"),
    }
}

/// Returns the purposes whose row of the event has a value for the field.
fn written(explained: &ExplainedField) -> PurposeSet {
    let has_value = |purpose: &PurposeId| match explained.rules[purpose.index()] {
        Rule::Coarsened | Rule::Pseudonymized | Rule::Replaced | Rule::Stored => true,
        Rule::Content | Rule::NoRow | Rule::NotForPurpose | Rule::Null => false,
    };
    PurposeId::ALL.into_iter().filter(has_value).collect()
}

fn names(purposes: PurposeSet) -> Vec<&'static str> {
    purposes.iter().map(PurposeId::name).collect()
}
