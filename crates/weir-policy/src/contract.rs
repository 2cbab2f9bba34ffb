//! A contract as a checked value: what an event type may carry, and for what.

use crate::purpose::PurposeSet;

/// The place of a contract (one event type and version) in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractIx(pub u32);

/// One event type in one version, checked.
#[derive(Clone, Debug)]
pub struct Contract {
    /// CloudEvents `type`.
    pub event_type: String,
    /// Version of the contract, from 1.
    pub version: u32,
    /// Fields in the order of their columns.
    pub fields: Vec<Field>,
    /// Place of the subject in `fields`; none when nothing personal is declared.
    pub subject: Option<usize>,
    /// Union of the fields' purposes: what the event as a whole may serve.
    pub purposes: PurposeSet,
}

/// One declared path of an event's `data`.
#[derive(Clone, Debug)]
pub struct Field {
    /// Dotted path into `data`, `[]` for each element of an array.
    pub path: String,
    /// Name of the column in every table that has it.
    pub column: String,
    /// What the value is to a person.
    pub class: FieldClass,
    /// What the value is to a machine.
    pub field_type: FieldType,
    /// The purposes that the value may serve; empty for content.
    pub purposes: PurposeSet,
}

/// What a value is to a person, and so what may become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldClass {
    /// Never collected; past the decoder it is a length.
    Content,
    /// Names somebody or something; becomes a pseudonym.
    Identifier,
    /// A number or a moment.
    Measure,
    /// Could help to find a person; is coarsened.
    QuasiIdentifier,
    /// A word of a closed list.
    Word,
}

/// What a value is to a machine.
#[derive(Clone, Debug)]
pub enum FieldType {
    /// See [`FieldClass::Content`].
    Content,
}
