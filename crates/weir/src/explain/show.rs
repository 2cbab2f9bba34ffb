//! The explanation, for people and as JSON.

use std::fmt;

use serde_json::{Value, json};
use weir_filter::{Fate, FieldCounts};
use weir_policy::{Contract, Field, FieldClass, PurposeId, PurposeSet};

use super::fields::FieldFate;
use crate::reasons;
use crate::table::Table;

/// What becomes of an event, and why.
pub(crate) struct Explanation<'p> {
    /// One fate a purpose.
    pub(crate) fates: [Fate; 3],
    /// The contract and its fields; none where the record is quarantined.
    pub(crate) contract: Option<Declared<'p>>,
}

/// The contract of an event, and what becomes of what it declares.
pub(crate) struct Declared<'p> {
    /// The contract.
    pub(crate) contract: &'p Contract,
    /// What becomes of each field, in the contract's order.
    pub(crate) fields: Vec<FieldFate>,
    /// Counts over the whole event.
    pub(crate) counts: FieldCounts,
}

impl Explanation<'_> {
    /// Returns the explanation as JSON.
    pub(crate) fn json(&self) -> Value {
        let fates = PurposeId::ALL.map(|purpose| {
            let fate = self.fates[purpose.index()];
            json!({
                "purpose": purpose.name(), "fate": fate.name(), "reason": fate.code(), "why": reasons::sentence(fate),
            })
        });
        let mut whole = json!({ "purposes": fates });
        if let (Some(declared), Value::Object(members)) = (&self.contract, &mut whole) {
            let Declared { contract, fields, counts } = declared;
            let fields = contract.fields.iter().zip(fields).map(|(field, fate)| {
                json!({
                    "path": field.path, "class": field.class.name(), "fate": fate.name(),
                    "written_for": names(self.written(contract, field, *fate)),
                })
            });
            members.insert("fields".to_owned(), fields.collect());
            members.insert("event_type".to_owned(), contract.event_type.as_str().into());
            members.insert("contract_version".to_owned(), contract.version.into());
            members.insert("undeclared".to_owned(), counts.undeclared.into());
        }
        whole
    }

    /// Returns the purposes whose row of this event has a column for the field that is not null.
    fn written(&self, contract: &Contract, field: &Field, fate: FieldFate) -> PurposeSet {
        let is_subject = contract.subject_field().is_some_and(|subject| subject.path == field.path);
        let declared = if is_subject { contract.purposes } else { field.purposes };
        let has_value = !matches!(fate, FieldFate::Absent | FieldFate::Content);
        declared.iter().filter(|purpose| has_value && self.fates[purpose.index()] == Fate::Written).collect()
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Fate::Quarantined(code) = self.fates[0] {
            return writeln!(f, "quarantined: {}: {}", code.code(), reasons::sentence(self.fates[0]));
        }
        if let Some(Declared { contract, .. }) = &self.contract {
            writeln!(f, "{}, version {} ({})\n", contract.event_type, contract.version, contract.file.display())?;
        }
        let mut purposes = Table::new(["purpose", "fate", "reason", "why"]);
        for purpose in PurposeId::ALL {
            let fate = self.fates[purpose.index()];
            let reason = fate.code().unwrap_or_default().to_owned();
            let why = reasons::sentence(fate).to_owned();
            purposes.push([purpose.name().to_owned(), fate.name().to_owned(), reason, why]);
        }
        writeln!(f, "{purposes}")?;
        let Some(Declared { contract, fields, counts }) = &self.contract else { return Ok(()) };
        let mut table = Table::new(["field", "class", "fate", "written for", "rule"]);
        for (field, fate) in contract.fields.iter().zip(fields) {
            let written = names(self.written(contract, field, *fate)).join(", ");
            let written = if written.is_empty() { "-".to_owned() } else { written };
            let rule = if *fate == FieldFate::Kept { rule(field) } else { fate.sentence().to_owned() };
            table.push([field.path.clone(), field.class.name().to_owned(), fate.name().to_owned(), written, rule]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "{} members that the contract does not declare were dropped", counts.undeclared)
    }
}

fn names(purposes: PurposeSet) -> Vec<&'static str> {
    purposes.iter().map(PurposeId::name).collect()
}

/// Says how a value of the field is stored.
fn rule(field: &Field) -> String {
    let stored = field.field_type.column_type();
    let coarser =
        PurposeId::ALL.into_iter().any(|purpose| field.coarsen[purpose.index()] != weir_policy::Coarsen::Exact);
    match field.class {
        FieldClass::Content => "never collected".to_owned(),
        FieldClass::Identifier => format!("{stored}, another one for each purpose"),
        FieldClass::Measure if coarser => format!("{stored}, coarsened"),
        FieldClass::Measure | FieldClass::Word => stored,
        FieldClass::QuasiIdentifier => format!("{stored}, coarser than the event has it"),
    }
}
