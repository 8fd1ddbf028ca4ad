//! The same work on both sides: each key's new latency against its base latency.
//!
//! Where both sides carry the same input, a key's latency on one side foretells the one on the other. Comparing key by key
//! then leaves out all that differs between keys, and sees far smaller changes.

use std::collections::HashMap;

use super::rank::{DEVIATIONS, Shift, critical, log, quantile, scatter, sorted, variance};
use super::run_set::Pooled;

/// Share of the keys that both sides must have.
const COMMON: f64 = 0.8;
/// Rank correlation of the keys' latencies from which the work is the same.
const SAME_WORK: f64 = 0.5;
/// Keys that a correlation needs.
const MIN_KEYS: usize = 30;

/// Compares key by key; `None` if the two sides do not carry the same work, or too much to keep all of it.
pub(crate) fn shift(base: &Pooled, new: &Pooled) -> Option<Shift> {
    let (base, new) = (by_key(base)?, by_key(new)?);
    let mut common: Vec<(usize, f64, f64)> = new
        .iter()
        .filter_map(|(key, after)| base.get(key).map(|before| (before.order, before.mean(), after.mean())))
        .collect();
    if common.len() < MIN_KEYS || (common.len() as f64) < COMMON * base.len().max(new.len()) as f64 {
        return None;
    }
    common.sort_unstable_by_key(|key| key.0);
    let (before, after): (Vec<f64>, Vec<f64>) = common.iter().map(|key| (key.1, key.2)).unzip();
    if correlation(&ranks(&before), &ranks(&after)) < SAME_WORK {
        return None;
    }
    let changes: Vec<f64> = before.iter().zip(&after).map(|(before, after)| after - before).collect();
    Some(of_changes(&changes))
}

/// The median change, how sure its sign is (Wilcoxon), and the 99 % range of it by the ranks around the middle.
fn of_changes(changes: &[f64]) -> Shift {
    let sorted_changes = sorted(&[changes.to_vec()]);
    let sizes: Vec<f64> = changes.iter().map(|change| change.abs()).collect();
    let signed: Vec<f64> = ranks(&sizes)
        .iter()
        .zip(changes)
        .map(|(rank, change)| if *change == 0.0 { 0.0 } else { rank * change.signum() })
        .collect();
    let design_effect = scatter(&[ranks(changes)]).max(1.0);
    let scale = (signed.iter().map(|rank| rank * rank).sum::<f64>() * design_effect).sqrt();
    let sum: f64 = signed.iter().sum();
    let count = changes.len() as f64;
    let reach = DEVIATIONS * 0.5 * (design_effect / count).sqrt();
    let at = |share: f64| quantile(&sorted_changes, share.clamp(0.0, 1.0)).exp();
    let spread = variance(changes).sqrt();
    Shift {
        ratio: at(0.5),
        range: (at(0.5 - reach), at(0.5 + reach)),
        deviations: if scale > 0.0 { sum / scale } else { 0.0 },
        design_effect,
        could_see: ((critical(3) + 1.4) * (design_effect / count).sqrt() * spread).exp_m1(),
        is_paired: true,
    }
}

/// The latencies of one key.
struct OfKey {
    /// Where it came first.
    order: usize,
    sum: f64,
    count: f64,
}

impl OfKey {
    fn mean(&self) -> f64 {
        self.sum / self.count
    }
}

/// `None` if not every latency is there.
fn by_key(pooled: &Pooled) -> Option<HashMap<u64, OfKey>> {
    let mut keys: HashMap<u64, OfKey> = HashMap::new();
    for run in &pooled.runs {
        if !run.latencies.is_whole() {
            return None;
        }
        for (key, latency_ns) in &run.latencies.values {
            let order = keys.len();
            let of_key = keys.entry(*key).or_insert(OfKey { order, sum: 0.0, count: 0.0 });
            of_key.sum += log(*latency_ns);
            of_key.count += 1.0;
        }
    }
    Some(keys)
}

/// Ranks among the values themselves, equal ones sharing the mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let all = sorted(&[values.to_vec()]);
    let rank = |value: &f64| {
        (all.partition_point(|other| other < value) + all.partition_point(|other| other <= value)) as f64
            / 2.0
    };
    values.iter().map(rank).collect()
}

/// Pearson's; of ranks, Spearman's. 0 where one side does not vary.
fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let product: f64 = one.iter().zip(other).map(|(a, b)| (a - mean_one) * (b - mean_other)).sum();
    let scale = (variance(one) * variance(other)).sqrt() * (one.len() - 1) as f64;
    if scale > 0.0 { product / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_is_one_for_the_same_order_and_minus_one_for_the_other() {
        let up: Vec<f64> = (0..50).map(f64::from).collect();
        let squared: Vec<f64> = up.iter().map(|value| value * value).collect();
        let down: Vec<f64> = up.iter().map(|value| -value).collect();
        assert!((correlation(&ranks(&up), &ranks(&squared)) - 1.0).abs() < 1e-12);
        assert!((correlation(&ranks(&up), &ranks(&down)) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&up, &[7.0; 50]), 0.0);
    }

    #[test]
    fn a_small_change_of_every_key_is_sure() {
        let changes: Vec<f64> = (0..200).map(|at| 0.03 + f64::from(at * 7919 % 200 - 100) * 1e-4).collect();
        let shift = of_changes(&changes);
        assert!((shift.ratio.ln() - 0.03).abs() < 1e-3 && shift.deviations > 8.0, "{shift:?}");
        assert!(
            shift.range.0 < shift.ratio && shift.ratio < shift.range.1 && shift.could_see < 0.01,
            "{shift:?}"
        );
        let none = of_changes(&[0.0; 40]);
        assert_eq!((none.deviations, none.ratio), (0.0, 1.0));
    }
}
