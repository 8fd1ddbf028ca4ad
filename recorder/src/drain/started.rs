//! Processes that began to run another program, and those that were forked, as the ring of processes tells.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::abi::{KIND_EXEC, KIND_FORK};
use crate::kernel::raw::Raw;

/// What the ring of processes tells of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It was forked.
    Forked(Forked),
    /// It began to run another program.
    Started(Started),
}

impl ProcessEvent {
    /// What an event of the ring tells.
    pub(super) fn of(event: &Raw<'_>) -> Option<Self> {
        match event.kind {
            KIND_FORK => Some(Self::Forked(Forked { pid: event.pid, parent_pid: parent(event) })),
            KIND_EXEC => Some(Self::Started(Started::of(event))),
            _ => None,
        }
    }
}

/// A process that began to run another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The process.
    pub pid: u32,
    /// When: CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Its parent.
    pub parent_pid: u32,
    /// Path of the program as the process gave it, maybe relative to its folder; empty if unknown.
    pub path: PathBuf,
}

/// A process that was forked, and runs what its parent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forked {
    /// The process.
    pub pid: u32,
    /// Its parent.
    pub parent_pid: u32,
}

impl Started {
    /// Whether the process gave a descriptor instead of a path.
    pub(crate) fn is_nameless(&self) -> bool {
        self.path.starts_with("/dev/fd") || !self.path.has_root() && self.path.starts_with("memfd:")
    }

    fn of(event: &Raw<'_>) -> Self {
        let mut path = Vec::new();
        // What cannot be read is empty.
        let _ = event.string(4, &mut path);
        Self {
            pid: event.pid,
            time_ns: event.time_ns,
            parent_pid: parent(event),
            path: PathBuf::from(OsString::from_vec(path)),
        }
    }
}

fn parent(event: &Raw<'_>) -> u32 {
    event.words.get(1).map_or(0, |parent| u32::try_from(*parent).unwrap_or(0))
}
