//! Percentiles above the median: whether one grew beyond its own noise.

use super::judge::{Judgment, Percentile, Tail, Verdict};
use super::rank::{DEVIATIONS, log};
use super::run_set::Pooled;
use super::spread::Spread;

/// Compares a percentile; `None` if there are too few spans for it.
pub(crate) fn tail(
    base: &Pooled,
    new: &Pooled,
    percentile: Percentile,
    design_effect: f64,
    judgment: &Judgment,
) -> Option<Tail> {
    let permille = percentile.permille();
    let deviations = DEVIATIONS * design_effect.sqrt();
    let (base_low, base_high) = base.latency.bounds(permille, deviations)?;
    let (new_low, new_high) = new.latency.bounds(permille, deviations)?;
    let of = |side: &Pooled| -> Option<i64> { side.latency.at(permille) };
    let (before, after) = (of(base)?, of(new)?);
    let change = log(after) - log(before);
    let of_runs = |side: &Pooled| -> Vec<f64> {
        side.runs.iter().map(|run| log(percentile.of(&run.summary))).collect()
    };
    let spread = Spread::new(&of_runs(base), &of_runs(new));
    let counts = change.abs() >= judgment.floor(percentile, before as f64)
        && spread.is_none_or(|spread| spread.is_sure(change));
    let verdict = if counts && new_low > base_high {
        Verdict::Slower
    } else if counts && new_high < base_low {
        Verdict::Faster
    } else {
        Verdict::Same
    };
    Some(Tail { percentile, ratio: change.exp(), verdict })
}
