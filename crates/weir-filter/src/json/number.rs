//! Numbers, exactly as they are written.
//!
//! A number is kept as decimal digits and a power of ten, so that whether it is whole, and whether it fits, is decided
//! without rounding: 1.0 is whole, 2^53 + 1 stays itself, 1e400 is large and not infinite.

use super::cursor::NotJson;
use weir_policy::{Unit, values};

/// A number: `± digits × 10^exponent`.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    start: usize,
    end: usize,
    negative: bool,
    /// The digits as an integer, zeros at both ends left out where there are more than 19.
    digits: Option<u128>,
    exponent: i64,
}

/// Why a number is not what it is asked for as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Not a whole number of the unit.
    Fraction,
    /// Too large to hold.
    Huge,
}

impl Number {
    /// Reads the number at `start`; returns where it ends.
    #[inline]
    pub(crate) fn read(text: &[u8], start: usize) -> Result<(Self, usize), NotJson> {
        let negative = text.get(start) == Some(&b'-');
        let first = start + usize::from(negative);
        let mut digits = 0_u64;
        let mut end = first;
        while let Some(digit) = digit(text, end) {
            digits = digits.wrapping_mul(10).wrapping_add(digit);
            end += 1;
        }
        // RFC 8259: `int = zero / ( digit1-9 *DIGIT )`.
        if end == first || (text[first] == b'0' && end > first + 1) {
            return Err(NotJson);
        }
        let whole = end - first;
        let mut fraction = 0;
        if text.get(end) == Some(&b'.') {
            let point = end;
            end += 1;
            while let Some(digit) = digit(text, end) {
                digits = digits.wrapping_mul(10).wrapping_add(digit);
                end += 1;
            }
            fraction = end - point - 1;
            if fraction == 0 {
                return Err(NotJson);
            }
        }
        let is_short = whole + fraction <= SHORT;
        if is_short && !matches!(text.get(end), Some(b'e' | b'E')) {
            let exponent = -i64::try_from(fraction).unwrap_or(i64::MAX);
            return Ok((Self { start, end, negative, digits: Some(digits.into()), exponent }, end));
        }
        Self::read_long(text, start, first..end)
    }

    /// Reads on where there is an exponent, or where the digits did not fit.
    #[cold]
    fn read_long(text: &[u8], start: usize, mantissa: std::ops::Range<usize>) -> Result<(Self, usize), NotJson> {
        let (digits, trailing) = significant(&text[mantissa.clone()]);
        let mut end = mantissa.end;
        let mut power = 0_i64;
        if matches!(text.get(end), Some(b'e' | b'E')) {
            let sign = text.get(end + 1).copied().filter(|byte| matches!(byte, b'+' | b'-'));
            let first = end + 1 + usize::from(sign.is_some());
            end = first;
            while let Some(digit) = digit(text, end) {
                // Past this no value of any type is left, and the sum below cannot overflow.
                power = (power * 10 + i64::try_from(digit).unwrap_or_default()).min(EXPONENT_MAX);
                end += 1;
            }
            if end == first {
                return Err(NotJson);
            }
            if sign == Some(b'-') {
                power = -power;
            }
        }
        let number =
            Self { start, end, negative: text[start] == b'-', digits, exponent: power.saturating_add(trailing) };
        Ok((number, end))
    }

