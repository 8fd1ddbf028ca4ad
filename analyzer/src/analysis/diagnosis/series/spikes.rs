//! Spikes at even distances in a series: every N buffers, or every so long.

use std::collections::BTreeMap;

use super::super::limit::quantile::{median, median_deviation, quantile};

/// Values that a series needs.
const LEAST: usize = 60;
/// Spikes that it needs.
const LEAST_SPIKES: usize = 5;
/// Share of the distances that must fit.
const FIT: f64 = 0.8;
/// How far a distance may be from a multiple: as a share of the number, and of the time.
const COUNT_TOLERANCE: f64 = 0.02;
const TIME_TOLERANCE: f64 = 0.1;
/// Spikes that may be missing between two, plus one.
const MULTIPLES: f64 = 3.0;

/// Spikes that come again and again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spikes {
    /// What they are apart.
    pub(crate) every: Every,
    /// Spikes.
    pub(crate) count: usize,
    /// Their median, ns.
    pub(crate) median_ns: f64,
    /// Position of the first.
    pub(crate) first: usize,
}

/// What spikes are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Every {
    /// So many values.
    Count(usize),
    /// So long, ns.
    Time(f64),
}

/// Spikes at even distances in `values`, which began at `times_ns`.
pub(crate) fn spikes(values: &[f64], times_ns: &[u64]) -> Option<Spikes> {
    if values.len() < LEAST {
        return None;
    }
    let at = positions(values);
    if at.len() < LEAST_SPIKES {
        return None;
    }
    let median_ns = median(&at.iter().map(|&at| values[at]).collect::<Vec<_>>());
    let found = |every| Some(Spikes { every, count: at.len(), median_ns, first: at[0] });
    let apart: Vec<f64> = at.windows(2).map(|two| (two[1] - two[0]) as f64).collect();
    let time = |at: usize| times_ns[at] as f64;
    let apart_ns: Vec<f64> = at.windows(2).map(|two| time(two[1]) - time(two[0])).collect();
    let (count_fit, count) = by_count(&apart);
    let period_ns = median(&apart_ns);
    let time_fit = if period_ns > 0.0 { fit(&apart_ns, period_ns, TIME_TOLERANCE * period_ns) } else { 0.0 };
    if count_fit >= FIT && count_fit >= time_fit {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a distance of positions"
        )]
        return found(Every::Count(count as usize));
    }
    let usual_ns = median(&times_ns.windows(2).map(|two| two[1] as f64 - two[0] as f64).collect::<Vec<_>>());
    if time_fit >= FIT && period_ns > 5.0 * usual_ns { found(Every::Time(period_ns)) } else { None }
}

/// Positions of values far above the others; of a run of them, the first.
fn positions(values: &[f64]) -> Vec<usize> {
    let middle = median(values);
    let deviation = match median_deviation(values) {
        deviation if deviation > 0.0 => deviation,
        _ => 1.0,
    };
    let limit = (middle + 8.0 * deviation).max(2.0 * quantile(values, 0.9)).max(1.5 * middle);
    let is_spike = |at: usize| values[at] > limit;
    (0..values.len()).filter(|&at| is_spike(at) && !(at > 0 && is_spike(at - 1))).collect()
}

/// The number of values that spikes are apart, and the share of distances that it fits.
fn by_count(apart: &[f64]) -> (f64, f64) {
    let mut uses: BTreeMap<u64, usize> = BTreeMap::new();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "distances of positions")]
    apart.iter().for_each(|&apart| *uses.entry(apart as u64).or_default() += 1);
    let usual = uses.iter().max_by_key(|&(_, &count)| count).map_or(0, |(&apart, _)| apart) as f64;
    // Where spikes are missing, the shorter distances tell.
    let mut sorted = apart.to_vec();
    sorted.sort_by(f64::total_cmp);
    let short = median(&sorted[..sorted.len() / 2 + 1]).floor();
    let fits = [usual, short].into_iter().filter(|&base| base >= 3.0);
    let fits = fits.map(|base| (fit(apart, base, COUNT_TOLERANCE * base), base));
    fits.fold((0.0, 0.0), |best, this| if this.0 > best.0 { this } else { best })
}

/// The share of `distances` that are within `tolerance` of a small multiple of `base`.
fn fit(distances: &[f64], base: f64, tolerance: f64) -> f64 {
    let fits = |distance: &&f64| {
        let times = (**distance / base).round();
        (1.0..=MULTIPLES).contains(&times) && (**distance - times * base).abs() <= tolerance
    };
    distances.iter().filter(fits).count() as f64 / distances.len().max(1) as f64
}
