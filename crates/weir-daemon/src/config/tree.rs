//! Configuration files as one tree, every value with its place.
//!
//! Files are parsed first; `${VAR}` is then replaced inside texts only, so a variable can change a value but never a key or
//! the structure. The files are merged, where the same key in two of them is a fault, and `--set` goes over them.

use std::path::PathBuf;

use weir_policy::diagnostic::{Diagnostic, Faults, Place, Source};
use weir_policy::reader::{self, Entry, Node, Table, Value};

/// Looks a variable of the environment up; a parameter, so that tests need not change the process.
pub(crate) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A file's name and text.
pub(crate) type File = (PathBuf, String);

/// Returns the merged tree of all files with the settings over them; `None` when a file is no TOML.
pub(crate) fn merged(
    files: Vec<File>,
    settings: &[String],
    environment: Environment<'_>,
    faults: &Faults,
) -> Option<Table> {
    let sources: Vec<_> = files.into_iter().map(|(name, text)| Source::new(name, text)).collect();
    // Every file is parsed before the first is missed, so that all of them can report.
    let tables: Vec<_> = sources.iter().map(|source| reader::parse(source, faults)).collect();
    let nowhere = Source::new("(no file)", "");
    let place = Place::start_of(sources.first().unwrap_or(&nowhere));
    let mut merged = Table { place, entries: Vec::new() };
    for table in tables {
        merge(&mut merged, table?, faults);
    }
    interpolate_table(&mut merged, environment, faults);
    for setting in settings {
        set(&mut merged, setting, environment, faults);
    }
    Some(merged)
}

/// Adds `table` to `into`; two values for one key are a fault of the later one.
fn merge(into: &mut Table, table: Table, faults: &Faults) {
    for entry in table.entries {
        let Some(earlier) = into.entries.iter_mut().find(|earlier| earlier.key == entry.key) else {
            into.entries.push(entry);
            continue;
        };
        let earlier_place = earlier.place.clone();
        if let (Value::Table(ours), Value::Table(theirs)) = (&mut earlier.node.value, entry.node.value) {
            merge(ours, theirs, faults);
            continue;
        }
        let fault = Diagnostic::error(&entry.place, "set_twice", format!("`{}` stands in two files", entry.key));
        faults.add(fault.related(&earlier_place, "here already").hint("keep one of them; `--set` may go over it"));
    }
}

/// Sets one key over what the files say, as in `lake.root=file:lake`.
///
/// A value that is not TOML is text, so that nobody has to quote quotes in a shell.
fn set(root: &mut Table, setting: &str, environment: Environment<'_>, faults: &Faults) {
    let source = Source::new("--set", setting);
    let Some((path, text)) = setting.split_once('=') else {
        let fault = Diagnostic::error(&Place::start_of(&source), "syntax", "a setting without a value");
        return faults.add(fault.hint("write KEY=VALUE, as in lake.commit_interval=1m"));
    };
    let place = Place::new(&source, 0..setting.len());
    let mut node = Node { value: literal(text.trim()), place };
    interpolate(&mut node, environment, faults);
    put(root, path.trim(), node);
}

/// Reads `text` as a TOML value, or takes it as it is.
fn literal(text: &str) -> Value {
    let attempt = Faults::default();
    let table = reader::parse(&Source::new("--set", format!("value = {text}")), &attempt);
    let entry = table.and_then(|table| table.entries.into_iter().next());
    entry.map_or_else(|| Value::Text(text.to_owned()), |entry| entry.node.value)
}

/// Puts `node` at a dotted path, whatever stood there or on the way.
fn put(table: &mut Table, path: &str, node: Node) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let entry = open(table, key, &node.place);
    match rest {
        None => entry.node = node,
        // The keys of librdkafka have dots of their own.
        Some(rest) if key == CLIENT_TABLE => {
            let option = open(as_table(entry), rest, &node.place);
            option.node = node;
        }
        Some(rest) => put(as_table(entry), rest, node),
    }
}

/// Returns the entry of `key`, made when it is not there.
fn open<'t>(table: &'t mut Table, key: &str, place: &Place) -> &'t mut Entry {
    let at = table.entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let node = Node { place: place.clone(), value: Value::Bool(false) };
        table.entries.push(Entry { key: key.to_owned(), place: place.clone(), node });
        table.entries.len() - 1
    });
    &mut table.entries[at]
}

/// Returns the table of an entry; a value that stood there gives way.
fn as_table(entry: &mut Entry) -> &mut Table {
    if !matches!(entry.node.value, Value::Table(_)) {
        entry.node.value = Value::Table(Table { place: entry.place.clone(), entries: Vec::new() });
    }
    let Value::Table(table) = &mut entry.node.value else { unreachable!("it was made a table above") };
    table
}

