//! The spellings in which a text may leave, and how to read what follows the first of it.
//!
//! The search ignores ASCII case, so hexadecimal digits and percent escapes need one spelling each.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A spelling of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Base64, either alphabet; so many bytes of a group of three stand before the text.
    Base64(usize),
    /// `[113, 120, …]`: what Rust's `{:?}` and many loggers make of a byte slice.
    ByteList,
    /// Hexadecimal digits.
    Hex,
    /// `\u0071\u0078…`
    JsonEscapes,
    /// `%71%78…`
    Percent,
    /// As it is.
    Plain,
    /// Back to front.
    Reversed,
    /// Sixteen bits a character, the low byte first.
    Utf16Le,
    /// Sixteen bits a character, the high byte first.
    Utf16Be,
}

impl Spelling {
    /// Every spelling.
    pub const ALL: [Self; 11] = [
        Self::Base64(0),
        Self::Base64(1),
        Self::Base64(2),
        Self::ByteList,
        Self::Hex,
        Self::JsonEscapes,
        Self::Percent,
        Self::Plain,
        Self::Reversed,
        Self::Utf16Le,
        Self::Utf16Be,
    ];

    /// Returns the bytes that a text is spelled as.
    pub fn spell(self, text: &str) -> Vec<u8> {
        let bytes = text.as_bytes();
        match self {
            Self::Base64(before) => base64(bytes, before),
            Self::ByteList => bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes(),
            Self::Hex => spell(bytes, |out, byte| write!(out, "{byte:02x}")),
            Self::JsonEscapes => spell(bytes, |out, byte| write!(out, "\\u{byte:04x}")),
            Self::Percent => spell(bytes, |out, byte| write!(out, "%{byte:02x}")),
            Self::Plain => bytes.to_vec(),
            Self::Reversed => bytes.iter().rev().copied().collect(),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

/// Base64 in groups of three bytes: what a text becomes depends on where in a group it starts.
///
/// The first and last characters also depend on the neighbours of the text, so they are left out. The beginnings
/// of markers have neither `+` nor `/` in it, so that both alphabets agree.
fn base64(bytes: &[u8], before: usize) -> Vec<u8> {
    let shifted: Vec<u8> = std::iter::repeat_n(0, before).chain(bytes.iter().copied()).collect();
    // A character holds six bits: those that begin before the text's first bit, or end after its last, are open.
    let (first, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
    STANDARD_NO_PAD.encode(&shifted).bytes().take(end).skip(first).collect()
}

fn spell(bytes: &[u8], each: impl Fn(&mut String, u8) -> std::fmt::Result) -> Vec<u8> {
    let mut out = String::new();
    for byte in bytes {
        each(&mut out, *byte).expect("a string takes all text");
    }
    out.into_bytes()
}
