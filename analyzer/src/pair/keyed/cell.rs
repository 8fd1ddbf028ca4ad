//! What was seen of one key in one stage, while it is being paired.

use tracer_format::ThreadId;

use crate::pair::span::Point;

/// What was seen of one key in one stage. 64 bytes: there are many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell {
    begin_ns: u64,
    end_ns: u64,
    first_ns: u64,
    before_ns: u64,
    begin_thread: ThreadId,
    end_thread: ThreadId,
    first_thread: ThreadId,
    before_thread: ThreadId,
    /// Begins without an end, if they are tangled.
    pub(super) depth: u32,
    /// Position plus one, in the group, of the stage whose complete span was the first inside of this one, since its
    /// begin; 0 if there is none.
    first: u16,
    /// Position plus one, in the group, of the stage that handed on to this one when it began; 0 if there is none.
    before: u16,
    /// Which of the stage's probes ended it.
    pub(super) ended_by: u16,
    /// Position plus one of the next cell in its chain; 0 if there is none. See `chain.rs`.
    pub(super) below: u16,
    /// Position plus one of the complete cell that ended last, of those from this one down in its chain; of several, not this one.
    pub(super) longest: u16,
    pub(super) state: CellState,
}

const _: () = assert!(size_of::<Cell>() == 64);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CellState {
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
    /// Ended some other way, or complete in an earlier lap of the key.
    Closed,
    /// Several begins.
    Tangled,
}

impl Cell {
    /// Whether an event is here that may still find its partner.
    pub(super) fn waits(&self) -> bool {
        matches!(self.state, CellState::Begun | CellState::Ended)
    }

    /// Whether a span is open here that has its begin.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, CellState::Begun | CellState::Swapped)
    }

    pub(super) fn begin(&self) -> Point {
        Point { time_ns: self.begin_ns, thread: self.begin_thread }
    }

    pub(super) fn end(&self) -> Point {
        Point { time_ns: self.end_ns, thread: self.end_thread }
    }

    /// Begins a span.
    pub(super) fn set_begin(&mut self, point: Point) {
        (self.begin_ns, self.begin_thread) = (point.time_ns, point.thread);
        (self.first, self.before) = (0, 0);
    }

    pub(super) fn set_end(&mut self, point: Point) {
        (self.end_ns, self.end_thread) = (point.time_ns, point.thread);
    }

    pub(super) fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.end_ns
    }

    /// The stage that had handed on to this one when it began, and where that ended.
    pub(super) fn before(&self) -> Option<(usize, Point)> {
        let stage = usize::from(self.before).checked_sub(1)?;
        Some((stage, Point { time_ns: self.before_ns, thread: self.before_thread }))
    }

    /// Keeps which stage handed on to this one, and where that ended.
    pub(super) fn set_before(&mut self, stage: usize, end: Point) {
        if let Ok(stage) = u16::try_from(stage + 1) {
            (self.before, self.before_ns, self.before_thread) = (stage, end.time_ns, end.thread);
        }
    }

    /// The stage whose complete span was the first inside of this one, and where that began.
    pub(super) fn first(&self) -> Option<(usize, Point)> {
        let stage = usize::from(self.first).checked_sub(1)?;
        Some((stage, Point { time_ns: self.first_ns, thread: self.first_thread }))
    }

    /// Takes a complete span of stage `stage` that began at `point`, if it is the first inside of this one.
    pub(super) fn offer_first(&mut self, stage: usize, point: Point) {
        let is_first = self.first == 0 || point.time_ns < self.first_ns;
        if is_first
            && point.time_ns >= self.begin_ns
            && let Ok(stage) = u16::try_from(stage + 1)
        {
            (self.first, self.first_ns, self.first_thread) = (stage, point.time_ns, point.thread);
        }
    }
}
