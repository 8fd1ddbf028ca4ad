//! By how much the values of one side are longer than those of the other, and how sure that is, by ranks.
//!
//! The change is the median of the ratios of all pairs of a new and a base value (Hodges and Lehmann); how sure it is comes
//! from the rank sum (Mann and Whitney). Values close in time are alike, which makes both less sure: the *design effect* says
//! by what factor, from how much the mean ranks of blocks of neighbours scatter.

use statrs::distribution::{ContinuousCDF, Normal};

/// Standard deviations on both sides of a 99 % range.
pub(crate) const DEVIATIONS: f64 = 2.576;
/// Chance that one of all comparisons is called slower although nothing changed.
const FALSE_ALARMS: f64 = 0.003;
/// Standard deviations that a change needs to be seen nearly always: 3.09 to be called one, and 1.4 of luck.
const SEEN: f64 = 4.5;

/// How far one side is from the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// New values divided by base values, at the middle of all pairs.
    pub ratio: f64,
    /// The 99 % range of it.
    pub range: (f64, f64),
    /// Standard deviations from no change.
    pub deviations: f64,
    /// By what factor neighbours being alike widens what chance does; 1 for independent values.
    pub design_effect: f64,
    /// The least change, as a share, that is nearly always seen with so many values.
    pub could_see: f64,
    /// Whether each new value was compared with the base value of the same key.
    pub is_paired: bool,
}

/// Standard deviations that a change must be from none, among so many comparisons: 3.09 (1 in 1000) for three.
pub(crate) fn critical(comparisons: usize) -> f64 {
    let share = FALSE_ALARMS / comparisons.max(3) as f64;
    Normal::standard().inverse_cdf(1.0 - share)
}

/// A latency on the scale on which ratios are differences; what is not above 0 counts as 1 ns.
pub(crate) fn log(latency_ns: i64) -> f64 {
    (latency_ns.max(1) as f64).ln()
}

/// Compares two sides, each a list of runs, each a list of logarithms in time order. `None` if a side has no value.
pub(crate) fn shift(base: &[Vec<f64>], new: &[Vec<f64>]) -> Option<Shift> {
    let (base_sorted, new_sorted) = (sorted(base), sorted(new));
    if base_sorted.is_empty() || new_sorted.is_empty() {
        return None;
    }
    let (n, m) = (base_sorted.len() as f64, new_sorted.len() as f64);
    let ranks = Ranks::new(&base_sorted, &new_sorted);
    let (base_ranks, new_ranks) = (ranks.of(base), ranks.of(new));
    let design_effect = design_effect(&base_ranks, &new_ranks);
    let all: Vec<f64> = base_ranks.iter().chain(&new_ranks).flatten().copied().collect();
    let spread = variance(&all);
    let mean_of = |runs: &[Vec<f64>], count: f64| runs.iter().flatten().sum::<f64>() / count;
    let difference = mean_of(&new_ranks, m) - mean_of(&base_ranks, n);
    let scale = (spread * (1.0 / n + 1.0 / m) * design_effect).sqrt();
    let deviations = if scale > 0.0 { difference / scale } else { 0.0 };
    // The rank of a pair's difference, in the middle of all and at the ends of the range.
    let reach = DEVIATIONS * (n * m * (n + m + 1.0) / 12.0 * design_effect).sqrt();
    let at = |rank: f64| pair_difference(&base_sorted, &new_sorted, rank.clamp(0.5, n * m - 0.5));
    let middle = n * m / 2.0;
    let within = |values: &[f64]| quantile(values, 0.75) - quantile(values, 0.25);
    // Of a normal distribution, the middle half is 1.349 standard deviations wide.
    let sigma = (within(&base_sorted) + within(&new_sorted)) / 2.0 / 1.349;
    Some(Shift {
        ratio: at(middle).exp(),
        range: (at(middle - reach).exp(), at(middle + reach).exp()),
        deviations,
        design_effect,
        could_see: (SEEN * (design_effect * (1.0 / n + 1.0 / m)).sqrt() * sigma).exp_m1(),
        is_paired: false,
    })
}

pub(crate) fn sorted(runs: &[Vec<f64>]) -> Vec<f64> {
    let mut all: Vec<f64> = runs.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    all
}

/// A quantile of sorted values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a position in the list")]
    let at = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[at]
}

/// Variance of a latencies; 0 for fewer than two values.
pub(crate) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

/// Ranks of values among both sides; equal values share the mean of their ranks.
struct Ranks {
    all: Vec<f64>,
}

impl Ranks {
    fn new(base: &[f64], new: &[f64]) -> Self {
        Self { all: sorted(&[base.to_vec(), new.to_vec()]) }
    }

    fn of(&self, runs: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let rank = |value: &f64| {
            let below = self.all.partition_point(|other| other < value);
            let not_above = self.all.partition_point(|other| other <= value);
            (below + not_above) as f64 / 2.0
        };
        runs.iter().map(|run| run.iter().map(rank).collect()).collect()
    }
}

