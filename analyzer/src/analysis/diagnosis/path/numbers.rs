//! Numbers that the source never used: missing among those of the buffers, as far as these count on.

use std::collections::BTreeSet;

use crate::stage::KeyValue;

/// More missing in a row than this is another count.
const JUMP: u64 = 1000;
/// Missing numbers that are kept.
const KEPT: usize = 1 << 16;
/// Numbers that a count has at least.
const LEAST: u64 = 20;
/// Share of the numbers of a count that follow the one before, and that are used once.
const MOST: f64 = 0.75;
/// Tallies that are followed.
const COUNTS: usize = 64;

/// The numbers of the buffers, in one count, or in one for each process or parent that counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallies {
    /// Each with the process or parent that counts, if there are several.
    counts: Vec<(Option<i64>, Count)>,
    /// The one that went on last: mostly it is the next, too.
    last: usize,
}

impl Tallies {
    /// Adds the number of a buffer.
    pub(crate) fn add(&mut self, key: &[i64]) {
        let (number, who) = match *key {
            [number] => (number, None),
            [number, who] => (number, Some(who)),
            _ => return,
        };
        if self.counts.get(self.last).is_none_or(|count| count.0 != who) {
            let known = self.counts.iter().position(|count| count.0 == who);
            self.last = known.unwrap_or(self.counts.len());
            if known.is_none() && self.counts.len() < COUNTS {
                self.counts.push((who, Count::default()));
            }
        }
        if let Some((_, count)) = self.counts.get_mut(self.last) {
            count.add(number);
        }
    }

    /// Whether all of these are counts, but for those with few numbers: each buffer has a number of its own, the next one.
    pub(crate) fn is_count(&self) -> bool {
        let mut long =
            self.counts.iter().map(|(_, count)| count).filter(|count| count.seen > LEAST).peekable();
        long.peek().is_some() && long.all(Count::is_count)
    }

    /// The numbers that never came, in order; none if these are no counts.
    pub(crate) fn never(&self) -> Vec<KeyValue> {
        let missing = |&(who, ref count): &(Option<i64>, Count)| -> Vec<KeyValue> {
            let key =
                |&number| who.map_or_else(|| KeyValue::new(&[number]), |who| KeyValue::new(&[number, who]));
            if count.is_count() { count.missing().iter().map(key).collect() } else { Vec::new() }
        };
        let mut never: Vec<KeyValue> = self.counts.iter().flat_map(missing).collect();
        // By process or parent, and then by number.
        never.sort_by_key(|key| (key.words().get(1).copied(), key.words().first().copied()));
        never
    }
}

/// Which numbers were seen.
#[derive(Debug, Clone, Default)]
struct Count {
    /// Greatest number so far.
    greatest: Option<i64>,
    /// Which of the [`RECENT`] numbers below the greatest were not seen, a bit each, the nearest in the lowest: buffers that
    /// overtake each other come a few places late.
    recent: u64,
    /// Numbers below those that were not seen.
    older: BTreeSet<i64>,
    seen: u64,
    /// Numbers that came for the first time.
    new: u64,
}

/// Bits of [`Count::recent`].
const RECENT: u64 = 64;

impl Count {
    fn add(&mut self, number: i64) {
        self.seen += 1;
        let Some(greatest) = self.greatest else {
            (self.greatest, self.new) = (Some(number), 1);
            return;
        };
        let far = number.abs_diff(greatest);
        if number > greatest {
            (self.greatest, self.new) = (Some(number), self.new + 1);
            self.grow(greatest, far);
        } else if far > RECENT {
            self.new += u64::from(self.older.remove(&number));
        } else if far > 0 {
            self.new += self.recent >> (far - 1) & 1;
            self.recent &= !(1 << (far - 1));
        }
    }

