//! TOML with the place of every key and value, read so that every fault is found at once.
//!
//! [`parse`] gives a tree that knows where each part came from; a [`Section`] takes known keys out of one table and, at
//! its end, reports those nobody asked for. Contracts, purposes, contract tests and `weir.toml` are all read this way.

use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Faults, Place, Source};
use crate::values::{number, time};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub enum Value {
    /// `[…]`, or the tables of `[[…]]`.
    Array(Vec<Node>),
    /// `true` or `false`.
    Bool(bool),
    /// A date, as days since 1970; none for a time or both.
    Moment(Option<i32>),
    /// A number, as text without `_` and `+`: JSON's form, but for `inf` and `nan`.
    Number(String),
    /// A table.
    Table(Table),
    /// A text.
    Text(String),
}

/// A TOML table, in the order of its file.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where its header or brace stands; for the root, the start of the file.
    pub place: Place,
    /// Keys and values.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub node: Node,
}

/// Returns the root table of a source; none where it is no TOML.
///
/// Every syntax fault is added. A key that stands twice is a fault, but the table is still returned.
pub fn parse(source: &Arc<Source>, faults: &Faults) -> Option<Table> {
    let (root, errors) = DeTable::parse_recoverable(source.text());
    let mut is_toml = true;
    for error in errors {
        let place = Place::new(source, error.span().unwrap_or(0..0));
        let (code, hint) = match error.message() {
            "duplicate key" => ("duplicate_key", "a path, table or key is declared once: remove or rename one"),
            _ => ("syntax", "see https://toml.io/en/v1.0.0"),
        };
        is_toml &= code != "syntax";
        faults.add(Diagnostic::error(&place, code, error.message()).hint(hint));
    }
    is_toml.then(|| table(source, Place::start_of(source), root.into_inner()))
}

fn table(source: &Arc<Source>, place: Place, table: DeTable<'_>) -> Table {
    let entries = table.into_iter().map(|(key, value)| Entry {
        place: Place::new(source, key.span()),
        key: key.into_inner().into_owned(),
        node: node(source, value),
    });
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by_key(|entry| entry.place.span().start);
    Table { place, entries }
}

fn node(source: &Arc<Source>, spanned: toml::Spanned<DeValue<'_>>) -> Node {
    let place = Place::new(source, spanned.span());
    let value = match spanned.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => Value::Number(
            i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| integer.as_str().to_owned(), |integer| integer.to_string()),
        ),
        DeValue::Float(float) => Value::Number(float.as_str().trim_start_matches('+').to_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(moment) => {
            let date = moment.date.filter(|_| moment.time.is_none());
            Value::Moment(date.and_then(|date| time::days(date.year.into(), date.month.into(), date.day.into())))
        }
        DeValue::Array(items) => Value::Array(items.into_iter().map(|item| node(source, item)).collect()),
        DeValue::Table(entries) => Value::Table(table(source, place.clone(), entries)),
    };
    Node { place, value }
}

impl Node {
    /// Returns the text; another type is a fault.
    pub fn text(&self, faults: &Faults) -> Option<&str> {
        let Value::Text(text) = &self.value else { return self.mismatch(faults, "text") };
        Some(text)
    }

    /// Returns the truth value; another type is a fault.
    pub fn bool(&self, faults: &Faults) -> Option<bool> {
        let Value::Bool(value) = &self.value else { return self.mismatch(faults, "true or false") };
        Some(*value)
    }

    /// Returns the whole number; another type, or a fraction, is a fault.
    pub fn whole(&self, faults: &Faults) -> Option<i128> {
        let text = if let Value::Number(text) = &self.value { text.as_bytes() } else { b"" };
        number::whole(text).or_else(|| self.mismatch(faults, "a whole number"))
    }

