//! Durations, sizes and times as people write them: `300ms`, `30s`, `5m`, `32MiB`,
//! `2030-01-01T00:00:00Z`.

use std::time::Duration;

use thiserror::Error;

/// The longest duration that is accepted: a year. Envoy and timers take it without overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A text that is no duration, size or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// Not a number with a unit of time.
    #[error("is not a duration: write a number and a unit, for example `300ms`, `30s` or `5m`")]
    Duration,
    /// Longer than a year.
    #[error("is longer than a year")]
    TooLong,
    /// Not a number with a unit of size.
    #[error("is not a size: write a number and a unit, for example `100KiB` or `32MiB`")]
    Size,
    /// More than this machine can address.
    #[error("is larger than this machine can address")]
    TooLarge,
    /// Not a time with an offset to UTC, or none that there is, or one before 1970.
    #[error(
        "is no time: write date, time and offset to UTC, for example `2030-01-01T00:00:00Z` or \
         `2030-01-01T00:00:00+02:00`"
    )]
    Time,
}

/// Parses a duration: a number, with a fraction or not, and `ms`, `s`, `m` or `h`.
///
/// # Errors
/// When the text is none, or longer than a year.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::Duration)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(UnitError::Duration),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err(UnitError::TooLong),
    }
}

/// Parses a size: a number, with a fraction or not, and `B`, `KiB`, `MiB`, `GiB`, `KB`, `MB` or
/// `GB`; a number alone counts bytes.
///
/// # Errors
/// When the text is none, or more than this machine can address.
pub fn parse_size(text: &str) -> Result<usize, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::Size)?;
    let factor: u32 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(UnitError::Size),
    };
    let bytes = number * f64::from(factor);
    // Above 2^53 a float is no longer exact, and no limit of ours makes sense there.
    if bytes > 9_007_199_254_740_992.0 {
        return Err(UnitError::TooLarge);
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is not negative and at most 2^53, checked above"
    )]
    usize::try_from(bytes as u64).map_err(|_| UnitError::TooLarge)
}

/// Parses a time of RFC 3339: seconds since the unix epoch, fractions cut off.
///
/// # Errors
/// When the text is none, or lies before 1970.
pub fn parse_time(text: &str) -> Result<u64, UnitError> {
    time(text.trim()).ok_or(UnitError::Time)
}

fn time(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = rest.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let ahead = match offset.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, offset) => {
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            let fits = hours <= 23 && minutes <= 59;
            let seconds = i64::from(hours * 3600 + minutes * 60);
            match sign {
                "+" if fits => seconds,
                "-" if fits => -seconds,
                _ => return None,
            }
        }
    };
    let days = days(year, month, day)?;
    // A leap second is the one after it.
    if hour > 23 || minute > 59 || second > 60 || !is_digits(fraction) {
        return None;
    }
    let clock = i64::from(hour * 3600 + minute * 60 + second);
    u64::try_from(days * 86_400 + clock - ahead).ok()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar that there is.
fn days(year: u32, month: u32, day: u32) -> Option<i64> {
    let is_leap = |year: u32| {
        let century = year.is_multiple_of(100);
        year.is_multiple_of(if century { 400 } else { 4 })
    };
    let length = |month: u32| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=length(month)).contains(&day) || year < 1 {
        return None;
    }
    let before = year - 1;
    let leaps = |years: u32| years / 4 - years / 100 + years / 400;
    let years = i64::from(before) - 1969;
    let leaps = i64::from(leaps(before)) - i64::from(leaps(1969));
    let months: u32 = (1..month).map(length).sum();
    Some(years * 365 + leaps + i64::from(months) + i64::from(day) - 1)
}

/// Numbers of so many digits each, with a separator between them.
fn numbers<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[u32; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next()?;
        if part.len() != length || !is_digits(part) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// A number without a sign or exponent, and what follows it.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: f64 = number.parse().ok()?;
    number.is_finite().then(|| (number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in [
            ("300ms", 300),
            ("30s", 30_000),
            ("0.005s", 5),
            ("5m", 300_000),
            ("1h", 3_600_000),
            (" 2 s ", 2_000),
            ("0s", 0),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "s", "30", "-1s", "soon", "1d", "1e3s", "1.2.3s", "∞s"] {
            assert_eq!(parse_duration(text), Err(UnitError::Duration), "{text}");
        }
        assert_eq!(parse_duration("9999999h"), Err(UnitError::TooLong));
    }

    #[test]
    fn times_have_an_offset() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T02:00:00+02:00", 0),
            ("1969-12-31T22:30:00-01:30", 0),
            ("2000-02-29T12:30:15.999z", 951_827_415),
            ("2030-01-01 00:00:00Z", 1_893_456_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            (" 9999-12-31T23:59:59Z ", 253_402_300_799),
        ] {
            assert_eq!(parse_time(text), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2030-1-1T00:00:00Z",
            "2030-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-00-01T00:00:00Z",
            "2030-01-00T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:60:00Z",
            "2030-01-01T00:00:61Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00.1x2Z",
            "2030-01-01T00:00:00+24:00",
            "2030-01-01T00:00:00+02",
            "2030-01-01T00:00:00Zz",
            "2030-01-01T00:00Z",
            "tomorrow",
        ] {
            assert_eq!(parse_time(text), Err(UnitError::Time), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [
            ("100", 100),
            ("100KiB", 102_400),
            ("32MiB", 33_554_432),
            ("0.5 MiB", 524_288),
            ("2MB", 2_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "32mib", "-1", "lots"] {
            assert_eq!(parse_size(text), Err(UnitError::Size), "{text}");
        }
        assert_eq!(
            parse_size("99999999999999999999GiB"),
            Err(UnitError::TooLarge)
        );
    }
}
