//! What was seen of one key in one stage, while it is being paired.

use super::span::Point;

/// What was seen of one key in one stage. 32 bytes: there are many.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell {
    begin_ns: u64,
    end_ns: u64,
    begin_thread: u32,
    end_thread: u32,
    /// Begins without an end, if they are tangled.
    pub(crate) depth: u32,
    pub(crate) state: CellState,
    /// Complete spans so far, at most two.
    pub(crate) laps: u8,
}

const _: () = assert!(size_of::<Cell>() == 32);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CellState {
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
        matches!(self.state, CellState::Begun | CellState::Ended)
    }

    pub(crate) fn begin(&self) -> Point {
        Point { time_ns: self.begin_ns, thread: self.begin_thread }
    }

    pub(crate) fn end(&self) -> Point {
        Point { time_ns: self.end_ns, thread: self.end_thread }
    }

    pub(crate) fn set_begin(&mut self, point: Point) {
        (self.begin_ns, self.begin_thread) = (point.time_ns, point.thread);
    }

    pub(crate) fn set_end(&mut self, point: Point) {
        (self.end_ns, self.end_thread) = (point.time_ns, point.thread);
    }

    pub(crate) fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    pub(crate) fn end_ns(&self) -> u64 {
        self.end_ns
    }
}
