//! A change of level in a series: from some buffer on, a step takes longer, or less long.

use super::super::limit::quantile::median;

/// Values that are needed.
const LEAST: usize = 60;
/// Blocks whose medians are compared.
const BLOCKS: usize = 100;
/// Kolmogorov's bound for a false one in a thousand series without a change.
const BOUND: f64 = 1.95;
/// Share of the series that must lie on each side.
const SIDE: f64 = 0.1;
/// Least change, as a share and in ns.
const CHANGE: f64 = 0.10;
const CHANGE_NS: f64 = 1000.0;

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// Position of the first value after it.
    pub(crate) at: usize,
    /// Median before, ns.
    pub(crate) before_ns: f64,
    /// Median after, ns.
    pub(crate) after_ns: f64,
}

/// The place where the level of `values` changes, if it does: the cumulative sum of the ranks of block medians leaves
/// its bounds.
pub(crate) fn change(values: &[f64]) -> Option<Change> {
    let count = values.len();
    if count < LEAST {
        return None;
    }
    let blocks = BLOCKS.min(count / 3);
    let start = |block: usize| block * count / blocks;
    let medians: Vec<f64> = (0..blocks).map(|at| median(&values[start(at)..start(at + 1)])).collect();
    let mut order: Vec<usize> = (0..blocks).collect();
    order.sort_by(|&a, &b| medians[a].total_cmp(&medians[b]));
    let mut ranks = vec![0.0; blocks];
    (0_u32..).zip(order).for_each(|(rank, block)| ranks[block] = f64::from(rank));
    let all = blocks as f64;
    let (middle, deviation) = ((all - 1.0) / 2.0, ((all * all - 1.0) / 12.0).sqrt());
    let (mut sum, mut best) = (0.0_f64, (0.0, 0));
    for (block, rank) in (1..).zip(ranks) {
        sum += (rank - middle) / deviation;
        let reach = sum.abs() / all.sqrt();
        if reach > best.0 {
            best = (reach, block);
        }
    }
    let (reach, block) = best;
    if reach < BOUND || (block as f64) < SIDE * all || block as f64 > (1.0 - SIDE) * all {
        return None;
    }
    let at = start(block);
    let (before_ns, after_ns) = (median(&values[..at]), median(&values[at..]));
    let changed = (after_ns - before_ns).abs() >= (CHANGE * before_ns).max(CHANGE_NS);
    changed.then_some(Change { at, before_ns, after_ns })
}
