//! Versions `MAJOR.MINOR.PATCH`, stored as three numbers.
//!
//! A pre-release or build part is free text by its nature: a version that has one is of the wrong type, and null.

/// Returns the three numbers of a version: digits without a leading zero, as semver.org has them.
pub fn parse(text: &[u8]) -> Option<[i32; 3]> {
    let (mut version, mut part, mut number, mut digits) = ([0; 3], 0, 0_i32, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' if digits == 0 || number != 0 => {
                number = number.checked_mul(10)?.checked_add(i32::from(byte - b'0'))?;
                digits += 1;
            }
            b'.' if digits > 0 && part < 2 => {
                version[part] = number;
                part += 1;
                (number, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    version[2] = number;
    (part == 2 && digits > 0).then_some(version)
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
            "00.2.3",
            "1.2.00",
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
