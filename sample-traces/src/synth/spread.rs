//! Times with a realistic spread, fast: quantiles of the log-normal factor, made once, and a line between two of them.

use crate::random::Random;

/// Bits that choose one of the quantiles; as many again and six choose the place between it and the next.
const BITS: u32 = 10;
/// Factors have so many bits behind the binary point.
const POINT: u32 = 16;
/// A few draws make each quantile steady.
const DRAWS: usize = 64;

/// A distribution of factors around 1.
#[derive(Debug)]
pub(super) struct Spread {
    /// Factors in steps of 2^-16, ascending, one more than there are quantiles.
    quantiles: Vec<u32>,
}

impl Spread {
    /// Factors whose logarithm has the deviation `jitter`; 0 gives exactly 1.
    pub(super) fn new(jitter: f64) -> Self {
        let mut random = Random::for_buffer(0, 0);
        let mut factors: Vec<f64> = (0..=DRAWS << BITS).map(|_| random.factor(jitter)).collect();
        factors.sort_unstable_by(f64::total_cmp);
        let fixed = |&factor: &f64| u32::try_from(whole(factor * f64::from(1 << POINT))).unwrap_or(u32::MAX);
        Self { quantiles: factors.iter().step_by(DRAWS).map(fixed).collect() }
    }

    /// A time around `mean_ns`, at least 1.
    pub(super) fn draw(&self, mean_ns: u64, random: &mut Random) -> u64 {
        let bits = random.next_u64();
        let quantile = usize::try_from(bits >> (u64::BITS - BITS)).unwrap_or(0);
        let (low, high) = (u64::from(self.quantiles[quantile]), u64::from(self.quantiles[quantile + 1]));
        let factor = low + (((high - low) * (bits & 0xffff)) >> POINT);
        let time_ns = (u128::from(mean_ns) * u128::from(factor)) >> POINT;
        u64::try_from(time_ns).unwrap_or(u64::MAX >> 1).max(1)
    }
}

/// A number from an exponential distribution: how far it is to the next of things that happen by chance.
pub(super) fn exponential(mean: f64, random: &mut Random) -> u64 {
    let bits = u32::try_from(random.next_u64() >> 32).unwrap_or(u32::MAX);
    whole(-((f64::from(bits) + 0.5) / 4_294_967_296.0).ln() * mean)
}

/// The whole number below a positive one.
pub(super) fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float too large for the integer becomes the greatest, and there are no negative ones"
    )]
    let whole = number as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_mean_and_the_spread_asked_for() {
        let (spread, mut random) = (Spread::new(0.4), Random::for_buffer(5, 0));
        let mut times: Vec<u64> = (0..100_000).map(|_| spread.draw(1_000_000, &mut random)).collect();
        times.sort_unstable();
        let mean = times.iter().sum::<u64>() / 100_000;
        assert!((995_000..1_010_000).contains(&mean), "mean {mean}");
        // The median of a log-normal distribution with mean 1 is exp(-0.08), its 99th percentile exp(-0.08 + 0.4 * 2.326).
        assert!((910_000..936_000).contains(&times[50_000]), "median {}", times[50_000]);
        assert!((2_280_000..2_400_000).contains(&times[99_000]), "p99 {}", times[99_000]);
    }

    #[test]
    fn without_jitter_every_time_is_the_mean() {
        let (spread, mut random) = (Spread::new(0.0), Random::for_buffer(5, 0));
        assert!((0..1000).all(|_| spread.draw(12_345, &mut random) == 12_345));
        assert_eq!(spread.draw(0, &mut random), 1, "time goes on");
    }

    #[test]
    fn distances_by_chance_have_their_mean() {
        let mut random = Random::for_buffer(5, 0);
        let sum: u64 = (0..100_000).map(|_| exponential(500.0, &mut random)).sum();
        assert!((490..510).contains(&(sum / 100_000)), "{sum}");
    }
}
