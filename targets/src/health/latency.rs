//! Times to the first token: a mean in which old ones fade, and percentiles of the last 128.

use std::time::Duration;

/// What is known of a target's times to the first token.
#[derive(Debug, Clone, Default)]
pub(super) struct Latency {
    /// Seconds, and how many samples they are the sum of; both fade alike.
    sum: f64,
    weight: f64,
    /// When the last sample came.
    sampled: Duration,
    /// The last samples in microseconds, at most [`RING`]; `oldest` is replaced next.
    ring: Vec<u32>,
    oldest: usize,
}

/// After this time a sample weighs half.
const HALF_LIFE: Duration = Duration::from_secs(30);
const RING: usize = 128;
/// With fewer samples a percentile says nothing.
const FEWEST: usize = 20;

impl Latency {
    pub(super) fn sample(&mut self, time: Duration, now: Duration) {
        let passed = now.saturating_sub(self.sampled);
        let faded = (-passed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
        self.sum = self.sum * faded + time.as_secs_f64();
        self.weight = self.weight * faded + 1.0;
        self.sampled = self.sampled.max(now);

        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        if self.ring.len() < RING {
            self.ring.push(micros);
        } else if let Some(oldest) = self.ring.get_mut(self.oldest) {
            *oldest = micros;
            self.oldest = (self.oldest + 1) % RING;
        }
    }

    /// The mean, `None` without samples.
    pub(super) fn mean(&self) -> Option<Duration> {
        if self.weight < 1.0 {
            return None;
        }
        Some(Duration::try_from_secs_f64(self.sum / self.weight).unwrap_or(Duration::MAX))
    }

    /// The samples, for [`percentile`]: to be sorted where nobody waits.
    pub(super) fn samples(&self) -> Vec<u32> {
        self.ring.clone()
    }
}

/// The smallest sample that so many percent are not above (nearest rank); `None` of too few.
pub(super) fn percentile(mut samples: Vec<u32>, percent: u8) -> Option<Duration> {
    if samples.len() < FEWEST {
        return None;
    }
    let percent = usize::from(percent.clamp(1, 100));
    let rank = (samples.len() * percent).div_ceil(100);
    samples.sort_unstable();
    let micros = samples.get(rank.saturating_sub(1)).copied()?;
    Some(Duration::from_micros(u64::from(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn samples_of_one_moment_weigh_alike() {
        let mut latency = Latency::default();
        assert_eq!(latency.mean(), None);
        latency.sample(millis(100), millis(0));
        latency.sample(millis(300), millis(0));
        assert_eq!(latency.mean(), Some(millis(200)));
    }

    #[test]
    fn a_sample_weighs_half_after_half_a_minute() {
        let mut latency = Latency::default();
        latency.sample(millis(400), millis(0));
        latency.sample(millis(100), HALF_LIFE);
        assert_eq!(latency.mean(), Some(millis(200)));
    }

    #[test]
    fn a_percentile_is_known_from_twenty_samples_on() {
        let mut latency = Latency::default();
        for sample in 1..20 {
            latency.sample(millis(sample), millis(0));
            assert_eq!(percentile(latency.samples(), 50), None);
        }
        latency.sample(millis(20), millis(0));
        assert_eq!(percentile(latency.samples(), 50), Some(millis(10)));
        assert_eq!(percentile(latency.samples(), 95), Some(millis(19)));
        assert_eq!(percentile(latency.samples(), 100), Some(millis(20)));
        assert_eq!(percentile(latency.samples(), 0), Some(millis(1)));
    }

    #[test]
    fn the_last_128_samples_are_kept() {
        let mut latency = Latency::default();
        (0..1000).for_each(|sample| latency.sample(millis(sample), millis(0)));
        let mut samples = latency.samples();
        samples.sort_unstable();
        let last: Vec<u32> = (872..1000).map(|millis| millis * 1000).collect();
        assert_eq!(samples, last);
    }

    #[test]
    fn no_time_is_too_long() {
        let mut latency = Latency::default();
        (0..30).for_each(|_| latency.sample(Duration::MAX, Duration::MAX));
        assert!(latency.mean() > Some(Duration::from_secs(1 << 40)));
        assert!(percentile(latency.samples(), 50).is_some());
        latency.sample(Duration::ZERO, Duration::ZERO);
        assert!(latency.mean().is_some());
    }
}
