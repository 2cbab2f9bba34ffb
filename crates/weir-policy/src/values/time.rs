//! RFC 3339 instants, in microseconds since 1970-01-01T00:00:00Z.

/// Reads an RFC 3339 `date-time`.
///
/// Strict: `T` (or `t`) between date and time, `Z` (or `z`) or a numeric offset at the end. Digits beyond the
/// microsecond are dropped. A leap second (`23:59:60` of UTC, and only there) is read as the last microsecond of its
/// day, so that it stays in it.
#[inline]
pub fn parse(text: &[u8]) -> Option<i64> {
    text.as_array().and_then(in_millis).or_else(|| parse_any(text))
}

/// Reads what nearly all instants are, eight bytes at once: `2026-11-23T10:15:30.123Z`; none says nothing.
#[inline]
fn in_millis(text: &[u8; 24]) -> Option<i64> {
    const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";
    let mut digits = [0; 24];
    let mut odd = 0;
    for (digit, (byte, form)) in digits.iter_mut().zip(text.iter().zip(FORM)) {
        // What is left is a digit where one belongs, and nothing elsewhere.
        *digit = byte ^ form;
        let most = if *form == b'0' { 9 } else { 0 };
        odd |= u8::from(*digit > most);
    }
    let two = |at: usize| i64::from(digits[at]) * 10 + i64::from(digits[at + 1]);
    let (hour, minute, second) = (two(11), two(14), two(17));
    if odd != 0 || hour >= 24 || minute >= 60 || second >= 60 {
        return None;
    }
    let days = days(two(0) * 100 + two(2), two(5), two(8))?;
    let millis = two(20) * 10 + i64::from(digits[22]);
    Some((((i64::from(days) * 24 + hour) * 60 + minute) * 60 + second) * MICROS + millis * 1_000)
}

/// Reads an instant in any form.
fn parse_any(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let [b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2] = *time else { return None };
    let days = days(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let (hour, minute, second) = (below(24, &[h1, h2])?, below(60, &[n1, n2])?, below(61, &[s1, s2])?);
    let (micros, rest) = fraction(rest)?;
    let offset_minutes = offset(rest)?;
    let minutes = (i64::from(days) * 24 + hour) * 60 + minute - offset_minutes;
    if second < 60 {
        return Some((minutes * 60 + second) * MICROS + micros);
    }
    let last_of_day = minutes.rem_euclid(24 * 60) == 24 * 60 - 1;
    last_of_day.then_some((minutes + 1) * 60 * MICROS - 1)
}

/// Returns the days since 1970-01-01 of a date of the Gregorian calendar; none if there is no such date.
pub fn days(year: i64, month: i64, day: i64) -> Option<i32> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > length {
        return None;
    }
    // The year starts in March, so that the leap day is its last: whole years, then whole months, then days.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_months = (153 * month + 2) / 5;
    i32::try_from(of_years + of_months + day - 1 - DAYS_TO_1970).ok()
}

/// Returns year, month and day of a day since 1970-01-01.
pub fn date(days: i32) -> (i64, i64, i64) {
    let days = i64::from(days) + DAYS_TO_1970;
    let of_cycle = days.rem_euclid(DAYS_OF_400_YEARS);
    let of_cycle_years = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let day_of_year = of_cycle - (365 * of_cycle_years + of_cycle_years / 4 - of_cycle_years / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = days.div_euclid(DAYS_OF_400_YEARS) * 400 + of_cycle_years;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Writes a day since 1970-01-01 as `2026-11-23`.
pub fn render_day(day: i32) -> String {
    let (year, month, day) = date(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes an instant as `2026-11-23T10:15:30Z`, with six more digits if it is not a whole second.
pub fn render(time_us: i64) -> String {
    let day = i32::try_from(time_us.div_euclid(DAY)).expect("an i64 of microseconds is less than i32 days");
    let (second, micros) = (time_us.rem_euclid(DAY) / MICROS, time_us.rem_euclid(MICROS));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    format!("{}T{hour:02}:{minute:02}:{second:02}{fraction}Z", render_day(day))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

fn below(limit: i64, digits: &[u8]) -> Option<i64> {
    number(digits).filter(|number| *number < limit)
}

/// Reads `.digits`, if there, as microseconds; returns what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let micros = (0..6).try_fold(0, |micros, place| {
        let digit = digits.get(place).map_or(0, |byte| i64::from(byte - b'0'));
        Some(micros * 10 + digit)
    })?;
    (end > 0).then_some((micros, rest))
}

/// Reads `Z` or `±hh:mm`, in minutes east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = below(24, &[h1, h2])? * 60 + below(60, &[m1, m2])?;
            Some(if sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400 * MICROS;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;
const DAYS_OF_400_YEARS: i64 = 146_097;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_utc_to_the_microsecond() {
        for (text, rendered) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2026-11-23T10:15:30.123Z", "2026-11-23T10:15:30.123000Z"),
            ("2024-02-29t23:59:59.999z", "2024-02-29T23:59:59.999000Z"),
            ("2016-12-31T23:59:60.000Z", "2016-12-31T23:59:59.999999Z"),
            ("2026-11-23t10:15:30.1234567z", "2026-11-23T10:15:30.123456Z"),
            ("2024-02-29T23:59:59-05:30", "2024-03-01T05:29:59Z"),
            ("0000-01-01T00:00:00+23:59", "-001-12-31T00:01:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
            ("2017-01-01T00:59:60.5+01:00", "2016-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(parse(text.as_bytes()).map(render).as_deref(), Some(rendered), "{text}");
        }
    }

    #[test]
    fn what_is_not_rfc_3339_is_null() {
        for text in [
            "",
            "2026-11-23",
            "2026-11-23 10:15:30Z",
            "2026-11-23T10:15:30",
            "2026-11-23T10:15Z",
            "2026-13-01T00:00:00Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-02-30T00:00:00.000Z",
            "2026-11-23T24:00:00.000Z",
            "2026-11-23T10:60:00.000Z",
            "2026-11-23T10:15:60.000Z",
            "2026-11-23T10:15:3:.000Z",
            "2026-11-23T10:15:30:000Z",
            "2026-11-23T10:15:30.00/Z",
            "2026-11-23T10:15:30.0000",
            "2025-02-29T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T10:60:00Z",
            "2026-11-23T10:15:60Z",
            "2026-11-23T10:15:30.Z",
            "2026-11-23T10:15:30+0100",
            "2026-11-23T10:15:30+24:00",
            "26-11-23T10:15:30Z",
            "2026-11-23T10:15:30ZZ",
            "+026-11-23T10:15:30Z",
            "2026-1\u{663}-23T10:15:30Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn every_byte_of_an_instant_counts() {
        let text = *b"2024-02-29T23:59:59.999Z";
        for place in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut other = text;
                other[place] = byte;
                assert_eq!(parse(&other), parse_any(&other), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for day in (-800_000..3_000_000).step_by(97) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
    }
}
