//! Events and gaps that several sources of a copy have in common: two snapshots of one recorder, two overlapping cuts.
//!
//! Each is copied as often as the source has it that has it most often: once, where each has it once.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use crate::model::Gap;

/// Events of one time that are compared; more would have to be kept all at once.
const MAX_AT_ONCE: usize = 1 << 16;
/// A table that held more is not used again: to empty it takes as long as if it were full.
const LARGE: usize = 1 << 10;

/// What was copied at the time that is being copied, and all gaps.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    time_ns: u64,
    /// By a hash of all that they say: another one in each run, so that no trace can be made in which one event passes for another.
    events: Counts<u64>,
    hasher: RandomState,
    gaps: Counts<Gap>,
    /// Events that were not compared with those of other sources: too many have their time.
    pub(super) not_compared: u64,
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
    /// Forgets all.
    fn clear(&mut self) {
        if self.of_source.len() > LARGE {
            *self = Self::default();
        }
        self.of_source.clear();
        self.copied.clear();
    }

    /// Whether one of `source` can be counted: it is one of so many that are.
    fn has_room(&self, source: usize, it: T, most: usize) -> bool {
        let is_known = self.copied.contains_key(&it);
        let has_room = if is_known { self.of_source.len() < 4 * most } else { self.copied.len() < most };
        has_room || self.of_source.contains_key(&(it, source))
    }

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
            self.events.clear();
        }
        let event = self.hasher.hash_one(identity);
        if !self.events.has_room(source, event, MAX_AT_ONCE) {
            self.not_compared += 1;
            return false;
        }
        self.events.is_repeat(source, event)
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

    /// All of them were kept, however many there were.
    #[test]
    fn of_very_many_events_at_one_time_some_are_not_compared() {
        let mut repeats = Repeats::default();
        let all = MAX_AT_ONCE + 10;
        let new = (0..all).filter(|&event| !repeats.event(0, 5, event)).count();
        assert_eq!((new, repeats.not_compared, repeats.events.of_source.len()), (all, 10, MAX_AT_ONCE));
        // What was seen is still known; at the next time there is room again.
        let first = 0_usize;
        assert!(!repeats.event(0, 5, first) && !repeats.event(0, 6, first) && repeats.event(1, 6, first));
        assert_eq!(repeats.not_compared, 10);
    }
}
