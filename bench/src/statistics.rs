//! Medians, percentiles and ratios over rounds.
//!
//! Rounds are compared pairwise before they are summed up: a ratio is taken within a round, where
//! both sides met the same machine, and the median is taken of the ratios.

use std::time::Duration;

use serde::Serialize;

/// Where the middle of some values lies and how far they reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// The median; of an even number of values, the mean of the two in the middle.
    pub(crate) median: f64,
    /// The smallest value.
    pub(crate) min: f64,
    /// The largest value.
    pub(crate) max: f64,
}

impl Spread {
    /// Sums up values; `None` without any.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self { median, min, max })
    }

    /// The spread of `ours[i] / theirs[i]`; rounds whose divisor is not positive are left out.
    pub(crate) fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Self::of(
            ours.iter()
                .zip(theirs)
                .filter(|(_, &theirs)| theirs > 0.0)
                .map(|(ours, theirs)| ours / theirs),
        )
    }
}

/// The value that `share` (0 to 1) of the sorted durations do not exceed (nearest rank).
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay far below 2^52 and the rank is not negative"
    )]
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_in_any_order() {
        let odd = Spread::of([5.0, 1.0, 3.0]).expect("values");
        assert_eq!((odd.median, odd.min, odd.max), (3.0, 1.0, 5.0));
        let even = Spread::of([4.0, 1.0, 2.0, 9.0]).expect("values");
        assert_eq!((even.median, even.min, even.max), (3.0, 1.0, 9.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The medians' ratio would be 20/20: the machine was slow in another round for each.
        let ratios = Spread::of_ratios(&[10.0, 20.0, 40.0], &[20.0, 40.0, 20.0]).expect("values");
        assert_eq!((ratios.median, ratios.min, ratios.max), (0.5, 0.5, 2.0));
    }

    #[test]
    fn a_round_without_a_divisor_does_not_count() {
        let ratios = Spread::of_ratios(&[1.0, 6.0], &[0.0, 3.0]).expect("values");
        assert_eq!((ratios.min, ratios.max), (2.0, 2.0));
        assert_eq!(Spread::of_ratios(&[1.0], &[0.0]), None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&sorted, 1.0), Duration::from_millis(200));
        assert_eq!(percentile(&sorted, 0.0), Duration::from_millis(1));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
