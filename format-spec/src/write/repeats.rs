//! Events and gaps that several sources of a copy have in common: two snapshots of one recorder, two overlapping cuts.
//!
//! Each is copied as often as the source has it that has it most often: once, where each has it once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::Gap;

/// What was copied at the time that is being copied, and all gaps.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    time_ns: u64,
    events: Counts<u64>,
    gaps: Counts<Gap>,
}

/// How often each source has something, and how often it was copied.
#[derive(Debug)]
struct Counts<T> {
    of_source: HashMap<(T, usize), u32>,
    copied: HashMap<T, u32>,
}

impl<T> Default for Counts<T> {
    fn default() -> Self {
        Self { of_source: HashMap::new(), copied: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Counts<T> {
    /// Counts one of `source`; whether it was copied before for another one.
    fn is_repeat(&mut self, source: usize, it: T) -> bool {
        let own = self.of_source.entry((it, source)).or_default();
        *own += 1;
        let copied = self.copied.entry(it).or_default();
        let is_repeat = *own <= *copied;
        *copied = (*copied).max(*own);
        is_repeat
    }
}

impl Repeats {
    /// Whether an event at this time, or later, was looked at.
    pub(super) fn has_seen(&self, time_ns: u64) -> bool {
        time_ns <= self.time_ns
    }

    /// Whether an event at `time_ns` was copied before; `identity` is all that it says. Events come in the order of their times.
    pub(super) fn event(&mut self, source: usize, time_ns: u64, identity: impl Hash) -> bool {
        if time_ns != self.time_ns {
            self.time_ns = time_ns;
            self.events.of_source.clear();
            self.events.copied.clear();
        }
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        self.events.is_repeat(source, hasher.finish())
    }

    /// Whether a gap was copied before.
    pub(super) fn gap(&mut self, source: usize, gap: Gap) -> bool {
        self.gaps.is_repeat(source, gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sources_have_in_common_is_copied_as_often_as_one_has_it() {
        let mut repeats = Repeats::default();
        let mut copied = |source: usize, time_ns: u64, event: u8| !repeats.event(source, time_ns, event);
        assert_eq!(
            [copied(0, 5, 1), copied(0, 5, 1), copied(1, 5, 1), copied(1, 5, 1)],
            [true, true, false, false]
        );
        assert_eq!(
            [copied(1, 5, 1), copied(1, 5, 2), copied(0, 5, 2), copied(2, 5, 2)],
            [true, true, false, false]
        );
        // Another time, another event.
        assert_eq!(
            [copied(0, 6, 1), copied(1, 6, 1), copied(1, 7, 1), copied(0, 7, 1)],
            [true, false, true, false]
        );
    }
}
