//! One table `[fields."…"]`: a path, its class, type, category and purposes.

use std::path::Path;

use super::event::{Subject, is_permitted};
use super::{field_type, numbers};
use crate::category;
use crate::diagnostic::{Diagnostic, Faults, Place};
use crate::field::{Field, FieldClass, FieldType};
use crate::purpose::{PurposeId, PurposeSet};
use crate::reader::{Entry, Node, Section, Table, Value, nearest};
use crate::refused;

/// A field and where its parts stand, for checks across fields.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) field: Field,
    /// Where the path stands.
    pub(super) place: Place,
    /// Where the category stands, or the path.
    pub(super) category: Place,
    /// Where `purposes` stands, if it does.
    pub(super) purposes: Option<Place>,
}

/// Reads one field; none if its path, class or type could not be read.
pub(super) fn read(entry: &Entry, subject: &Subject, file: &Path, faults: &Faults) -> Option<Draft> {
    let place = &entry.place;
    let path = path(&entry.key, place, faults);
    let table = entry.node.table(faults)?;
    if is_unquoted(table) {
        let fault = Diagnostic::error(place, "unquoted_path", "a path stands between quotes");
        faults.add(fault.hint(format!("write [fields.\"{}.…\"]", entry.key)));
        return None;
    }
    let is_subject = matches!(subject, Subject::Field(path, _) if *path == entry.key);
    let mut section = Section::new(table, faults);
    let class = class(&mut section);
    let description = section.text("description").filter(|(text, place)| is_permitted(text, place, faults));
    let category = category(&mut section, class);
    let purposes_node = section.take("purposes");
    let purposes = purposes(purposes_node, &section, class, is_subject);
    let read_type = class.and_then(|class| field_type::read(class, &mut section, file));
    let numbers = numbers::read(read_type, purposes, &mut section);
    section.finish();
    let (path, class, numbers) = (path?, class?, numbers?);
    let field = Field {
        path: entry.key.clone(),
        column: column(&path.segments, &numbers.field_type),
        segments: path.segments,
        array: path.array,
        class,
        field_type: numbers.field_type,
        category: category.map(|(category, _)| category.key),
        purposes,
        coarsen: numbers.coarsen,
        range: numbers.range,
        description: description.map(|(text, _)| text.to_owned()),
    };
    let category = category.map_or_else(|| place.clone(), |(_, place)| place.clone());
    Some(Draft { field, place: place.clone(), category, purposes: purposes_node.map(|node| node.place.clone()) })
}

/// The keys of a path and the place of the one that is an array.
struct Segments {
    segments: Vec<String>,
    array: Option<usize>,
}

fn path(path: &str, place: &Place, faults: &Faults) -> Option<Segments> {
    let refuse = |message: &str, hint: &str| {
        faults.add(Diagnostic::error(place, "path", message).hint(hint));
        None
    };
    if !is_permitted(path, place, faults) {
        return None;
    }
    let mut array = None;
    let mut segments = Vec::new();
    for (at, segment) in path.split('.').enumerate() {
        let key = segment.strip_suffix("[]").unwrap_or(segment);
        if key.len() < segment.len() && array.replace(at).is_some() {
            return refuse(
                "a path may hold `[]` once",
                "arrays in arrays are not kept: declare the outer one as content",
            );
        }
        let starts_well = key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        let allowed = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-';
        if !starts_well || !key.bytes().all(allowed) {
            return refuse(
                "not a path into `data`",
                "keys of a-z, A-Z, 0-9, `_`, `-`, starting with a letter or `_`, joined by `.`; `[]` after an array's key",
            );
        }
        segments.push(key.to_owned());
    }
    if path.len() > PATH_MAX {
        return refuse("the path is too long", "at most 200 characters");
    }
    Some(Segments { segments, array })
}

/// Tells whether a table holds tables only, as `[fields.user.id]` makes of `user`.
fn is_unquoted(table: &Table) -> bool {
    let is_table = |entry: &Entry| matches!(entry.node.value, Value::Table(_));
    table.entries.iter().any(|entry| is_table(entry) && !NESTED_KEYS.contains(&&*entry.key))
}

