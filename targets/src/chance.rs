//! Chance from a seed: splitmix64, which is small, fast, and good enough to spread load. Never for
//! secrets.

/// A sequence of numbers that a seed determines.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        let number = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        number
    }

    /// A number below `end`; zero when that is zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.number()).wrapping_mul(u128::from(end));
        (product >> 64) as u64
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of splitmix64: near numbers become far ones.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(GOLDEN);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number as a fraction above 0 and below 1.
pub(crate) fn fraction(number: u64) -> f64 {
    // 52 bits, and a half to keep away from both ends: exact in an f64.
    ((number >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        // From the reference implementation by Sebastiano Vigna, seed 1234567.
        let mut chance = Chance::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| chance.number()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_fraction_is_never_zero_and_never_one() {
        assert!(fraction(0) > 0.0);
        assert!(fraction(u64::MAX) < 1.0);
    }

    #[test]
    fn nothing_is_below_zero_but_zero() {
        assert_eq!(Chance::new(1).below(0), 0);
        assert_eq!(Chance::new(1).below(1), 0);
    }
}
