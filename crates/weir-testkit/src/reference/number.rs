//! Numbers as their decimal digits, of any length, so that no rounding can hide.

/// A number of JSON: `digits × 10^exponent`, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Digits, the most significant first, without zeros at either end; empty for zero.
    digits: Vec<u8>,
    exponent: i64,
}

/// Why a number is not what it was asked for as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has a part smaller than one.
    Fraction,
    /// It is too large for 128 bits.
    Huge,
}

impl Decimal {
    /// Takes apart a number that the grammar of RFC 8259 has accepted.
    pub fn of(written: &str) -> Self {
        let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.chars().chain(fraction.chars()).filter_map(|c| c.to_digit(10));
        let mut number = Self {
            negative: written.starts_with('-'),
            digits: digits.filter_map(|digit| u8::try_from(digit).ok()).collect(),
            exponent: saturating(exponent) - i64::try_from(fraction.len()).unwrap_or(0),
        };
        number.trim();
        number
    }

    /// Returns the number times 10^`places`.
    #[must_use]
    pub fn shifted(mut self, places: i64) -> Self {
        self.exponent += places;
        self.trim();
        self
    }

    /// Returns the number times `factor`, by the method learned in school.
    #[must_use]
    pub fn times(mut self, factor: u64) -> Self {
        let mut carry: u128 = 0;
        for digit in self.digits.iter_mut().rev() {
            carry += u128::from(*digit) * u128::from(factor);
            *digit = u8::try_from(carry % 10).unwrap_or(0);
            carry /= 10;
        }
        while carry > 0 {
            self.digits.insert(0, u8::try_from(carry % 10).unwrap_or(0));
            carry /= 10;
        }
        self.trim();
        self
    }

    /// Tells whether the digits, with the power of ten left aside, times `factor` have at most 128 bits.
    pub fn fits_after(&self, factor: u64) -> bool {
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let number: Option<u128> = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
        number.is_some_and(|number| number.checked_mul(factor.into()).is_some())
    }

    /// Returns the greatest whole number that is not above this one.
    #[must_use]
    pub fn floor(mut self) -> Self {
        if self.exponent >= 0 {
            return self;
        }
        let places = usize::try_from(-self.exponent).unwrap_or(usize::MAX);
        self.digits.truncate(self.digits.len().saturating_sub(places));
        self.exponent = 0;
        if self.negative {
            // What was cut off was not zero, or the exponent would not be negative: one further from zero.
            self.digits = plus_one(self.digits);
        }
        self.trim();
        self
    }

    /// Returns the number as an integer.
    ///
    /// # Errors
    /// Fails when it is not whole or has more than 128 bits.
    pub fn whole(&self) -> Result<i128, Unfit> {
        if self.digits.is_empty() {
            return Ok(0);
        }
        let zeros = usize::try_from(self.exponent).map_err(|_negative| Unfit::Fraction)?;
        if zeros > 40 || self.digits.len() > 40 {
            return Err(Unfit::Huge);
        }
        let mut text = if self.negative { String::from("-") } else { String::new() };
        text.extend(self.digits.iter().map(|digit| char::from(b'0' + digit)));
        text.extend(std::iter::repeat_n('0', zeros));
        text.parse().map_err(|_beyond| Unfit::Huge)
    }

    fn trim(&mut self) {
        let zeros = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..zeros);
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.exponent += 1;
        }
        if self.digits.is_empty() {
            (self.negative, self.exponent) = (false, 0);
        }
    }
}

/// Reads an exponent; the sign aside, what has more than 15 digits is as good as the largest of 15.
fn saturating(exponent: &str) -> i64 {
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, exponent.trim_start_matches('+')),
    };
    let digits = digits.trim_start_matches('0');
    let size = if digits.len() > 15 { 999_999_999_999_999 } else { digits.parse().unwrap_or(0) };
    sign * size
}

fn plus_one(mut digits: Vec<u8>) -> Vec<u8> {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return digits;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
    digits
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Unfit};

    #[test]
    fn spelling_does_not_matter() {
        for spelling in ["100", "1e2", "1E+2", "100.00", "0.1e3", "1000e-1", "10000000000000000000e-17"] {
            assert_eq!(Decimal::of(spelling).whole(), Ok(100), "{spelling}");
        }
        for zero in ["0", "-0", "0.0", "0e400", "-0.000e-99999999999999999999"] {
            assert_eq!(Decimal::of(zero), Decimal::of("0"), "{zero}");
        }
    }

    #[test]
    fn edges_are_exact() {
        assert_eq!(Decimal::of("9007199254740993").whole(), Ok(9_007_199_254_740_993));
        assert_eq!(Decimal::of("-170141183460469231731687303715884105728").whole(), Ok(i128::MIN));
        assert_eq!(Decimal::of("170141183460469231731687303715884105728").whole(), Err(Unfit::Huge));
        assert_eq!(Decimal::of("1e400").whole(), Err(Unfit::Huge));
        assert_eq!(Decimal::of("1e99999999999999999999").whole(), Err(Unfit::Huge));
        assert_eq!(Decimal::of("1e-99999999999999999999").whole(), Err(Unfit::Fraction));
        assert_eq!(Decimal::of("0.1").whole(), Err(Unfit::Fraction));
        assert_eq!(Decimal::of("12.50").shifted(2).whole(), Ok(1250));
    }

    #[test]
    fn floor_goes_down() {
        let floor = |text: &str| Decimal::of(text).floor().whole();
        assert_eq!(floor("1.999"), Ok(1));
        assert_eq!(floor("-1.001"), Ok(-2));
        assert_eq!(floor("-1e-400"), Ok(-1));
        assert_eq!(floor("1e-400"), Ok(0));
        assert_eq!(floor("-9.5"), Ok(-10));
        assert_eq!(Decimal::of("48.2999").times(1_000_000).shifted(-3).floor().whole(), Ok(48_299));
    }
}
