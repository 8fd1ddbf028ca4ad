//! Finds the place of a key by its hash; the keys themselves are kept by the owner of the places.

mod window;

use std::hash::{BuildHasher, RandomState};

pub(crate) use window::KeyWindow;

/// Places by hash: each at the hash of its key or behind it, with nothing free between.
#[derive(Debug, Clone)]
pub(crate) struct KeyIndex {
    /// Position plus one of a place; 0 where there is none.
    places: Vec<u32>,
    len: usize,
    hasher: KeyHasher,
}

/// So many numbers in a row, two to the power of this, differ in these low bits alone.
const COUNTING_BITS: u32 = 12;
/// Room for each place, at the least.
const SPARSE: usize = 2;
const SMALLEST: usize = 64;

impl Default for KeyIndex {
    fn default() -> Self {
        Self { places: vec![0; SMALLEST], len: 0, hasher: KeyHasher::new() }
    }
}

impl KeyIndex {
    /// Places that are listed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What gives the hashes of keys here.
    #[inline]
    pub(crate) fn hasher(&self) -> KeyHasher {
        self.hasher
    }

    /// The place whose key has this hash and `is` the one that is looked for.
    #[inline]
    pub(crate) fn find(&self, hash: usize, mut is: impl FnMut(usize) -> bool) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut at = hash & mask;
        loop {
            let place = (self.places[at] as usize).checked_sub(1)?;
            if is(place) {
                return Some(place);
            }
            at = (at + 1) & mask;
        }
    }

    /// Lists `place`; `hash_of` gives the hash of the key at a place.
    #[inline]
    pub(crate) fn enter(&mut self, place: usize, hash_of: impl Fn(usize) -> usize) {
        if (self.len + 1) * SPARSE > self.places.len() {
            self.grow(&hash_of);
        }
        self.len += 1;
        self.put(u32::try_from(place + 1).expect("there are less than 2^32 places"), hash_of(place));
    }

    fn put(&mut self, place: u32, hash: usize) {
        let mask = self.places.len() - 1;
        let mut at = hash & mask;
        while self.places[at] != 0 {
            at = (at + 1) & mask;
        }
        self.places[at] = place;
    }

    #[cold]
    fn grow(&mut self, hash_of: &impl Fn(usize) -> usize) {
        let larger = vec![0; 2 * self.places.len()];
        for place in std::mem::replace(&mut self.places, larger) {
            if let Some(position) = (place as usize).checked_sub(1) {
                self.put(place, hash_of(position));
            }
        }
    }

    /// Takes `place`, which is listed, off the list; those behind it move up.
    #[inline]
    pub(crate) fn forget(&mut self, place: usize, hash_of: impl Fn(usize) -> usize) {
        let mask = self.places.len() - 1;
        let mut hole = hash_of(place) & mask;
        while self.places[hole] as usize != place + 1 {
            hole = (hole + 1) & mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let Some(other) = (self.places[at] as usize).checked_sub(1) else { break };
            let home = hash_of(other) & mask;
            // It may move to the hole if its home is not behind the hole.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.places[hole] = self.places[at];
                hole = at;
            }
        }
        self.places[hole] = 0;
        self.len -= 1;
    }

    /// What stands at a hash: looked at ahead, for many keys at once, it need not be waited for when each is looked for.
    #[inline]
    pub(crate) fn glance(&self, hash: usize) -> Option<usize> {
        (self.places[hash & (self.places.len() - 1)] as usize).checked_sub(1)
    }
}

/// Spreads keys over places, in each run and each index otherwise: whoever writes a trace cannot know which keys come to one place.
/// No order depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHasher {
    seed: u64,
    factor: u64,
}

impl KeyHasher {
    fn new() -> Self {
        let random = RandomState::new();
        Self { seed: random.hash_one(0), factor: random.hash_one(1) | 1 }
    }

    /// The hash of a key. Keys that count up come to places of their own, whatever the seed: most keys do.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are all that an index has")]
    pub(crate) fn hash(self, key: &[i64]) -> usize {
        /// Odd, so that the low bits of a product tell as many numbers apart as they may.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let (first, rest) =
            key.split_first().map_or((0, &[][..]), |(first, rest)| (first.cast_unsigned(), rest));
        let mut mixed = self.mixed(first >> COUNTING_BITS, self.seed);
        for &part in rest {
            mixed = self.mixed(part.cast_unsigned(), mixed);
        }
        (first.wrapping_mul(FACTOR) ^ mixed) as usize
    }

    /// Both halves of a product: the low one says nothing of the high bits of a number, the high one little of the low bits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn mixed(self, part: u64, before: u64) -> u64 {
        let product = u128::from(part ^ before) * u128::from(self.factor);
        (product >> 64) as u64 ^ product as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many places a search passes over for each of these keys, at most and in all.
    fn searched(keys: &[[i64; 2]]) -> (usize, usize) {
        let mut index = KeyIndex::default();
        let hasher = index.hasher();
        (0..keys.len()).for_each(|place| index.enter(place, |place| hasher.hash(&keys[place])));
        let searched = |key: &[i64; 2]| {
            let mut passed = 0;
            index.find(hasher.hash(key), |place| {
                passed += 1;
                keys[place] == *key
            });
            passed
        };
        let all = || keys.iter().map(searched);
        (all().max().unwrap_or_default(), all().sum())
    }

    /// One factor for everybody, and the middle of the product: keys that differ in their high bits only came to one place, and
    /// for any other keys one could have computed them.
    #[test]
    fn keys_that_are_meant_to_meet_do_not() {
        const COUNT: i64 = 1 << 15;
        // That of the factor that all runs had.
        let inverse = 0xf1de_83e1_9937_733d_u64.cast_signed();
        let kinds = [
            ("high bits", [1 << 48, 0]),
            ("high bits of the second number", [0, 1 << 48]),
            ("alike in the middle of a product", [inverse, 0]),
            ("numbers that count up", [1, 0]),
            ("addresses", [1 << 12, 0]),
            ("two numbers", [1, 1 << 7]),
        ];
        for (what, step) in kinds {
            let key = |at: i64| step.map(|step: i64| at.wrapping_mul(step));
            let keys: Vec<[i64; 2]> = (0..COUNT).map(key).collect();
            let (longest, _) = searched(&keys);
            assert!(longest < 300, "{what}: {longest}");
        }
    }

    #[test]
    fn keys_that_count_up_have_places_of_their_own() {
        for from in [0, 1, 5000, -70_000, 1 << 50] {
            let keys: Vec<[i64; 2]> = (from..from + 4000).map(|key| [key, 0]).collect();
            let (_, all) = searched(&keys);
            assert!(all < 6000, "from {from}: {all} places for 4000 keys");
        }
    }
}
