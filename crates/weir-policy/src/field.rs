//! One declared path of an event's `data`: what it is to a person, to a machine, and what becomes of it.

use crate::coarsen::{Coarsen, Coarser};
pub use crate::field_type::{FieldType, IntType, Storage, Unit};
use crate::purpose::{PurposeId, PurposeSet};

/// One declared path of an event's `data`.
#[derive(Clone, Debug)]
pub struct Field {
    /// Dotted path into `data`, `[]` for each element of an array.
    pub path: String,
    /// The keys of the path, without `[]`.
    pub segments: Vec<String>,
    /// Place in `segments` of the key whose value is the array (`items[].price`: 0); at most one a path.
    pub array: Option<usize>,
    /// Name of the column in every table that has it; the subject's is `subject`.
    pub column: String,
    /// What the value is to a person.
    pub class: FieldClass,
    /// What the value is to a machine.
    pub field_type: FieldType,
    /// fideslang data category; only content may lack one.
    pub category: Option<&'static str>,
    /// The purposes that the value may serve; empty for content.
    pub purposes: PurposeSet,
    /// How the value is coarsened, one place a purpose.
    pub coarsen: [Coarsen; 3],
    /// The values that are kept; others are null and counted. Compared before coarsening.
    pub range: Option<Range>,
    /// What the field says, where the owner wrote it down.
    pub description: Option<String>,
}

impl Field {
    /// Returns a whole number (as it is stored) as `purpose` may have it; `None` is out of range.
    ///
    /// In this order: the number must be one of the type and lie in the range, is coarsened, and must still be one.
    pub fn keep_whole(&self, purpose: PurposeId, value: i128) -> Option<i128> {
        let coarser = self.coarser(purpose);
        let is_kept = coarser.is_of_type(value) && self.range.is_none_or(|range| range.holds_whole(value));
        if is_kept { coarser.whole(value) } else { None }
    }

    /// Returns how numbers of the field's type are coarsened for `purpose`.
    pub fn coarser(&self, purpose: PurposeId) -> Coarser {
        Coarser { coarsen: self.coarsen(purpose).clone(), bounds: self.field_type.bounds() }
    }

    /// Returns how the value is coarsened for `purpose`.
    pub fn coarsen(&self, purpose: PurposeId) -> &Coarsen {
        &self.coarsen[purpose.index()]
    }
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

impl FieldClass {
    /// Returns the word used in contracts and column metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Identifier => "identifier",
            Self::Measure => "measure",
            Self::QuasiIdentifier => "quasi-identifier",
            Self::Word => "word",
        }
    }

    /// Returns the class of this exact name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Content, Self::Identifier, Self::Measure, Self::QuasiIdentifier, Self::Word]
            .into_iter()
            .find(|class| class.name() == name)
    }
}

/// The values of a number that are kept, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Of a `float64`.
    Float {
        /// Smallest value kept.
        min: f64,
        /// Greatest value kept.
        max: f64,
    },
    /// Of any other number, as it is stored: decimals at their scale, durations in µs.
    Whole {
        /// Smallest value kept.
        min: i128,
        /// Greatest value kept.
        max: i128,
    },
}

impl Range {
    /// Tells whether a whole number is kept.
    pub fn holds_whole(&self, value: i128) -> bool {
        match *self {
            Self::Whole { min, max } => min <= value && value <= max,
            Self::Float { .. } => false,
        }
    }

    /// Tells whether a `float64` is kept.
    pub fn holds_float(&self, value: f64) -> bool {
        match *self {
            Self::Float { min, max } => min <= value && value <= max,
            Self::Whole { .. } => false,
        }
    }
}
