//! What is declared, in plain words: the same on the page of an access answer and on the portal.
//!
//! Contracts and purposes are written for those who keep data. A person reads what they mean for them: what a column holds, why it
//! may be kept, for how long, and who receives it. Whoever shows that to a person takes the words from here.

use crate::contract::Contract;
use crate::field::{Field, FieldClass};
use crate::purposes::LawfulBasis;

/// Says what becomes of a value, after what it is.
pub const fn form(class: FieldClass) -> &'static str {
    match class {
        FieldClass::Content => "never collected",
        FieldClass::Identifier => "as a pseudonym",
        FieldClass::Measure => "a number or a time",
        FieldClass::QuasiIdentifier => "made coarse",
        FieldClass::Word => "one word of a fixed list",
    }
}

/// Says what a field is and what becomes of it, in the words of its owner or those of its path.
pub fn field(field: &Field) -> String {
    let what = field.description.clone().unwrap_or_else(|| field.path.replace(['.', '_'], " ").replace("[]", ""));
    format!("{what} ({})", form(field.class))
}

/// Says what a column holds: as its contract does, or else what all columns of its class hold.
pub fn column(name: &str, class: Option<FieldClass>, contract: Option<&Contract>) -> String {
    if let Some((_, words)) = SYSTEM.iter().find(|(column, _)| *column == name) {
        return (*words).to_owned();
    }
    let declared = contract.and_then(|contract| contract.fields.iter().find(|field| field.column == name));
    if let Some(description) = declared.and_then(|field| field.description.clone()) {
        return description;
    }
    match class {
        Some(FieldClass::Identifier) => "An identifier, replaced by a pseudonym.",
        Some(FieldClass::Measure) => "A number or an instant.",
        Some(FieldClass::QuasiIdentifier) => "A property that many people share, made coarse.",
        Some(FieldClass::Word) => "A word of a closed list.",
        Some(FieldClass::Content) | None => "A value that the contract declares.",
    }
    .to_owned()
}

/// Says why something may be kept.
pub const fn basis(basis: LawfulBasis) -> &'static str {
    match basis {
        LawfulBasis::Consent => "You agreed to it, and can take that back at any time.",
        LawfulBasis::Contract => "A contract with you needs it.",
        LawfulBasis::LegitimateInterests => "An interest that yours do not override; you can object.",
    }
}

/// Says for how long something is kept.
pub fn retention(days: u32) -> String {
    format!("{days} days after it happened")
}

/// Says who receives something.
pub fn recipients<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() {
        return "nobody else".to_owned();
    }
    names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// What the columns hold that every table has.
const SYSTEM: [(&str, &str); 6] = [
    ("tenant", "The organisation whose service you used."),
    ("subject", "You: a pseudonym that differs from purpose to purpose and from time to time."),
    ("subject_epoch", "The number of the time for which that pseudonym serves."),
    ("event_id", "The event: a pseudonym of its number."),
    ("time", "When it happened, no more exact than the purpose needs."),
    ("contract_version", "The version of the contract that declares what may be kept."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_is_said_by_its_contract_or_else_by_its_class() {
        assert!(column("subject", Some(FieldClass::Identifier), None).starts_with("You: a pseudonym"));
        assert_eq!(column("latency_ms", Some(FieldClass::Measure), None), "A number or an instant.");
        assert_eq!(column("latency_ms", None, None), "A value that the contract declares.");
    }

    #[test]
    fn nobody_is_said_where_nobody_receives_it() {
        assert_eq!(recipients::<&str>(&[]), "nobody else");
        assert_eq!(recipients(&["R&D", "Support"]), "R&D, Support");
    }
}
