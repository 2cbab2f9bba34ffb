//! The forms in which a marker may leave: every needle that the search looks for.
//!
//! The search ignores ASCII case, so hexadecimal digits and percent escapes need one spelling each.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::digest;

/// The name of a form, for messages: `plain`, `base64+1`, `sha256/hex`, …
pub type Form = String;

/// Returns every form of `text`.
pub fn of_text(text: &str) -> Vec<(Form, Vec<u8>)> {
    let bytes = text.as_bytes();
    let mut forms = of_bytes(bytes);
    forms.push(("percent".to_owned(), spell(bytes, |out, byte| write!(out, "%{byte:02x}"))));
    forms.push(("json escapes".to_owned(), spell(bytes, |out, byte| write!(out, "\\u{byte:04x}"))));
    forms.push(("byte list".to_owned(), byte_list(bytes)));
    let wide: Vec<u16> = text.encode_utf16().collect();
    forms.push(("utf-16 le".to_owned(), wide.iter().flat_map(|unit| unit.to_le_bytes()).collect()));
    forms.push(("utf-16 be".to_owned(), wide.iter().flat_map(|unit| unit.to_be_bytes()).collect()));
    forms.push(("reversed".to_owned(), text.chars().rev().collect::<String>().into_bytes()));
    forms.extend(digests(bytes));
    forms
}

/// Returns every form of `number`, the eight bytes that a column of integers has included.
pub fn of_number(number: i64) -> Vec<(Form, Vec<u8>)> {
    let text = number.to_string();
    let mut forms = of_bytes(text.as_bytes());
    forms.push(("number le".to_owned(), number.to_le_bytes().to_vec()));
    forms.push(("number be".to_owned(), number.to_be_bytes().to_vec()));
    forms.extend(digests(text.as_bytes()));
    forms
}

fn of_bytes(bytes: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut forms = vec![("plain".to_owned(), bytes.to_vec()), ("hex".to_owned(), hex(bytes))];
    forms.extend(base64(bytes));
    forms
}

/// Base64 in groups of three bytes: what a text becomes depends on where in a group it starts.
///
/// The first and last characters also depend on the neighbours of the text, so they are left out.
fn base64(bytes: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(bytes.iter().copied()).collect();
        // A character holds six bits: those that begin before the text's first bit, or end after its last, are open.
        let (first, end) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
            let inner: Vec<u8> = engine.encode(&shifted).bytes().take(end).skip(first).collect();
            forms.push((format!("{name}+{shift}"), inner));
        }
    }
    forms
}

/// Digests whole or cut to 16 bytes, as bytes, hexadecimal and base64.
fn digests(bytes: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut forms = Vec::new();
    for (name, digest) in digest::all(bytes) {
        let cut: Vec<u8> = digest.into_iter().take(16).collect();
        forms.push((format!("{name}/hex"), hex(&cut)));
        forms.push((format!("{name}/base64"), STANDARD_NO_PAD.encode(&cut).bytes().take(21).collect()));
        forms.push((format!("{name}/base64url"), URL_SAFE_NO_PAD.encode(&cut).bytes().take(21).collect()));
        forms.push((format!("{name}/bytes"), cut));
    }
    forms
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    spell(bytes, |out, byte| write!(out, "{byte:02x}"))
}

/// `[113, 120, …]`: what Rust's `{:?}` and many loggers make of a byte slice.
fn byte_list(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes()
}

fn spell(bytes: &[u8], each: impl Fn(&mut String, u8) -> std::fmt::Result) -> Vec<u8> {
    let mut out = String::new();
    for byte in bytes {
        each(&mut out, *byte).expect("a string takes all text");
    }
    out.into_bytes()
}
