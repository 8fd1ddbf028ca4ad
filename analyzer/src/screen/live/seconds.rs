//! What happened in each of the last seconds.

use std::collections::VecDeque;

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// A value for each of the last seconds in which something happened, by the clock of the events.
#[derive(Debug, Clone)]
pub(super) struct Seconds<T> {
    kept: u64,
    values: VecDeque<(u64, T)>,
}

impl<T: Default> Seconds<T> {
    /// Keeps so many seconds, beside the one that is not over.
    pub(super) fn new(kept: u64) -> Self {
        Self { kept, values: VecDeque::new() }
    }

    /// The value of the second that holds `time_ns`; `None` if that is too long ago. Times come nearly in order.
    pub(super) fn at(&mut self, time_ns: u64) -> Option<&mut T> {
        let second = time_ns / SECOND_NS;
        let newest = self.values.back().map_or(second, |&(newest, _)| newest.max(second));
        if second + self.kept < newest {
            return None;
        }
        while self.values.front().is_some_and(|&(oldest, _)| oldest + self.kept < newest) {
            self.values.pop_front();
        }
        let position = self.values.partition_point(|&(other, _)| other < second);
        if self.values.get(position).is_none_or(|&(other, _)| other != second) {
            self.values.insert(position, (second, T::default()));
        }
        self.values.get_mut(position).map(|(_, value)| value)
    }

    /// The values of the seconds that are in the time of `kept` seconds before `now_ns`, or hold it; the oldest first.
    pub(super) fn until(&self, now_ns: u64) -> impl Iterator<Item = &T> {
        let from = (now_ns / SECOND_NS).saturating_sub(self.kept);
        self.values.iter().filter(move |&&(second, _)| second >= from).map(|(_, value)| value)
    }
}

/// How long the seconds that [`Seconds::until`] gives last, s: from the first event on, if that is later; `None` if that is now.
pub(super) fn length_s(kept: u64, first_ns: u64, now_ns: u64) -> Option<f64> {
    let from_ns = (now_ns / SECOND_NS).saturating_sub(kept) * SECOND_NS;
    let length_ns = now_ns.saturating_sub(from_ns.max(first_ns));
    (length_ns > 0).then(|| length_ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_kept_as_long_as_it_is_one_of_the_last() {
        let mut seconds = Seconds::<u64>::new(2);
        for (time_ns, expected) in [(500, true), (1_000_000_000, true), (900, true), (3_000_000_001, true)] {
            let value = seconds.at(time_ns);
            assert_eq!(value.is_some(), expected, "{time_ns}");
            *value.expect("kept") += 1;
        }
        assert_eq!(seconds.at(999), None, "three seconds ago");
        let until = |now_ns| seconds.until(now_ns).copied().collect::<Vec<_>>();
        assert_eq!((until(3_000_000_002), until(4_500_000_000)), (vec![1, 1], vec![1]));
        let length_s = |first_ns| length_s(2, first_ns, 4_500_000_000);
        assert_eq!([0, 4_000_000_000, 4_500_000_000].map(length_s), [Some(2.5), Some(0.5), None]);
    }
}
