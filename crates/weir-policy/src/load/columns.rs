//! What must hold across the fields of one contract: subject, purposes, categories, columns.

use std::collections::HashMap;

use super::event::{Head, Subject};
use super::field::Draft;
use crate::category;
use crate::coarsen::Coarsen;
use crate::diagnostic::{Diagnostic, Faults};
use crate::field::{Field, FieldClass, FieldType, Range};
use crate::purpose::{PurposeId, PurposeSet};
use crate::reader::Table;

/// Checks the fields of a contract; returns the subject's place and all purposes, and completes the subject.
pub(super) fn check(
    head: &Head,
    declared: &Table,
    fields: &mut [Draft],
    faults: &Faults,
) -> (Option<usize>, PurposeSet) {
    let subject = subject(head, declared, fields, faults);
    let others = fields.iter().enumerate().filter(|(place, _)| Some(*place) != subject);
    let purposes = others.map(|(_, draft)| draft.field.purposes).fold(PurposeSet::NONE, PurposeSet::or);
    if purposes.is_empty() && faults.errors() == 0 {
        let fault = Diagnostic::error(&head.place, "no_purpose", "no field serves any purpose");
        faults.add(fault.hint("give a field a purpose, or remove the contract: an event without one is never kept"));
    }
    if let Some(draft) = subject.map(|place| &mut fields[place]) {
        complete_subject(draft, purposes, faults);
    }
    for draft in &*fields {
        check_category(draft, faults);
        warn_linkable(draft, faults);
    }
    check_columns(fields, subject, faults);
    check_nesting(fields, faults);
    (subject, purposes)
}

fn subject(head: &Head, declared: &Table, fields: &[Draft], faults: &Faults) -> Option<usize> {
    match &head.subject {
        Subject::Missing => None,
        Subject::Nobody(place) => {
            if let Some(personal) = fields.iter().find(|draft| is_personal(&draft.field)) {
                let fault =
                    Diagnostic::error(place, "no_subject", "the event has personal fields, and names no person");
                let fault = fault.related(&personal.place, "is personal");
                faults.add(fault.hint("name the field of the person: without it no consent can be asked for"));
            }
            None
        }
        Subject::Field(path, place) => {
            let found = fields.iter().position(|draft| draft.field.path == *path);
            let Some(draft) = found.map(|found| &fields[found]) else {
                if declared.entry(path).is_some() {
                    // The field has a fault of its own.
                    return None;
                }
                let fault = Diagnostic::error(place, "no_subject", "the subject is no declared field");
                faults.add(fault.hint(format!("declare [fields.\"{path}\"] with class \"identifier\"")));
                return None;
            };
            if draft.field.class != FieldClass::Identifier || draft.field.array.is_some() {
                let fault = Diagnostic::error(place, "no_subject", "the subject must be one identifier");
                faults.add(fault.related(&draft.place, "is not").hint("not in an array, class \"identifier\""));
                return None;
            }
            found
        }
    }
}

/// Personal is what names, narrows down or is about a person.
fn is_personal(field: &Field) -> bool {
    let about_user = field.category.is_some_and(|key| key == "user" || key.starts_with("user."));
    match field.class {
        FieldClass::Content => false,
        FieldClass::Identifier | FieldClass::QuasiIdentifier => true,
        FieldClass::Measure | FieldClass::Word => about_user,
    }
}

/// The subject goes wherever the event goes, as the column `subject`.
fn complete_subject(draft: &mut Draft, purposes: PurposeSet, faults: &Faults) {
    if let Some(place) = draft.purposes.as_ref().filter(|_| draft.field.purposes != purposes) {
        let names: Vec<&str> = purposes.iter().map(PurposeId::name).collect();
        let fault = Diagnostic::error(place, "subject_purposes", "the subject goes wherever the event goes");
        faults.add(fault.hint(format!("remove `purposes`, or name all of the event's: {}", names.join(", "))));
    }
    draft.field.purposes = purposes;
    SUBJECT.clone_into(&mut draft.field.column);
}

