//! Events and gaps that several sources of a copy have in common: two snapshots of one recorder, two overlapping cuts.
//!
//! Each is copied as often as the source has it that has it most often: once, where each has it once.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use crate::model::Gap;

/// Events of one time that are compared; more would have to be kept all at once.
const MAX_AT_ONCE: usize = 1 << 16;
/// A table that held more is not used again: to empty it takes as long as if it were full.
const LARGE: usize = 1 << 10;

/// What was copied at the time that is being copied, and all gaps.
#[derive(Debug)]
pub(super) struct Repeats {
    time_ns: u64,
    events: Counts<u64, BuildHasherDefault<Mixed>>,
    nothing: Identity,
    gaps: Counts<Gap, RandomState>,
    /// Events that were not compared with those of other sources: too many have their time.
    pub(super) not_compared: u64,
}

impl Default for Repeats {
    fn default() -> Self {
        let random = RandomState::new();
        let nothing = Identity { number: random.hash_one(0), factor: random.hash_one(1) | 1 };
        let (events, gaps) = (Counts::default(), Counts::default());
        Self { time_ns: 0, events, nothing, gaps, not_compared: 0 }
    }
}

/// A number that stands for all that an event says: another one in each run, so that no trace can be made in which one event
/// passes for another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    number: u64,
    factor: u64,
}

impl Identity {
    /// The same, and `word` after it.
    #[inline]
    #[must_use]
    pub(super) fn and(self, word: u64) -> Self {
        // Both halves of the product, which together depend on all bits.
        let product = u128::from(self.number ^ word) * u128::from(self.factor);
        #[expect(clippy::cast_possible_truncation, reason = "the halves")]
        let number = (product >> 64) as u64 ^ product as u64;
        Self { number: number.rotate_left(29), ..self }
    }

    /// The same, and `bytes` after it.
    #[must_use]
    pub(super) fn and_bytes(self, bytes: &[u8]) -> Self {
        bytes.chunks(8).fold(self.and(bytes.len() as u64), |identity, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            identity.and(u64::from_le_bytes(word))
        })
    }
}

/// Hashes what is mixed already, and the number of a source.
#[derive(Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn write_u64(&mut self, word: u64) {
        self.0 = self.0.rotate_left(5) ^ word;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// How often each source has something, and how often it was copied.
#[derive(Debug)]
struct Counts<T, S> {
    of_source: HashMap<(T, usize), u32, S>,
    copied: HashMap<T, u32, S>,
}

impl<T, S: Default> Default for Counts<T, S> {
    fn default() -> Self {
        Self { of_source: HashMap::default(), copied: HashMap::default() }
    }
}

impl<T: Copy + Eq + Hash, S: BuildHasher + Default> Counts<T, S> {
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
        if self.copied.len() < most && self.of_source.len() < 4 * most {
            return true;
        }
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

    /// The identity of an event that says nothing yet.
    pub(super) fn identity(&self) -> Identity {
        self.nothing
    }

    /// Whether an event at `time_ns` was copied before; `identity` is all that it says. Events come in the order of their times.
    pub(super) fn event(&mut self, source: usize, time_ns: u64, identity: Identity) -> bool {
        if time_ns != self.time_ns {
            self.time_ns = time_ns;
            self.events.clear();
        }
        let event = identity.number;
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
        let nothing = repeats.identity();
        let mut copied =
            |source: usize, time_ns: u64, event: u64| !repeats.event(source, time_ns, nothing.and(event));
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

    #[test]
    fn events_that_differ_in_one_bit_differ() {
        let nothing = Repeats::default().identity();
        let of = |words: [u64; 2], text: &str| {
            words.into_iter().fold(nothing, Identity::and).and_bytes(text.as_bytes()).number
        };
        let mut all = HashMap::new();
        for bit in 0..64 {
            for words in [[1 << bit, 0], [0, 1 << bit], [1 << bit, 1 << bit]] {
                for text in ["", "a", "longer text", "longer texu"] {
                    assert_eq!(all.insert(of(words, text), ()), None, "{words:?} {text}");
                }
            }
        }
    }

    /// All of them were kept, however many there were.
    #[test]
    fn of_very_many_events_at_one_time_some_are_not_compared() {
        let mut repeats = Repeats::default();
        let nothing = repeats.identity();
        let all = MAX_AT_ONCE + 10;
        let new = (0..all).filter(|&event| !repeats.event(0, 5, nothing.and(event as u64))).count();
        assert_eq!((new, repeats.not_compared, repeats.events.of_source.len()), (all, 10, MAX_AT_ONCE));
        // What was seen is still known; at the next time there is room again.
        let first = nothing.and(0);
        assert!(!repeats.event(0, 5, first) && !repeats.event(0, 6, first) && repeats.event(1, 6, first));
        assert_eq!(repeats.not_compared, 10);
    }
}
