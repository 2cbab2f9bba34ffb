//! Escapes in strings: few records have any, so this code is written to be short.

use super::cursor::NotJson;

/// Returns how long an escape is, of which the text follows its backslash.
pub(super) fn escape_length(text: &[u8]) -> Result<usize, NotJson> {
    Ok(text.len() - Escape::read(text)?.1.len())
}

/// Appends the string's characters to `out`; false if they are not text (half a surrogate pair) and `out` is as it was.
///
/// The escapes were checked.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let Some((character, left)) = character(&rest[at + 1..]) else {
            out.truncate(start);
            return false;
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = left;
    }
    out.extend_from_slice(rest);
    true
}

/// What one escape says.
enum Escape {
    Byte(u8),
    /// A UTF-16 code unit.
    Unit(u16),
}

impl Escape {
    /// Reads what follows a backslash; returns the rest of the text.
    fn read(text: &[u8]) -> Result<(Self, &[u8]), NotJson> {
        let (letter, rest) = text.split_first().ok_or(NotJson)?;
        let byte = match letter {
            b'"' | b'\\' | b'/' => *letter,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (digits, rest) = rest.split_first_chunk::<4>().ok_or(NotJson)?;
                return Ok((Self::Unit(unit(*digits)?), rest));
            }
            _ => return Err(NotJson),
        };
        Ok((Self::Byte(byte), rest))
    }
}

fn unit(digits: [u8; 4]) -> Result<u16, NotJson> {
    digits.iter().try_fold(0_u16, |unit, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return Err(NotJson),
        };
        Ok(unit << 4 | u16::from(value))
    })
}

/// Returns the character of one escape, or of two that name a surrogate pair, and the rest of the text.
fn character(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = match Escape::read(text).ok()? {
        (Escape::Byte(byte), rest) => return Some((char::from(byte), rest)),
        (Escape::Unit(unit), rest) => (unit, rest),
    };
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, rest));
    }
    let (Escape::Unit(second), rest) = Escape::read(rest.strip_prefix(b"\\")?).ok()? else { return None };
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the escapes of a string, one after the other.
    fn check_escapes(text: &[u8]) -> Result<(), NotJson> {
        let Some(at) = text.iter().position(|byte| *byte == b'\\') else { return Ok(()) };
        let rest = &text[at + 1..];
        check_escapes(&rest[escape_length(rest)?..])
    }

    fn read(text: &str) -> Option<String> {
        let mut out = b"before".to_vec();
        let whole = unescape(text.as_bytes(), &mut out);
        let out = String::from_utf8(out).unwrap();
        let text = out.strip_prefix("before").unwrap();
        if whole {
            Some(text.to_owned())
        } else {
            assert_eq!(text, "", "half a pair leaves nothing behind");
            None
        }
    }

    #[test]
    fn escapes_are_read() {
        for (text, want) in [
            (r"us\u0065r", "user"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u00E9é", "ééé"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\u0000", "\0"),
            ("", ""),
        ] {
            assert_eq!(check_escapes(text.as_bytes()), Ok(()), "{text}");
            assert_eq!(read(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_json_but_no_text() {
        for text in [r"a\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\ud83d", r"\ude00\ud83d"] {
            assert_eq!(check_escapes(text.as_bytes()), Ok(()), "{text}");
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn other_escapes_are_not_json() {
        for text in [r"\x", r"\u12", r"\u12g4", r"\U0041", r"\'", "\\\u{e9}", r"\u+041"] {
            assert_eq!(check_escapes(text.as_bytes()), Err(NotJson), "{text}");
        }
    }
}
