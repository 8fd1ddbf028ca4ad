//! Numbers for keys, in the order in which they come.

use crate::stage::key_index::KeyIndex;

/// The keys so far: each has its position as number.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    index: KeyIndex,
    keys: Vec<[i64; 3]>,
}

impl Distinct {
    /// The number of `key`, and whether it is new.
    pub(super) fn number(&mut self, key: [i64; 3]) -> (usize, bool) {
        let hasher = self.index.hasher();
        if let Some(number) = self.index.find(hasher.hash(&key), |number| self.keys[number] == key) {
            return (number, false);
        }
        let (number, keys) = (self.keys.len(), &mut self.keys);
        keys.push(key);
        self.index.enter(number, |number| hasher.hash(&keys[number]));
        (number, true)
    }

    /// Whether `key` is one of them.
    pub(super) fn has(&self, key: [i64; 3]) -> bool {
        self.index.find(self.index.hasher().hash(&key), |number| self.keys[number] == key).is_some()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}
