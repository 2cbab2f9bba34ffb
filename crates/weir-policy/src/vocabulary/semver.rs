//! Versions `MAJOR.MINOR.PATCH`, stored as three numbers.
//!
//! A pre-release or build part is free text by its nature: a version that has one is of the wrong type, and null.

/// Returns the three numbers of a version.
pub fn parse(text: &[u8]) -> Option<[i32; 3]> {
    let mut parts = text.split(|&byte| byte == b'.');
    let version = [number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?];
    parts.next().is_none().then_some(version)
}

/// Reads digits without a leading zero, as semver.org has them.
fn number(digits: &[u8]) -> Option<i32> {
    let leading_zero = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || leading_zero {
        return None;
    }
    digits.iter().try_fold(0_i32, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
