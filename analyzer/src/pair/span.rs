//! What pairing finds: spans and hand-offs.

use tracer_format::ThreadId;

use crate::stage::KeyValue;

/// A moment on a thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// The thread.
    pub thread: ThreadId,
}

/// What became of the events of one key in one stage. Each begin and each end belongs to exactly one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A begin and the end after it.
    Complete,
    /// A begin without an end.
    Open,
    /// An end without a begin.
    OrphanEnd,
    /// A begin while the stage had begun for this key already: which end is whose cannot be told. Not in stages by thread.
    RepeatedBegin,
    /// An end while the stage had ended for this key already, or one of several begins'.
    RepeatedEnd,
    /// An end, and later the only begin: a clock or causality violation.
    Inverted,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Complete, Self::Open, Self::OrphanEnd, Self::RepeatedBegin, Self::RepeatedEnd, Self::Inverted];

    /// Name in tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Open => "open",
            Self::OrphanEnd => "orphan_end",
            Self::RepeatedBegin => "repeated_begin",
            Self::RepeatedEnd => "repeated_end",
            Self::Inverted => "inverted",
        }
    }
}

/// One observed stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index into the stages of the analysis.
    pub stage: u32,
    /// What became of it.
    pub class: Class,
    /// Whether a span that began later ended earlier; complete spans only.
    pub reordered: bool,
    /// The key.
    pub key: KeyValue,
    /// Where it began, if that was seen.
    pub begin: Option<Point>,
    /// Where it ended, if that was seen.
    pub end: Option<Point>,
    /// Which of the stage's probes ended it, if its end was seen: a position in [`Stage::ends`](crate::stage::Stage).
    pub ended_by: u16,
    /// Whether events were lost that may have made it what it is.
    pub near_loss: bool,
}

impl Span {
    /// End minus begin, ns: negative if the span is inverted, `None` if an end is missing.
    #[must_use]
    pub fn latency_ns(&self) -> Option<i64> {
        Some(difference_ns(self.begin?.time_ns, self.end?.time_ns))
    }
}

/// Which end of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Its begin.
    Begin,
    /// Its end.
    End,
}

/// One end of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// Index into the stages of the analysis.
    pub stage: u32,
    /// Which end.
    pub side: Side,
}

/// The way of one key from one stage to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOff {
    /// The end of the stage before; or the begin of the stage around, if there is none before.
    pub from: Edge,
    /// The begin of the stage after; or the end of the stage around, if there is none after.
    pub to: Edge,
    /// The key.
    pub key: KeyValue,
    /// Where it left.
    pub left: Point,
    /// Where it arrived.
    pub arrived: Point,
    /// Whether events were lost on the way.
    pub near_loss: bool,
}

impl HandOff {
    /// Arrival minus leaving, ns; negative if the next stage began before the one before had ended.
    #[must_use]
    pub fn latency_ns(&self) -> i64 {
        difference_ns(self.left.time_ns, self.arrived.time_ns)
    }
}

/// How many there are of something that has begun, and since when the oldest is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// How many.
    pub count: u64,
    /// CLOCK_MONOTONIC, ns; 0 if there is none.
    pub since_ns: u64,
}

impl UnderWay {
    pub(super) fn add(&mut self, since_ns: u64) {
        self.since_ns = if self.count == 0 { since_ns } else { self.since_ns.min(since_ns) };
        self.count += 1;
    }
}

/// Where the keys of all stages are at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Spans of each stage that have begun and not ended.
    pub open: Vec<UnderWay>,
    /// Keys of which the begin or the end of a stage was seen last, by [`Side`]; not of stages by thread.
    pub resting: Vec<[UnderWay; 2]>,
    /// Whether there are older keys, which were not counted.
    pub is_partial: bool,
}

/// `to - from`, at the limits of the type if it is beyond them.
pub(crate) fn difference_ns(from: u64, to: u64) -> i64 {
    to.checked_signed_diff(from).unwrap_or(if to > from { i64::MAX } else { i64::MIN })
}
