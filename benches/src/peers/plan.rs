//! What other programs are told about the contracts: for each event type, which fields to keep for which purpose, and how.
//!
//! It is less than weir does, and each difference is in the others' favour: words are kept as they come, semantic versions,
//! routes and user agents as text, ages in years, numbers without ranges and coarsening, decimals as doubles, and who agreed
//! is one small number for a person, whatever the event's time.

use weir_policy::{Field, FieldType, Policy, PurposeId};

/// All event types.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the policy.
    pub types: Vec<PlannedType>,
}

/// The fields of one event type that are kept.
#[derive(Debug)]
pub struct PlannedType {
    /// `type` of its events.
    pub name: String,
    /// Fields from the envelope, then from the data.
    pub fields: Vec<PlannedField>,
}

/// A field that is kept.
#[derive(Clone, Debug)]
pub struct PlannedField {
    /// The way to it from the top of the event.
    pub path: Vec<String>,
    /// The column.
    pub column: String,
    /// What is done to its value.
    pub kind: Kind,
    /// Whether a purpose has it, by [`PurposeId::index`].
    pub purposes: [bool; 3],
}

/// What is done to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kept, if it is a boolean.
    Bool,
    /// Kept, if it is a number.
    Float,
    /// Replaced by a keyed hash.
    Identifier,
    /// Cut down to its network.
    Ip,
    /// Kept, if it is text.
    Text,
    /// Cut down to the minute, hour or day.
    Time,
    /// Kept, if it is a whole number.
    Whole,
}

/// Letters that stand for the purposes in names of columns, files and keys, by [`PurposeId::index`].
pub const LETTERS: [char; 3] = ['T', 'R', 'P'];
/// Characters of a time that the precision of each purpose leaves: minute, hour, day.
pub const TIME_CHARS: [usize; 3] = [16, 13, 10];

impl Plan {
    /// Reads the contracts.
    pub fn new(policy: &Policy) -> Self {
        let types = policy.contracts().iter().map(|contract| {
            let mut fields = vec![
                PlannedField::of_envelope("tenant", Kind::Text),
                PlannedField::of_envelope("id", Kind::Identifier),
                PlannedField::of_envelope("time", Kind::Time),
            ];
            let subject = contract.subject_field().map(|field| field.path.as_str());
            let kept = contract.fields.iter().filter_map(|field| {
                let everywhere = subject == Some(field.path.as_str());
                PlannedField::of_data(field, everywhere)
            });
            fields.extend(kept);
            PlannedType { name: contract.event_type.clone(), fields }
        });
        Self { types: types.collect() }
    }

    /// Returns every field once, by its path, in the order in which it is first met.
    pub fn all_fields(&self) -> Vec<PlannedField> {
        let mut all: Vec<PlannedField> = Vec::new();
        for field in self.types.iter().flat_map(|planned| &planned.fields) {
            if all.iter().all(|known| known.path != field.path) {
                all.push(field.clone());
            }
        }
        all
    }
}

impl PlannedField {
    fn of_envelope(name: &str, kind: Kind) -> Self {
        let column = if name == "id" { "event_id" } else { name };
        Self { path: vec![name.to_owned()], column: column.to_owned(), kind, purposes: [true; 3] }
    }

    fn of_data(field: &Field, everywhere: bool) -> Option<Self> {
        let kind = match &field.field_type {
            FieldType::Content => return None,
            FieldType::Bool => Kind::Bool,
            FieldType::Decimal { .. } | FieldType::Duration(_) | FieldType::Float64 => Kind::Float,
            FieldType::Identifier { .. } => Kind::Identifier,
            FieldType::Ip => Kind::Ip,
            FieldType::Timestamp { .. } => Kind::Time,
            FieldType::Age(_) | FieldType::HttpStatus | FieldType::Int(_) | FieldType::UInt64 => Kind::Whole,
            FieldType::Country
            | FieldType::Currency
            | FieldType::Geo
            | FieldType::HttpMethod
            | FieldType::Locale
            | FieldType::Route(_)
            | FieldType::Semver
            | FieldType::UserAgent
            | FieldType::Words(_) => Kind::Text,
        };
        let path = std::iter::once("data".to_owned()).chain(field.segments.iter().cloned()).collect();
        let purposes = PurposeId::ALL.map(|purpose| everywhere || field.purposes.contains(purpose));
        Some(Self { path, column: field.column.clone(), kind, purposes })
    }
}
