//! Processes, their threads and their ends.

use std::sync::Arc;

use super::{HostId, ProcessId};

/// A process: one program run by one pid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Process {
    /// Its host.
    pub host: HostId,
    /// Process id; not unique, pids are reused.
    pub pid: u32,
    /// Parent's process id; 0 if unknown.
    pub parent_pid: u32,
    /// Start, ns of CLOCK_BOOTTIME; in steps of 10 ms when it was read from /proc. 0 if unknown.
    pub start_ns: u64,
    /// File name of the executable; what the log prints.
    pub program: Arc<str>,
    /// Path of the executable, as the process sees it; empty if unknown.
    pub executable: Arc<str>,
    /// Command line; empty if unknown.
    pub command: Arc<[Arc<str>]>,
}

/// A thread of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Thread {
    /// Its process.
    pub process: ProcessId,
    /// Thread id; the main thread's is the pid.
    pub tid: u32,
}

/// The end of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exit {
    /// Its process.
    pub process: ProcessId,
    /// CLOCK_MONOTONIC, ns.
    pub time_ns: u64,
    /// Wait status (`exit code << 8 | signal`).
    pub status: u32,
}