fn class(section: &mut Section<'_>) -> Option<FieldClass> {
    let node = section.need("class", "identifier, quasi-identifier, measure, word or content")?;
    let name = node.text(section.faults())?;
    let class = FieldClass::parse(name);
    if class.is_none() {
        let fault = Diagnostic::error(&node.place, "unknown_class", format!("`{name}` is no class"));
        let hint = match name {
            "string" | "text" | "free_text" => "a free text has no class but content: it is never kept",
            _ => "one of identifier, quasi-identifier, measure, word, content",
        };
        section.faults().add(fault.hint(hint));
    }
    class
}

fn category<'d>(section: &mut Section<'d>, class: Option<FieldClass>) -> Option<(category::Category, &'d Place)> {
    let hint = "the fideslang data category, such as \"system.operations\"";
    let node = match class {
        Some(FieldClass::Content) => section.take("category"),
        _ => section.need("category", hint),
    }?;
    let faults = section.faults();
    let key = node.text(faults)?;
    if let Some(category) = category::find(key) {
        return Some((category, &node.place));
    }
    let fault = Diagnostic::error(&node.place, "unknown_category", format!("`{key}` is no data category of fideslang"));
    let known: Vec<&str> = category::keys().collect();
    faults.add(match nearest(key, &known) {
        Some(known) => fault.hint(format!("did you mean \"{known}\"?")),
        None => fault.hint("see https://ethyca.github.io/fideslang/taxonomy/data_categories/"),
    });
    None
}

/// Reads `purposes`; content has none, the subject may leave them out.
fn purposes(node: Option<&Node>, section: &Section<'_>, class: Option<FieldClass>, is_subject: bool) -> PurposeSet {
    let faults = section.faults();
    let Some(node) = node else {
        if class.is_some_and(|class| class != FieldClass::Content) && !is_subject {
            let fault = Diagnostic::error(section.place(), "missing_key", "`purposes` is missing");
            faults.add(fault.label("in this table").hint(PURPOSES_HINT));
        }
        return PurposeSet::NONE;
    };
    if class == Some(FieldClass::Content) {
        let fault = Diagnostic::error(&node.place, "content_purpose", "content serves no purpose: it is never kept");
        faults.add(fault.hint("remove `purposes`, or declare a class that can be kept"));
        return PurposeSet::NONE;
    }
    let names = node.texts(faults).unwrap_or_default();
    if names.is_empty() {
        faults.add(Diagnostic::error(&node.place, "no_purpose", "no purpose is named").hint(PURPOSES_HINT));
    }
    let mut purposes = PurposeSet::NONE;
    for (name, place) in names {
        match PurposeId::parse(name) {
            Some(purpose) if purposes.contains(purpose) => {
                faults.add(Diagnostic::error(place, "twice", format!("`{name}` is named twice")));
            }
            Some(purpose) => purposes = purposes.with(purpose),
            None => faults.add(no_purpose(name, place)),
        }
    }
    purposes
}

/// Returns the fault of a name that is no purpose.
pub(super) fn no_purpose(name: &str, place: &Place) -> Diagnostic {
    match refused::purpose(name) {
        Some(refused) => {
            Diagnostic::error(place, "refused_use", format!("`{name}` is {refused}, which weir refuses by name"))
                .hint("no configuration can allow it: the three purposes are part of the program")
        }
        None => Diagnostic::error(place, "unknown_purpose", format!("`{name}` is no purpose")).hint(PURPOSES_HINT),
    }
}

/// Returns the column's name: lower case, `.` and `-` become `_`; a duration's ends in the unit it is stored in.
fn column(segments: &[String], field_type: &FieldType) -> String {
    let name = segments.join("_").to_ascii_lowercase().replace('-', "_");
    let FieldType::Duration(unit) = field_type else { return name };
    let stem = name.strip_suffix(unit.name()).and_then(|stem| stem.strip_suffix('_')).unwrap_or(&name);
    format!("{stem}_us")
}

const PURPOSES_HINT: &str = "one or more of \"troubleshooting\", \"reliability\", \"personalization\"";
/// Keys of a field whose value may be a table.
const NESTED_KEYS: [&str; 2] = ["precision", "buckets"];
/// Longer paths make column names that engines cut.
const PATH_MAX: usize = 200;
