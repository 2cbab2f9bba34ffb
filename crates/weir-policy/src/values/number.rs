//! Numbers as JSON writes them (RFC 8259), read exactly: `1.0` and `1e2` are whole, `0.1` is one tenth.

use crate::field::Unit;

/// Returns the whole number that a JSON number is exactly equal to.
pub fn whole(text: &[u8]) -> Option<i128> {
    plain(text).map(i128::from).or_else(|| scaled(text, 0))
}

/// Reads the common case, an integer that is written as one and short enough for `i64`.
fn plain(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = matches!(digits, [b'1'..=b'9', ..] | [b'0']) && digits.len() <= PLAIN_DIGITS_MAX;
    if !is_plain {
        return None;
    }
    let size = digits.iter().try_fold(0_i64, |size, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(size * 10 + digit)
    })?;
    Some(if digits.len() < text.len() { -size } else { size })
}

/// Returns the number times 10^`scale`, if that is whole.
pub fn scaled(text: &[u8], scale: u8) -> Option<i128> {
    let number = Number::parse(text)?;
    if number.mantissa == 0 {
        return Some(0);
    }
    let exponent = u32::try_from(number.exponent + i64::from(scale)).ok()?;
    number.signed(number.mantissa.checked_mul(10_u128.checked_pow(exponent)?)?)
}

/// Returns the number as a decimal of `precision` digits, `scale` of them after the point, if it is one.
pub fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let value = scaled(text, scale)?;
    let limit = 10_u128.checked_pow(u32::from(precision))?;
    (value.unsigned_abs() < limit).then_some(value)
}

/// Returns the nearest double; none where that is infinite. −0 is 0.
pub fn float(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value + 0.0)
}

/// Returns a number of `unit` in microseconds, rounded down (towards −∞).
pub fn micros(text: &[u8], unit: Unit) -> Option<i64> {
    let number = Number::parse(text)?;
    if number.mantissa == 0 {
        return Some(0);
    }
    let nanos = number.mantissa.checked_mul(u128::from(unit.nanos().unsigned_abs()))?;
    let (nanos, divisor) = match u32::try_from(number.exponent) {
        Ok(exponent) => (nanos.checked_mul(10_u128.checked_pow(exponent)?)?, NANOS_A_MICRO),
        // A divisor that does not fit is greater than any dividend.
        Err(_) => {
            (nanos, power(-number.exponent).and_then(|power| power.checked_mul(NANOS_A_MICRO)).unwrap_or(u128::MAX))
        }
    };
    let micros = if number.negative { nanos.div_ceil(divisor) } else { nanos / divisor };
    number.signed(micros).and_then(|micros| i64::try_from(micros).ok())
}

/// Tells whether two JSON numbers are the same number.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let parts = |number: Number| match number.mantissa {
        0 => (false, 0, 0),
        mantissa => (number.negative, mantissa, number.exponent),
    };
    let (one, other) = (Number::parse(one).map(parts), Number::parse(other).map(parts));
    one.is_some() && one == other
}

/// Writes a decimal of this scale: `12.50`.
pub fn render_decimal(value: i128, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let one = 10_u128.pow(u32::from(scale));
    let (whole, part) = (value.unsigned_abs() / one, value.unsigned_abs() % one);
    match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:0width$}", width = usize::from(scale)),
    }
}

/// ± mantissa × 10^exponent, with a mantissa that 10 does not divide (unless it is 0).
struct Number {
    negative: bool,
    mantissa: u128,
    exponent: i64,
}

impl Number {
    /// Reads a JSON number of at most 38 significant digits; more cannot be exact in any of our types.
    fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut digits = Digits::default();
        let rest = digits.take(text)?;
        if rest.len() + 1 < text.len() && text[0] == b'0' {
            return None;
        }
        let (rest, fraction) = match rest.strip_prefix(b".") {
            Some(fraction) => {
                let rest = digits.take(fraction)?;
                (rest, fraction.len() - rest.len())
            }
            None => (rest, 0),
        };
        let written = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => exponent_of(exponent)?,
            _ => return None,
        };
        let fraction = i64::try_from(fraction).ok()?;
        Some(Self { negative, mantissa: digits.mantissa, exponent: written - fraction + digits.zeros })
    }

    fn signed(&self, magnitude: u128) -> Option<i128> {
        if self.negative { 0_i128.checked_sub_unsigned(magnitude) } else { i128::try_from(magnitude).ok() }
    }
}

