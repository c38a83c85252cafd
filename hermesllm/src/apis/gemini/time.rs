//! Times (RFC 3339) in seconds of the Unix epoch.

const DAY: u64 = 86_400;

/// The seconds of `2026-05-04T20:01:02.264968Z`; parts of seconds are left out.
pub(super) fn seconds(time: &str) -> Option<u64> {
    let (date, rest) = time.split_once(['T', 't'])?;
    let clock = rest.get(..8)?;
    let zone = rest.get(8..)?;
    let zone = zone.trim_start_matches(|own: char| own == '.' || own.is_ascii_digit());
    if !matches!(zone, "Z" | "z" | "+00:00") {
        return None;
    }
    let mut numbers = date.split('-').map(|own| own.parse::<u64>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let mut numbers = clock.split(':').map(|own| own.parse::<u64>().ok());
    let (hour, minute, second) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let is_fine = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    is_fine.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Days from the epoch, in the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March, so that leap days come last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The time of that many seconds; `None` beyond the year 9999.
pub(super) fn written(seconds: u64) -> Option<String> {
    let number = seconds / DAY;
    // The year by its length on average, then the nearest.
    let mut year = 1970 + number / 366;
    while days(year + 1, 1, 1) <= number {
        year += 1;
        if year > 9999 {
            return None;
        }
    }
    let mut month = 1;
    while month < 12 && days(year, month + 1, 1) <= number {
        month += 1;
    }
    let day = number - days(year, month, 1) + 1;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (time, number) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2026-05-04T20:01:02Z", 1_777_924_862),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(time), Some(number), "{time}");
            assert_eq!(written(number).as_deref(), Some(time));
        }
        assert_eq!(seconds("2026-05-04T20:01:02.264968Z"), Some(1_777_924_862));
        for wrong in [
            "",
            "T",
            "2026-05-04",
            "2026-13-01T00:00:00Z",
            "é026-05-04T20:0é:02Z",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        assert_eq!(written(u64::MAX), None);
    }

    #[test]
    fn every_day_is_the_day_after_the_one_before() {
        for number in 0..60_000 {
            let time = written(number * DAY).unwrap();
            assert_eq!(seconds(&time), Some(number * DAY), "{time}");
        }
    }
}
