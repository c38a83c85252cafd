//! Dates in headers, as times since the Unix epoch. What lies before it is the epoch itself.

use std::time::Duration;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// A date and a time of day, without a zone.
struct Stamp {
    year: i64,
    /// From 1.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Stamp {
    /// Seconds of the Unix epoch; `None` of a date that is in no calendar. A leap second is the
    /// one that follows.
    fn seconds(&self) -> Option<i64> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let days = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let is_day = (1..=9999).contains(&self.year) && (1..=days).contains(&self.day);
        let is_time = self.hour < 24 && self.minute < 60 && self.second <= 60;
        if !is_day || !is_time {
            return None;
        }
        // Years from March on, so that a leap day is the last of its year (Hinnant's
        // days_from_civil).
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        let day = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        let day = era * 146_097 + day - 719_468;
        Some(((day * 24 + self.hour) * 60 + self.minute) * 60 + self.second)
    }
}

/// A date of RFC 9110, 5.6.7, in any of its three forms: IMF-fixdate, RFC 850, asctime.
pub(super) fn http(text: &str) -> Option<Duration> {
    let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let _weekday = words.next()?;
    let first = words.next()?;
    let stamp = if let Some((day, rest)) = first.split_once('-') {
        let (month, year) = rest.split_once('-')?;
        // Two digits, of this century but for what would lie far ahead.
        let year = digits(year, 2)?;
        let year = if year < 70 { year + 2000 } else { year + 1900 };
        stamp(year, month, digits(day, 2)?, words.next()?)?
    } else if first.bytes().all(|b| b.is_ascii_digit()) {
        let (month, year, time) = (words.next()?, words.next()?, words.next()?);
        stamp(digits(year, 4)?, month, digits(first, first.len())?, time)?
    } else {
        let (day, time, year) = (words.next()?, words.next()?, words.next()?);
        stamp(digits(year, 4)?, first, digits(day, day.len())?, time)?
    };
    since_epoch(stamp.seconds()?, 0)
}

/// A time of RFC 3339: `2026-02-11T23:43:54Z`, with a fraction or an offset as well.
pub(super) fn rfc3339(text: &str) -> Option<Duration> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    if date.next().is_some() {
        return None;
    }
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let (hour, minute, second) = clock(time)?;
    let stamp = Stamp {
        year: digits(year, 4)?,
        month: digits(month, 2)?,
        day: digits(day, 2)?,
        hour,
        minute,
        second,
    };
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
            let offset = (hours * 60 + minutes) * 60;
            if zone.starts_with('-') {
                -offset
            } else {
                offset
            }
        }
    };
    let nanos = nanoseconds(fraction)?;
    since_epoch(stamp.seconds()?.checked_sub(offset)?, nanos)
}

fn since_epoch(seconds: i64, nanos: u32) -> Option<Duration> {
    Some(match u64::try_from(seconds) {
        Ok(seconds) => Duration::new(seconds, nanos),
        Err(_) => Duration::ZERO,
    })
}

fn stamp(year: i64, month: &str, day: i64, time: &str) -> Option<Stamp> {
    let is_month = |name: &&str| name.eq_ignore_ascii_case(month);
    let month = MONTHS.iter().position(is_month)?;
    let (hour, minute, second) = clock(time)?;
    Some(Stamp {
        year,
        month: i64::try_from(month).ok()? + 1,
        day,
        hour,
        minute,
        second,
    })
}

/// `23:43:54`.
fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some((digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?))
}

/// A number of exactly so many digits, four at most.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && count <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").get(..9)?.parse().ok()
}
