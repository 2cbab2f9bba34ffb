//! Rust source as a list of tokens with their lines: as much of the language as the rules need.
//!
//! A parser would be a hundred thousand lines to compile before the first check could run, and would see no comments.

/// A token and the line on which it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'s> {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its text; for strings what stands between the quotes, escapes as written.
    pub(crate) text: &'s str,
    /// The line on which it starts, from 1.
    pub(crate) line: usize,
}

/// The kinds of tokens that the rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A comment, doc comments included, with its slashes.
    Comment,
    /// A name or a keyword.
    Ident,
    /// A number, a character or a lifetime: in no rule's way.
    Other,
    /// One character of punctuation.
    Punct,
    /// A string of any sort.
    Text,
}

impl Token<'_> {
    /// Whether it is this name or keyword.
    pub(crate) fn is_ident(&self, name: &str) -> bool {
        self.kind == Kind::Ident && self.text == name
    }

    /// Whether it is this character of punctuation.
    pub(crate) fn is_punct(&self, mark: &str) -> bool {
        self.kind == Kind::Punct && self.text == mark
    }
}

/// Returns the tokens of `source`, comments included.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = if first.is_whitespace() { (None, first.len_utf8()) } else { next(rest, first) };
        let (text, after) = rest.split_at(length.clamp(1, rest.len()));
        if let Some(kind) = kind {
            let text = if kind == Kind::Text { unquoted(text) } else { text };
            tokens.push(Token { kind, text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Returns the tokens before the unit tests, without comments: what the product consists of.
pub(crate) fn production(source: &str) -> Vec<Token<'_>> {
    let mut tokens = tokens(source);
    tokens.retain(|token| token.kind != Kind::Comment);
    if let Some(start) = test_module(&tokens) {
        tokens.truncate(start);
    }
    tokens
}

/// Returns the line of the attribute `#[cfg(test)]` of a test module.
pub(crate) fn test_line(source: &str) -> Option<usize> {
    let mut tokens = tokens(source);
    tokens.retain(|token| token.kind != Kind::Comment);
    test_module(&tokens).and_then(|start| tokens.get(start)).map(|token| token.line)
}

/// Returns the index of the bracket that closes the one at `open`, or the end.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" if token.kind == Kind::Punct => depth += 1,
            ")" | "]" | "}" if token.kind == Kind::Punct => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

fn test_module(tokens: &[Token<'_>]) -> Option<usize> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.windows(attribute.len() + 3).position(|window| {
        let texts = window.iter().map(|token| token.text);
        let module = |token: &Token<'_>| token.is_ident("mod");
        texts.zip(attribute).all(|(text, wanted)| text == wanted) && window.iter().skip(attribute.len()).any(module)
    })
}

/// Returns the kind and length of the token at the start of `rest`.
fn next(rest: &str, first: char) -> (Option<Kind>, usize) {
    if rest.starts_with("//") {
        return (Some(Kind::Comment), rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Some(Kind::Comment), block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Text), length);
    }
    if let Some(length) = character(rest) {
        return (Some(Kind::Other), length);
    }
    let word = |rest: &str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    match first {
        'r' if rest.starts_with("r#") => (Some(Kind::Ident), 2 + word(rest.get(2..).unwrap_or(""))),
        '\'' => (Some(Kind::Other), 1 + word(rest.get(1..).unwrap_or(""))),
        '0'..='9' => (Some(Kind::Other), word(rest)),
        _ if first.is_alphabetic() || first == '_' => (Some(Kind::Ident), word(rest)),
        _ => (Some(Kind::Punct), first.len_utf8()),
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        let step = if here.starts_with("/*") {
            depth += 1;
            2
        } else if here.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            here.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Returns the length of the string literal at the start: plain, byte, C or raw.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let after = rest.get(prefix.len()..)?;
    if prefix.ends_with('r') {
        let hashes = after.find(|c| c != '#')?;
        let body = after.get(hashes..)?.strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(rest.len() - body.len() + body.find(&end)? + end.len());
    }
    let body = after.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(rest.len() - body.len() + end + 1)
}

/// Returns the length of the character literal at the start; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('\'')?;
    let start = rest.len() - body.len();
    let mut characters = body.char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        characters.next()?;
        return Some(start + body.get(2..)?.find('\'')? + 3);
    }
    let (end, second) = characters.next()?;
    (second == '\'').then_some(start + end + 1)
}

fn unquoted(literal: &str) -> &str {
    let start = literal.find('"').map_or(0, |quote| quote + 1);
    let end = literal.rfind('"').unwrap_or(literal.len());
    literal.get(start..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(Kind, &str)> {
        tokens(source).iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn strings_of_all_sorts_are_one_token() {
        for source in [r#""a\"b{""#, r##"r#"a"b{"#"##, r#"b"a\\""#, "c\"{\"", "br\"{\""] {
            assert!(matches!(texts(source)[..], [(Kind::Text, _)]), "{source}: {:?}", texts(source));
        }
        assert_eq!(texts(r##"r#"a"b"#"##), [(Kind::Text, "a\"b")]);
    }

    #[test]
    fn characters_and_lifetimes_hide_no_braces() {
        let source = "'{' '\\'' '\\u{7b}' b'}' 'static r#type";
        let kinds: Vec<Kind> = tokens(source).iter().map(|token| token.kind).collect();
        assert_eq!(kinds, [Kind::Other, Kind::Other, Kind::Other, Kind::Other, Kind::Other, Kind::Ident]);
    }

    #[test]
    fn comments_nest_and_lines_count() {
        let found = tokens("/* a /* b */ c\n*/ x // y\nz");
        let lines: Vec<_> = found.iter().map(|token| (token.text, token.line)).collect();
        assert_eq!(lines, [("/* a /* b */ c\n*/", 1), ("x", 2), ("// y", 2), ("z", 3)]);
    }

    #[test]
    fn production_ends_where_tests_begin() {
        let source = "fn a() {}\n#[cfg(test)]\nfn b() {}\n#[cfg(test)]\nmod tests { fn c() {} }";
        assert!(production(source).iter().any(|token| token.text == "a"));
        assert!(!production(source).iter().any(|token| token.text == "c"));
    }

    #[test]
    fn bracket_finds_its_partner() {
        let found = tokens("f(a, [b], {c}) d");
        assert_eq!(closing(&found, 1), found.len() - 2);
    }
}