/// The mean over both sides of how much more the mean ranks of blocks of neighbours scatter than independent ranks would.
fn design_effect(base: &[Vec<f64>], new: &[Vec<f64>]) -> f64 {
    ((scatter(base) + scatter(new)) / 2.0).max(1.0)
}

/// Blocks have as many values as there are blocks, and lie within a run.
pub(crate) fn scatter(runs: &[Vec<f64>]) -> f64 {
    let count: usize = runs.iter().map(Vec::len).sum();
    let len = count.isqrt().max(1);
    let blocks: Vec<f64> = runs
        .iter()
        .flat_map(|run| run.chunks_exact(len.min(run.len()).max(1)))
        .map(|block| block.iter().sum::<f64>() / block.len() as f64)
        .collect();
    let spread = variance(&runs.concat());
    if spread > 0.0 { variance(&blocks) * len as f64 / spread } else { 1.0 }
}

/// The difference `new - base` that `rank` of all pairs do not exceed, within a billionth: the pairs are counted, not made.
fn pair_difference(base: &[f64], new: &[f64], rank: f64) -> f64 {
    let mut low = new[0] - base[base.len() - 1];
    let mut high = new[new.len() - 1] - base[0];
    while high - low > 1e-9 {
        let middle = f64::midpoint(low, high);
        if pairs_up_to(base, new, middle) < rank {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Pairs with `new - base <= limit`.
fn pairs_up_to(base: &[f64], new: &[f64], limit: f64) -> f64 {
    let (mut pairs, mut up_to) = (0, 0);
    for value in base {
        while up_to < new.len() && new[up_to] - value <= limit {
            up_to += 1;
        }
        pairs += up_to;
    }
    pairs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a skewed distribution, by a fixed generator.
    fn values(seed: u64, count: usize, factor: f64) -> Vec<f64> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1_u64 << 31) as f64
        };
        (0..count)
            .map(|_| (1000.0 * factor).ln() + (0..6).map(|_| uniform() - 0.5).sum::<f64>() * 0.4)
            .collect()
    }

    #[test]
    fn the_middle_pair_is_that_of_all_pairs_written_out() {
        for seed in 0..20 {
            let (base, new) = (values(seed, 17, 1.0), values(seed + 100, 24, 1.3));
            let mut all: Vec<f64> =
                base.iter().flat_map(|base| new.iter().map(move |new| new - base)).collect();
            all.sort_unstable_by(f64::total_cmp);
            let expected = (all[all.len() / 2 - 1], all[all.len() / 2]);
            let found = shift(&[base], &[new]).expect("values").ratio.ln();
            assert!(expected.0 - 1e-6 <= found && found <= expected.1 + 1e-6, "{found}, {expected:?}");
        }
    }

    #[test]
    fn the_range_holds_the_truth_and_false_alarms_are_rare() {
        let (mut outside, mut alarms) = (0, 0);
        for seed in 0..400 {
            let shift = shift(&[values(seed, 300, 1.0)], &[values(seed + 1000, 300, 1.1)]).expect("values");
            outside += u32::from(!(shift.range.0..shift.range.1).contains(&1.1));
            let same = super::shift(&[values(seed, 300, 1.0)], &[values(seed + 2000, 300, 1.0)]);
            alarms += u32::from(same.expect("values").deviations.abs() >= critical(3));
        }
        assert!(outside <= 12, "{outside} of 400 outside of a 99 % range");
        assert!(alarms <= 4, "{alarms} of 400");
    }

    #[test]
    fn neighbours_that_are_alike_count_for_less() {
        let alike = |seed: u64| -> Vec<f64> {
            values(seed, 20, 1.0).into_iter().flat_map(|value| std::iter::repeat_n(value, 20)).collect()
        };
        let shift = shift(&[alike(1)], &[alike(2)]).expect("values");
        assert!(shift.design_effect > 10.0, "{shift:?}");
        let independent = super::shift(&[values(1, 400, 1.0)], &[values(2, 400, 1.0)]).expect("values");
        assert!(independent.design_effect < 1.6, "{independent:?}");
    }

    #[test]
    fn more_comparisons_need_more() {
        assert!((critical(3) - 3.09).abs() < 0.01 && (critical(1) - 3.09).abs() < 0.01);
        assert!((4.0..5.0).contains(&critical(300)));
    }

    #[test]
    fn equal_values_are_no_change() {
        let shift = shift(&[vec![1.0; 50]], &[vec![1.0; 60]]).expect("values");
        assert!((shift.ratio - 1.0).abs() < 1e-6 && shift.deviations.abs() < 1e-9, "{shift:?}");
        assert_eq!(super::shift(&[vec![]], &[vec![1.0]]), None);
    }
}