    /// The greatest number was `greatest`, and is by `far` greater now.
    fn grow(&mut self, greatest: i64, far: u64) {
        let missing = self.older.len() as u64 + u64::from(self.recent.count_ones());
        if u64::from(self.recent.leading_zeros()) < far {
            let leaves =
                |&back: &u64| self.recent >> (back - 1) & 1 != 0 && back.saturating_add(far) > RECENT;
            self.older.extend((1..=RECENT).filter(leaves).map(|back| greatest.wrapping_sub_unsigned(back)));
        }
        self.recent = if far < RECENT { self.recent << far } else { 0 };
        if far > 1 && far <= JUMP && missing < KEPT as u64 {
            // Those in between, without the old greatest itself.
            let number = greatest.saturating_add_unsigned(far);
            self.recent |= if far > RECENT { u64::MAX } else { (1 << (far - 1)) - 1 };
            self.older.extend(greatest + 1..number.saturating_sub_unsigned(RECENT));
        }
    }

    /// The numbers below the greatest that were not seen, in order.
    fn missing(&self) -> Vec<i64> {
        let recent = (1..=RECENT).rev().filter(|back| self.recent >> (back - 1) & 1 != 0);
        let recent = recent.map(|back| self.greatest.unwrap_or_default().wrapping_sub_unsigned(back));
        self.older.iter().copied().chain(recent).collect()
    }

    /// Numbers that are far apart, or that are used again, are names of something else: of places, of objects.
    fn is_count(&self) -> bool {
        let missing = self.missing();
        let joined = missing.windows(2).filter(|two| two[0] + 1 == two[1]).count();
        let (seen, new) = (self.seen as f64, self.new as f64);
        let holes = (missing.len() - joined) as f64;
        self.seen > LEAST && new >= MOST * seen && holes <= (1.0 - MOST) * new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(numbers: impl IntoIterator<Item = i64>) -> Tallies {
        let mut counts = Tallies::default();
        numbers.into_iter().for_each(|number| counts.add(&[number]));
        counts
    }

    proptest! {
        /// A count agrees with a set of the numbers that are missing, however far they jump.
        #[test]
        fn missing_numbers_are_those_of_a_set(
            steps in prop::collection::vec((prop_oneof![-3..4_i64, -70..70_i64, -1100..1100_i64], 0..9_u8), 1..300),
            start in prop_oneof![Just(i64::MAX - 5000), -50..50_i64],
        ) {
            let (mut count, mut missing, mut new) = (Count::default(), BTreeSet::new(), 1);
            let (mut number, mut greatest) = (start, start);
            count.add(start);
            for (step, again) in steps {
                number = if again == 0 { greatest } else { number.saturating_add(step) };
                count.add(number);
                if number > greatest {
                    if number.abs_diff(greatest) <= JUMP {
                        missing.extend(greatest + 1..number);
                    }
                    (greatest, new) = (number, new + 1);
                } else {
                    new += u64::from(missing.remove(&number));
                }
                prop_assert_eq!((count.missing(), count.new), (missing.iter().copied().collect(), new));
            }
        }
    }

    #[test]
    fn a_count_tells_what_it_left_out() {
        let counts = counted((1..60).filter(|number| ![5, 6, 22].contains(number)).chain([60]));
        assert!(counts.is_count());
        assert_eq!(counts.never(), [5, 6, 22].map(|number| KeyValue::new(&[number])));
    }

    #[test]
    fn buffers_that_overtake_each_other_are_a_count_all_the_same() {
        let counts = counted((0..100).map(|at| at ^ 3));
        assert!(counts.is_count() && counts.never().is_empty());
    }

    #[test]
    fn names_of_slots_and_addresses_are_no_count() {
        for numbers in [(0..200).map(|at| at % 8).collect(), (0..200).map(|at| at * 64).collect::<Vec<i64>>()]
        {
            let counts = counted(numbers);
            assert!(!counts.is_count() && counts.never().is_empty());
        }
        assert!(!counted(1..10).is_count());
    }

    #[test]
    fn each_parent_has_a_count_of_its_own() {
        let mut counts = Tallies::default();
        for number in 1..50 {
            counts.add(&[number, 100]);
            if number != 30 {
                counts.add(&[number, 200]);
            }
        }
        assert_eq!((counts.is_count(), counts.never()), (true, vec![KeyValue::new(&[30, 200])]));
    }
}
