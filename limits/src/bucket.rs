//! Token buckets, by GCRA: the state of one is its theoretical arrival time (TAT), the moment at
//! which it is full again.
//!
//! governor decides and moves the TAT on admission, through a store that is one number and a clock
//! that reads zero when the limiter is made and the unix time afterwards: governor counts from a
//! limiter's making, so all limiters count from the unix epoch, whoever made them.
//!
//! By hand, over the same state, because governor cannot express it:
//! - settling: governor never lowers a TAT, and charges nothing that does not fit at once;
//! - admitting nothing, which a bucket in debt refuses and any other allows: governor takes no zero;
//! - what remains, and when it is full.
//!
//! **Scaling.** governor counts in `u32` and takes whole nanoseconds per unit. So a bucket counts in
//! units of `k`, the smallest power of two with which the burst fits `u32` and a unit takes a number
//! of nanoseconds that is right to 1/1024. The time of a unit is rounded up, the burst down,
//! charges up and refunds down, so no rounding admits more than the rule. What it admits less:
//! - rate: at most 1/1024;
//! - each charge and each refund is off by less than `k`, and `k` refills within 2.1 µs or is less than
//!   1/2³¹ of the burst;
//! - burst: less than `k`.
//!
//! `k` is never so large that a burst has less than 1024 units. Where that binds (limits of more than
//! half a million units a second with a burst far below), the rate is what whole nanoseconds allow.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

/// Times above are taken for this one, in the year 2116: sums of two stay within `u64`.
pub(crate) const LATEST: u64 = 1 << 62;
/// TATs stay below this one.
const LATEST_TAT: u64 = (1 << 63) - 1;
/// The finest rate error that a larger unit is taken for, as a divisor.
const PRECISION: u128 = 1024;
/// A burst keeps this many units at least, unless it is smaller itself.
const FEWEST_UNITS: u64 = 1024;

/// The arithmetic of one rule's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// How much one unit is.
    k: u64,
    /// Nanoseconds in which one unit refills; more than zero.
    t: u64,
    /// How many units a full bucket holds.
    units: NonZeroU32,
}

/// A bucket that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// When it is full again, in nanoseconds since the unix epoch.
    pub(crate) tat: u64,
    /// Since when it has not been full, in microseconds. Marks the charges that it still knows of.
    pub(crate) since: u64,
}

/// What becomes of a reserved amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Correction {
    /// So much of it, or more, was used.
    Settled {
        /// What was reserved.
        reserved: u64,
        /// What was used.
        actual: u64,
    },
    /// It is as if it had never been reserved.
    Undone {
        /// What was reserved.
        reserved: u64,
    },
}

/// Why an amount may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It may after so many nanoseconds.
    Spent(u64),
    /// It never may.
    TooLarge,
}

impl Scale {
    /// `None` where a bucket would take longer than this to fill.
    pub(crate) fn new(limit: u64, per: Duration, burst: u64, longest: Duration) -> Option<Self> {
        let period = per.as_nanos();
        let mut k = 1_u64;
        loop {
            let units = burst.checked_div(k)?;
            let exact = period.checked_mul(u128::from(k))?;
            // Rounded up: never faster than the rule.
            let t = exact.div_ceil(u128::from(limit.max(1)));
            let error = t
                .checked_mul(u128::from(limit))?
                .saturating_sub(exact)
                .saturating_mul(PRECISION);
            let precise = error <= exact || (units >> 1) < FEWEST_UNITS;
            if let (Ok(whole), true) = (u32::try_from(units), precise) {
                let scale = Self {
                    k,
                    t: u64::try_from(t).ok()?,
                    units: NonZeroU32::new(whole)?,
                };
                let fill = t.checked_mul(u128::from(units))?;
                return (fill <= longest.as_nanos()).then_some(scale);
            }
            k = k.checked_mul(2)?;
        }
    }

    /// Nanoseconds of a full bucket.
    fn fill(&self) -> u64 {
        self.t.saturating_mul(u64::from(self.units.get()))
    }

    fn units(&self, amount: u64) -> u64 {
        amount.div_ceil(self.k.max(1))
    }

    fn cost(&self, amount: u64) -> u64 {
        self.units(amount).saturating_mul(self.t)
    }

