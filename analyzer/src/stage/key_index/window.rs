//! Finds the place of a key, of which most count up: keys that follow each other lie side by side here.
//!
//! A hash would spread them over the whole table: then each look-up waits for memory of its own where very many keys are
//! open, and is a multiplication more where they are few.

use super::KeyIndex;

/// Places by the lowest bits of the first number of their key; of keys that agree in those, the others by their hash.
#[derive(Debug, Clone)]
pub(crate) struct KeyWindow {
    /// Position plus one of a place; 0 where there is none.
    places: Vec<u32>,
    /// How many stand there.
    listed: usize,
    others: KeyIndex,
}

/// Room for each place, at the least.
const SPARSE: usize = 2;
const SMALLEST: usize = 64;

impl Default for KeyWindow {
    fn default() -> Self {
        Self { places: vec![0; SMALLEST], listed: 0, others: KeyIndex::default() }
    }
}

impl KeyWindow {
    /// Places that are listed.
    pub(crate) fn len(&self) -> usize {
        self.listed + self.others.len()
    }

    /// The place of `key`; `is` tells whether it is that of a place.
    #[inline(always)]
    pub(crate) fn find(&self, key: &[i64], is: impl Fn(usize) -> bool) -> Option<usize> {
        match self.here(key) {
            Some(place) if is(place) => Some(place),
            _ if self.others.len() == 0 => None,
            _ => self.find_other(key, is),
        }
    }

    /// Apart: what keys that count up do not need is not in the way of those that do.
    #[inline(never)]
    fn find_other(&self, key: &[i64], is: impl Fn(usize) -> bool) -> Option<usize> {
        self.others.find(self.others.hasher().hash(key), is)
    }

    /// Lists `place`; `key_of` gives the key at a place.
    #[inline]
    pub(crate) fn enter<'k>(&mut self, place: usize, key_of: impl Fn(usize) -> &'k [i64]) {
        if (self.len() + 1) * SPARSE > self.places.len() {
            self.grow(&key_of);
        }
        let at = self.at(key_of(place));
        if self.places[at] == 0 {
            self.places[at] = u32::try_from(place + 1).expect("there are less than 2^32 places");
            self.listed += 1;
        } else {
            let hasher = self.others.hasher();
            self.others.enter(place, |place| hasher.hash(key_of(place)));
        }
    }

    #[cold]
    fn grow<'k>(&mut self, key_of: &impl Fn(usize) -> &'k [i64]) {
        let larger = vec![0; 2 * self.places.len()];
        for listed in std::mem::replace(&mut self.places, larger) {
            if let Some(place) = (listed as usize).checked_sub(1) {
                // They differed in fewer bits already.
                let at = self.at(key_of(place));
                self.places[at] = listed;
            }
        }
    }

    /// Takes `place`, which is listed, off the list.
    #[inline]
    pub(crate) fn forget<'k>(&mut self, place: usize, key_of: impl Fn(usize) -> &'k [i64]) {
        let at = self.at(key_of(place));
        if self.places[at] as usize == place + 1 {
            self.places[at] = 0;
            self.listed -= 1;
        } else {
            let hasher = self.others.hasher();
            self.others.forget(place, |place| hasher.hash(key_of(place)));
        }
    }

    /// Where the place of a key may be: looked at ahead, for many keys at once, it need not be waited for when each is looked for.
    #[inline]
    pub(crate) fn glance(&self, key: &[i64]) -> Option<usize> {
        match self.others.len() {
            0 => self.here(key),
            _ => self.others.glance(self.others.hasher().hash(key)).or(self.here(key)),
        }
    }

    #[inline(always)]
    fn here(&self, key: &[i64]) -> Option<usize> {
        (self.places[self.at(key)] as usize).checked_sub(1)
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are what counts")]
    fn at(&self, key: &[i64]) -> usize {
        key.first().map_or(0, |first| first.cast_unsigned() as usize) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The window agrees with a map, whether keys count up, agree in their lowest bits, or are anything.
        #[test]
        fn every_key_is_found_where_it_is(
            steps in prop::collection::vec((prop_oneof![0..200_i64, (0..200_i64).prop_map(|key| key << 40)], any::<bool>()), 1..500),
        ) {
            let (mut window, mut known) = (KeyWindow::default(), BTreeMap::new());
            let mut keys: Vec<[i64; 1]> = Vec::new();
            for (key, stays) in steps {
                let found = window.find(&[key], |place| keys[place] == [key]);
                prop_assert_eq!(found, known.get(&key).copied());
                match found {
                    Some(place) if !stays => {
                        window.forget(place, |place| &keys[place]);
                        known.remove(&key);
                    }
                    Some(_) => {}
                    None => {
                        keys.push([key]);
                        window.enter(keys.len() - 1, |place| &keys[place]);
                        known.insert(key, keys.len() - 1);
                    }
                }
                prop_assert_eq!(window.len(), known.len());
            }
            for (key, place) in known {
                prop_assert_eq!(window.find(&[key], |place| keys[place] == [key]), Some(place));
            }
        }
    }
}
