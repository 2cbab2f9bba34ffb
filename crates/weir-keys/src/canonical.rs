//! One spelling per identifier, so that consent, pseudonym and erasure meet the same person.
//!
//! # The canonical form
//!
//! 1. Normalise to Unicode NFC.
//! 2. Remove white space (Unicode `White_Space`) at both ends.
//! 3. Apply the first rule whose shape fits; at most one does:
//!    - The text contains `@`: an e-mail address. What follows the last `@` is put in lower case (Unicode's full mapping)
//!      and normalised to NFC again. What precedes it is left alone: mailbox names may differ by case.
//!    - The text contains `:` and is an IPv6 address: RFC 5952, and an IPv4-mapped one (`::ffff:a.b.c.d`) becomes the
//!      IPv4 address in dotted form.
//!    - The text is 8-4-4-4-12 hexadecimal digits: a UUID, put in lower case.
//!
//! The form is idempotent. Text of white space only has an empty form, which names nobody: callers treat it as absent.

use std::{borrow::Cow, net::Ipv6Addr};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Returns the one spelling of an identifier; plain ASCII is borrowed.
pub fn canonical(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return shaped(text.trim());
    }
    let composed: String = text.nfc().collect();
    Cow::Owned(shaped(composed.trim()).into_owned())
}

/// Tells whether a text is its own canonical form, where that shows at a glance; most identifiers are so.
///
/// False says nothing. True for printable ASCII without `@`, `:` and spaces, other than what is as long as a UUID and has capitals.
#[inline]
pub fn is_canonical_at_sight(text: &[u8]) -> bool {
    let mut found = Found::default();
    if let (Some(_), Some(last)) = (text.get(SEEN..), text.last_chunk()) {
        // The last look may be at bytes that were seen before, which does no harm.
        for block in text.as_chunks().0 {
            found.look(block);
        }
        found.look(last);
    } else {
        let mut block = [b'0'; SEEN];
        block[..text.len()].copy_from_slice(text);
        found.look(&block);
    }
    let is_any = |places| u128::from_le_bytes(places) != 0;
    !is_any(found.odd) && (text.len() != UUID_LENGTH || !is_any(found.capitals))
}

/// What is among the bytes of a text that may make it other than canonical.
#[derive(Default)]
struct Found {
    odd: [u8; SEEN],
    capitals: [u8; SEEN],
}

impl Found {
    /// Looks at bytes without a branch for each, so that the compiler takes all at once.
    #[inline]
    fn look(&mut self, bytes: &[u8; SEEN]) {
        for (at, byte) in bytes.iter().enumerate() {
            let is_sign = u8::from(*byte == b'@') | u8::from(*byte == b':');
            self.odd[at] |= u8::from(!byte.is_ascii_graphic()) | is_sign;
            self.capitals[at] |= u8::from(byte.is_ascii_uppercase());
        }
    }
}

/// Bytes that are looked at together.
const SEEN: usize = 16;

/// Applies the rule of the text's shape, if it has one.
fn shaped(text: &str) -> Cow<'_, str> {
    let shape = text.bytes().fold(Shape::default(), Shape::seen);
    if shape.at_signs {
        return email(text);
    }
    if shape.colons {
        return address(text);
    }
    if shape.capitals && is_uuid(text.as_bytes()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Borrowed(text)
}

/// What one pass over the bytes learns; it spares plain identifiers every other test.
#[derive(Default)]
struct Shape {
    at_signs: bool,
    colons: bool,
    capitals: bool,
}

impl Shape {
    fn seen(self, byte: u8) -> Self {
        Self {
            at_signs: self.at_signs || byte == b'@',
            colons: self.colons || byte == b':',
            capitals: self.capitals || byte.is_ascii_uppercase(),
        }
    }
}

fn email(text: &str) -> Cow<'_, str> {
    let Some((mailbox, domain)) = text.rsplit_once('@') else { return Cow::Borrowed(text) };
    let lower: String = domain.to_lowercase().nfc().collect();
    if lower == domain { Cow::Borrowed(text) } else { Cow::Owned(format!("{mailbox}@{lower}")) }
}

fn address(text: &str) -> Cow<'_, str> {
    let Ok(address) = text.parse::<Ipv6Addr>() else { return Cow::Borrowed(text) };
    let one = address.to_ipv4_mapped().map_or_else(|| address.to_string(), |mapped| mapped.to_string());
    if one == text { Cow::Borrowed(text) } else { Cow::Owned(one) }
}

const UUID_LENGTH: usize = 36;

fn is_uuid(text: &[u8]) -> bool {
    text.len() == UUID_LENGTH
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_identifier_meet() {
        for (spelling, form) in [
            ("u-81", "u-81"),
            ("  u-81\t\n", "u-81"),
            ("\u{a0}u-81\u{2003}", "u-81"),
            ("U-81", "U-81"),
            ("7F0C1A2B-0000-4000-8000-ABCDEFABCDEF", "7f0c1a2b-0000-4000-8000-abcdefabcdef"),
            ("7F0C1A2B00004000-8000-ABCDEFABCDEF12", "7F0C1A2B00004000-8000-ABCDEFABCDEF12"),
            ("Alice.B@Example.COM", "Alice.B@example.com"),
            ("a@b@EXAMPLE.com", "a@b@example.com"),
            ("post@BÜCHER.example", "post@bücher.example"),
            ("post@BU\u{308}CHER.example", "post@bücher.example"),
            ("ren\u{65}\u{301}", "ren\u{e9}"),
            ("::FFFF:192.0.2.7", "192.0.2.7"),
            ("::ffff:c000:0207", "192.0.2.7"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("192.0.2.7", "192.0.2.7"),
            (" \u{3000} ", ""),
        ] {
            assert_eq!(canonical(spelling), form);
        }
    }

    #[test]
    fn plain_ascii_is_borrowed() {
        for text in ["u-81", " u-81 ", "a@example.com", "7f0c1a2b-0000-4000-8000-abcdefabcdef", "2001:db8::1", ""] {
            assert!(matches!(canonical(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn every_byte_of_an_identifier_is_looked_at() {
        for length in 0..70 {
            let plain = vec![b'a'; length];
            assert!(is_canonical_at_sight(&plain));
            for at in 0..length {
                for (byte, is_canonical) in
                    [(b'A', length != 36), (b'Z', length != 36), (b'9', true), (b'~', true), (b'!', true)]
                {
                    let mut text = plain.clone();
                    text[at] = byte;
                    assert_eq!(is_canonical_at_sight(&text), is_canonical, "{byte} at {at} of {length}");
                }
                for odd in [b'@', b':', b' ', b'\n', 0, 0x7F, 0x80, 0xFF] {
                    let mut text = plain.clone();
                    text[at] = odd;
                    assert!(!is_canonical_at_sight(&text), "{odd} at {at} of {length}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_form_is_idempotent(text in "\\PC{0,24}|[\\s\u{300}-\u{303}A-Za-z@:.]{0,24}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[:0-9A-Fa-f.]{2,20}|[ΑΣa]{1,3}@[ΑΣİa\u{301}]{1,4}") {
            let once = canonical(&text).into_owned();
            proptest::prop_assert!(once == text || !is_canonical_at_sight(text.as_bytes()));
            proptest::prop_assert_eq!(canonical(&once), once.as_str());
        }

        #[test]
        fn decomposed_and_padded_text_has_the_form_of_the_composed(text in "[À-ÿ@a-zA-Z.]{1,16}") {
            let apart: String = text.nfd().collect();
            let padded = format!("  {apart} ");
            proptest::prop_assert_eq!(canonical(&padded), canonical(&text));
        }
    }
}
