//! The keys that say what a value is to a machine: `type` and what belongs to it.

use std::path::Path;
use std::sync::Arc;

use super::event::is_permitted;
use crate::diagnostic::{Diagnostic, Faults, Place};
use crate::field::{FieldClass, FieldType, IntType, Unit};
use crate::reader::{Entry, Node, Section, nearest};
use crate::vocabulary::route::BadTemplate;
use crate::vocabulary::{AgeBands, Routes, Token, WordList};

/// Reads the type of a field of `class`, with its parameters.
pub(super) fn read(class: FieldClass, section: &mut Section<'_>, file: &Path) -> Option<FieldType> {
    let parameters = Parameters {
        bands: section.entry("bands"),
        kind: section.entry("kind"),
        routes: section.entry("routes"),
        unit: section.entry("unit"),
        values: section.entry("values"),
        values_file: section.entry("values_file"),
    };
    let type_node = section.entry("type");
    let faults = section.faults();
    let (field_type, used): (_, &[&str]) = match (class, type_node) {
        (FieldClass::Content, None) => (Some(FieldType::Content), &[]),
        (FieldClass::Identifier, None) => (kind(parameters.kind, section), &["kind"]),
        (FieldClass::Content, Some(entry)) => {
            return untyped(class, entry, "content is never kept, whatever it is: remove `type`", faults);
        }
        (FieldClass::Identifier, Some(entry)) => {
            return untyped(
                class,
                entry,
                "an identifier is stored as a pseudonym, whatever it is: remove `type`",
                faults,
            );
        }
        (FieldClass::Word, None) => (words(&parameters, section, file), &["values", "values_file"]),
        (FieldClass::Measure | FieldClass::QuasiIdentifier, None) => {
            section.need("type", known(class));
            return None;
        }
        (_, Some(entry)) => typed(class, &entry.node, &parameters, section)?,
    };
    parameters.refuse_all_but(used, faults);
    field_type
}

fn untyped(class: FieldClass, entry: &Entry, hint: &str, faults: &Faults) -> Option<FieldType> {
    let message = format!("class `{}` has no `type`", class.name());
    faults.add(Diagnostic::error(&entry.place, "class_type", message).hint(hint));
    None
}

/// The parameters that some type has.
struct Parameters<'d> {
    bands: Option<&'d Entry>,
    kind: Option<&'d Entry>,
    routes: Option<&'d Entry>,
    unit: Option<&'d Entry>,
    values: Option<&'d Entry>,
    values_file: Option<&'d Entry>,
}

impl Parameters<'_> {
    fn refuse_all_but(&self, used: &[&str], faults: &Faults) {
        for entry in
            [self.bands, self.kind, self.routes, self.unit, self.values, self.values_file].into_iter().flatten()
        {
            if !used.contains(&&*entry.key) {
                let message = format!("`{}` means nothing to this class and type", entry.key);
                faults.add(Diagnostic::error(&entry.place, "class_type", message).hint("remove it"));
            }
        }
    }
}

/// Reads a type that has a name. The outer option is none if the class does not have it.
fn typed(
    class: FieldClass,
    node: &Node,
    parameters: &Parameters<'_>,
    section: &mut Section<'_>,
) -> Option<(Option<FieldType>, &'static [&'static str])> {
    let faults = section.faults();
    let name = node.text(faults)?;
    let simple = |field_type| Some((Some(field_type), &[][..]));
    match (class, name) {
        (FieldClass::Measure, "bool") => simple(FieldType::Bool),
        (FieldClass::Measure, "float64") => simple(FieldType::Float64),
        (FieldClass::Measure, "uint64") => simple(FieldType::UInt64),
        (FieldClass::Measure, "duration") => Some((duration(parameters.unit, section), &["unit"])),
        (FieldClass::Measure | FieldClass::QuasiIdentifier, "timestamp") => {
            let unit = parameters.unit.and_then(|entry| unit(&entry.node, faults));
            Some((Some(FieldType::Timestamp { unit, precision: [None; 3] }), &["unit"]))
        }
        (FieldClass::Measure, name) if name.starts_with("decimal") => Some((decimal(name, &node.place, faults), &[])),
        (FieldClass::QuasiIdentifier, "age") => Some((age(parameters.bands, faults), &["bands"])),
        (FieldClass::QuasiIdentifier, "geo") => simple(FieldType::Geo),
        (FieldClass::QuasiIdentifier, "ip") => simple(FieldType::Ip),
        (FieldClass::Word, "country") => simple(FieldType::Country),
        (FieldClass::Word, "currency") => simple(FieldType::Currency),
        (FieldClass::Word, "http_method") => simple(FieldType::HttpMethod),
        (FieldClass::Word, "http_status") => simple(FieldType::HttpStatus),
        (FieldClass::Word, "locale") => simple(FieldType::Locale),
        (FieldClass::Word, "route") => Some((routes(parameters.routes, section), &["routes"])),
        (FieldClass::Word, "semver") => simple(FieldType::Semver),
        (FieldClass::Word, "user_agent") => simple(FieldType::UserAgent),
        (class, name) => {
            if let (FieldClass::Measure, Some(int)) = (class, IntType::ALL.into_iter().find(|int| int.name() == name)) {
                return simple(FieldType::Int(int));
            }
            faults.add(mismatch(class, name, &node.place));
            None
        }
    }
}

