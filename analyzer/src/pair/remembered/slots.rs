//! A table of the latest keys: a ring of slots, oldest first out, found by key through an index.
//!
//! Keys and entries lie in flat vectors, so a lookup touches two cache lines; the ring grows to its capacity and then
//! takes the place of the oldest slot. Order depends on the keys' order of arrival only, never on hashing.

use crate::stage::key_index::KeyWindow;

/// Slots of a head and `width` entries each, for keys of `parts` numbers.
#[derive(Debug)]
pub(crate) struct Slots<H, E> {
    parts: usize,
    width: usize,
    capacity: usize,
    keys: Vec<i64>,
    heads: Vec<H>,
    entries: Vec<E>,
    /// Position of the slot that is replaced next, once the ring is full.
    oldest: usize,
    index: KeyWindow,
}

impl<H: Copy + Default, E: Copy + Default> Slots<H, E> {
    /// A table of at most `capacity` keys.
    pub(crate) fn new(parts: usize, width: usize, capacity: usize) -> Self {
        Self {
            parts,
            width,
            capacity: capacity.max(1),
            keys: Vec::new(),
            heads: Vec::new(),
            entries: Vec::new(),
            oldest: 0,
            index: KeyWindow::default(),
        }
    }

    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether the next new key takes the place of the oldest.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Position of the slot of `key`.
    #[inline(always)]
    pub(crate) fn find(&self, key: &[i64]) -> Option<usize> {
        // The library's comparison of slices costs more than the numbers.
        let is = |position: usize| self.key(position).iter().zip(key).all(|(ours, theirs)| ours == theirs);
        self.index.find(key, is)
    }

    /// Whether keys are one number.
    pub(crate) fn is_of_one_number(&self) -> bool {
        self.parts == 1
    }

    /// As [`find`](Self::find), of a key of one number: most are.
    #[inline(always)]
    pub(crate) fn find_one(&self, key: i64) -> Option<usize> {
        self.index.find(&[key], |position| self.keys[position] == key)
    }

    /// Makes a slot for `key`, which has none; gives its position. The caller has looked after the oldest slot, which it
    /// replaces if the table is full.
    pub(crate) fn insert(&mut self, key: &[i64]) -> usize {
        let position = if self.is_full() {
            let position = self.oldest;
            self.oldest = if position + 1 == self.len() { 0 } else { position + 1 };
            let (keys, parts) = (&self.keys, self.parts);
            self.index.forget(position, |position| &keys[position * parts..][..parts]);
            self.keys[position * self.parts..][..self.parts].copy_from_slice(key);
            self.heads[position] = H::default();
            self.entries[position * self.width..][..self.width].fill(E::default());
            position
        } else {
            let position = self.len();
            self.keys.extend_from_slice(key);
            self.heads.push(H::default());
            self.entries.resize((position + 1) * self.width, E::default());
            position
        };
        let (keys, parts) = (&self.keys, self.parts);
        self.index.enter(position, |position| &keys[position * parts..][..parts]);
        position
    }

    /// Position of the oldest slot; positions after it, around the ring, are ever younger.
    pub(crate) fn oldest(&self) -> usize {
        self.oldest
    }

    pub(crate) fn key(&self, position: usize) -> &[i64] {
        &self.keys[position * self.parts..][..self.parts]
    }

    /// The key, the head and the entries of a slot.
    pub(crate) fn slot(&mut self, position: usize) -> (&[i64], &mut H, &mut [E]) {
        let key = &self.keys[position * self.parts..][..self.parts];
        (key, &mut self.heads[position], &mut self.entries[position * self.width..][..self.width])
    }

    /// The head and the entries of a slot. Inline: on the way through memory, the result is waited for.
    #[inline(always)]
    pub(crate) fn look_mut(&mut self, position: usize) -> (&mut H, &mut [E]) {
        (&mut self.heads[position], &mut self.entries[position * self.width..][..self.width])
    }

    /// The head and the entries of a slot, to look at.
    pub(crate) fn look(&self, position: usize) -> (&H, &[E]) {
        (&self.heads[position], &self.entries[position * self.width..][..self.width])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The table agrees with a list that is searched from end to end.
        #[test]
        fn the_latest_keys_are_found(keys in prop::collection::vec(-40_i64..40, 1..400), capacity in 1_usize..50) {
            let mut slots = Slots::<(), u64>::new(1, 2, capacity);
            let mut latest: Vec<(i64, u64)> = Vec::new();
            for (count, key) in (1..).zip(keys) {
                let position = slots.find(&[key]);
                let expected = latest.iter_mut().find(|(other, _)| *other == key);
                prop_assert_eq!(position.map(|at| slots.slot(at).2[1]), expected.as_ref().map(|(_, value)| *value));
                match (position, expected) {
                    (Some(position), Some(expected)) => {
                        slots.slot(position).2[1] += 1;
                        expected.1 += 1;
                    }
                    _ => {
                        if slots.is_full() {
                            prop_assert_eq!(slots.key(slots.oldest()), &[latest[0].0]);
                            latest.remove(0);
                        }
                        let position = slots.insert(&[key]);
                        prop_assert_eq!(&slots.slot(position).2[..], &[0, 0]);
                        slots.slot(position).2[1] = count;
                        latest.push((key, count));
                    }
                }
            }
        }
    }

    #[test]
    fn keys_of_several_parts_differ_in_any() {
        let mut slots = Slots::<(), u8>::new(2, 1, 8);
        for key in [[1, 2], [2, 1], [1, 1]] {
            assert_eq!(slots.find(&key), None);
            slots.insert(&key);
        }
        assert_eq!((slots.find(&[1, 2]), slots.find(&[2, 1]), slots.find(&[2, 2])), (Some(0), Some(1), None));
    }
}
