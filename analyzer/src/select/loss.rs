//! Times in which events may be missing: gaps while recording, and blocks that could not be read.

use tracer_format::{DamagedRange, Trace};

use super::filter::Selection;

/// Ranges of time, disjoint and ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LossTimes {
    ranges: Vec<(u64, u64)>,
}

impl LossTimes {
    /// The times that are known when the trace has been opened.
    pub(crate) fn new(trace: &Trace<'_>, selection: &Selection) -> Self {
        let mut times = Self::default();
        let gaps = trace.gaps.iter().filter(|gap| selection.wants_gap(gap));
        times.ranges.extend(gaps.map(|gap| (gap.from_ns, gap.to_ns)));
        times.ranges.extend(trace.damage.iter().map(|range| time_of_damage(range, trace)));
        times.merge();
        times
    }

    /// Adds a range, if it is not there.
    pub(crate) fn add(&mut self, from_ns: u64, to_ns: u64) {
        let before = self.ranges.partition_point(|&(start_ns, _)| start_ns <= from_ns);
        if before.checked_sub(1).is_none_or(|last| self.ranges[last].1 < to_ns) {
            self.ranges.push((from_ns, to_ns));
            self.merge();
        }
    }

    /// Whether a time from `from_ns` to `to_ns` touches one of the ranges.
    #[inline(always)]
    pub(crate) fn touch(&self, from_ns: u64, to_ns: u64) -> bool {
        !self.ranges.is_empty() && self.touch_any(from_ns, to_ns)
    }

    fn touch_any(&self, from_ns: u64, to_ns: u64) -> bool {
        let before = self.ranges.partition_point(|&(start_ns, _)| start_ns <= to_ns);
        before.checked_sub(1).is_some_and(|last| self.ranges[last].1 >= from_ns)
    }

    fn merge(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, last| {
            let joined = next.0 <= last.1;
            if joined {
                last.1 = last.1.max(next.1);
            }
            joined
        });
    }
}

/// The time of damaged bytes: the block's own, if its header is sound, else all between its neighbors in the file. No bytes are damaged
/// where blocks are missing: the one behind them is sound.
pub(crate) fn time_of_damage(range: &DamagedRange, trace: &Trace<'_>) -> (u64, u64) {
    let own = trace.blocks.iter().find(|block| block.offset == range.offset && range.len_bytes > 0);
    if let Some(block) = own {
        return (block.first_ns, block.last_ns);
    }
    let before =
        trace.blocks.iter().filter(|block| block.offset < range.offset).max_by_key(|block| block.offset);
    let after =
        trace.blocks.iter().filter(|block| block.offset >= range.offset).min_by_key(|block| block.offset);
    let from_ns = before.map_or(0, |block| block.last_ns);
    (from_ns, after.map_or(u64::MAX, |block| block.first_ns).max(from_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged_and_touched_at_their_ends() {
        let mut times = LossTimes { ranges: vec![(20, 30), (5, 7), (25, 40), (40, 41)] };
        times.merge();
        assert_eq!(times.ranges, [(5, 7), (20, 41)]);
        let touched =
            [(0, 4), (0, 5), (7, 9), (8, 19), (8, 20), (41, 50), (42, 50)].map(|(a, b)| times.touch(a, b));
        assert_eq!(touched, [false, true, true, false, true, true, false]);
    }
}
