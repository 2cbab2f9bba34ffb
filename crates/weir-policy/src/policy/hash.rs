//! The hash of a policy: over what it says, not over how its files are written.
//!
//! Each statement is a list of texts, each with its length before it, so that no two policies share a form. Statements
//! stand in an order of their own: neither comments nor the order of keys, fields, words or files count.

use std::fmt::Write as _;

use super::PolicyHash;
use crate::coarsen::Coarsen;
use crate::contract::Contract;
use crate::field::{Field, FieldType, Range};
use crate::purpose::PurposeId;
use crate::purposes::Purposes;

/// Returns the hash of contracts and rules.
pub(super) fn of(contracts: &[Contract], purposes: &Purposes) -> PolicyHash {
    let mut form = Form::default();
    form.say(&[FORM]);
    for purpose in PurposeId::ALL {
        say_purpose(&mut form, purpose, purposes);
    }
    let mut contracts: Vec<&Contract> = contracts.iter().collect();
    contracts.sort_by_key(|contract| (&contract.event_type, contract.version));
    for contract in contracts {
        say_contract(&mut form, contract);
    }
    PolicyHash(*form.hasher.finalize().as_bytes())
}

#[derive(Default)]
struct Form {
    hasher: blake3::Hasher,
}

impl Form {
    fn say(&mut self, words: &[&str]) {
        self.length(words.len());
        for word in words {
            self.length(word.len());
            self.hasher.update(word.as_bytes());
        }
    }

    fn length(&mut self, length: usize) {
        let length = u64::try_from(length).expect("usize is at most 64 bits");
        self.hasher.update(&length.to_le_bytes());
    }
}

fn say_purpose(form: &mut Form, purpose: PurposeId, purposes: &Purposes) {
    let rules = purposes.rules(purpose);
    let numbers = format!("{} {} {}", rules.retention_days, rules.epoch_days, rules.time_precision.name());
    form.say(&["purpose", purpose.name(), &rules.description, &rules.iso19944, rules.lawful_basis.name(), &numbers]);
    for (key, terms) in [("dpv", &rules.dpv), ("fideslang", &rules.fideslang), ("recipients", &rules.recipients)] {
        let mut words: Vec<&str> = terms.iter().map(String::as_str).collect();
        words.sort_unstable();
        words.insert(0, key);
        form.say(&words);
    }
}

fn say_contract(form: &mut Form, contract: &Contract) {
    let subject = contract.subject_field().map_or("", |field| &field.path);
    form.say(&[
        "contract",
        &contract.event_type,
        &contract.version.to_string(),
        &contract.description,
        &contract.benefit,
        &contract.owner,
        &contract.review,
        &contract.expires.to_string(),
        subject,
    ]);
    let mut fields: Vec<&Field> = contract.fields.iter().collect();
    fields.sort_by_key(|field| &field.path);
    for field in fields {
        say_field(form, field);
    }
}

fn say_field(form: &mut Form, field: &Field) {
    let purposes: Vec<&str> = field.purposes.iter().map(PurposeId::name).collect();
    let mut numbers = String::new();
    match field.range {
        None => numbers.push_str("any"),
        Some(Range::Whole { min, max }) => write!(numbers, "{min} {max}").expect("a String takes all"),
        Some(Range::Float { min, max }) => write!(numbers, "{min:?} {max:?}").expect("a String takes all"),
    }
    for coarsen in &field.coarsen {
        match coarsen {
            Coarsen::Exact => numbers.push_str("; exact"),
            Coarsen::Multiple(step) => write!(numbers, "; step {step}").expect("a String takes all"),
            Coarsen::FloatMultiple(step) => write!(numbers, "; step {step:?}").expect("a String takes all"),
            Coarsen::Buckets(bounds) => write!(numbers, "; {bounds:?}").expect("a String takes all"),
            Coarsen::FloatBuckets(bounds) => write!(numbers, "; {bounds:?}").expect("a String takes all"),
        }
    }
    form.say(&[
        "field",
        &field.path,
        &field.column,
        field.class.name(),
        field.category.unwrap_or_default(),
        &purposes.join(" "),
        &numbers,
        field.description.as_deref().unwrap_or_default(),
    ]);
    say_type(form, &field.field_type);
}

fn say_type(form: &mut Form, field_type: &FieldType) {
    let name = field_type.column_type();
    match field_type {
        FieldType::Age(bands) => form.say(&["age", &format!("{:?}", bands.bounds())]),
        FieldType::Country => form.say(&["country"]),
        FieldType::Currency => form.say(&["currency"]),
        FieldType::Duration(unit) => form.say(&["duration", unit.name()]),
        FieldType::Geo => form.say(&["geo"]),
        FieldType::HttpMethod => form.say(&["http_method"]),
        FieldType::Locale => form.say(&["locale"]),
        FieldType::Route(routes) => {
            let templates = routes.templates().iter().map(String::as_str);
            form.say(&std::iter::once("route").chain(templates).collect::<Vec<_>>());
        }
        FieldType::Timestamp { unit, precision } => {
            let precision = precision.map(|precision| precision.map_or("", |precision| precision.name()));
            form.say(&["timestamp", unit.map_or("", |unit| unit.name()), &precision.join(" ")]);
        }
        FieldType::Words(words) => form.say(&std::iter::once("words").chain(words.words()).collect::<Vec<_>>()),
        FieldType::Bool
        | FieldType::Content
        | FieldType::Decimal { .. }
        | FieldType::Float64
        | FieldType::HttpStatus
        | FieldType::Identifier { .. }
        | FieldType::Int(_)
        | FieldType::Ip
        | FieldType::Semver
        | FieldType::UInt64
        | FieldType::UserAgent => form.say(&[&name]),
    }
}

/// Names the form: a change to it changes every hash, and must change this.
const FORM: &str = "weir policy 1";
