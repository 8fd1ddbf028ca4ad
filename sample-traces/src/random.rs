//! Repeatable random numbers: splitmix64, and the log-normal factor that spreads work times.

/// Generator whose whole sequence follows from its seed.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator for one buffer: the same seed and sequence number give the same numbers, whichever worker asks.
    #[must_use]
    pub fn for_buffer(seed: u64, seq: u64) -> Random {
        let mut random = Random { state: seed };
        random.state = random.next_u64() ^ seq;
        random
    }

    /// The next 64 random bits (splitmix64, Steele, Lea and Flood 2014).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in (0, 1].
    fn unit(&mut self) -> f64 {
        let bits = u32::try_from(self.next_u64() >> 32).expect("32 bits are left");
        (f64::from(bits) + 1.0) / 4_294_967_296.0
    }

    /// A factor with mean 1 and a long tail; `spread` is the deviation of its logarithm, 0 gives exactly 1.
    pub fn factor(&mut self, spread: f64) -> f64 {
        let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        (spread * normal - spread * spread / 2.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_have_mean_one_and_the_spread_asked_for() {
        let factors: Vec<f64> = (0..20_000).map(|seq| Random::for_buffer(1, seq).factor(0.5)).collect();
        let count = 20_000.0;
        let mean = factors.iter().sum::<f64>() / count;
        let logs = factors.iter().map(|f| f.ln() + 0.125).map(|l| l * l).sum::<f64>() / count;
        assert!((mean - 1.0).abs() < 0.02, "mean {mean}");
        assert!((logs.sqrt() - 0.5).abs() < 0.02, "spread {}", logs.sqrt());
    }

    #[test]
    fn no_spread_means_no_change_and_a_seed_repeats() {
        assert_eq!(Random::for_buffer(9, 9).factor(0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(Random::for_buffer(1, 2).next_u64(), Random::for_buffer(1, 2).next_u64());
        assert_ne!(Random::for_buffer(1, 2).next_u64(), Random::for_buffer(2, 1).next_u64());
    }
}
