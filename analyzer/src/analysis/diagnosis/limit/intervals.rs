//! Intervals of time: how long any of them holds, and how many at once.

/// From and to, ns.
pub(crate) type Interval = (u64, u64);

/// Time that is in any of `intervals`, ns.
pub(crate) fn union_ns(intervals: &[Interval]) -> u64 {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    let (mut total, mut until) = (0, 0);
    for (from, to) in sorted {
        let from = from.max(until);
        if to > from {
            total += to - from;
            until = to;
        }
    }
    total
}

/// The most intervals that hold at one time; one that ends when another begins does not meet it.
pub(crate) fn peak(intervals: &[Interval]) -> usize {
    let mut changes: Vec<(u64, bool)> =
        intervals.iter().flat_map(|&(from, to)| [(from, true), (to, false)]).collect();
    changes.sort_unstable();
    let (mut now, mut most) = (0_usize, 0);
    for (_, begins) in changes {
        now = if begins { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

/// The part of `interval` that is within `bounds`; `None` if nothing is.
pub(crate) fn within((from, to): Interval, bounds: Interval) -> Option<Interval> {
    let (from, to) = (from.max(bounds.0), to.min(bounds.1));
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_count_once() {
        assert_eq!(union_ns(&[(0, 10), (5, 12), (20, 21), (3, 4)]), 13);
        assert_eq!(union_ns(&[]), 0);
        assert_eq!(peak(&[(0, 10), (5, 12), (10, 21), (11, 11)]), 2);
        assert_eq!((within((2, 8), (5, 20)), within((2, 5), (5, 20))), (Some((5, 8)), None));
    }
}
