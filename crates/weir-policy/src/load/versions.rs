//! What must hold across contracts: one file a version, and one meaning a column, for ever.
//!
//! All versions of an event type share a table, to which columns are only added. A later version may stop collecting a
//! field (its column stays, null); it may not turn a column into another type, nor take one path's column for another.

use std::collections::HashMap;

use super::Draft;
use crate::diagnostic::{Diagnostic, Faults, Place};
use crate::field::FieldClass;

/// Sorts contracts by type and version, and checks each against the versions before it.
pub(super) fn check(drafts: &mut [Draft], faults: &Faults) {
    drafts.sort_by(|one, other| {
        let key = |draft: &Draft| (draft.contract.event_type.clone(), draft.contract.version);
        key(one).cmp(&key(other))
    });
    for versions in drafts.chunk_by(|one, other| one.contract.event_type == other.contract.event_type) {
        check_twice(versions, faults);
        check_columns(versions, faults);
    }
}

fn check_twice(versions: &[Draft], faults: &Faults) {
    for pair in versions.windows(2) {
        if let [first, second] = pair
            && first.contract.version == second.contract.version
        {
            let message =
                format!("version {} of `{}` is declared twice", second.contract.version, second.contract.event_type);
            let fault = Diagnostic::error(&second.place, "version_twice", message);
            faults.add(fault.related(&first.place, "the first one").hint("give each file its own version"));
        }
    }
}

/// What a column was when it first occurred.
struct Column<'d> {
    path: &'d str,
    stored: String,
    is_array: bool,
    version: u32,
    place: &'d Place,
}

fn check_columns(versions: &[Draft], faults: &Faults) {
    let mut columns: HashMap<&str, Column<'_>> = HashMap::new();
    for draft in versions {
        let kept = draft.contract.fields.iter().zip(&draft.fields);
        for (field, place) in kept.filter(|(field, _)| field.class != FieldClass::Content) {
            let column = Column {
                path: &field.path,
                stored: field.field_type.column_type(),
                is_array: field.array.is_some(),
                version: draft.contract.version,
                place,
            };
            let Some(first) = columns.get(field.column.as_str()) else {
                columns.insert(&field.column, column);
                continue;
            };
            if let Some(message) = first.contradicts(&column, &field.column)
                && first.version < column.version
            {
                let fault = Diagnostic::error(place, "incompatible", message);
                let fault = fault.related(first.place, format!("as version {} has it", first.version));
                faults.add(fault.hint("columns are only added: give the new meaning a new path, or a new event type"));
            }
        }
    }
}

impl Column<'_> {
    fn contradicts(&self, later: &Self, name: &str) -> Option<String> {
        // The subject's path may move: its column is `subject` whatever the path is.
        if self.path != later.path && name != "subject" {
            return Some(format!("the column `{name}` was the path `{}`", self.path));
        }
        if self.stored != later.stored || self.is_array != later.is_array {
            let shape = |column: &Self| format!("{}{}", if column.is_array { "array of " } else { "" }, column.stored);
            return Some(format!("the column `{name}` was {}, and is {} here", shape(self), shape(later)));
        }
        None
    }
}
