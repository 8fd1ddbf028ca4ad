//! What a reader should know of a recording: each thing in one line, with where and which buffers.

use crate::stage::KeyValue;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A process stood still.
    Stall,
    /// Stalls that come again and again.
    PeriodicStall,
    /// Buffers that vanished.
    Lost,
    /// Buffers that passed later probes but not all earlier ones.
    Missed,
    /// Numbers that the source never used.
    Skipped,
    /// Events that came twice.
    Duplicated,
    /// Buffers that others overtook where there is one way.
    Overtaken,
    /// Stages that end before they begin.
    Inverted,
    /// Every N buffers, or every so long, a stage takes much longer.
    Period,
    /// A stage takes one of two times.
    Modes,
    /// From some buffer on, a stage takes longer, or less long.
    Change,
    /// One value of an argument has most of a stage's time.
    OneValue,
    /// Slow buffers have something in common.
    SetApart,
}

impl FindingKind {
    /// Name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stall => "stall",
            Self::PeriodicStall => "periodic_stall",
            Self::Lost => "lost",
            Self::Missed => "missed",
            Self::Skipped => "skipped",
            Self::Duplicated => "duplicated",
            Self::Overtaken => "overtaken",
            Self::Inverted => "inverted",
            Self::Period => "period",
            Self::Modes => "modes",
            Self::Change => "change",
            Self::OneValue => "one_value",
            Self::SetApart => "set_apart",
        }
    }
}

/// Keys that a finding keeps.
pub(crate) const KEPT: usize = 1000;

/// Something that a reader should know.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// When, CLOCK_MONOTONIC ns; `None` if it has no time.
    pub at_ns: Option<u64>,
    /// The program that it is about.
    pub program: Option<String>,
    /// The stage, step or probe that it is about.
    pub subject: Option<String>,
    /// How long, or how much longer, ns; `None` if it has no length.
    pub len_ns: Option<i64>,
    /// From one to the next of what comes again, ns.
    pub every_ns: Option<i64>,
    /// The same in buffers.
    pub every_count: Option<u64>,
    /// Buffers, or values, that it is about: the first `KEPT` of them.
    pub keys: Vec<KeyValue>,
    /// How many there are.
    pub count: u64,
    /// What spans have in common, if that is what was found.
    pub common: Option<Common>,
    /// The line.
    pub text: String,
}

/// What spans have in common, and how many of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// `program`, `pid`, `tid`, `cpu`, `argN`, or `pause_ns`, the time for which the thread had fired nothing before.
    pub property: String,
    /// Its value; `>= N` or `<= N` if it is a limit.
    pub value: String,
    /// The spans that it is about, the slow ones or all; and those of them that have it.
    pub spans: u64,
    /// See `spans`.
    pub spans_with: u64,
    /// The others that they are compared with; and those of them that have it.
    pub others: u64,
    /// See `others`.
    pub others_with: u64,
    /// Share of the stage's time in spans that have it.
    pub time_share: f64,
}

impl Finding {
    /// A finding about `keys`, without a place.
    pub(crate) fn new(kind: FindingKind, keys: &[KeyValue], text: String) -> Self {
        Self {
            kind,
            at_ns: None,
            program: None,
            subject: None,
            len_ns: None,
            every_ns: None,
            every_count: None,
            keys: keys.iter().take(KEPT).copied().collect(),
            count: keys.len() as u64,
            common: None,
            text,
        }
    }
}
