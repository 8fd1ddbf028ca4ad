//! Two modes in a distribution: work that is done in one of two ways.

/// Values that are needed.
const LEAST: usize = 200;
/// Ashman's D from which on two modes are apart.
const APART: f64 = 3.0;
/// The valley between them is at most this share of the lower peak.
const VALLEY: f64 = 0.5;
/// Least distance of the modes, as a share of the lower and in ns: less makes no difference, and may be the tick of a clock.
const LEAST_APART: f64 = 0.10;
const LEAST_APART_NS: f64 = 1000.0;
/// What the rarer mode adds to the time of all values, or saves, as a share of it, at the least: less is no way of working but the
/// machine's own, such as timers that some of the time are late.
const LEAST_EFFECT: f64 = 0.03;
/// Share of values at each end that does not count.
const TRIMMED: f64 = 0.005;

/// Two modes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Modes {
    /// Geometric mean of the lower, ns.
    pub(crate) low_ns: f64,
    /// Geometric mean of the higher, ns.
    pub(crate) high_ns: f64,
    /// Share of the values that belong to the higher.
    pub(crate) high_share: f64,
}

/// Two separate modes of `values`: Otsu's cut of the logarithms, far apart, with a valley between them.
pub(crate) fn modes(values: &[f64]) -> Option<Modes> {
    if values.len() < LEAST {
        return None;
    }
    let mut logs: Vec<f64> = values.iter().filter(|&&value| value > 0.0).map(|value| value.ln()).collect();
    logs.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
    let trimmed = (logs.len() as f64 * TRIMMED) as usize;
    let logs = &logs[trimmed..logs.len() - trimmed];
    let cut = cut(logs)?;
    let (low, high) = (Cluster::of(&logs[..cut]), Cluster::of(&logs[cut..]));
    let distance = (high.mean - low.mean).abs();
    let deviations = low.variance.max(1e-12).sqrt() + high.variance.max(1e-12).sqrt();
    let apart = std::f64::consts::SQRT_2 * distance / deviations;
    let found = Modes {
        low_ns: low.mean.exp(),
        high_ns: high.mean.exp(),
        high_share: (logs.len() - cut) as f64 / logs.len() as f64,
    };
    let distance_ns = found.high_ns - found.low_ns;
    let mean_ns = found.low_ns + found.high_share * distance_ns;
    let effect = found.high_share.min(1.0 - found.high_share) * distance_ns / mean_ns;
    let matters = distance_ns >= (LEAST_APART * found.low_ns).max(LEAST_APART_NS) && effect >= LEAST_EFFECT;
    (matters && apart >= APART && has_valley(logs, low.mean, high.mean)).then_some(found)
}

struct Cluster {
    mean: f64,
    variance: f64,
}

impl Cluster {
    fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Self { mean, variance }
    }
}

/// The position that parts `sorted` best: that with the greatest variance between the parts.
fn cut(sorted: &[f64]) -> Option<usize> {
    let count = sorted.len();
    let edge = (count / 20).max(5);
    let total: f64 = sorted.iter().sum();
    let (mut below, mut best) = (0.0, None);
    for (at, value) in sorted.iter().enumerate() {
        let (left, right) = (at as f64, (count - at) as f64);
        if at >= edge && at < count.saturating_sub(edge) {
            let between = left * right * (below / left - (total - below) / right).powi(2);
            if best.is_none_or(|(most, _)| between > most) {
                best = Some((between, at));
            }
        }
        below += value;
    }
    best.map(|(_, at)| at)
}

/// Whether the density falls to half of the lower peak somewhere between the means.
fn has_valley(sorted: &[f64], low: f64, high: f64) -> bool {
    let half = (high - low).abs() / 10.0;
    let below = |value: f64| sorted.partition_point(|&other| other < value);
    let up_to = |value: f64| sorted.partition_point(|&other| other <= value);
    let density = |at: f64| (up_to(at + half) - below(at - half)) as f64;
    let grid: Vec<f64> = (0..=20).map(|tick| density(low + (high - low) * f64::from(tick) / 20.0)).collect();
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let least = grid[5..16].iter().copied().fold(f64::INFINITY, f64::min);
    least <= VALLEY * most(&grid[..8]).min(most(&grid[13..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1000 values, of which so many of 100 take this many times as long as the others, all within 3 %.
    fn values(percent: u64, times: f64) -> Vec<f64> {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut value = || {
            let usual = 420_000.0 * (0.97 + (random() % 1000) as f64 * 0.000_06);
            if random() % 100 < percent { usual * times } else { usual }
        };
        (0..1000).map(|_| value()).collect()
    }

    #[test]
    fn two_ways_of_working_are_found() {
        for (percent, times) in [(20, 2.0), (50, 1.3), (8, 3.0), (90, 2.0)] {
            let found = modes(&values(percent, times)).unwrap();
            assert!((found.high_share - percent as f64 / 100.0).abs() < 0.03, "{found:?}");
            assert!((found.high_ns / found.low_ns - times).abs() < 0.02, "{found:?}");
        }
        assert_eq!(modes(&values(0, 1.0)), None);
    }

    /// As calm recordings were on a machine whose timers are late 7 times of 100.
    #[test]
    fn a_little_more_now_and_then_is_none() {
        assert_eq!(modes(&values(7, 1.17)), None);
        assert_eq!(modes(&values(6, 1.21)), None);
    }
}
