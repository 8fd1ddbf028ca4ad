//! Numbers that the source never used: missing among those of the buffers, as far as these count on.

use std::collections::{BTreeMap, BTreeSet};

use crate::stage::KeyValue;

/// More missing in a row than this is another count.
const JUMP: i64 = 1000;
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
pub(crate) struct Tallies(BTreeMap<Option<i64>, Count>);

impl Tallies {
    /// Adds the number of a buffer.
    pub(crate) fn add(&mut self, key: &KeyValue) {
        let (number, who) = match *key.words() {
            [number] => (number, None),
            [number, who] => (number, Some(who)),
            _ => return,
        };
        if let Some(count) = self.0.get_mut(&who) {
            count.add(number);
        } else if self.0.len() < COUNTS {
            self.0.entry(who).or_default().add(number);
        }
    }

    /// Whether all of these are counts, but for those with few numbers: each buffer has a number of its own, the next one.
    pub(crate) fn is_count(&self) -> bool {
        let mut long = self.0.values().filter(|count| count.seen > LEAST).peekable();
        long.peek().is_some() && long.all(Count::is_count)
    }

    /// The numbers that never came, in order; none if these are no counts.
    pub(crate) fn never(&self) -> Vec<KeyValue> {
        let missing = |(&who, count): (&Option<i64>, &Count)| -> Vec<KeyValue> {
            let key =
                |&number| who.map_or_else(|| KeyValue::new(&[number]), |who| KeyValue::new(&[number, who]));
            if count.is_count() { count.missing.iter().map(key).collect() } else { Vec::new() }
        };
        self.0.iter().flat_map(missing).collect()
    }
}

/// Which numbers were seen.
#[derive(Debug, Clone, Default)]
struct Count {
    /// Greatest number so far.
    greatest: Option<i64>,
    /// Numbers below the greatest that were not seen.
    missing: BTreeSet<i64>,
    seen: u64,
    /// Numbers that came for the first time.
    new: u64,
}

impl Count {
    fn add(&mut self, number: i64) {
        self.seen += 1;
        let Some(greatest) = self.greatest else {
            (self.greatest, self.new) = (Some(number), 1);
            return;
        };
        if number <= greatest {
            self.new += u64::from(self.missing.remove(&number));
            return;
        }
        (self.greatest, self.new) = (Some(number), self.new + 1);
        let skipped = number.saturating_sub(greatest) - 1;
        if skipped < JUMP && self.missing.len() < KEPT {
            self.missing.extend(greatest + 1..number);
        }
    }

    /// Numbers that are far apart, or that are used again, are names of something else: of places, of objects.
    fn is_count(&self) -> bool {
        let holes = self.missing.iter().filter(|&&number| !self.missing.contains(&(number - 1))).count();
        let (seen, new) = (self.seen as f64, self.new as f64);
        self.seen > LEAST && new >= MOST * seen && holes as f64 <= (1.0 - MOST) * new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(numbers: impl IntoIterator<Item = i64>) -> Tallies {
        let mut counts = Tallies::default();
        numbers.into_iter().for_each(|number| counts.add(&KeyValue::new(&[number])));
        counts
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
            counts.add(&KeyValue::new(&[number, 100]));
            if number != 30 {
                counts.add(&KeyValue::new(&[number, 200]));
            }
        }
        assert_eq!((counts.is_count(), counts.never()), (true, vec![KeyValue::new(&[30, 200])]));
    }
}
