//! Text as producers write it: digits, escapes, times, and the words that people type.

use crate::random::Random;

/// Writes a whole number.
pub(super) fn write_int(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    write_digits(number.unsigned_abs(), 1, out);
}

/// Writes a number in decimal, with leading zeros up to `width` digits.
pub(super) fn write_digits(number: u64, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut first) = (number, digits.len());
    while rest > 0 {
        first -= 1;
        digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&digits[first.min(digits.len() - width)..]);
}

/// Writes the low `digits` hexadecimal digits of a number.
pub(super) fn write_hex(number: u64, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits).rev() {
        let nibble = usize::try_from(number >> (4 * place) & 15).unwrap_or(0);
        out.push(b"0123456789abcdef"[nibble]);
    }
}

/// Writes 128 bits as a UUID.
pub(super) fn write_uuid(high: u64, low: u64, out: &mut Vec<u8>) {
    write_hex(high >> 32, 8, out);
    out.push(b'-');
    write_hex(high >> 16, 4, out);
    out.push(b'-');
    write_hex(high, 4, out);
    out.push(b'-');
    write_hex(low >> 48, 4, out);
    out.push(b'-');
    write_hex(low, 12, out);
}

/// Writes an instant as RFC 3339 in UTC, with `fraction` digits after the second.
pub(super) fn write_time(time_ms: i64, fraction: usize, out: &mut Vec<u8>) {
    write_local_time(time_ms, fraction, out);
    out.push(b'Z');
}

/// Writes an instant as RFC 3339 with an offset of whole hours.
pub(super) fn write_time_at(time_ms: i64, offset_hours: i64, out: &mut Vec<u8>) {
    write_local_time(time_ms + offset_hours * 3_600_000, 3, out);
    out.push(if offset_hours < 0 { b'-' } else { b'+' });
    write_digits(offset_hours.unsigned_abs(), 2, out);
    out.extend_from_slice(b":00");
}

fn write_local_time(time_ms: i64, fraction: usize, out: &mut Vec<u8>) {
    let (days, ms) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000).unsigned_abs());
    write_date(days, out);
    out.push(b'T');
    write_digits(ms / 3_600_000, 2, out);
    out.push(b':');
    write_digits(ms / 60_000 % 60, 2, out);
    out.push(b':');
    write_digits(ms / 1000 % 60, 2, out);
    if fraction > 0 {
        out.push(b'.');
        write_digits(ms % 1000, 3, out);
        out.extend(std::iter::repeat_n(b'7', fraction.saturating_sub(3)));
    }
}

/// Writes a day, counted from 1970-01-01, as `YYYY-MM-DD`.
///
/// The year is taken to start in March, so that the leap day is its last; a cycle of 400 years has 146 097 days.
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let shifted = days + 719_468;
    let (cycle, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    write_digits((cycle * 400 + year + next).unsigned_abs(), 4, out);
    out.push(b'-');
    write_digits(month.unsigned_abs(), 2, out);
    out.push(b'-');
    write_digits(day.unsigned_abs(), 2, out);
}

/// Writes a JSON string; with `ascii`, everything beyond ASCII as escapes.
pub(super) fn write_string(text: &str, ascii: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, ascii, out);
    out.push(b'"');
}

/// Writes what stands between the quotes of a JSON string.
pub(super) fn write_escaped(text: &str, ascii: bool, out: &mut Vec<u8>) {
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, b'"' | b'\\') && !(ascii && byte > b'~');
    if text.bytes().all(is_plain) {
        return out.extend_from_slice(text.as_bytes());
    }
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c < ' ' || (ascii && c > '~') => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    write_hex(u64::from(*unit), 4, out);
                }
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Writes a JSON string of words that people type, of about `bytes` bytes.
pub(super) fn write_words(bytes: usize, ascii: bool, random: &mut Random, out: &mut Vec<u8>) {
    let end = out.len() + bytes;
    out.push(b'"');
    while out.len() < end {
        // Nine of ten words need no escape and are copied; the others go the long way.
        if random.chance(900) {
            out.extend_from_slice(random.pick(PLAIN).as_bytes());
        } else {
            write_escaped(random.pick(ODD), ascii, out);
        }
        out.push(b' ');
    }
    out.push(b'"');
}

const PLAIN: &[&str] = &[
    "the", "of", "meeting", "tomorrow", "please", "invoice", "lunch", "deadline", "project", "budget", "call", "me",
    "when", "you", "arrive", "thanks", "see", "attached", "report", "for", "quarter", "customer", "issue", "resolved",
    "refund", "address", "phone", "password", "reset", "latency", "alert", "rollback", "release", "checkout", "my",
];

const ODD: &[&str] = &[
    "café",
    "naïve",
    "señor",
    "über",
    "東京",
    "会議",
    "😀",
    "👍🏽",
    "\"quoted\"",
    "line\nbreak",
    "tab\there",
    "back\\slash",
    "https://shop.example/orders/8841?token=f3a9#top",
    "it's",
    "a/b",
    "{\"json\":\"inside\"}",
    "\u{7}bell",
    "\u{200d}",
    "/home/alice/taxes.pdf",
    "C:\\Users\\alice\\notes.txt",
    "alice@example.org",
    "+44 20 7946 0018",
    "null",
    "[1,2]",
];

#[cfg(test)]
mod tests {
    use super::{write_date, write_time, write_time_at};

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(written(|out| write_time(0, 0, out)), "1970-01-01T00:00:00Z");
        assert_eq!(written(|out| write_time(951_782_399_999, 3, out)), "2000-02-28T23:59:59.999Z");
        assert_eq!(written(|out| write_time(951_782_400_000, 6, out)), "2000-02-29T00:00:00.000777Z");
        assert_eq!(written(|out| write_time_at(1_795_510_530_123, -7, out)), "2026-11-24T01:55:30.123-07:00");
        assert_eq!(written(|out| write_date(-719_162, out)), "0001-01-01");
    }
}
