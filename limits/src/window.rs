//! Counters of days and months.
//!
//! A window only moves forward: where another's clock was ahead and has begun the next one, a clock
//! that is behind by up to an hour counts in that one too. A window further ahead comes from a
//! clock that was wrong, and is forgotten.

use crate::bucket::Denied;
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

/// Corrects a reserved amount to the actual one, in the window that it was counted in; `None` where
/// that is over.
pub(crate) fn correct(
    per: Per,
    counter: Option<Counter>,
    reserved: u64,
    actual: u64,
    mark: u64,
    now: u64,
) -> Option<Counter> {
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
