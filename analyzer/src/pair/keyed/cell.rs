//! What was seen of one key in one stage, while it is being paired.

use tracer_format::ThreadId;

use crate::pair::span::{Point, Side};

/// What was seen of one key in one stage. 64 bytes: there are many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell {
    /// Its begin and its end, by [`Side`].
    ends_ns: [u64; 2],
    first_ns: u64,
    before_ns: u64,
    end_threads: [ThreadId; 2],
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

impl CellState {
    const ALL: [Self; 7] =
        [Self::Unseen, Self::Begun, Self::Ended, Self::Swapped, Self::Complete, Self::Closed, Self::Tangled];
}

/// Words of a cell.
pub(super) const CELL_WORDS: usize = 8;

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
        self.at(Side::Begin)
    }

    pub(super) fn end(&self) -> Point {
        self.at(Side::End)
    }

    /// All of it.
    pub(super) fn to_words(self) -> [u64; CELL_WORDS] {
        let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let four = |low: [u16; 2], high: [u16; 2]| {
            let both = |[low, high]: [u16; 2]| u32::from(low) | u32::from(high) << 16;
            two(both(low), both(high))
        };
        [
            self.ends_ns[0],
            self.ends_ns[1],
            self.first_ns,
            self.before_ns,
            two(self.end_threads[0].0, self.end_threads[1].0),
            two(self.first_thread.0, self.before_thread.0),
            u64::from(self.depth) | four([0, 0], [self.first, self.before]),
            four([self.ended_by, self.below], [self.longest, self.state as u16]),
        ]
    }

    /// The cell that gave these words.
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a word")]
    pub(super) fn from_words(words: [u64; CELL_WORDS]) -> Self {
        let [begin_ns, end_ns, first_ns, before_ns, ends, others, counts, rest] = words;
        let thread = |word: u64, at: u32| ThreadId((word >> (32 * at)) as u32);
        let part = |word: u64, at: u32| (word >> (16 * at)) as u16;
        Self {
            ends_ns: [begin_ns, end_ns],
            first_ns,
            before_ns,
            end_threads: [thread(ends, 0), thread(ends, 1)],
            first_thread: thread(others, 0),
            before_thread: thread(others, 1),
            depth: counts as u32,
            first: part(counts, 2),
            before: part(counts, 3),
            ended_by: part(rest, 0),
            below: part(rest, 1),
            longest: part(rest, 2),
            state: Self::state(part(rest, 3)),
        }
    }

    /// Where the state stands in the first word of an end; below it, above the thread, are that many bits for a count.
    const STATE: u32 = 61;
    const MOST_DEPTH: u32 = (1 << (Self::STATE - 32)) - 1;

    /// A cell of a key with one stage, which waits for another end: what is known of the one that was seen. The time comes second.
    pub(super) fn to_end(self) -> [u64; 2] {
        let (Point { time_ns, thread }, count) = match self.state {
            CellState::Begun => (self.begin(), 0),
            CellState::Tangled => (self.begin(), self.depth.min(Self::MOST_DEPTH)),
            _ => (self.end(), self.ended_by.into()),
        };
        [u64::from(thread.0) | u64::from(count) << 32 | (self.state as u64) << Self::STATE, time_ns]
    }

    /// The cell that gave these words.
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a word")]
    pub(super) fn from_end([rest, time_ns]: [u64; 2]) -> Self {
        let point = Point { time_ns, thread: ThreadId(rest as u32) };
        let mut cell = Self { state: Self::state((rest >> Self::STATE) as u16), ..Self::default() };
        let count = (rest >> 32) as u32 & Self::MOST_DEPTH;
        match cell.state {
            CellState::Begun => cell.set_begin(point),
            CellState::Tangled => {
                cell.set_begin(point);
                cell.depth = count;
            }
            _ => {
                cell.set_end(point);
                cell.ended_by = count as u16;
            }
        }
        cell
    }

    fn state(number: u16) -> CellState {
        CellState::ALL.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// Begins a span.
    pub(super) fn set_begin(&mut self, point: Point) {
        self.set_at(Side::Begin, point);
        (self.first, self.before) = (0, 0);
    }

    pub(super) fn set_end(&mut self, point: Point) {
        self.set_at(Side::End, point);
    }

    /// Its begin or its end. No branch: a processor cannot foresee which of them comes.
    #[inline]
    pub(super) fn at(&self, side: Side) -> Point {
        Point { time_ns: self.ends_ns[side as usize], thread: self.end_threads[side as usize] }
    }

    /// Notes its begin or its end, and nothing more.
    #[inline]
    pub(super) fn set_at(&mut self, side: Side, point: Point) {
        (self.ends_ns[side as usize], self.end_threads[side as usize]) = (point.time_ns, point.thread);
    }

    /// The same with these moments: begin and end, those of the first stage inside, and of the one before.
    pub(super) fn with_moments(self, [begin, end]: [Point; 2], first: Point, before: Point) -> Self {
        Self {
            ends_ns: [begin.time_ns, end.time_ns],
            first_ns: first.time_ns,
            before_ns: before.time_ns,
            end_threads: [begin.thread, end.thread],
            first_thread: first.thread,
            before_thread: before.thread,
            ..self
        }
    }

    pub(super) fn begin_ns(&self) -> u64 {
        self.ends_ns[0]
    }

    pub(super) fn end_ns(&self) -> u64 {
        self.ends_ns[1]
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
            && point.time_ns >= self.begin_ns()
            && let Ok(stage) = u16::try_from(stage + 1)
        {
            (self.first, self.first_ns, self.first_thread) = (stage, point.time_ns, point.thread);
        }
    }
}