fn mismatch(class: FieldClass, name: &str, place: &Place) -> Diagnostic {
    let other = TYPES.iter().find(|(other, types)| *other != class && types.contains(&name));
    match (other, name) {
        (Some((other, _)), _) => {
            Diagnostic::error(place, "class_type", format!("class `{}` contradicts type `{name}`", class.name()))
                .hint(format!("`{name}` is of class `{}`", other.name()))
        }
        (None, "string" | "text" | "url" | "json") => {
            Diagnostic::error(place, "unknown_type", format!("`{name}` is no type: a free text is content"))
                .hint("list the words that can occur (`values`), use a built-in vocabulary, or class \"content\"")
        }
        (None, _) => {
            let types = TYPES.iter().find(|(of, _)| *of == class).map_or(&[][..], |(_, types)| types);
            let fault = Diagnostic::error(place, "unknown_type", format!("`{name}` is no type"));
            match nearest(name, types) {
                Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
                None => fault.hint(known(class)),
            }
        }
    }
}

fn kind(entry: Option<&Entry>, section: &mut Section<'_>) -> Option<FieldType> {
    let hint = "what is named, such as \"user\"; identifiers of one kind join within a purpose";
    let Some(entry) = entry else {
        section.need("kind", hint);
        return None;
    };
    let kind = entry.node.text(section.faults())?;
    let allowed = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-".contains(&letter);
    let starts_well = kind.starts_with(|letter: char| letter.is_ascii_lowercase());
    if !starts_well || kind.len() > KIND_MAX || !kind.bytes().all(allowed) {
        let fault = Diagnostic::error(&entry.node.place, "kind", "not a kind of identifier");
        section.faults().add(fault.hint("use a-z, 0-9, `_`, `-`, at most 64, starting with a letter"));
        return None;
    }
    is_permitted(kind, &entry.node.place, section.faults()).then(|| FieldType::Identifier { kind: kind.into() })
}

fn duration(entry: Option<&Entry>, section: &mut Section<'_>) -> Option<FieldType> {
    let Some(entry) = entry else {
        section.need("unit", "the unit in which the number counts: ns, us, ms, s, min, h or d");
        return None;
    };
    unit(&entry.node, section.faults()).map(FieldType::Duration)
}

fn unit(node: &Node, faults: &Faults) -> Option<Unit> {
    let name = node.text(faults)?;
    let unit = Unit::parse(name);
    if unit.is_none() {
        let fault = Diagnostic::error(&node.place, "unknown_unit", format!("`{name}` is no unit"));
        faults.add(fault.hint("one of ns, us, ms, s, min, h, d"));
    }
    unit
}

/// Reads `decimal(p,s)`.
fn decimal(name: &str, place: &Place, faults: &Faults) -> Option<FieldType> {
    let inside = name.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
    let numbers = inside
        .and_then(|inside| inside.split_once(','))
        .and_then(|(precision, scale)| Some((precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?)));
    match numbers {
        Some((precision, scale)) if (1..=38).contains(&precision) && scale <= precision => {
            Some(FieldType::Decimal { precision, scale })
        }
        _ => {
            let fault = Diagnostic::error(place, "unknown_type", format!("`{name}` is no decimal type"));
            faults.add(fault.hint("decimal(p,s): 1 to 38 digits in all, at most as many after the point"));
            None
        }
    }
}

fn age(entry: Option<&Entry>, faults: &Faults) -> Option<FieldType> {
    let Some(entry) = entry else { return Some(FieldType::Age(Arc::default())) };
    let items = entry.node.array(faults)?;
    let bounds: Option<Vec<u8>> = items.iter().map(|item| u8::try_from(item.whole(faults)?).ok()).collect();
    let bands = bounds.and_then(AgeBands::new);
    if bands.is_none() {
        let fault = Diagnostic::error(&entry.node.place, "bands", "not the lower bounds of bands of age");
        faults.add(fault.hint("ascending years from 0 to 130, such as [0, 18, 25, 35, 50, 65]"));
    }
    bands.map(|bands| FieldType::Age(Arc::new(bands)))
}

