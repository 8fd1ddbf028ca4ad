//! What was seen of one key in one stage, while it is being paired.

use crate::span::Point;

/// What was seen of one key in one stage. 40 bytes: there are many.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell {
    pub(crate) begin: Point,
    pub(crate) end: Point,
    pub(crate) state: State,
    /// Complete spans so far, at most two.
    pub(crate) laps: u8,
    /// Begins without an end, if they are tangled.
    pub(crate) depth: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Unseen,
    /// A begin waits for its end.
    Begun,
    /// An end waits for its begin.
    Ended,
    /// A begin after an end: inverted, if nothing more comes.
    Swapped,
    /// Complete: `begin` and `end` are a span's.
    Complete,
    /// Ended some other way.
    Closed,
    /// Several begins.
    Tangled,
}

impl Cell {
    /// Whether an event is here that may still find its partner.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.state, State::Begun | State::Ended)
    }

    pub(crate) fn begin_ns(&self) -> u64 {
        self.begin.time_ns
    }

    pub(crate) fn end_ns(&self) -> u64 {
        self.end.time_ns
    }
}
