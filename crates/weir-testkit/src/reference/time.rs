//! RFC 3339 times, by counting: every year and month since 1970 one by one.

/// Reads a time; returns µs since 1970, what is finer cut off.
///
/// A leap second is read as the last µs before it ends, and accepted where UTC can have one: at the end of a day.
pub fn micros(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (date, rest) = upper.split_once('T')?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = (rest.get(..zone_at)?, rest.get(zone_at..)?);
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, millionths(fraction)?),
        None => (clock, 0),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minutes = days(year, month, day)? * 24 * 60 + hour * 60 + minute - offset_minutes(zone)?;
    if second < 60 {
        return Some((minutes * 60 + second) * 1_000_000 + fraction);
    }
    let ends_a_day = (minutes + 1).rem_euclid(24 * 60) == 0;
    ends_a_day.then_some((minutes + 1) * 60 * 1_000_000 - 1)
}

/// Returns the UTC day of an instant in µs, and the instant rounded down to a multiple of `step` µs.
pub fn day_and_floor(micros: i64, step: i64) -> (i64, i64) {
    (micros.div_euclid(24 * 3600 * 1_000_000), micros.div_euclid(step) * step)
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let parts: [&str; N] = parts.try_into().ok()?;
    let mut numbers = [0; N];
    for ((number, part), width) in numbers.iter_mut().zip(parts).zip(widths) {
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

fn millionths(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded: String = fraction.chars().chain("000000".chars()).take(6).collect();
    padded.parse().ok()
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return None;
    }
    let of_years: i64 =
        if year >= 1970 { (1970..year).map(year_days).sum() } else { -(year..1970).map(year_days).sum::<i64>() };
    let of_months: i64 = (1..month).map(|month| month_days(year, month)).sum();
    Some(of_years + of_months + day - 1)
}

fn year_days(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

#[cfg(test)]
mod tests {
    use super::micros;

    #[test]
    fn times_are_read() {
        assert_eq!(micros("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(micros("1969-12-31t23:59:59.9999999z"), Some(-1));
        assert_eq!(micros("2026-11-24T01:55:30.123-07:00"), Some(1_795_510_530_123_000));
        assert_eq!(micros("2016-12-31T23:59:60Z"), micros("2016-12-31T23:59:59.999999Z"));
        for bad in [
            "",
            "2026-11-24",
            "2026-11-24 00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-24T00:00:00",
            "2026-11-24T00:00:00.Z",
        ] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }
}
