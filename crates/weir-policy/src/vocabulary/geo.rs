//! Places, stored as the geohash cell of four characters (about 39 × 20 km at the equator) they lie in.
//!
//! Read are `52.52,13.405` and RFC 5870 `geo:52.52,13.405` (altitude and parameters are skipped); latitude first.

use super::Token;

/// Returns the token of the cell in which a place lies.
pub fn token(text: &[u8]) -> Option<Token> {
    let text = std::str::from_utf8(text).ok()?;
    let place = match text.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            rest.split_once(';').map_or(rest, |(place, _)| place)
        }
        _ => text,
    };
    let with_altitude = place.len() != text.len();
    let (latitude, rest) = place.split_once(',')?;
    let longitude = match rest.split_once(',') {
        Some((longitude, altitude)) if with_altitude => {
            coordinate(altitude, f64::MAX)?;
            longitude
        }
        _ => rest,
    };
    let (latitude, longitude) = (coordinate(latitude, 90.0)?, coordinate(longitude, 180.0)?);
    Some(Token(interleave(bisect(longitude, 180.0), bisect(latitude, 90.0)) + 1))
}

/// Returns the four characters of the cell.
pub fn render(token: Token) -> String {
    let cell = token.number().saturating_sub(1);
    [15, 10, 5, 0]
        .into_iter()
        .map(|shift| {
            let letter = usize::try_from(cell >> shift & 31).expect("five bits");
            char::from(ALPHABET[letter])
        })
        .collect()
}

/// Reads `[-]digits[.digits]` (with spaces around it) whose size is at most `limit`.
fn coordinate(text: &str, limit: f64) -> Option<f64> {
    let text = text.trim_matches(' ');
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    (value.abs() <= limit).then_some(value)
}

/// Returns the ten bits that halving `[-limit, limit]` gives: 1 where the value is in the upper half.
///
/// Every bound is a multiple of 45/1024 and so exact in binary: no rounding can move a place to another cell.
fn bisect(value: f64, limit: f64) -> u32 {
    let (mut low, mut high, mut bits) = (-limit, limit, 0);
    for _ in 0..10 {
        let middle = f64::midpoint(low, high);
        bits <<= 1;
        if value >= middle {
            bits |= 1;
            low = middle;
        } else {
            high = middle;
        }
    }
    bits
}

/// Returns 20 bits, longitude and latitude in turn, longitude first.
fn interleave(longitude: u32, latitude: u32) -> u32 {
    (0..10).fold(0, |bits, place| {
        bits | (longitude >> place & 1) << (2 * place + 1) | (latitude >> place & 1) << (2 * place)
    })
}

const SCHEME: &str = "geo:";
const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        token(text.as_bytes()).map(render)
    }

    #[test]
    fn places_become_cells() {
        for (text, cell) in [
            ("52.52,13.405", "u33d"),
            ("geo:52.52,13.405", "u33d"),
            ("GEO:52.52,13.405,34;u=10", "u33d"),
            ("-33.86, 151.21", "r3gx"),
            ("90,180", "zzzz"),
            ("-90,-180", "0000"),
            ("0,0", "s000"),
            ("57.64911,10.40744", "u4pr"),
        ] {
            assert_eq!(read(text).as_deref(), Some(cell), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_null() {
        for text in [
            "",
            "52.52",
            "91,0",
            "0,181",
            "52.52,13.405,34",
            "geo:52.52",
            "1e1,2",
            "NaN,0",
            "inf,0",
            "+1,2",
            ".5,1",
            "a,b",
            "1.,2",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
