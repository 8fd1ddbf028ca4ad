//! Intervals of time: how long any of them holds, and how many at once.

use std::borrow::Cow;

/// From and to, ns.
pub(crate) type Interval = (u64, u64);

/// `values` in order. They mostly are: what one thread does comes one after the other.
pub(crate) fn in_order<T: Ord + Clone>(values: &[T]) -> Cow<'_, [T]> {
    if values.is_sorted() {
        return Cow::Borrowed(values);
    }
    let mut sorted = values.to_vec();
    sorted.sort();
    Cow::Owned(sorted)
}

/// Time that is in any of `intervals`, ns.
pub(crate) fn union_ns(intervals: &[Interval]) -> u64 {
    let (mut total, mut until) = (0, 0);
    for &(from, to) in &*in_order(intervals) {
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
    let [begins, ends]: [Vec<u64>; 2] =
        [intervals.iter().map(|it| it.0).collect(), intervals.iter().map(|it| it.1).collect()];
    let ends = in_order(&ends);
    let mut ends = ends.iter().peekable();
    let (mut now, mut most) = (0_usize, 0);
    for begin in &*in_order(&begins) {
        while ends.next_if(|end| *end <= begin).is_some() {
            now = now.saturating_sub(1);
        }
        now += 1;
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
