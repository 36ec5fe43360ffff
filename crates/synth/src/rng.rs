//! Chance that repeats: every thing that is made draws from a stream of its own, named by the seed,
//! a topic and the thing's number. So it does not matter which thread makes it, or when.

use crate::num::{floor, real};

/// What a stream is for. Two topics never share a stream.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Topic {
    Sites = 1,
    Weights,
    Ages,
    Households,
    Buildings,
    People,
    Enterprises,
    Streets,
    Metro,
    Facilities,
    Sensors,
    Land,
    Venues,
    Incidents,
    Fates,
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finisher: each bit of the result depends on every bit of the argument.
pub fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number between 0 and 1, 1 excluded, from 64 mixed bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

impl Rng {
    pub fn of(seed: u64, topic: Topic, thing: u64) -> Self {
        let start = mix(seed.wrapping_add(GOLDEN)) ^ mix((topic as u64).wrapping_mul(GOLDEN));
        Self(mix(start.wrapping_add(thing.wrapping_mul(0xd6e8_feb8_6659_fd93))))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    pub fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Below `bound`, which must not be nought.
    pub fn below(&mut self, bound: usize) -> usize {
        floor(self.unit() * real(bound)).min(bound - 1)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Standard normal (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal with the given median and spread of its logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Poisson by inversion for small means, by the normal for large ones.
    pub fn poisson(&mut self, mean: f64) -> usize {
        const INVERSION_MEAN_MAX: f64 = 30.0;
        if mean <= 0.0 {
            return 0;
        }
        if mean > INVERSION_MEAN_MAX {
            return floor((mean + mean.sqrt() * self.normal() + 0.5).max(0.0));
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// An index by running totals of weights; the last total is that of all.
    pub fn pick_by(&mut self, totals: &[f64]) -> usize {
        let all = totals.last().copied().unwrap_or(0.0);
        let at = self.unit() * all;
        totals.partition_point(|total| *total <= at).min(totals.len().saturating_sub(1))
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A permutation of `0..count` that can be asked for one element at a time: four rounds of a
/// Feistel network over the next power of four, walked until it falls inside.
#[derive(Debug, Clone)]
pub struct Permutation {
    count: u64,
    half_bits: u32,
    keys: [u64; 4],
}

impl Permutation {
    pub fn new(count: u64, mut rng: Rng) -> Self {
        let bits = 64 - count.saturating_sub(1).leading_zeros();
        let keys = [rng.next(), rng.next(), rng.next(), rng.next()];
        Self { count, half_bits: bits.div_ceil(2).max(1), keys }
    }

    /// `at` below the count. The walk ends: the network permutes, so it comes back into range.
    pub fn at(&self, at: u64) -> u64 {
        debug_assert!(at < self.count, "an element that is there");
        let mut value = self.round_trip(at);
        while value >= self.count {
            value = self.round_trip(value);
        }
        value
    }

    fn round_trip(&self, value: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_visits_everything_once() {
        for count in [1, 2, 3, 17, 64, 1_000, 4_097] {
            let permutation = Permutation::new(count, Rng::of(1, Topic::Ages, count));
            let mut seen: Vec<u64> = (0..count).map(|at| permutation.at(at)).collect();
            assert!(count < 17 || seen.windows(2).any(|pair| pair[0] + 1 != pair[1]));
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..count), "{count}");
        }
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, thing| Rng::of(seed, Topic::People, thing).next();
        assert_eq!(draw(1, 5), draw(1, 5));
        assert_ne!(draw(1, 5), draw(1, 6));
        assert_ne!(draw(1, 5), draw(2, 5));
        let mut rng = Rng::of(3, Topic::People, 0);
        let mean = (0..20_000).map(|_| rng.normal()).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        let mean = (0..5_000).map(|_| real(rng.poisson(4.0))).sum::<f64>() / 5_000.0;
        assert!((mean - 4.0).abs() < 0.15, "{mean}");
    }
}
