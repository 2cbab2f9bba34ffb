//! Eight bytes that must not occur, looked up at every position: as bytes, as hexadecimal digits, as base64.

use std::collections::HashMap;

/// The beginnings of digests, and whole numbers.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    /// Name of the form and place of each window.
    known: HashMap<u64, (&'static str, String)>,
    /// A bit for each hash that a known window has: it spares nearly every look-up.
    sieve: Vec<u64>,
}

impl Windows {
    pub(super) fn add(&mut self, window: [u8; 8], form: &'static str, place: &str) {
        let window = u64::from_be_bytes(window);
        let (word, bit) = sieve_place(window);
        self.sieve[word] |= bit;
        self.known.insert(window, (form, place.to_owned()));
    }

    /// Returns place, form and position of every known window in `bytes`.
    pub(super) fn find(&self, bytes: &[u8]) -> Vec<(String, String, usize)> {
        let mut found = Vec::new();
        let mut report = |window: u64, spelling: &str, end: usize, length: usize| {
            let (word, bit) = sieve_place(window);
            if self.sieve[word] & bit != 0
                && let Some((form, place)) = self.known.get(&window)
            {
                found.push((place.clone(), format!("{form} as {spelling}"), end - length));
            }
        };
        let (mut raw, mut hex, mut base64) = (Rolling::new(8, 8), Rolling::new(4, 16), Rolling::new(6, 11));
        for (end, byte) in (1..).zip(bytes) {
            if let Some(window) = raw.push(Some(*byte)) {
                report(window, "bytes", end, 8);
            }
            if let Some(window) = hex.push(hex_digit(*byte)) {
                report(window, "hex", end, 16);
            }
            if let Some(window) = base64.push(base64_digit(*byte)) {
                report(window, "base64", end, 11);
            }
        }
        found
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self { known: HashMap::new(), sieve: vec![0; 1 << (SIEVE_BITS - 6)] }
    }
}

/// The last digits of a text, as the 64 bits that they stand for.
struct Rolling {
    bits: u128,
    digit_bits: u32,
    /// Digits in a row so far, and how many make a window.
    run: u32,
    wanted: u32,
}

impl Rolling {
    const fn new(digit_bits: u32, wanted: u32) -> Self {
        Self { bits: 0, digit_bits, run: 0, wanted }
    }

    /// Takes a digit, or what is none; returns the window that ends here.
    fn push(&mut self, digit: Option<u8>) -> Option<u64> {
        let Some(digit) = digit else {
            self.run = 0;
            return None;
        };
        self.bits = self.bits << self.digit_bits | u128::from(digit);
        self.run = (self.run + 1).min(self.wanted);
        if self.run < self.wanted {
            return None;
        }
        // Eleven digits of base64 have two bits more than eight bytes.
        let spare = self.digit_bits * self.wanted - u64::BITS;
        let window = self.bits >> spare & u128::from(u64::MAX);
        u64::try_from(window).ok()
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Reads both alphabets, the one of URLs included.
const fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn sieve_place(window: u64) -> (usize, u64) {
    let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SIEVE_BITS);
    (usize::try_from(hash >> 6).expect("a few bits"), 1 << (hash & 63))
}

/// A megabyte: with two hundred thousand windows, one position of forty is looked up in vain.
const SIEVE_BITS: u32 = 23;
