//! Numbers that the source never used: missing among those that begin the path, as far as they count on.

use std::collections::BTreeSet;

/// More missing in a row than this is another count.
const JUMP: i64 = 1000;
/// Missing numbers that are kept.
const KEPT: usize = 1 << 16;
/// Numbers that a count has at least.
const LEAST: u64 = 20;

/// Which numbers were seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    /// Greatest number so far.
    greatest: Option<i64>,
    /// Numbers below the greatest that were not seen.
    missing: BTreeSet<i64>,
    seen: u64,
}

impl Numbers {
    pub(crate) fn add(&mut self, number: i64) {
        self.seen += 1;
        let Some(greatest) = self.greatest else {
            self.greatest = Some(number);
            return;
        };
        if number <= greatest {
            self.missing.remove(&number);
            return;
        }
        self.greatest = Some(number);
        let skipped = number.saturating_sub(greatest) - 1;
        if skipped < JUMP && self.missing.len() < KEPT {
            self.missing.extend(greatest + 1..number);
        }
    }

    /// The numbers that never came, in order; none if these are too few to be a count.
    pub(crate) fn never(&self) -> Vec<i64> {
        if self.seen > LEAST { self.missing.iter().copied().collect() } else { Vec::new() }
    }
}
