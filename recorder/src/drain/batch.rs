//! What one look into the buffers gives: plain data, so that everything behind it can be tested without a kernel.

use crate::drain::loss::Loss;

/// Raw events moved out of the rings at one time, with what is known about their completeness. Plain data, so that
/// everything behind it can be tested without a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events as they were in the rings (`raw.rs`).
    pub words: Vec<u64>,
    /// Parts of `words` that come from one ring.
    pub parts: Vec<Part>,
    /// Every event and every loss up to this time, `CLOCK_MONOTONIC` ns, is in this batch or one before.
    pub complete_ns: u64,
    /// Events lost, as far as they have been looked at.
    pub losses: Vec<Loss>,
}

/// A part of a batch: the events of one CPU in the order of its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The CPU.
    pub cpu: u16,
    /// Index in [`Batch::words`] behind the last word; it begins where the part before ends.
    pub end: usize,
}

impl Batch {
    /// Empties the batch but keeps its memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.parts.clear();
        self.losses.clear();
        self.complete_ns = 0;
    }
}
