//! Keys that wait for what is missing, each in as few words as what is known of it takes: a million may be under way.
//!
//! They stand in a ring in the order in which they came. One that waits no more leaves a free place, which is used again when the
//! ring has come around, or when it has closed up.

use crate::stage::key_index::KeyWindow;

/// What is known of a key, as words.
pub(in super::super) trait Packed: Copy + Default {
    /// What is known of each stage.
    type Entry: Copy + Default;

    /// Words that this takes with `width` entries.
    fn words(width: usize) -> usize;

    /// Puts it into `words`; not all of the first one's bits are 0.
    fn pack(&self, entries: &[Self::Entry], words: &mut [u64]);

    /// What was put into `words`.
    fn unpack(words: &[u64], entries: &mut [Self::Entry]) -> Self;
}

/// A ring of places, for keys of so many numbers and what is packed of them.
#[derive(Debug)]
pub(super) struct WaitingKeys {
    parts: usize,
    packed: usize,
    most: usize,
    /// Numbers of the keys, and what is packed, place by place; the first packed word of a free place is 0.
    keys: Vec<i64>,
    words: Vec<u64>,
    /// Places in the ring, the oldest in use, and how many from there to the latest, free ones among them.
    places: usize,
    oldest: usize,
    span: usize,
    index: KeyWindow,
}

/// Places that the ring begins with.
const FEW: usize = 64;

impl WaitingKeys {
    pub(super) fn new(parts: usize, packed: usize, most: usize) -> Self {
        let (most, index) = (most.max(1), KeyWindow::default());
        Self {
            parts,
            packed,
            most,
            keys: Vec::new(),
            words: Vec::new(),
            places: 0,
            oldest: 0,
            span: 0,
            index,
        }
    }

    /// Keys that wait.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether one has to go before another comes: seven of eight places that there may be are in use, and none is free at the end.
    pub(super) fn is_full(&self) -> bool {
        self.span == self.places && self.places == self.most && self.len() >= self.most - self.most / 8
    }

    /// The place of `key`.
    pub(super) fn find(&self, key: &[i64]) -> Option<usize> {
        if let ([one], 1) = (key, self.parts) {
            return self.index.find(key, |place| self.keys[place] == *one);
        }
        self.index.find(key, |place| self.key(place) == key)
    }

    /// Where the place of a key may be; see [`KeyWindow::glance`].
    #[inline]
    pub(super) fn glance(&self, key: &[i64]) -> Option<usize> {
        self.index.glance(key)
    }

    pub(super) fn key(&self, place: usize) -> &[i64] {
        &self.keys[place * self.parts..][..self.parts]
    }

    /// What is packed at a place.
    pub(super) fn words(&self, place: usize) -> &[u64] {
        &self.words[place * self.packed..][..self.packed]
    }

    /// The place that has been in use for longest.
    pub(super) fn oldest(&self) -> Option<usize> {
        (self.span > 0).then_some(self.oldest)
    }

    /// The places in use, the oldest first.
    pub(super) fn in_use(&self) -> impl DoubleEndedIterator<Item = usize> {
        let places = (0..self.span).map(|behind| (self.oldest + behind) % self.places);
        places.filter(|&place| self.words[place * self.packed] != 0)
    }

    /// Frees a place.
    pub(super) fn remove(&mut self, place: usize) {
        let (keys, parts) = (&self.keys, self.parts);
        self.index.forget(place, |place| &keys[place * parts..][..parts]);
        self.words[place * self.packed] = 0;
        while self.span > 0 && self.words[self.oldest * self.packed] == 0 {
            self.oldest = if self.oldest + 1 == self.places { 0 } else { self.oldest + 1 };
            self.span -= 1;
        }
    }

    /// Gives `key`, which does not wait, a place, where the caller packs what is known of it. The ring is not full.
    pub(super) fn add(&mut self, key: &[i64]) -> &mut [u64] {
        if self.span == self.places {
            self.make_room();
        }
        let latest = self.oldest + self.span;
        let place = if latest >= self.places { latest - self.places } else { latest };
        self.span += 1;
        self.keys[place * self.parts..][..self.parts].copy_from_slice(key);
        let (keys, parts) = (&self.keys, self.parts);
        self.index.enter(place, |place| &keys[place * parts..][..parts]);
        &mut self.words[place * self.packed..][..self.packed]
    }

    /// Closes up where many places are free; else makes the ring larger.
    #[cold]
    fn make_room(&mut self) {
        self.keys.rotate_left(self.oldest * self.parts);
        self.words.rotate_left(self.oldest * self.packed);
        let mut used = 0;
        for place in 0..self.span {
            if self.words[place * self.packed] != 0 {
                self.keys.copy_within(place * self.parts..(place + 1) * self.parts, used * self.parts);
                self.words.copy_within(place * self.packed..(place + 1) * self.packed, used * self.packed);
                used += 1;
            }
        }
        if 2 * used >= self.places {
            self.places = (2 * self.places).clamp(FEW.min(self.most), self.most);
        }
        self.keys.resize(self.places * self.parts, 0);
        self.words.resize(self.places * self.packed, 0);
        (self.oldest, self.span, self.index) = (0, used, KeyWindow::default());
        let (keys, parts) = (&self.keys, self.parts);
        (0..used).for_each(|place| self.index.enter(place, |place| &keys[place * parts..][..parts]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The ring agrees with a list that is searched from end to end; none goes before seven of eight places are in use.
        #[test]
        fn what_waits_is_found_until_it_is_taken(
            steps in prop::collection::vec((0_i64..300, any::<bool>()), 1..2000),
            most in 1_usize..200,
        ) {
            let mut waiting = WaitingKeys::new(2, 2, most);
            let mut list: Vec<([i64; 2], u64)> = Vec::new();
            for (at, (key, stays)) in (1..).zip(steps) {
                let key = [key % 7, key];
                let expected = list.iter().position(|(other, _)| *other == key);
                let found = waiting.find(&key);
                let words = expected.map(|at| [list[at].1, 5]);
                prop_assert_eq!(found.map(|place| waiting.words(place).to_vec()), words.map(|words| words.to_vec()));
                match (found, expected) {
                    (Some(place), Some(at)) if !stays => {
                        waiting.remove(place);
                        list.remove(at);
                    }
                    (None, None) => {
                        if waiting.is_full() {
                            prop_assert!(list.len() >= most - most / 8);
                            let oldest = waiting.oldest().unwrap();
                            prop_assert_eq!(waiting.key(oldest), list[0].0);
                            waiting.remove(oldest);
                            list.remove(0);
                        }
                        waiting.add(&key).copy_from_slice(&[at, 5]);
                        list.push((key, at));
                    }
                    _ => {}
                }
                prop_assert!(list.len() <= most);
                prop_assert_eq!(waiting.len(), list.len());
            }
            let kept: Vec<_> = waiting.in_use().map(|place| (waiting.key(place).to_vec(), waiting.words(place)[0])).collect();
            let expected: Vec<_> = list.iter().map(|(key, at)| (key.to_vec(), *at)).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