    /// Returns the number times 10^`scale`, if that is whole.
    #[inline]
    pub(crate) fn whole(&self, scale: u8) -> Result<i128, Unfit> {
        let exponent = self.exponent + i64::from(scale);
        let reason = if exponent < 0 { Unfit::Fraction } else { Unfit::Huge };
        let digits = self.digits.and_then(|digits| i128::try_from(digits).ok()).ok_or(reason)?;
        let magnitude = if exponent == 0 || digits == 0 { digits } else { shift(digits, exponent)? };
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    /// Returns a number of a unit in µs, rounded down; none where it is too large.
    pub(crate) fn micros(&self, text: &[u8], unit: Unit) -> Option<i64> {
        values::number::micros(&text[self.range()], unit)
    }

    /// Returns the nearest double, −0 as 0; infinite where the number is too large.
    #[inline]
    pub(crate) fn float(&self, text: &[u8]) -> f64 {
        const EXACT_DIGITS: u128 = 1 << 53;
        let power = usize::try_from(-self.exponent).ok().and_then(|places| POWERS.get(places));
        if let (Some(digits), Some(power)) = (self.digits.filter(|digits| *digits <= EXACT_DIGITS), power) {
            // Both are exact, so one division rounds once (Clinger).
            #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "at most 2^53, so exact")]
            let magnitude = digits as f64 / power;
            return if self.negative { 0.0 - magnitude } else { magnitude };
        }
        let written = std::str::from_utf8(&text[self.range()]).expect("a number is ASCII");
        let nearest: f64 = written.parse().expect("RFC 8259's numbers are a subset of what is parsed");
        nearest + 0.0
    }

    /// Returns where it is written.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    /// Tells whether it is an integer without sign, point and exponent.
    pub(crate) fn is_plain(&self, text: &[u8]) -> bool {
        text[self.range()].iter().all(u8::is_ascii_digit)
    }
}

/// So many digits always fit 64 bits.
const SHORT: usize = 19;
/// An exponent that is written larger is taken as this.
const EXPONENT_MAX: i64 = 1 << 40;
/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

#[inline]
fn digit(text: &[u8], at: usize) -> Option<u64> {
    let value = text.get(at)?.wrapping_sub(b'0');
    (value < 10).then_some(value.into())
}

/// Returns the significant digits of `digits[.digits]` (none if they do not fit), and the exponent of the last.
fn significant(mantissa: &[u8]) -> (Option<u128>, i64) {
    let point = mantissa.iter().position(|byte| *byte == b'.');
    let fraction = point.map_or(0, |point| mantissa.len() - point - 1);
    let mut digits = Some(0_u128);
    // Zeros wait until a digit follows: those at the end only move the exponent.
    let mut zeros = 0_u32;
    for byte in mantissa.iter().filter(|byte| **byte != b'.') {
        if *byte == b'0' {
            zeros += 1;
            continue;
        }
        if digits != Some(0) {
            digits = digits.and_then(|digits| digits.checked_mul(10_u128.checked_pow(zeros)?));
        }
        digits = digits.and_then(|digits| digits.checked_mul(10)?.checked_add(u128::from(byte - b'0')));
        zeros = 0;
    }
    (digits, i64::from(zeros) - i64::try_from(fraction).unwrap_or(i64::MAX))
}

/// Returns `digits × 10^exponent`, if that is whole and fits.
fn shift(digits: i128, exponent: i64) -> Result<i128, Unfit> {
    let reason = if exponent < 0 { Unfit::Fraction } else { Unfit::Huge };
    let places = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
    let power = 10_i128.checked_pow(places).ok_or(reason)?;
    if exponent > 0 {
        return digits.checked_mul(power).ok_or(Unfit::Huge);
    }
    if digits % power == 0 { Ok(digits / power) } else { Err(Unfit::Fraction) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Number, NotJson> {
        let (number, end) = Number::read(text.as_bytes(), 0)?;
        if end == text.len() { Ok(number) } else { Err(NotJson) }
    }

    #[test]
    fn the_grammar_is_that_of_rfc_8259() {
        for good in ["0", "-0", "0.0", "10", "1.5", "-1.5e+10", "1E5", "0e0", "1e-0", "123456789012345678901234567890"]
        {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "00", "01", "-01", ".5", "1.", "1.e5", "1e", "1e+", "+1", "0x1", "1_0", "--1", "NaN"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        let huge_and_one = format!("1{}", "0".repeat(60));
        for (text, scale, want) in [
            ("1.0", 0, Ok(1)),
            ("-0", 0, Ok(0)),
            ("1e3", 0, Ok(1000)),
            ("100e-2", 0, Ok(1)),
            ("9007199254740993", 0, Ok(9_007_199_254_740_993)),
            ("-9223372036854775808", 0, Ok(i128::from(i64::MIN))),
            ("18446744073709551615", 0, Ok(i128::from(u64::MAX))),
            ("1.5", 0, Err(Unfit::Fraction)),
            ("1.25", 2, Ok(125)),
            ("1.255", 2, Err(Unfit::Fraction)),
            ("1e400", 0, Err(Unfit::Huge)),
            ("1e-400", 0, Err(Unfit::Fraction)),
            ("0e400", 0, Ok(0)),
            ("0.000e-99999999999999999999", 0, Ok(0)),
            ("1e99999999999999999999", 0, Err(Unfit::Huge)),
            ("1.00000000000000000000000000000000000000000000", 0, Ok(1)),
            ("1.00000000000000000000000000000000000000000001", 0, Err(Unfit::Fraction)),
            ("123456789012345678901234567890123456789012345", 0, Err(Unfit::Huge)),
            ("0.123456789012345678901234567890123456789012345", 0, Err(Unfit::Fraction)),
            (&huge_and_one, 0, Err(Unfit::Huge)),
            ("99999999999999999999999999999999999999", 0, Ok(10_i128.pow(38) - 1)),
        ] {
            assert_eq!(read(text).unwrap().whole(scale), want, "{text}");
        }
        assert_eq!(read("-1.5").unwrap().micros(b"-1.5", Unit::Seconds), Some(-1_500_000));
    }

    #[test]
    fn floats_are_the_nearest() {
        for text in
            ["0.1", "-0.0", "1e22", "1e23", "123.456", "5e-324", "1e-400", "9007199254740993", "0.30000000000000004"]
        {
            let want = text.parse::<f64>().unwrap() + 0.0;
            assert_eq!(read(text).unwrap().float(text.as_bytes()).to_bits(), want.to_bits(), "{text}");
        }
        assert!(read("1e400").unwrap().float(b"1e400").is_infinite());
    }
}
