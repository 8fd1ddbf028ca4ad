//! What a key is chosen from: some events of one stage, as plain values.

use tracer_format::{ProcessId, ThreadId};

/// Arguments of an event that may be part of a key.
pub const ARGS: usize = 4;

/// A firing of one of the probes of a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fired {
    /// Whether it ends the stage; it begins it otherwise.
    pub is_end: bool,
    /// Index of the thread.
    pub thread: ThreadId,
    /// Index of the process: one life of one pid.
    pub process: ProcessId,
    /// What the processes of one family share: the parent's pid, 0 if unknown.
    pub parent: u32,
    /// Arguments that the probe has, at most [`ARGS`].
    pub arity: u8,
    /// The arguments: `None` where one is no integer and no string, or was unreadable.
    pub args: [Option<i64>; ARGS],
}

/// From when to when a process fired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Life {
    /// First event, CLOCK_MONOTONIC ns.
    pub first_ns: u64,
    /// Last event that was looked at.
    pub last_ns: u64,
    /// Number that stands for the program.
    pub program: u32,
}

/// Some events of a stage, in time order, with none missing in between.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The events.
    pub fired: &'a [Fired],
    /// The processes, by index.
    pub lives: &'a [Life],
}

impl Sample<'_> {
    /// Begins and ends.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let ends = self.fired.iter().filter(|fired| fired.is_end).count();
        (self.fired.len() - ends, ends)
    }

    /// Whether process `old` had ended when process `new` began, as far as their events tell, and both run the same
    /// program: what `old` left open stays open.
    #[must_use]
    pub(crate) fn replaced(&self, old: ProcessId, new: ProcessId) -> bool {
        let life = |process: ProcessId| self.lives.get(process.index());
        match (life(old), life(new)) {
            (Some(a), Some(b)) => old != new && a.program == b.program && a.last_ns < b.first_ns,
            _ => false,
        }
    }
}
