//! Counters of days and months.
//!
//! A window only moves forward: where another's clock was ahead and has begun the next one, a clock
//! that is behind by up to an hour counts in that one too. A window further ahead comes from a
//! clock that was wrong, and is forgotten.

use crate::bucket::{Correction, Denied};
use crate::calendar::{span, Span};
use crate::rule::Per;

const NANOS: u64 = 1_000_000_000;
/// By how many seconds a clock may be behind another's.
const BEHIND: u64 = 3600;

/// A counter of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counter {
    /// Where its window begins, in seconds since the unix epoch.
    pub(crate) start: u64,
    /// What has been counted.
    pub(crate) count: u64,
}

/// The window that counts now, and what is in it.
pub(crate) fn at(per: Per, counter: Option<Counter>, now: u64) -> (Span, Counter) {
    let seconds = now / NANOS;
    let window = span(per, seconds);
    match counter {
        Some(counter) if counter.start == window.start => (window, counter),
        Some(counter)
            if counter.start > window.start && counter.start <= seconds.saturating_add(BEHIND) =>
        {
            (span(per, counter.start), counter)
        }
        _ => {
            let start = window.start;
            (window, Counter { start, count: 0 })
        }
    }
}

/// Counts an amount, or says why not.
pub(crate) fn admit(
    per: Per,
    limit: u64,
    counter: Option<Counter>,
    amount: u64,
    now: u64,
) -> Result<Counter, Denied> {
    if amount > limit {
        return Err(Denied::TooLarge);
    }
    let (window, counter) = at(per, counter, now);
    match counter.count.checked_add(amount) {
        Some(count) if count <= limit => Ok(Counter { count, ..counter }),
        _ => Err(Denied::Spent(after(window, now))),
    }
}

/// Corrects a reserved amount, in the window that it was counted in; `None` where
/// that is over.
pub(crate) fn correct(
    per: Per,
    counter: Option<Counter>,
    correction: Correction,
    mark: u64,
    now: u64,
) -> Option<Counter> {
    let (reserved, actual) = match correction {
        Correction::Settled { reserved, actual } => (reserved, actual),
        Correction::Undone { reserved } => (reserved, 0),
    };
    let (_, counter) = at(per, counter, now);
    (counter.start == mark).then(|| Counter {
        count: counter
            .count
            .saturating_add(actual.saturating_sub(reserved))
            .saturating_sub(reserved.saturating_sub(actual)),
        ..counter
    })
}

/// Nanoseconds until a window is over.
pub(crate) fn after(window: Span, now: u64) -> u64 {
    end(window).saturating_sub(now)
}

/// The end of a window in nanoseconds since the unix epoch.
pub(crate) fn end(window: Span) -> u64 {
    window.end.saturating_mul(NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29 00:00, as seconds.
    const LEAP_DAY: u64 = 1_709_164_800;
    const DAY: u64 = 86_400;

    fn at_second(second: u64) -> u64 {
        second * NANOS
    }

    #[test]
    fn a_window_counts_up_to_its_limit_and_the_next_from_zero() {
        let take =
            |counter, amount, second| admit(Per::Day, 10, counter, amount, at_second(second));
        let first = take(None, 7, LEAP_DAY).unwrap();
        let second = take(Some(first), 3, LEAP_DAY + DAY - 1).unwrap();
        assert_eq!(second.count, 10);
        assert_eq!(
            take(Some(second), 1, LEAP_DAY + DAY - 1),
            Err(Denied::Spent(NANOS))
        );
        let next = take(Some(second), 10, LEAP_DAY + DAY).unwrap();
        assert_eq!((next.start, next.count), (LEAP_DAY + DAY, 10));
        assert_eq!(take(None, 11, LEAP_DAY), Err(Denied::TooLarge));
    }

    #[test]
    fn a_month_of_a_leap_year_ends_after_its_29th() {
        let full = admit(Per::Month, 5, None, 5, at_second(LEAP_DAY)).unwrap();
        let last = at_second(LEAP_DAY + DAY) - 1;
        assert_eq!(
            admit(Per::Month, 5, Some(full), 1, last),
            Err(Denied::Spent(1))
        );
        assert!(admit(Per::Month, 5, Some(full), 1, last + 1).is_ok());
    }

    #[test]
    fn a_clock_that_is_behind_counts_in_the_window_that_has_begun() {
        let next = admit(Per::Day, 10, None, 9, at_second(LEAP_DAY)).unwrap();
        let behind = at_second(LEAP_DAY - 2);
        let counted = admit(Per::Day, 10, Some(next), 1, behind).unwrap();
        assert_eq!((counted.start, counted.count), (LEAP_DAY, 10));
        assert_eq!(
            admit(Per::Day, 10, Some(counted), 1, behind),
            Err(Denied::Spent((DAY + 2) * NANOS))
        );
    }

    #[test]
    fn a_window_of_a_clock_that_was_wrong_is_forgotten() {
        let start = LEAP_DAY + 365 * DAY;
        let wrong = Counter { start, count: 10 };
        let counted = admit(Per::Day, 10, Some(wrong), 1, at_second(LEAP_DAY)).unwrap();
        assert_eq!((counted.start, counted.count), (LEAP_DAY, 1));
    }

    #[test]
    fn a_window_that_is_over_is_not_corrected() {
        let now = at_second(LEAP_DAY);
        let counter = admit(Per::Day, 10, None, 4, now).unwrap();
        let correct = |actual, now| {
            let correction = Correction::Settled {
                reserved: 4,
                actual,
            };
            correct(Per::Day, Some(counter), correction, counter.start, now)
                .map(|counter| counter.count)
        };
        assert_eq!(correct(1, now), Some(1));
        assert_eq!(correct(40, now), Some(40));
        assert_eq!(correct(1, now + at_second(DAY)), None);
        assert_eq!(correct(40, now + at_second(DAY)), None);
    }
}
