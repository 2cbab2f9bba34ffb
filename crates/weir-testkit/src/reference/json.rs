//! JSON text to a tree, by recursive descent along the grammar of RFC 8259, section by section.
//!
//! One function per production, no look-ahead beyond a byte, no table. Objects keep every member in order, duplicates
//! included; numbers keep their text; strings keep their code units, because an escape may name half a surrogate pair,
//! which the grammar allows and UTF-8 does not.

use std::borrow::Cow;

/// A JSON value; what the text has word by word is lent from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'t> {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number, as it was written.
    Number(&'t str),
    /// A string.
    Text(Text<'t>),
    /// An array.
    Array(Vec<Json<'t>>),
    /// An object: its members in order, duplicates included.
    Object(Vec<(Text<'t>, Json<'t>)>),
}

/// A JSON string after its escapes were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'t> {
    /// It is Unicode text.
    Whole(Cow<'t, str>),
    /// An escape named a surrogate without its partner: valid by the grammar, but not text.
    Broken,
}

impl Text<'_> {
    /// Returns the text; none when it is broken.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Whole(text) => Some(text),
            Self::Broken => None,
        }
    }
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson;

/// Reads one JSON text: a value with white space around it and nothing else.
///
/// # Errors
/// Fails when `text` is not in the grammar of RFC 8259.
pub fn parse(text: &str) -> Result<Json<'_>, NotJson> {
    let mut reader = Reader { rest: text };
    reader.white_space();
    let value = reader.value()?;
    reader.white_space();
    if reader.rest.is_empty() { Ok(value) } else { Err(NotJson) }
}

