//! Finds the place of a key by its hash; the keys themselves are kept by the owner of the places.

/// Places by hash: each at the hash of its key or behind it, with nothing free between.
#[derive(Debug, Clone)]
pub(crate) struct KeyIndex {
    /// Position plus one of a place; 0 where there is none.
    places: Vec<u32>,
    len: usize,
}

/// Room for each place, at the least.
const SPARSE: usize = 2;
const SMALLEST: usize = 64;

impl Default for KeyIndex {
    fn default() -> Self {
        Self { places: vec![0; SMALLEST], len: 0 }
    }
}

impl KeyIndex {
    /// Places that are listed.
    pub(crate) fn len(&self) -> usize {
        self.len
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

/// Spreads keys, which often count up.
#[inline]
pub(crate) fn hash(key: &[i64]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = 0_u64;
    for &part in key {
        hash = (hash.rotate_left(29) ^ part.cast_unsigned()).wrapping_mul(FACTOR);
    }
    // The high half is mixed best.
    ((hash >> 32) as u32) as usize
}