fn routes(entry: Option<&Entry>, section: &mut Section<'_>) -> Option<FieldType> {
    let Some(entry) = entry else {
        section.need("routes", "the URL templates that can occur, such as [\"/orders/{id}\"]");
        return None;
    };
    let templates = entry.node.texts(section.faults())?;
    match Routes::new(templates.iter().map(|(template, _)| (*template).to_owned()).collect()) {
        Ok(routes) if !templates.is_empty() => Some(FieldType::Route(Arc::new(routes))),
        Ok(_) => {
            section.faults().add(Diagnostic::error(&entry.node.place, "routes", "no route is named"));
            None
        }
        Err(bad) => {
            for (at, why) in bad {
                let (message, hint) = match why {
                    BadTemplate::Ambiguous => ("matches the same paths as another route", "remove one of them"),
                    BadTemplate::Braces => ("a brace stands around a whole segment's name", "such as \"/orders/{id}\""),
                    BadTemplate::NotAPath => {
                        ("not the path of a URL", "start with `/`; no host, query or empty segment")
                    }
                };
                section.faults().add(Diagnostic::error(templates[at].1, "routes", message).hint(hint));
            }
            None
        }
    }
}

fn words(parameters: &Parameters<'_>, section: &mut Section<'_>, file: &Path) -> Option<FieldType> {
    let faults = section.faults();
    let (entry, words) = match (parameters.values, parameters.values_file) {
        (Some(entry), None) => (entry, inline(&entry.node, faults)?),
        (None, Some(entry)) => (entry, from_file(&entry.node, file, faults)?),
        (None, None) => {
            section.need("values", "the words that can occur, or `values_file`, or a built-in `type`");
            return None;
        }
        (Some(_), Some(entry)) => {
            faults.add(Diagnostic::error(&entry.place, "twice", "`values` and `values_file` exclude each other"));
            return None;
        }
    };
    if words.is_empty() {
        faults.add(Diagnostic::error(&entry.node.place, "values", "no word is named"));
        return None;
    }
    Some(FieldType::Words(Arc::new(WordList::new(words))))
}

fn inline(node: &Node, faults: &Faults) -> Option<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    for (word, place) in node.texts(faults)? {
        if let Some((message, hint)) = bad_word(word) {
            faults.add(Diagnostic::error(place, "values", message).hint(hint));
        } else if words.iter().any(|known| known == word) {
            faults.add(Diagnostic::error(place, "twice", format!("`{word}` is named twice")));
        } else {
            words.push(word.to_owned());
        }
    }
    if words.len() > INLINE_MAX {
        let message = format!("{} words are too many to read here", words.len());
        faults.add(Diagnostic::error(&node.place, "values", message).hint("put them in a `values_file`, one a line"));
    }
    Some(words)
}

/// Reads one word a line; blank lines are skipped.
fn from_file(node: &Node, file: &Path, faults: &Faults) -> Option<Vec<String>> {
    let name = node.text(faults)?;
    let path = file.parent().unwrap_or(Path::new("")).join(name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let fault = Diagnostic::error(&node.place, "unreadable", format!("cannot be read: {error}"));
            faults.add(fault.hint("the path is relative to the contract's folder"));
            return None;
        }
    };
    let words: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    for (line, word) in text.lines().enumerate() {
        if let Some((message, hint)) = bad_word(word).filter(|_| !word.is_empty()) {
            let message = format!("line {} of the file: {message}", line + 1);
            faults.add(Diagnostic::error(&node.place, "values", message).hint(hint));
        }
    }
    if words.len() > FILE_MAX {
        faults.add(Diagnostic::error(&node.place, "values", "more than 1,000,000 words are no vocabulary"));
        return None;
    }
    Some(words)
}

fn bad_word(word: &str) -> Option<(&'static str, &'static str)> {
    if word == Token::OTHER_TEXT {
        return Some(("`__other__` stands for every other word", "remove it"));
    }
    let is_trimmed = word.trim() == word && !word.is_empty();
    if !is_trimmed || word.len() > WORD_MAX || word.contains(char::is_control) {
        return Some(("not a word", "1 to 128 bytes, no control characters, no space at either end"));
    }
    None
}

const fn known(class: FieldClass) -> &'static str {
    match class {
        FieldClass::Content => "content has no type",
        FieldClass::Identifier => "an identifier has no type",
        FieldClass::Measure => "bool, int8 to int64, uint8 to uint64, float64, decimal(p,s), duration or timestamp",
        FieldClass::QuasiIdentifier => "ip, geo, timestamp or age",
        FieldClass::Word => {
            "country, currency, http_method, http_status, locale, route, semver or user_agent; without it, `values`"
        }
    }
}

const TYPES: &[(FieldClass, &[&str])] = &[
    (
        FieldClass::Measure,
        &[
            "bool",
            "duration",
            "float64",
            "int16",
            "int32",
            "int64",
            "int8",
            "timestamp",
            "uint16",
            "uint32",
            "uint64",
            "uint8",
        ],
    ),
    (FieldClass::QuasiIdentifier, &["age", "geo", "ip", "timestamp"]),
    (
        FieldClass::Word,
        &["country", "currency", "http_method", "http_status", "locale", "route", "semver", "user_agent"],
    ),
];

/// A kind is a label of key derivation and of consent records.
const KIND_MAX: usize = 64;
/// A longer word is a sentence.
const WORD_MAX: usize = 128;
/// More belong into a file.
const INLINE_MAX: usize = 1_000;
/// Tokens and dictionaries stay small.
const FILE_MAX: usize = 1_000_000;
