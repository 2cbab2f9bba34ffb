//! Cuts JSON text into its parts without changing a byte of them, and leaves out all but some paths.
//!
//! A number keeps its digits, so the filter judges a pruned event as it judges the whole one. The text must be JSON: the
//! filter has read it to its last byte before anything comes here.

/// Returns the members of an object: key, and value as it stands; none for anything that is no object.
pub(crate) fn members(text: &str) -> Vec<(String, &str)> {
    let Some(inside) = inside(text, '{', '}') else { return Vec::new() };
    let member = |part: &&str| -> Option<(usize, String)> {
        let end = string_end(part)?;
        Some((end, serde_json::from_str(part.get(..end)?).ok()?))
    };
    let parts = split(inside).into_iter();
    parts
        .filter_map(|part| {
            let (end, key) = member(&part)?;
            let value = part.get(end..)?.trim_start().strip_prefix(':')?;
            Some((key, value.trim()))
        })
        .collect()
}

/// Returns the items of an array as they stand; none for anything that is no array.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    inside(text, '[', ']').map(split)
}

/// Leaves out every member that leads to none of `paths`; none if nothing is left.
///
/// An array on the way keeps its items, each pruned; a value that cannot hold what a path asks for stays as it is.
pub(crate) fn prune(text: &str, paths: &[&[String]]) -> Option<String> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(text.to_owned());
    }
    if let Some(items) = items(text) {
        let pruned = items.into_iter().map(|item| prune(item, paths).unwrap_or_else(|| "{}".to_owned()));
        return Some(format!("[{}]", pruned.collect::<Vec<_>>().join(",")));
    }
    if inside(text, '{', '}').is_none() {
        return Some(text.to_owned());
    }
    let kept = members(text).into_iter().filter_map(|(key, value)| {
        let below: Vec<&[String]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| **first == key)
            .map(|(_, rest)| rest)
            .collect();
        let value = if below.is_empty() { None } else { prune(value, &below) };
        value.map(|value| format!("{}:{value}", serde_json::Value::String(key)))
    });
    let kept: Vec<String> = kept.collect();
    (!kept.is_empty()).then(|| format!("{{{}}}", kept.join(",")))
}

/// Returns the text with the values of some members replaced, or taken out.
pub(crate) fn with_members(text: &str, replace: impl Fn(&str) -> Replace) -> String {
    let members = members(text).into_iter().filter_map(|(key, value)| {
        let value = match replace(&key) {
            Replace::Drop => return None,
            Replace::Keep => value.to_owned(),
            Replace::With(new) => new,
        };
        Some(format!("{}:{value}", serde_json::Value::String(key)))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// What becomes of a member.
pub(crate) enum Replace {
    /// It goes.
    Drop,
    /// It stays.
    Keep,
    /// It gets this value.
    With(String),
}

fn inside(text: &str, open: char, close: char) -> Option<&str> {
    text.trim().strip_prefix(open)?.strip_suffix(close)
}

/// Splits at the commas that are in no string, object or array.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut in_string, mut escaped, mut start) = (0_usize, false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..).filter(|rest| !rest.trim().is_empty()));
    parts.into_iter().map(str::trim).collect()
}

/// Returns where the string ends with which `text` begins.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pruned(text: &str, paths: &[&[&str]]) -> Option<String> {
        let paths: Vec<Vec<String>> = paths.iter().map(|path| path.iter().map(ToString::to_string).collect()).collect();
        let paths: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
        prune(text, &paths)
    }

    #[test]
    fn strings_hide_what_looks_like_structure() {
        let text = r#" { "a\"},{" : "x, \" y" , "b":[1, {"c":"],"}] } "#;
        assert_eq!(members(text), [("a\"},{".to_owned(), r#""x, \" y""#), ("b".to_owned(), r#"[1, {"c":"],"}]"#)]);
        assert_eq!(items("[1, {\"c\":\"],\"}]").unwrap(), ["1", r#"{"c":"],"}"#]);
        assert_eq!(items("[ ]").unwrap(), [""; 0]);
    }

    #[test]
    fn numbers_keep_their_digits_and_paths_their_arrays() {
        let text = r#"{"user":{"id":9007199254740993,"x":1},"items":[{"price":1e400,"n":2},7,{}],"note":"n"}"#;
        assert_eq!(pruned(text, &[&["user", "id"]]).unwrap(), r#"{"user":{"id":9007199254740993}}"#);
        let prices = pruned(text, &[&["items", "price"], &["user", "id"]]).unwrap();
        assert_eq!(prices, r#"{"user":{"id":9007199254740993},"items":[{"price":1e400},7,{}]}"#);
        assert_eq!(pruned(text, &[&["absent"]]), None);
    }

    /// A key written with an escape is the key it means.
    #[test]
    fn escaped_keys_are_found() {
        assert_eq!(pruned(r#"{"\u0061":1}"#, &[&["a"]]).unwrap(), r#"{"a":1}"#);
    }
}
