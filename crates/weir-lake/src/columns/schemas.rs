//! What is the same for all rows of a contract, made once for a policy: the Arrow schema, and the words of closed lists.
//!
//! A table of a few dozen rows has as many columns, and to describe these anew would take longer than to fill them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{Field as ArrowField, FieldRef, Schema, SchemaRef};
use weir_policy::{Contract, ContractIx, FieldType, Policy, PurposeId, Token};

use super::arrow_type;
use crate::schema;

/// How the rows of a policy's contracts become Arrow.
#[derive(Debug)]
pub struct Schemas {
    policy: Arc<Policy>,
    /// By purpose and contract.
    tables: [Vec<TableSchema>; PurposeId::ALL.len()],
}

/// How the rows of a contract become Arrow, for one purpose.
#[derive(Debug)]
pub(crate) struct TableSchema {
    pub(crate) arrow: SchemaRef,
    /// For each declared column the words of its list, the one for all others first; none where a word is not just one of a list.
    pub(super) words: Vec<Option<ArrayRef>>,
}

impl Schemas {
    /// Makes those of a policy.
    pub fn new(policy: Arc<Policy>) -> Self {
        let mut shared = Parts::default();
        let tables = PurposeId::ALL
            .map(|purpose| policy.contracts().iter().map(|contract| shared.table(contract, purpose)).collect());
        Self { policy, tables }
    }

    /// Returns the policy.
    pub(crate) const fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    pub(crate) fn of(&self, contract: ContractIx, purpose: PurposeId) -> &TableSchema {
        &self.tables[purpose.index()][contract.index()]
    }
}

/// Parts of schemas, each once: contracts repeat each other's.
#[derive(Default)]
struct Parts {
    fields: HashSet<FieldRef>,
    /// By the words of a list.
    lists: HashMap<Vec<String>, ArrayRef>,
}

impl Parts {
    fn table(&mut self, contract: &Contract, purpose: PurposeId) -> TableSchema {
        let fields: Vec<_> = schema::columns(contract, purpose)
            .iter()
            .map(|column| self.field(ArrowField::new(&column.name, arrow_type(&column.delta_type), true)))
            .collect();
        let words = contract.columns(purpose).map(|(_, field)| self.words(&field.field_type)).collect();
        TableSchema { arrow: Arc::new(Schema::new(fields)), words }
    }

    fn field(&mut self, field: ArrowField) -> FieldRef {
        if let Some(known) = self.fields.get(&field) {
            return Arc::clone(known);
        }
        let new = Arc::new(field);
        self.fields.insert(Arc::clone(&new));
        new
    }

    fn words(&mut self, field_type: &FieldType) -> Option<ArrayRef> {
        let last = u32::try_from(field_type.words()?).ok()?;
        let word = |number| field_type.render(Token::from_number(number)).into_owned();
        let known = self.lists.entry((0..=last).map(word).collect());
        Some(Arc::clone(known.or_insert_with_key(|words| Arc::new(StringArray::from_iter_values(words)))))
    }
}
