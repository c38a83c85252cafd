//! The share of failures among recent attempts, in two buckets of 15 seconds that take turns.

use std::time::Duration;

/// Attempts of the last 15 to 30 seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// Which 15 seconds `current` counts.
    slot: u64,
    current: Counts,
    previous: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    attempts: u32,
    failures: u32,
}

const SLOT_SECONDS: u64 = 15;
/// With fewer attempts a share says nothing.
const FEWEST: u32 = 10;

impl Window {
    pub(super) fn count(&mut self, failed: bool, now: Duration) {
        let (current, previous) = self.at(now);
        self.slot = self.slot.max(slot(now));
        self.previous = previous;
        self.current = Counts {
            attempts: current.attempts.saturating_add(1),
            failures: current.failures.saturating_add(u32::from(failed)),
        };
    }

    /// The share of failures; `None` without attempts.
    pub(super) fn error_rate(&self, now: Duration) -> Option<f64> {
        let (attempts, failures) = self.sums(now);
        (attempts > 0.0).then(|| failures / attempts)
    }

    /// Whether the share of failures has reached a limit, among enough attempts.
    pub(super) fn reaches(&self, limit: f64, now: Duration) -> bool {
        let (attempts, failures) = self.sums(now);
        // Without the first condition a limit of zero would be reached by successes.
        failures > 0.0 && attempts >= f64::from(FEWEST) && failures / attempts >= limit
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn sums(&self, now: Duration) -> (f64, f64) {
        let (current, previous) = self.at(now);
        (
            f64::from(current.attempts) + f64::from(previous.attempts),
            f64::from(current.failures) + f64::from(previous.failures),
        )
    }

    /// The two buckets as they stand now. A time that has gone back is taken for the last one.
    fn at(&self, now: Duration) -> (Counts, Counts) {
        match slot(now).saturating_sub(self.slot) {
            0 => (self.current, self.previous),
            1 => (Counts::default(), self.current),
            _ => (Counts::default(), Counts::default()),
        }
    }
}

fn slot(now: Duration) -> u64 {
    now.as_secs() / SLOT_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn fewer_than_ten_attempts_reach_no_limit() {
        let mut window = Window::default();
        (0..9).for_each(|_| window.count(true, at(1)));
        assert!(!window.reaches(0.1, at(1)));
        window.count(false, at(1));
        assert!(window.reaches(0.9, at(1)));
        assert!(!window.reaches(0.91, at(1)));
    }

    #[test]
    fn what_is_older_than_half_a_minute_is_forgotten() {
        let mut window = Window::default();
        (0..10).for_each(|_| window.count(true, at(14)));
        assert_eq!(window.error_rate(at(29)), Some(1.0));
        assert_eq!(window.error_rate(at(30)), None);
        window.count(false, at(16));
        window.count(false, at(31));
        assert_eq!(window.error_rate(at(31)), Some(0.0));
    }

    #[test]
    fn successes_alone_reach_no_limit() {
        let mut window = Window::default();
        (0..20).for_each(|_| window.count(false, at(1)));
        assert!(!window.reaches(0.0, at(1)));
        assert!(!window.reaches(f64::NAN, at(1)));
    }
}
