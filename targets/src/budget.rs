//! How many attempts after a request's first a target gets: a share of its requests, and a few.
//!
//! A failing target must not be asked for more than it failed at before. Over any interval,
//! `retries ≤ share · requests + 10 · seconds + 100`. Exact integers: thousandths of a retry.

use std::time::Duration;

/// A token bucket that requests fill, in thousandths of a retry.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    balance: u64,
    /// Up to when time has been counted.
    counted: Duration,
}

const RETRY: u64 = 1000;

impl RetryBudget {
    /// The largest balance: as many retries may come at once after a quiet time.
    pub const CAP: u32 = 100;
    /// So many each second are always granted. Time fills a balance only up to this number: beyond
    /// it, requests do.
    pub const FLOOR_PER_SECOND: u32 = 10;

    const CAPPED: u64 = Self::CAP as u64 * RETRY;
    const FLOOR: u64 = Self::FLOOR_PER_SECOND as u64 * RETRY;
    /// The time in which the floor grows by a thousandth.
    const GRAIN: Duration = Duration::from_micros(1_000_000 / Self::FLOOR);

    /// The budget of a target that is new: the floor of one second.
    pub fn new(now: Duration) -> Self {
        Self {
            balance: Self::FLOOR,
            counted: now,
        }
    }

    /// A request that may go to the target has come. `share` is its retries for each request; what
    /// is no share, such as a negative number, is taken for zero.
    pub fn deposit(&mut self, share: f64, now: Duration) {
        self.count(now);
        // A cast of a float stays within the bounds of the integer, and takes NaN for zero. It
        // rounds down, so that no sum of deposits is more than was meant.
        let thousandths = (share * RETRY as f64) as u64;
        self.balance = self.balance.saturating_add(thousandths).min(Self::CAPPED);
    }

    /// Takes one retry, if there is one.
    pub fn withdraw(&mut self, now: Duration) -> bool {
        self.count(now);
        match self.balance.checked_sub(RETRY) {
            Some(rest) => {
                self.balance = rest;
                true
            }
            None => false,
        }
    }

    fn count(&mut self, now: Duration) {
        let missing = Self::FLOOR.saturating_sub(self.balance);
        let passed = now.saturating_sub(self.counted);
        let grains = passed.as_nanos() / Self::GRAIN.as_nanos();
        match u32::try_from(grains) {
            Ok(grains) if u64::from(grains) < missing => {
                self.balance = self.balance.saturating_add(u64::from(grains));
                // The rest of a grain counts next time.
                let counted = Self::GRAIN.saturating_mul(grains);
                self.counted = self.counted.saturating_add(counted);
            }
            _ => {
                self.balance = self.balance.saturating_add(missing);
                self.counted = self.counted.max(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(5);

    fn granted(budget: &mut RetryBudget, asked: u32, now: Duration) -> u32 {
        (0..asked).map(|_| u32::from(budget.withdraw(now))).sum()
    }

    #[test]
    fn ten_a_second_are_granted_without_any_request() {
        let mut budget = RetryBudget::new(START);
        for second in 0..20 {
            let now = START + Duration::from_secs(second);
            assert_eq!(granted(&mut budget, 1000, now), 10, "second {second}");
        }
    }

    #[test]
    fn one_every_tenth_of_a_second_is_granted_however_often_it_is_asked() {
        let mut budget = RetryBudget::new(START);
        granted(&mut budget, 10, START);
        let granted: u32 = (1..=3000)
            .map(|step| granted(&mut budget, 1, START + Duration::from_micros(777 * step)))
            .sum();
        assert_eq!(granted, 23);
    }

    #[test]
    fn requests_deposit_their_share_up_to_the_cap() {
        let mut budget = RetryBudget::new(START);
        granted(&mut budget, 10, START);
        (0..9).for_each(|_| budget.deposit(0.5, START));
        assert_eq!(granted(&mut budget, 1000, START), 4);
        (0..9999).for_each(|_| budget.deposit(0.5, START));
        assert_eq!(granted(&mut budget, 1000, START), 100);
    }

    #[test]
    fn what_is_no_share_deposits_nothing_and_a_huge_one_the_cap() {
        let mut budget = RetryBudget::new(START);
        for share in [f64::NAN, -1.0, f64::NEG_INFINITY, 0.0] {
            budget.deposit(share, START);
        }
        assert_eq!(granted(&mut budget, 1000, START), 10);
        budget.deposit(f64::INFINITY, START);
        assert_eq!(granted(&mut budget, 1000, START), 100);
    }

    #[test]
    fn times_that_no_clock_shows_are_taken_as_they_come() {
        let mut budget = RetryBudget::new(Duration::ZERO);
        assert_eq!(granted(&mut budget, 100, Duration::MAX), 10);
        assert_eq!(granted(&mut budget, 100, Duration::ZERO), 0);
    }

    proptest! {
        #[test]
        fn no_interval_has_more_retries_than_its_requests_its_seconds_and_the_cap_allow(
            share in 0.0..3.0_f64,
            steps in prop::collection::vec((0_u64..300_000, 0_u32..6, 0_u32..40), 1..80),
        ) {
            let mut budget = RetryBudget::new(START);
            let mut now = START;
            let mut rows = Vec::new();
            for (micros, requests, asked) in steps {
                now += Duration::from_micros(micros);
                (0..requests).for_each(|_| budget.deposit(share, now));
                rows.push((now, requests, granted(&mut budget, asked, now)));
            }
            for begin in 0..rows.len() {
                for end in begin..rows.len() {
                    let within = &rows[begin..=end];
                    let requests: u32 = within.iter().map(|row| row.1).sum();
                    let retries: u32 = within.iter().map(|row| row.2).sum();
                    let seconds = (rows[end].0 - rows[begin].0).as_secs_f64();
                    let allowed = share * f64::from(requests) + 10.0 * seconds + 100.0;
                    prop_assert!(f64::from(retries) <= allowed + 1e-6);
                }
            }
        }
    }
}
