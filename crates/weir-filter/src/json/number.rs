//! Numbers, exactly as they are written.
//!
//! A number is kept as decimal digits and a power of ten, so that whether it is whole, and whether it fits, is decided
//! without rounding: 1.0 is whole, 2^53 + 1 stays itself, 1e400 is large and not infinite.

use super::cursor::NotJson;
use super::text::Marked;
use weir_policy::{Unit, values};

/// A number: `± digits × 10^exponent`.
#[derive(Clone, Copy)]
pub(crate) struct Number {
    start: usize,
    end: usize,
    negative: bool,
    digits: Digits,
    exponent: i64,
}

/// The digits as an integer.
#[derive(Clone, Copy)]
enum Digits {
    /// As they stand.
    Short(u64),
    /// Zeros at both ends left out; none if the rest do not fit.
    Long(Option<u128>),
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
    /// Reads the number at `start`.
    #[inline(always)]
    pub(crate) fn read(text: &[u8], start: usize) -> Result<Self, NotJson> {
        let negative = text.get(start) == Some(&b'-');
        let first = start + usize::from(negative);
        let whole = Run::read(text, first);
        let mut end = first + whole.length;
        // RFC 8259: `int = zero / ( digit1-9 *DIGIT )`.
        if whole.length == 0 || (whole.length > 1 && text[first] == b'0') {
            return Err(NotJson);
        }
        let (mut digits, mut fraction) = (whole.value, 0);
        if text.get(end) == Some(&b'.') {
            let run = Run::read(text, end + 1);
            if run.length == 0 {
                return Err(NotJson);
            }
            fraction = run.length;
            end += 1 + fraction;
            if whole.length + fraction <= SHORT {
                digits = digits * TENS[fraction] + run.value;
            }
        }
        let is_short = whole.length + fraction <= SHORT;
        if is_short && !matches!(text.get(end), Some(b'e' | b'E')) {
            let exponent = -i64::try_from(fraction).unwrap_or(i64::MAX);
            return Ok(Self { start, end, negative, digits: Digits::Short(digits), exponent });
        }
        Self::read_long(text, start, first..end)
    }

    /// Reads on where there is an exponent, or where the digits did not fit.
    #[cold]
    fn read_long(text: &[u8], start: usize, mantissa: std::ops::Range<usize>) -> Result<Self, NotJson> {
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
        let (negative, exponent) = (text[start] == b'-', power.saturating_add(trailing));
        Ok(Self { start, end, negative, digits: Digits::Long(digits), exponent })
    }

    /// Returns the number if it was written without point and exponent, and fits.
    #[inline(always)]
    pub(crate) fn long(&self) -> Option<i64> {
        let Digits::Short(digits) = self.digits else { return None };
        let magnitude = i64::try_from(digits).ok()?;
        (self.exponent == 0).then_some(if self.negative { -magnitude } else { magnitude })
    }

    /// Returns the number times 10^`scale`, if that is whole.
    #[inline]
    pub(crate) fn whole(&self, scale: u8) -> Result<i128, Unfit> {
        let exponent = self.exponent + i64::from(scale);
        let reason = if exponent < 0 { Unfit::Fraction } else { Unfit::Huge };
        let digits = match self.digits {
            Digits::Short(digits) => digits.into(),
            Digits::Long(digits) => digits.and_then(|digits| i128::try_from(digits).ok()).ok_or(reason)?,
        };
        let magnitude = if exponent == 0 || digits == 0 { digits } else { shift(digits, exponent)? };
        Ok(if self.negative { -magnitude } else { magnitude })
    }

    /// Returns a number of a unit in µs, rounded down; none where it is too large.
    pub(crate) fn micros(&self, text: &[u8], unit: Unit) -> Option<i64> {
        values::number::micros(&text[self.range()], unit)
    }

