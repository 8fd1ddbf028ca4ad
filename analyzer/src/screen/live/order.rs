//! In which order stages and waits are passed.

use super::figures::Figures;
use crate::pair::{Edge, Side};

/// When each edge is passed, of `[begin, end]` of each stage, ns since the first on its way; means of all that passed.
pub(super) fn positions(figures: &Figures) -> Vec<[f64; 2]> {
    let count = figures.stages.len();
    let mut at: Vec<[Option<f64>; 2]> = vec![[None; 2]; count];
    let mean = |latency: &crate::analysis::Latency| latency.sum_ns() as f64 / latency.count().max(1) as f64;
    let mut ways: Vec<(Edge, Edge, u64, f64)> = figures
        .hand_offs
        .ways()
        .map(|(from, to, figure)| (from, to, figure.all.count(), mean(&figure.all)))
        .collect();
    // The usual way first.
    ways.sort_by_key(|&(from, to, count, _)| (std::cmp::Reverse(count), from, to));
    let is_first = |stage: u32| {
        let begin = Edge { stage, side: Side::Begin };
        !ways.iter().any(|&(_, to, ..)| to == begin)
    };
    // Those that nothing hands on to come first; what is left is a circle, which begins anywhere.
    let mut starts: Vec<u32> = (0..).take(count).collect();
    starts.sort_by_key(|&stage| (!is_first(stage), stage));
    for start in starts {
        if at[start as usize][0].is_some() {
            continue;
        }
        at[start as usize][0] = Some(0.0);
        let mut changed = true;
        while changed {
            changed = false;
            for (stage, figure) in figures.stages.iter().enumerate() {
                let begin = at[stage][0];
                if let (Some(begin), None) = (begin, at[stage][1]) {
                    at[stage][1] = Some(begin + mean(&figure.all));
                    changed = true;
                }
            }
            for &(from, to, _, took) in &ways {
                let left = at[from.stage as usize][from.side as usize];
                let place = &mut at[to.stage as usize][to.side as usize];
                if let (Some(left), None) = (left, *place) {
                    *place = Some(left + took);
                    changed = true;
                }
            }
        }
    }
    at.into_iter().map(|edges| edges.map(Option::unwrap_or_default)).collect()
}