fn interpolate_table(table: &mut Table, environment: Environment<'_>, faults: &Faults) {
    for entry in &mut table.entries {
        interpolate(&mut entry.node, environment, faults);
    }
}

fn interpolate(node: &mut Node, environment: Environment<'_>, faults: &Faults) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => match interpolated(text, environment) {
            Ok(whole) => *text = whole,
            Err((message, hint)) => faults.add(Diagnostic::error(&node.place, "variable", message).hint(hint)),
        },
        Value::Array(items) => items.iter_mut().for_each(|item| interpolate(item, environment, faults)),
        Value::Table(table) => interpolate_table(table, environment, faults),
        Value::Bool(_) | Value::Moment(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// Replaces each `${VAR}` and `${VAR:-default}`; what the variable holds is not looked at again.
fn interpolated(text: &str, environment: Environment<'_>) -> Result<String, (String, &'static str)> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        whole.push_str(before);
        let unclosed = || ("`${` without a closing brace".to_owned(), "write ${VAR} or ${VAR:-default}");
        let (inner, behind) = after.split_once('}').ok_or_else(unclosed)?;
        let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
        let value = environment(name).or_else(|| default.map(str::to_owned));
        whole.push_str(&value.ok_or_else(|| (format!("the variable {name} is not set"), "set it, or give a default"))?);
        rest = behind;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// The table of pass-through options below `source.kafka`.
const CLIENT_TABLE: &str = "client";

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "BROKER").then(|| "kafka-1:9092".to_owned())
    }

    fn tree(files: &[(&str, &str)], settings: &[&str]) -> Result<Table, Vec<String>> {
        let faults = Faults::default();
        let files = files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
        let settings: Vec<_> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let table = merged(files, &settings, &environment, &faults);
        let messages = |report: weir_policy::diagnostic::Report| {
            report.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        faults.into_result(table).map(|(table, _)| table).map_err(messages)
    }

    fn text(table: &Table, path: &[&str]) -> String {
        let (key, rest) = path.split_first().unwrap();
        match &table.entry(key).unwrap().node.value {
            Value::Table(inner) => text(inner, rest),
            Value::Text(text) | Value::Number(text) => text.clone(),
            Value::Array(items) => format!("{} items", items.len()),
            Value::Bool(_) | Value::Moment(_) => "other".to_owned(),
        }
    }

    #[test]
    fn variables_change_values_and_nothing_else() {
        let tree = tree(&[("a.toml", "x = '${BROKER},${SPARE:-none}'\n'${BROKER}' = 'key'")], &[]).unwrap();
        assert_eq!(text(&tree, &["x"]), "kafka-1:9092,none");
        assert_eq!(text(&tree, &["${BROKER}"]), "key");
    }

    #[test]
    fn unset_variable_is_a_fault_at_its_place() {
        let faults = tree(&[("a.toml", "x = 1\ny = [\"${NOWHERE}\"]")], &[]).unwrap_err();
        assert_eq!(faults, ["a.toml:2:6: error[variable]: the variable NOWHERE is not set"]);
    }

    #[test]
    fn same_key_in_two_files_is_a_fault() {
        let faults = tree(&[("a.toml", "[lake]\nroot = 'a'"), ("b.toml", "[lake]\nmemory = 1\nroot = 'b'")], &[]);
        assert_eq!(faults.unwrap_err(), ["b.toml:3:1: error[set_twice]: `root` stands in two files"]);
        let tree = tree(&[("a.toml", "[lake]\nroot = 'a'"), ("b.toml", "[lake]\nmemory = 1")], &[]).unwrap();
        assert_eq!((text(&tree, &["lake", "root"]), text(&tree, &["lake", "memory"])), ("a".into(), "1".into()));
    }

    #[test]
    fn settings_go_over_files_and_need_no_quotes() {
        let settings = [
            "lake.root=file:there",
            "lake.commit_rows=7",
            "source.kafka.client.security.protocol=ssl",
            "source.kafka.topics=[\"a\", \"b\"]",
        ];
        let tree = tree(&[("a.toml", "[lake]\nroot = 'file:here'")], &settings).unwrap();
        assert_eq!(text(&tree, &["lake", "root"]), "file:there");
        assert_eq!(text(&tree, &["lake", "commit_rows"]), "7");
        assert_eq!(text(&tree, &["source", "kafka", "client", "security.protocol"]), "ssl");
        assert_eq!(text(&tree, &["source", "kafka", "topics"]), "2 items");
    }
}
