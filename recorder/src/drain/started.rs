//! Processes that began to run another program, as the ring of processes tells.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::abi::KIND_EXEC;
use crate::kernel::raw::Raw;

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

impl Started {
    /// Whether the process gave a descriptor instead of a path.
    pub(crate) fn is_nameless(&self) -> bool {
        self.path.starts_with("/dev/fd") || !self.path.has_root() && self.path.starts_with("memfd:")
    }

    /// The process that an event of the ring of processes tells of, if it is such an event.
    pub(super) fn of(event: &Raw<'_>) -> Option<Self> {
        if event.kind != KIND_EXEC {
            return None;
        }
        let mut path = Vec::new();
        // What cannot be read is empty.
        let _ = event.string(4, &mut path);
        Some(Self {
            pid: event.pid,
            time_ns: event.time_ns,
            parent_pid: event.words.get(1).map_or(0, |parent| u32::try_from(*parent).unwrap_or(0)),
            path: PathBuf::from(OsString::from_vec(path)),
        })
    }
}