fn check_category(draft: &Draft, faults: &Faults) {
    let field = &draft.field;
    let Some(category) = field.category.and_then(category::find) else { return };
    if field.class == FieldClass::Content {
        return;
    }
    if category.allowed.is_empty() {
        let message = format!("data of category `{}` is never kept", category.key);
        let fault = Diagnostic::error(&draft.category, "forbidden_category", message);
        faults.add(fault.hint("declare it as class \"content\", or do not send it"));
        return;
    }
    for purpose in field.purposes.iter().filter(|purpose| !category.allowed.contains(*purpose)) {
        let message = format!("data of category `{}` may not serve {}", category.key, purpose.name());
        let place = draft.purposes.as_ref().unwrap_or(&draft.category);
        let allowed: Vec<&str> = category.allowed.iter().map(PurposeId::name).collect();
        let fault = Diagnostic::error(place, "forbidden_purpose", message);
        let fault = fault.related(&draft.category, "the category");
        faults.add(fault.hint(format!("the category allows: {}", allowed.join(", "))));
    }
}

/// Two tables with the same exact number for an event can be joined by it, whatever their pseudonyms are.
fn warn_linkable(draft: &Draft, faults: &Faults) {
    let field = &draft.field;
    let exact: Vec<&str> =
        field.purposes.iter().filter(|purpose| is_exact(field, *purpose)).map(PurposeId::name).collect();
    if exact.len() >= 2 && has_many_values(field) {
        let message = format!("rows of {} can be joined by this number", exact.join(" and "));
        let fault = Diagnostic::warning(&draft.place, "linkable", message);
        faults.add(
            fault.hint("coarsen it with `precision` or `buckets`, for all or by purpose, or keep it for one purpose"),
        );
    }
}

fn is_exact(field: &Field, purpose: PurposeId) -> bool {
    if let FieldType::Timestamp { precision, .. } = &field.field_type {
        return precision[purpose.index()].is_none();
    }
    *field.coarsen(purpose) == Coarsen::Exact
}

fn has_many_values(field: &Field) -> bool {
    if field.class == FieldClass::Word {
        return false;
    }
    let bounds = match field.range {
        Some(Range::Whole { min, max }) => Some((min, max)),
        Some(Range::Float { .. }) | None => field.field_type.bounds(),
    };
    let is_float = matches!(field.field_type, FieldType::Float64);
    is_float || bounds.is_some_and(|(min, max)| max.saturating_sub(min) >= FEW_VALUES)
}

fn check_columns(fields: &[Draft], subject: Option<usize>, faults: &Faults) {
    let mut seen: HashMap<&str, &Draft> = HashMap::new();
    for (place, draft) in fields.iter().enumerate() {
        let column = draft.field.column.as_str();
        if draft.field.class == FieldClass::Content || Some(place) == subject {
            continue;
        }
        if RESERVED.contains(&column) || column.starts_with('_') {
            let message = format!("the column `{column}` is reserved");
            let fault = Diagnostic::error(&draft.place, "reserved_column", message);
            faults.add(fault.hint(format!("taken are {} and what starts with `_`", RESERVED.join(", "))));
        }
        if let Some(first) = seen.insert(column, draft) {
            let message = format!("two paths make the column `{column}`");
            let fault = Diagnostic::error(&draft.place, "column_twice", message);
            let fault = fault.related(&first.place, "the first one");
            faults.add(fault.hint("columns are lower case, with `_` for `.` and `-`, and without `[]`"));
        }
    }
}

/// A path may not lead through another field, nor a key be an array here and an object there.
fn check_nesting(fields: &[Draft], faults: &Faults) {
    for outer in fields {
        let depth = outer.field.segments.len();
        for inner in fields.iter().filter(|inner| inner.field.segments.len() >= depth) {
            let leads_through =
                inner.field.segments.len() > depth && inner.field.segments.starts_with(&outer.field.segments);
            let crosses = outer.field.array.is_some_and(|array| {
                let through = &outer.field.segments[..=array];
                inner.field.segments.starts_with(through) && inner.field.array != Some(array)
            });
            if leads_through || crosses {
                let fault = Diagnostic::error(&inner.place, "nested_path", "the path leads through another field");
                let fault = fault.related(&outer.place, "this one");
                faults.add(fault.hint("a key is a value, an object or an array, in all paths the same"));
            }
        }
    }
}

/// The column of the subject.
const SUBJECT: &str = "subject";
/// The columns that every table has, and the partition's.
const RESERVED: [&str; 7] = ["tenant", "subject", "subject_epoch", "event_id", "time", "date", "contract_version"];
/// Up to so many values (in a byte, say) tell hardly anybody apart.
const FEW_VALUES: i128 = 256;