/// Digits read so far: a mantissa, and the zeros since its last digit that is none.
#[derive(Default)]
struct Digits {
    mantissa: u128,
    zeros: i64,
}

impl Digits {
    /// Takes one digit or more, and returns what follows them.
    fn take<'t>(&mut self, text: &'t [u8]) -> Option<&'t [u8]> {
        let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        for &digit in digits {
            self.push(digit - b'0')?;
        }
        (end > 0).then_some(rest)
    }

    fn push(&mut self, digit: u8) -> Option<()> {
        if digit == 0 {
            self.zeros += 1;
            return Some(());
        }
        if self.mantissa > 0 || self.zeros == 0 {
            let shift = power(self.zeros + 1)?;
            self.mantissa = self.mantissa.checked_mul(shift)?;
        }
        self.mantissa = self.mantissa.checked_add(u128::from(digit))?;
        self.zeros = 0;
        Some(())
    }
}

/// Reads `[+-]digits`; what is beyond a billion is as good as a billion.
fn exponent_of(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0_i64, |size, digit| (size * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(sign * size)
}

fn power(exponent: i64) -> Option<u128> {
    10_u128.checked_pow(u32::try_from(exponent).ok()?)
}

/// 18 nines fit `i64`.
const PLAIN_DIGITS_MAX: usize = 18;
const NANOS_A_MICRO: u128 = 1_000;
/// No text that fits memory has so many digits that they could outweigh this exponent.
const EXPONENT_MAX: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("7", 7),
            ("1.0", 1),
            ("1e2", 100),
            ("100e-2", 1),
            ("1.50e1", 15),
            ("0e999999", 0),
            ("-9223372036854775808", i128::from(i64::MIN)),
            ("9007199254740993", 9_007_199_254_740_993),
            ("0.000000100E7", 1),
            ("1000000000000000000000000000000000000000000e-42", 1),
        ] {
            assert_eq!(whole(text.as_bytes()), Some(value), "{text}");
        }
        for text in
            ["1.5", "1e-1", "1e400", "", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", " 1", "1 ", "NaN", "00"]
        {
            assert_eq!(whole(text.as_bytes()), None, "{text}");
        }
    }

    /// The short way must say what the exact way says.
    #[test]
    fn plain_integers_are_read_as_all_numbers_are() {
        for text in
            ["0", "-0", "9", "-12", "999999999999999999", "1234567890123456789", "00", "-", "", "1e2", "1.0", "1a"]
        {
            assert_eq!(whole(text.as_bytes()), scaled(text.as_bytes(), 0), "{text}");
        }
    }

    #[test]
    fn decimals_keep_every_digit_or_are_null() {
        assert_eq!(decimal(b"12.50", 6, 2), Some(1250));
        assert_eq!(decimal(b"-0.01", 6, 2), Some(-1));
        assert_eq!(decimal(b"12.500", 6, 2), Some(1250));
        assert_eq!(decimal(b"12.505", 6, 2), None);
        assert_eq!(decimal(b"9999.99", 6, 2), Some(999_999));
        assert_eq!(decimal(b"10000", 6, 2), None);
        assert_eq!(decimal(&[b'9'; 38], 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(decimal(&[b'9'; 39], 38, 0), None);
        assert_eq!(render_decimal(-5, 2), "-0.05");
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_rounded_down() {
        assert_eq!(micros(b"48.25", Unit::Millis), Some(48_250));
        assert_eq!(micros(b"48.2999999999", Unit::Millis), Some(48_299));
        assert_eq!(micros(b"1999", Unit::Nanos), Some(1));
        assert_eq!(micros(b"-1", Unit::Nanos), Some(-1));
        assert_eq!(micros(b"1e-300", Unit::Days), Some(0));
        assert_eq!(micros(b"1e300", Unit::Nanos), None);
        assert_eq!(micros(b"106751992", Unit::Days), None);
    }

    #[test]
    fn doubles_are_finite_and_have_one_zero() {
        assert_eq!(float(b"1e400"), None);
        assert_eq!(float(b"-0").map(f64::to_bits), Some(0));
        assert_eq!(float(b"0.1"), Some(0.1));
        assert_eq!(float(b"1e-400"), Some(0.0));
    }
}
