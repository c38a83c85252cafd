//! Days and months of the civil calendar, in UTC, from unix time.
//!
//! Leap seconds are not in unix time; a day has always 86 400 seconds.

use crate::rule::Per;

const DAY: u64 = 86_400;

/// A fixed window, in seconds since the unix epoch: from `start`, until before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The day or the month that this second is in; of shorter times, the day.
pub(crate) fn span(per: Per, seconds: u64) -> Span {
    let day = seconds / DAY;
    match per {
        Per::Month => {
            let (first, days) = month(day);
            Span {
                start: first.saturating_mul(DAY),
                end: first.saturating_add(days).saturating_mul(DAY),
            }
        }
        Per::Second | Per::Minute | Per::Hour | Per::Day => Span {
            start: day.saturating_mul(DAY),
            end: day.saturating_add(1).saturating_mul(DAY),
        },
    }
}

/// The first day of the month that this day since the epoch is in, and how many days it has.
///
/// The calendar repeats every 400 years, so it is enough to walk through some of them.
fn month(day: u64) -> (u64, u64) {
    const CYCLE: u64 = 146_097;
    let mut first = (day / CYCLE).saturating_mul(CYCLE);
    let mut year = 1970_u64;
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        let next = first.saturating_add(days);
        if day < next || next == u64::MAX {
            break;
        }
        first = next;
        year = year.saturating_add(1);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        let next = first.saturating_add(days);
        if day < next {
            return (first, days);
        }
        first = next;
    }
    (first, 31)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of a date, by the days of each year and month, counted one by one.
    fn seconds(year: u64, month: usize, day: u64) -> u64 {
        let mut days = 0;
        for year in 1970..year {
            days += if is_leap(year) { 366 } else { 365 };
        }
        let february = if is_leap(year) { 29 } else { 28 };
        let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        days += months[..month - 1].iter().sum::<u64>();
        (days + day - 1) * DAY
    }

    #[test]
    fn known_dates_have_their_unix_times() {
        assert_eq!(seconds(2000, 3, 1), 951_868_800);
        assert_eq!(seconds(2024, 2, 29), 1_709_164_800);
        assert_eq!(seconds(2026, 11, 1), 1_793_491_200);
    }

    #[test]
    fn a_month_begins_with_its_first_day_and_ends_with_the_next_ones() {
        for year in [1970, 1999, 2000, 2023, 2024, 2026, 2100, 2400, 2399] {
            for month in 1..=12 {
                let start = seconds(year, month, 1);
                let end = if month == 12 {
                    seconds(year + 1, 1, 1)
                } else {
                    seconds(year, month + 1, 1)
                };
                for second in [start, start + 1, start + 13 * DAY, end - 1] {
                    assert_eq!(
                        span(Per::Month, second),
                        Span { start, end },
                        "{year} {month}"
                    );
                }
            }
        }
    }

    #[test]
    fn february_has_29_days_in_leap_years_alone() {
        for (year, days) in [(2023, 28), (2024, 29), (2000, 29), (2100, 28), (2400, 29)] {
            let span = span(Per::Month, seconds(year, 2, 10));
            assert_eq!((span.end - span.start) / DAY, days, "{year}");
        }
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight() {
        let midnight = seconds(2026, 11, 27);
        for second in [midnight, midnight + 43_200, midnight + DAY - 1] {
            assert_eq!(
                span(Per::Day, second),
                Span {
                    start: midnight,
                    end: midnight + DAY
                }
            );
        }
    }

    #[test]
    fn the_end_of_time_is_a_window_like_any_other() {
        for per in [Per::Day, Per::Month] {
            let last = span(per, u64::MAX);
            assert!(last.start <= last.end, "{last:?}");
        }
    }
}