    /// Returns the whole number if it lies in `range`; otherwise a fault is added.
    pub fn whole_in(&self, range: std::ops::RangeInclusive<u32>, faults: &Faults) -> Option<u32> {
        let value = u32::try_from(self.whole(faults)?).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let message = format!("the number must lie from {} to {}", range.start(), range.end());
            faults.add(Diagnostic::error(&self.place, "out_of_bounds", message));
        }
        value
    }

    /// Returns the text of a number, as JSON would write it; another type is a fault.
    pub fn number(&self, faults: &Faults) -> Option<&str> {
        let Value::Number(text) = &self.value else { return self.mismatch(faults, "a number") };
        Some(text)
    }

    /// Returns the day (since 1970) of a date without a time; anything else is a fault.
    pub fn day(&self, faults: &Faults) -> Option<i32> {
        let day = if let Value::Moment(day) = &self.value { *day } else { None };
        day.or_else(|| self.mismatch(faults, "a date such as 2027-06-30, without quotes"))
    }

    /// Returns the items of an array; another type is a fault.
    pub fn array(&self, faults: &Faults) -> Option<&[Self]> {
        let Value::Array(items) = &self.value else { return self.mismatch(faults, "an array") };
        Some(items)
    }

    /// Returns the texts of an array with their places; what is no text is a fault and left out.
    pub fn texts(&self, faults: &Faults) -> Option<Vec<(&str, &Place)>> {
        let items = self.array(faults)?;
        Some(items.iter().filter_map(|item| Some((item.text(faults)?, &item.place))).collect())
    }

    /// Returns the table; another type is a fault.
    pub fn table(&self, faults: &Faults) -> Option<&Table> {
        let Value::Table(table) = &self.value else { return self.mismatch(faults, "a table") };
        Some(table)
    }

    fn mismatch<T>(&self, faults: &Faults, expected: &str) -> Option<T> {
        let found = match &self.value {
            Value::Array(_) => "an array",
            Value::Bool(_) => "true or false",
            Value::Moment(_) => "a date or time",
            Value::Number(_) => "a number",
            Value::Table(_) => "a table",
            Value::Text(_) => "text",
        };
        let fault = Diagnostic::error(&self.place, "wrong_type", format!("expected {expected}, found {found}"));
        faults.add(fault.label(format!("must be {expected}")));
        None
    }
}

impl Table {
    /// Returns the entry of `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// A table whose keys are taken out one after the other.
#[derive(Debug)]
pub struct Section<'d> {
    table: &'d Table,
    faults: &'d Faults,
    asked: Vec<&'static str>,
}

impl<'d> Section<'d> {
    /// Returns a reader of `table`.
    pub fn new(table: &'d Table, faults: &'d Faults) -> Self {
        Self { table, faults, asked: Vec::new() }
    }

    /// Returns the collector of faults.
    pub fn faults(&self) -> &'d Faults {
        self.faults
    }

    /// Returns where the table stands.
    pub fn place(&self) -> &'d Place {
        &self.table.place
    }

    /// Returns the key and value of an optional key.
    pub fn entry(&mut self, key: &'static str) -> Option<&'d Entry> {
        self.asked.push(key);
        self.table.entry(key)
    }

    /// Returns the value of an optional key.
    pub fn take(&mut self, key: &'static str) -> Option<&'d Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Returns the value of a key that must be there; `hint` says what it is for.
    pub fn need(&mut self, key: &'static str, hint: &str) -> Option<&'d Node> {
        let node = self.take(key);
        if node.is_none() {
            let fault = Diagnostic::error(self.place(), "missing_key", format!("`{key}` is missing"));
            self.faults.add(fault.label("in this table").hint(format!("add `{key}`: {hint}")));
        }
        node
    }

    /// Returns an optional text and its place.
    pub fn text(&mut self, key: &'static str) -> Option<(&'d str, &'d Place)> {
        let node = self.take(key)?;
        Some((node.text(self.faults)?, &node.place))
    }

    /// Returns a text that must be there and not be blank, and its place.
    pub fn need_text(&mut self, key: &'static str, hint: &str) -> Option<(&'d str, &'d Place)> {
        let node = self.need(key, hint)?;
        let text = node.text(self.faults)?;
        if text.trim().is_empty() {
            let fault = Diagnostic::error(&node.place, "missing_key", format!("`{key}` is empty"));
            self.faults.add(fault.hint(format!("write down {hint}")));
            return None;
        }
        Some((text, &node.place))
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        for entry in self.table.entries.iter().filter(|entry| !self.asked.contains(&&*entry.key)) {
            let fault = Diagnostic::error(&entry.place, "unknown_key", format!("unknown key `{}`", entry.key));
            self.faults.add(fault.hint(match nearest(&entry.key, &self.asked) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
            }));
        }
    }
}

/// Returns the word that is at most two edits away, nearest first.
pub fn nearest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let distances = known.iter().map(|known| (distance(word, known), *known));
    distances.filter(|(distance, known)| *distance <= 2 && *distance < known.len()).min().map(|(_, known)| known)
}

/// Returns how many characters must be put in, taken out or changed to make one word the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for place in 0..other.len() {
            let changed = diagonal + usize::from(letter != other[place]);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}