    /// Takes an amount out, or says why not. `None` is a full bucket.
    pub(crate) fn admit(
        &self,
        bucket: Option<Bucket>,
        amount: u64,
        now: u64,
    ) -> Result<Option<Bucket>, Denied> {
        let units = u32::try_from(self.units(amount)).map_err(|_| Denied::TooLarge)?;
        let Some(units) = NonZeroU32::new(units) else {
            let latest = now.saturating_add(self.fill());
            let owed = bucket.map_or(0, |bucket| bucket.tat.saturating_sub(latest));
            return if owed > 0 {
                Err(Denied::Spent(owed))
            } else {
                Ok(bucket)
            };
        };
        let quota = Quota::with_period(Duration::from_nanos(self.t))
            .ok_or(Denied::TooLarge)?
            .allow_burst(self.units);
        let state = Tat(Cell::new(bucket.map(|bucket| bucket.tat)));
        let clock = UnixClock(Cell::new(0));
        let limiter = RateLimiter::<_, _, _, NoOpMiddleware<Nanos>>::new(quota, state, clock);
        limiter.clock().0.set(now);
        match limiter.check_n(units) {
            Ok(Ok(())) => {
                let tat = limiter.into_state_store().0.get();
                Ok(tat.map(|tat| Bucket {
                    tat: tat.min(LATEST_TAT),
                    since: since(bucket, now),
                }))
            }
            Ok(Err(until)) => Err(Denied::Spent(
                until.earliest_possible().as_u64().saturating_sub(now),
            )),
            Err(_) => Err(Denied::TooLarge),
        }
    }

    /// Corrects a reserved amount. A refund is for the bucket that the amount came
    /// out of: when it has been full since, the amount has come back already.
    pub(crate) fn correct(
        &self,
        bucket: Option<Bucket>,
        correction: Correction,
        mark: u64,
        now: u64,
    ) -> Option<Bucket> {
        let refund = match correction {
            Correction::Undone { reserved } => self.cost(reserved),
            Correction::Settled { reserved, actual } if actual > reserved => {
                let from = bucket.map_or(now, |bucket| bucket.tat.max(now));
                let tat = from.saturating_add(self.cost(actual.saturating_sub(reserved)));
                return Some(Bucket {
                    tat: tat.min(LATEST_TAT),
                    since: since(bucket, now),
                });
            }
            Correction::Settled { reserved, actual } => {
                let units = reserved.saturating_sub(actual).checked_div(self.k);
                units.unwrap_or(0).saturating_mul(self.t)
            }
        };
        let bucket = bucket?;
        if bucket.since != mark || bucket.tat <= now {
            return Some(bucket);
        }
        let tat = bucket.tat.saturating_sub(refund);
        Some(Bucket {
            tat: tat.max(now),
            ..bucket
        })
    }

    /// How much may pass now, in one or in parts.
    pub(crate) fn remaining(&self, bucket: Option<Bucket>, now: u64) -> u64 {
        let owed = bucket.map_or(0, |bucket| bucket.tat.saturating_sub(now));
        let free = self.fill().saturating_sub(owed);
        let units = free.checked_div(self.t).unwrap_or(0);
        units.saturating_mul(self.k)
    }
}

/// Since when a bucket that is not full after `now` has not been.
pub(crate) fn since(bucket: Option<Bucket>, now: u64) -> u64 {
    match bucket {
        Some(bucket) if bucket.tat > now => bucket.since,
        _ => now / 1000,
    }
}

/// governor's store: one TAT.
struct Tat(Cell<Option<u64>>);

impl StateStore for Tat {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (result, tat) = decide(self.0.get().map(Nanos::from))?;
        self.0.set(Some(tat.as_u64()));
        Ok(result)
    }
}

/// governor's clock: zero while a limiter is made, then the unix time.
struct UnixClock(Cell<u64>);

