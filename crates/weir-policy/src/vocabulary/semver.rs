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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_and_nothing_else_are_a_version() {
        assert_eq!(parse(b"3.14.1"), Some([3, 14, 1]));
        assert_eq!(parse(b"0.0.2147483647"), Some([0, 0, i32::MAX]));
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "1.02.3",
            "1.2.3-beta",
            "1.2.3+5",
            "1.2.2147483648",
            "1..3",
            "1.2.+3",
            " 1.2.3",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
