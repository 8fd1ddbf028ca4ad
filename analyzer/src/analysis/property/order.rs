//! Whether the values of a number have an order that tells anything, or are only names: numbers of lines, methods, tables.
//!
//! What a quantity has to do with being slow goes on from value to value: the more bytes, the more often. Of names, each has a
//! share of slow spans of its own, whatever stands beside it. So what all values tell, each by itself, is compared with what is
//! left of it if the share of slow spans may only rise with the value, or only fall. Both are measured by the statistic of the
//! G-test, less what chance gives.

/// Share of what the values tell that their order must tell.
const LEAST_SHARE: f64 = 0.7;

/// How many spans have a value, or one of several, and how many of those are slow.
#[derive(Debug, Clone, Copy, Default)]
struct SlowCount {
    all: f64,
    slow: f64,
}

impl SlowCount {
    fn add(&mut self, other: Self) {
        (self.all, self.slow) = (self.all + other.all, self.slow + other.slow);
    }

    fn share(&self) -> f64 {
        self.slow / self.all
    }

    /// What it adds to the statistic, if `share` of all spans are slow.
    fn g(&self, share: f64) -> f64 {
        let cell = |count: f64, share: f64| {
            if count > 0.0 { count * (count / (self.all * share)).ln() } else { 0.0 }
        };
        2.0 * (cell(self.slow, share) + cell(self.all - self.slow, 1.0 - share))
    }

    /// What it adds to the statistic by chance.
    fn g_by_chance(&self, share: f64) -> f64 {
        /// With more slow spans than this the statistic is that of a normal distribution; 3 times as many are not met.
        const MANY: f64 = 20.0;
        if self.all * share.min(1.0 - share) > MANY {
            return 1.0;
        }
        let (mut sum, mut slow) = (0.0, 0.0);
        let mut probability = (self.all * (1.0 - share).ln()).exp();
        while slow <= self.all.min(3.0 * MANY) {
            sum += probability * Self { slow, ..*self }.g(share);
            probability *= (self.all - slow) / (slow + 1.0) * share / (1.0 - share);
            slow += 1.0;
        }
        sum
    }
}

/// Whether being slow goes on from value to value, upwards or, if `falls`, downwards. `values` are those of all spans, each with
/// whether it is slow, in the order of the values; some are slow and some are not.
pub(super) fn is_ordered(values: &[(i64, bool)], falls: bool) -> bool {
    let of_each = values.chunk_by(|a, b| a.0 == b.0).map(|alike| SlowCount {
        all: alike.len() as f64,
        slow: alike.iter().filter(|(_, is_slow)| *is_slow).count() as f64,
    });
    let mut counts: Vec<SlowCount> = of_each.collect();
    if falls {
        counts.reverse();
    }
    let mut all = SlowCount::default();
    counts.iter().for_each(|&count| all.add(count));
    let share = all.share();
    let told: f64 = counts.iter().map(|count| count.g(share) - count.g_by_chance(share)).sum();
    let by_order: f64 = rising(&counts).iter().map(|count| count.g(share)).sum();
    by_order >= LEAST_SHARE * told
}

/// Puts neighbours together until the share of slow ones only rises (pool adjacent violators).
fn rising(counts: &[SlowCount]) -> Vec<SlowCount> {
    let mut pools: Vec<SlowCount> = Vec::new();
    for &count in counts {
        let mut pool = count;
        while let Some(below) = pools.pop_if(|below| below.share() >= pool.share()) {
            pool.add(below);
        }
        pools.push(pool);
    }
    pools
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `values`, each with how many spans have it and how many of them are slow.
    fn spans(values: impl IntoIterator<Item = (i64, usize, usize)>) -> Vec<(i64, bool)> {
        let of = |(value, all, slow)| (0..all).map(move |at| (value, at < slow));
        values.into_iter().flat_map(of).collect()
    }

    #[test]
    fn lines_of_a_program_have_no_order() {
        // One method of three is slow, and more of those stand at the top of the file.
        let slow = |line: i64| if line % 3 == 0 && line < 120 { 8 } else { 0 };
        let lines = (1..40).map(|at| (7 * at, 50, slow(7 * at)));
        assert!(!is_ordered(&spans(lines), true));
    }

    #[test]
    fn a_quantity_has_an_order_however_often_its_values_come() {
        for each in [1, 50] {
            let step = (0..600).map(|size| (size, each, if size >= 540 { each } else { 0 }));
            assert!(is_ordered(&spans(step), false), "from a value on, {each} of each");
            let falling = (0..600).map(|size| (size, each, each * usize::from(size < 60)));
            assert!(is_ordered(&spans(falling), true), "up to a value, {each} of each");
        }
        // Slow spans become more and more.
        let ramp = (0..40).map(|size| (size, 40, usize::try_from(size).unwrap() / 2));
        assert!(is_ordered(&spans(ramp), false));
    }

    #[test]
    fn chance_is_that_of_all_outcomes() {
        // A single span that is slow with 0.1: 2 (0.1 ln 10 + 0.9 ln(1 / 0.9)).
        let one = SlowCount { all: 1.0, slow: 0.0 };
        assert!((one.g_by_chance(0.1) - 0.650_2).abs() < 1e-3, "{}", one.g_by_chance(0.1));
        let many = SlowCount { all: 190.0, slow: 0.0 };
        assert!((many.g_by_chance(0.1) - 1.0).abs() < 0.05, "{}", many.g_by_chance(0.1));
    }

    proptest! {
        /// Shares rise, and nothing is lost.
        #[test]
        fn pools_rise(counts in prop::collection::vec((1_u32..50, 0_u32..50), 1..60)) {
            let count = |&(all, slow): &(u32, u32)| SlowCount { all: all.into(), slow: slow.min(all).into() };
            let counts: Vec<SlowCount> = counts.iter().map(count).collect();
            let pools = rising(&counts);
            prop_assert!(pools.windows(2).all(|two| two[0].share() < two[1].share()));
            let sum = |counts: &[SlowCount]| counts.iter().map(|count| (count.all, count.slow)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
            prop_assert_eq!(sum(&pools), sum(&counts));
        }
    }
}