impl Clock for UnixClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const YEAR: Duration = Duration::from_secs(366 * 86_400);
    const NOW: u64 = 1_795_000_000_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn scale(limit: u64, seconds: u64, burst: u64) -> Scale {
        Scale::new(limit, Duration::from_secs(seconds), burst, YEAR).unwrap()
    }

    fn settled(reserved: u64, actual: u64) -> Correction {
        Correction::Settled { reserved, actual }
    }

    #[test]
    fn limiters_built_at_different_times_agree() {
        let scale = scale(60, 60, 60);
        let first = scale.admit(None, 60, NOW).unwrap();
        // governor itself would take the second one's making for the beginning of time.
        let later = NOW + 30 * SECOND;
        assert_eq!(scale.admit(first, 31, later), Err(Denied::Spent(SECOND)));
        let second = scale.admit(first, 30, later).unwrap();
        assert_eq!(second.unwrap().tat, later + 60 * SECOND);
        assert_eq!(scale.admit(second, 1, NOW), Err(Denied::Spent(31 * SECOND)));
    }

    #[test]
    fn usual_limits_are_counted_one_by_one_and_exactly() {
        for (limit, seconds) in [
            (1, 3600),
            (10, 1),
            (1000, 60),
            (1_000_000, 60),
            (60_000, 3600),
        ] {
            let scale = scale(limit, seconds, limit);
            assert_eq!((scale.k, scale.t * limit), (1, seconds * SECOND), "{limit}");
        }
    }

    #[test]
    fn what_does_not_fit_governor_is_counted_in_larger_units() {
        // A third of a nanosecond each.
        let fine = scale(3_000_000_000, 1, 3_000_000_000);
        assert_eq!((fine.k, fine.t), (2048, 683));
        let large = scale(u64::from(u32::MAX) * 60, 3600, u64::from(u32::MAX) * 8);
        assert_eq!(large.k, 128);
        // Here it is the burst that asks for it, the rate is slow.
        let burst = scale(10_000, 1, 1 << 34);
        assert_eq!((burst.k, burst.t), (8, 800_000));
    }

    #[test]
    fn a_bucket_that_would_take_more_than_a_year_to_fill_is_none() {
        assert_eq!(Scale::new(1, Duration::from_secs(3600), 8785, YEAR), None);
        assert!(Scale::new(1, Duration::from_secs(3600), 8784, YEAR).is_some());
        assert_eq!(Scale::new(1, Duration::from_secs(1), u64::MAX, YEAR), None);
    }

    #[test]
    fn one_who_takes_all_they_can_gets_the_formula_and_hardly_less() {
        for (limit, burst, amount, step) in [
            (7, 7, 2, 0),
            (3_000_000_000, 5000, 3, 0),
            (3_000_000_000, 4_000_000_000, 999_999, 0),
            (333_333_333, 1_000_000, 1001, 17),
            (u64::MAX / 4, u64::MAX / 4, u64::MAX / 64, 1),
        ] {
            let scale = scale(limit, 1, burst);
            let (mut bucket, mut now, mut total) = (None, NOW, 0_u128);
            let mut charges = 0;
            while charges < 20_000 {
                match scale.admit(bucket, amount, now) {
                    Ok(after) => {
                        bucket = after;
                        total += u128::from(amount);
                        charges += 1;
                    }
                    Err(Denied::Spent(nanos)) => now += nanos.max(step),
                    Err(Denied::TooLarge) => panic!("{amount} of {burst}"),
                }
            }
            let second = u128::from(SECOND);
            let time = u128::from(now - NOW) * u128::from(limit);
            let most = u128::from(burst) * second + time;
            assert!(total * second <= most, "{limit} {burst}");
            let lost = u128::from(scale.k) * charges;
            // A burst of few units has the rate of whole nanoseconds.
            let slower = if scale.units.get() < 2048 {
                2 * time
            } else {
                time / 1024
            };
            assert!((total + lost) * second + slower >= time, "{limit} {burst}");
        }
    }

    #[test]
    fn larger_units_are_given_back_whole_when_nothing_was_used_at_all() {
        let scale = scale(3_000_000_000, 1, 3_000_000_000);
        let one = scale.admit(None, 5000, NOW).unwrap();
        let both = scale.admit(one, 2049, NOW).unwrap();
        let mark = one.unwrap().since;
        let undone = Correction::Undone { reserved: 2049 };
        assert_eq!(scale.correct(both, undone, mark, NOW), one);
        // One unit of the two: never more than what was not used.
        let kept = scale.correct(both, settled(2049, 0), mark, NOW).unwrap();
        assert_eq!(kept.tat, one.unwrap().tat + scale.t);
    }

    #[test]
    fn debt_blocks_until_it_is_paid_even_for_nothing() {
        let scale = scale(60, 60, 60);
        let owing = scale.correct(None, settled(0, 90), 0, NOW);
        assert_eq!(scale.remaining(owing, NOW), 0);
        assert_eq!(scale.admit(owing, 0, NOW), Err(Denied::Spent(30 * SECOND)));
        assert_eq!(scale.admit(owing, 1, NOW), Err(Denied::Spent(31 * SECOND)));
        let paid = NOW + 30 * SECOND;
        assert_eq!(scale.admit(owing, 0, paid), Ok(owing));
        assert_eq!(scale.admit(owing, 1, paid), Err(Denied::Spent(SECOND)));
    }

    #[test]
    fn a_refund_fills_a_bucket_and_no_more() {
        let scale = scale(60, 60, 60);
        let taken = scale.admit(None, 50, NOW).unwrap();
        let mark = taken.unwrap().since;
        let later = NOW + 40 * SECOND;
        let refunded = scale.correct(taken, settled(50, 0), mark, later);
        assert_eq!(scale.remaining(refunded, later), 60);
        assert_eq!(scale.admit(refunded, 61, later), Err(Denied::TooLarge));
        let all = scale.admit(refunded, 60, later).unwrap();
        assert_eq!(scale.admit(all, 1, later), Err(Denied::Spent(SECOND)));
    }

    #[test]
    fn what_time_has_given_back_is_not_given_back_again() {
        let scale = scale(60, 60, 60);
        let early = scale.admit(None, 50, NOW).unwrap();
        let later = NOW + 51 * SECOND;
        let late = scale.admit(early, 60, later).unwrap();
        let corrected = scale.correct(late, settled(50, 0), early.unwrap().since, later);
        assert_eq!(corrected, late);
    }

    #[test]
    fn what_remains_passes_and_nothing_above_it() {
        for (limit, burst) in [
            (60, 61),
            (3_000_000_000, 3_000_001),
            (10_000, (1 << 34) + 7),
        ] {
            let scale = scale(limit, 1, burst);
            for taken in [0, 1, burst / 3, burst - 4000 % burst] {
                let bucket = scale.admit(None, taken, NOW).unwrap();
                let remaining = scale.remaining(bucket, NOW);
                assert!(remaining <= burst - taken);
                assert!(scale.admit(bucket, remaining, NOW).is_ok());
                assert!(scale.admit(bucket, remaining + 1, NOW).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn rounding_stays_within_what_is_stated_and_never_admits_more(
            limit in (0_u32..64, any::<u64>()).prop_map(|(shift, value)| (value >> shift).max(1)),
            burst in (0_u32..64, any::<u64>()).prop_map(|(shift, value)| (value >> shift).max(1)),
            seconds in prop::sample::select(vec![1_u64, 60, 3600]),
            amount in any::<u64>(),
        ) {
            let Some(scale) = Scale::new(limit, Duration::from_secs(seconds), burst, YEAR) else {
                return Ok(());
            };
            let period = u128::from(seconds * SECOND);
            let (k, t, limit) = (u128::from(scale.k), u128::from(scale.t), u128::from(limit));
            prop_assert!(scale.k.is_power_of_two());
            let units = u128::from(scale.units.get());
            prop_assert!(units * k <= u128::from(burst));
            prop_assert!(u128::from(burst) < (units + 1) * k);
            // Never faster, and slower by at most 1/1024, but for tiny bursts.
            prop_assert!(t * limit >= k * period);
            let precise = (t * limit - k * period) * 1024 <= k * period;
            prop_assert!(precise || units < 2048);
            prop_assert!(k == 1 || units >= 1024);
            if k > 1 {
                prop_assert!(k * period <= 2100 * limit || units >= 1 << 31);
            }
            let counted = u128::from(scale.units(amount)) * k;
            prop_assert!(counted >= u128::from(amount) && counted < u128::from(amount) + k);
        }

        #[test]
        fn no_number_panics(
            limit in 1..u64::MAX, burst in 1..u64::MAX, amount in any::<u64>(),
            tat in 0..=LATEST_TAT, mark in any::<u64>(), actual in any::<u64>(), now in 0..=LATEST,
        ) {
            for seconds in [1, 60, 3600] {
                let Some(scale) = Scale::new(limit, Duration::from_secs(seconds), burst, YEAR) else {
                    continue;
                };
                for bucket in [None, Some(Bucket { tat, since: mark })] {
                    for amount in [amount, 1, burst] {
                        let _ = scale.admit(bucket, amount, now);
                        let _ = scale.correct(bucket, settled(amount, actual), mark, now);
                        let undone = Correction::Undone { reserved: amount };
                        let _ = scale.correct(bucket, undone, mark, now);
                    }
                    let _ = scale.remaining(bucket, now);
                }
            }
        }
    }
}
