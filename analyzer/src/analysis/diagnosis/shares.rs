//! What the time of a buffer goes to: of one in the middle, and of the slowest.

use super::limit::quantile::mean;
use super::path::buffers::Buffers;

/// Buffers without which there is no middle.
const LEAST: usize = 20;
/// The slowest are this share of all, and so many at least.
const SLOWEST: usize = 100;
const SLOWEST_LEAST: usize = 5;

/// For each step, its share of the end-to-end time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares {
    /// Of the buffers from the 40th to the 60th percentile.
    pub median: Vec<f64>,
    /// Of the slowest hundredth, of five at least.
    pub slowest: Vec<f64>,
}

/// The shares of the steps; none if there are too few buffers.
pub(crate) fn shares(buffers: &Buffers) -> Shares {
    let count = buffers.len();
    if count < LEAST {
        return Shares::default();
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|&row| buffers.total_ns(row));
    let of = |rows: &[usize]| {
        let total_ns = mean(rows.iter().map(|&row| buffers.total_ns(row) as f64));
        let step = |step| mean(rows.iter().map(|&row| buffers.step_ns(row, step) as f64));
        (0..buffers.steps()).map(|at| if total_ns > 0.0 { step(at) / total_ns } else { 0.0 }).collect()
    };
    Shares {
        median: of(&order[count * 2 / 5..(count * 3 / 5 + 1).min(count)]),
        slowest: of(&order[count - (count / SLOWEST).max(SLOWEST_LEAST)..]),
    }
}
