//! A machine, and what a recording on it cost.

use std::sync::Arc;

/// A machine, and the recording made on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Host {
    /// Node name.
    pub name: Arc<str>,
    /// Kernel name, release and version, as `uname` prints them.
    pub kernel: Arc<str>,
    /// Machine, as `uname -m` prints it.
    pub machine: Arc<str>,
    /// Kernel's id of this boot; CLOCK_MONOTONIC values compare only within one boot. Empty if unknown.
    pub boot_id: Arc<str>,
    /// Number of possible processors; 0 if unknown.
    pub cpus: u32,
    /// Name and version of the tool that wrote the trace.
    pub tool: Arc<str>,
    /// Command line of the tool.
    pub command: Arc<[Arc<str>]>,
}

/// What the recording itself cost; the last one written counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Time spent in the BPF programs, ns; 0 if the kernel did not measure it.
    pub bpf_ns: u64,
    /// Runs of the BPF programs that `bpf_ns` covers.
    pub bpf_runs: u64,
    /// CPU time of the recorder, in user mode and in the kernel, ns.
    pub cpu_ns: u64,
    /// Times the recorder woke up to drain.
    pub wakeups: u64,
    /// Bytes drained from the ring buffers.
    pub drained_bytes: u64,
}
