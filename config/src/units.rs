//! Durations and sizes as people write them: `300ms`, `30s`, `5m`, `32MiB`.

use std::time::Duration;

use thiserror::Error;

/// The longest duration that is accepted: a year. Envoy and timers take it without overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A text that is no duration or size.
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