    /// Returns the nearest double, −0 as 0; infinite where the number is too large.
    #[inline(always)]
    pub(crate) fn float(&self, text: &[u8]) -> f64 {
        const EXACT_DIGITS: u64 = 1 << 53;
        let power = usize::try_from(-self.exponent).ok().and_then(|places| POWERS.get(places));
        if let (Digits::Short(digits @ ..=EXACT_DIGITS), Some(power)) = (self.digits, power) {
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

/// A number of few digits, without sign and exponent: `digits ÷ 10^places`, as nearly all are.
#[derive(Clone, Copy)]
pub(crate) struct Short {
    digits: u64,
    places: usize,
    end: usize,
}

impl Short {
    /// Reads the number at `start`; none where it is of another kind, or none at all.
    #[inline(always)]
    pub(crate) fn read(text: impl Marked, start: usize) -> Option<Self> {
        let whole = Few::read(text, start)?;
        // RFC 8259: `int = zero / ( digit1-9 *DIGIT )`.
        if whole.length > 1 && whole.first == b'0' {
            return None;
        }
        let end = start + whole.length;
        let short = if whole.after == b'.' {
            let fraction = Few::read(text, end + 1)?;
            let digits = whole.value * TENS[fraction.length] + fraction.value;
            let end = end + 1 + fraction.length;
            (Self { digits, places: fraction.length, end }, fraction.after)
        } else {
            (Self { digits: whole.value, places: 0, end }, whole.after)
        };
        (short.1 | 0x20 != b'e').then_some(short.0)
    }

    /// Returns the number if it was written without a point.
    #[inline(always)]
    pub(crate) fn whole(&self) -> Option<i64> {
        (self.places == 0).then_some(self.digits.cast_signed())
    }

    /// Returns the nearest double.
    #[inline(always)]
    pub(crate) fn float(&self) -> f64 {
        // Both are exact, so one division rounds once (Clinger).
        #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "at most 14 digits, so exact")]
        let float = self.digits as f64 / POWERS[self.places];
        float
    }

    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

/// One to seven digits one after the other.
struct Few {
    value: u64,
    length: usize,
    first: u8,
    /// The byte behind them.
    after: u8,
}

impl Few {
    #[inline(always)]
    fn read(text: impl Marked, at: usize) -> Option<Self> {
        let raw = text.eight(at);
        let (bytes, bits) = digits(raw);
        if bits == 0 || bits == u64::BITS {
            return None;
        }
        #[expect(clippy::as_conversions, reason = "at most eight")]
        let length = (bits / 8) as usize;
        let [first, ..] = raw.to_le_bytes();
        let [after, ..] = (raw >> bits).to_le_bytes();
        Some(Self { value: join(bytes << (u64::BITS - bits)), length, first, after })
    }
}

/// Returns each of eight bytes as its digit, and how many bits are digits before the first byte that is none.
#[inline(always)]
fn digits(raw: u64) -> (u64, u32) {
    // Each byte becomes its digit; what is none has a high nibble, or more than 9.
    let bytes = raw ^ 0x3030_3030_3030_3030;
    let others = (bytes | ((bytes & 0x7F7F_7F7F_7F7F_7F7F) + 0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080;
    (bytes, others.trailing_zeros() & !7)
}

/// Returns the number that eight digits make, the first of them lowest.
#[inline(always)]
fn join(digits: u64) -> u64 {
    let pairs = (digits * 10 + (digits >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    (fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF
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

/// 10 to the power of the place, as far as short numbers need it.
const TENS: [u64; SHORT + 1] = {
    let mut tens = [1; SHORT + 1];
    let mut place = 1;
    while place <= SHORT {
        tens[place] = tens[place - 1] * 10;
        place += 1;
    }
    tens
};

/// Digits one after the other.
struct Run {
    /// The number they make, if they are no more than [`SHORT`].
    value: u64,
    length: usize,
}

impl Run {
    /// Reads eight bytes at once: how many digits there are is a count and not a branch.
    #[inline(always)]
    fn read(text: &[u8], at: usize) -> Self {
        let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk()) else {
            return Self::read_slowly(text, at);
        };
        let (bytes, bits) = digits(u64::from_le_bytes(*bytes));
        if bits == u64::BITS {
            return Self::read_slowly(text, at);
        }
        // The digits move to the end, behind zeros.
        let value = if bits == 0 { 0 } else { join(bytes << (u64::BITS - bits)) };
        #[expect(clippy::as_conversions, reason = "at most eight")]
        let length = (bits / 8) as usize;
        Self { value, length }
    }

    /// Reads digit by digit where there are many, or where the text ends soon.
    #[cold]
    fn read_slowly(text: &[u8], at: usize) -> Self {
        let (mut value, mut end) = (0_u64, at);
        while let Some(digit) = digit(text, end) {
            value = value.wrapping_mul(10).wrapping_add(digit);
            end += 1;
        }
        Self { value, length: end - at }
    }
}

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
    use super::super::text::Far;
    use super::*;

    fn read(text: &str) -> Result<Number, NotJson> {
        let number = Number::read(text.as_bytes(), 0)?;
        if number.end == text.len() { Ok(number) } else { Err(NotJson) }
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
    fn short_numbers_are_what_all_numbers_are() {
        let mut met = 0;
        for (whole, fraction) in [0, 7, 10, 99, 123_456, 1_234_567, 12_345_678].into_iter().flat_map(|whole| {
            ["", ".", ".0", ".5", ".25", ".1234567", ".12345678", ".a", ".5.", "e1", "E", ".5e1"]
                .map(|end| (whole, end))
        }) {
            for (before, after) in [("", ",\"rest\":1}"), ("0", "}        "), ("-", "        "), ("", "")] {
                let text = format!("{before}{whole}{fraction}{after}");
                let far = Far { text: text.as_bytes(), marks: &[], backslashes: &[] };
                let Some(short) = Short::read(far, 0) else { continue };
                let number = Number::read(text.as_bytes(), 0).unwrap();
                assert_eq!(short.end(), number.end, "{text}");
                assert_eq!(short.whole(), number.long(), "{text}");
                assert_eq!(short.float().to_bits(), number.float(text.as_bytes()).to_bits(), "{text}");
                met += 1;
            }
        }
        assert!(met > 20, "{met} are short");
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