/// What is left of the text.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Section 2: `ws = *( %x20 / %x09 / %x0A / %x0D )`.
    fn white_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Section 3: `value = false / null / true / object / array / number / string`.
    fn value(&mut self) -> Result<Json<'t>, NotJson> {
        match self.rest.chars().next() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => Ok(Json::Text(self.string()?)),
            Some('f') => self.literal("false", Json::False),
            Some('t') => self.literal("true", Json::True),
            Some('n') => self.literal("null", Json::Null),
            _ => self.number(),
        }
    }

    fn literal(&mut self, word: &str, value: Json<'t>) -> Result<Json<'t>, NotJson> {
        self.rest = self.rest.strip_prefix(word).ok_or(NotJson)?;
        Ok(value)
    }

    /// Section 4: `object = begin-object [ member *( value-separator member ) ] end-object`.
    fn object(&mut self) -> Result<Json<'t>, NotJson> {
        let mut members = Vec::new();
        self.expect('{')?;
        self.white_space();
        if self.take('}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.white_space();
            let name = self.string()?;
            self.white_space();
            self.expect(':')?;
            self.white_space();
            let value = self.value()?;
            members.push((name, value));
            self.white_space();
            if self.take('}') {
                return Ok(Json::Object(members));
            }
            self.expect(',')?;
        }
    }

    /// Section 5: `array = begin-array [ value *( value-separator value ) ] end-array`.
    fn array(&mut self) -> Result<Json<'t>, NotJson> {
        let mut items = Vec::new();
        self.expect('[')?;
        self.white_space();
        if self.take(']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.white_space();
            items.push(self.value()?);
            self.white_space();
            if self.take(']') {
                return Ok(Json::Array(items));
            }
            self.expect(',')?;
        }
    }

    /// Section 6: `number = [ minus ] int [ frac ] [ exp ]`.
    fn number(&mut self) -> Result<Json<'t>, NotJson> {
        let start = self.rest;
        self.take('-');
        if !self.take('0') {
            self.digits()?;
        }
        if self.take('.') {
            self.digits()?;
        }
        if self.take('e') || self.take('E') {
            if !self.take('+') {
                self.take('-');
            }
            self.digits()?;
        }
        let length = start.len() - self.rest.len();
        start.get(..length).map(Json::Number).ok_or(NotJson)
    }

    /// `1*DIGIT`.
    fn digits(&mut self) -> Result<(), NotJson> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == self.rest.len() {
            return Err(NotJson);
        }
        self.rest = rest;
        Ok(())
    }

    /// Section 7: `string = quotation-mark *char quotation-mark`.
    fn string(&mut self) -> Result<Text<'t>, NotJson> {
        self.expect('"')?;
        let plain = self.plain()?;
        if self.take('"') {
            return Ok(Text::Whole(Cow::Borrowed(plain)));
        }
        let (mut text, mut is_broken) = (plain.to_owned(), false);
        let mut units = Vec::new();
        while !self.take('"') {
            // Escapes side by side may together name a character; an escape and a character that stands as it is may not.
            while self.take('\\') {
                units.push(self.escape()?);
            }
            for c in char::decode_utf16(units.drain(..)) {
                is_broken |= c.is_err();
                text.extend(c);
            }
            text.push_str(self.plain()?);
        }
        Ok(if is_broken { Text::Broken } else { Text::Whole(Cow::Owned(text)) })
    }

    /// Passes over characters that stand as they are: up to a quotation mark or a backslash.
    fn plain(&mut self) -> Result<&'t str, NotJson> {
        let length = self.rest.bytes().position(|byte| matches!(byte, b'"' | b'\\') || byte < b' ').ok_or(NotJson)?;
        let (plain, rest) = self.rest.split_at_checked(length).ok_or(NotJson)?;
        self.rest = rest;
        if rest.starts_with(['"', '\\']) { Ok(plain) } else { Err(NotJson) }
    }

    /// What may follow a backslash.
    fn escape(&mut self) -> Result<u16, NotJson> {
        let unit = match self.next()? {
            '"' => 0x22,
            '\\' => 0x5c,
            '/' => 0x2f,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'u' => {
                let mut unit = 0_u32;
                for _ in 0..4 {
                    unit = unit * 16 + self.next()?.to_digit(16).ok_or(NotJson)?;
                }
                unit
            }
            _ => return Err(NotJson),
        };
        u16::try_from(unit).map_err(|_beyond| NotJson)
    }

    fn next(&mut self) -> Result<char, NotJson> {
        let mut chars = self.rest.chars();
        let next = chars.next().ok_or(NotJson)?;
        self.rest = chars.as_str();
        Ok(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), NotJson> {
        if self.take(wanted) { Ok(()) } else { Err(NotJson) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, NotJson, Text, parse};

    fn text(text: &str) -> Json<'_> {
        Json::Text(Text::Whole(text.into()))
    }

    #[test]
    fn members_and_numbers_stay_as_written() {
        let tree = parse(" {\"a\":1e400, \"\\u0061\":[-0, 1.0],\"b\":{}}\n");
        let members = vec![
            (Text::Whole("a".into()), Json::Number("1e400")),
            (Text::Whole("a".into()), Json::Array(vec![Json::Number("-0"), Json::Number("1.0")])),
            (Text::Whole("b".into()), Json::Object(vec![])),
        ];
        assert_eq!(tree, Ok(Json::Object(members)));
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(parse(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#), Ok(text("\"\\/\u{8}\u{c}\n\r\té😀é")));
        assert_eq!(parse(r#""\ud83d""#), Ok(Json::Text(Text::Broken)));
        assert_eq!(parse(r#""\ude00\ud83d""#), Ok(Json::Text(Text::Broken)));
        assert_eq!(parse(r#""\ud83d😀\ude00""#), Ok(Json::Text(Text::Broken)));
        assert_eq!(parse(r#""a\ud83d-\ude00b""#), Ok(Json::Text(Text::Broken)));
        assert_eq!(parse(r#""a\n\ud83d\ude00\tb""#), Ok(text("a\n😀\tb")));
    }

    #[test]
    fn what_the_grammar_lacks_is_refused() {
        let bad = [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "0x1",
            "NaN",
            "Infinity",
            "tru",
            "nulll",
            "'a'",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "1 2",
            "[1] ]",
            "\u{feff}{}",
            "\u{a0}1",
            "[1\u{0}]",
            "/**/1",
            "\"\\u+123\"",
        ];
        for text in bad {
            assert_eq!(parse(text), Err(NotJson), "{text:?}");
        }
    }

    /// Differential check against another reader, on what both can say.
    #[test]
    fn serde_json_agrees_on_the_grammar() {
        let tries = [
            "0",
            "-0",
            "1.0",
            "1e2",
            "1E-2",
            "[]",
            "{}",
            "[[],{}]",
            "\"\\u0000\"",
            " \t\r\n1",
            "[1, 2 ,3]",
            "\"\u{7f}\"",
            "-01",
            "1.e2",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "\"\u{1f}\"",
            "\"\\\"",
            "{\"a\":{\"b\":[null,true,false]}}",
        ];
        for text in tries {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(parse(text).is_ok(), theirs, "{text:?}");
        }
    }
}
