//! What the kernel does for a recording: the eBPF program, its maps and links, and the raw events that it sends.
//!
//! The only room that makes system calls of BPF and perf. Reading the maps that events go through is the task of
//! [`drain`](crate::drain).

pub(crate) mod bpf;
mod btf;
mod code;
mod constants;
pub mod link;
pub(crate) mod mapped;
pub(crate) mod meter;
pub mod program;
pub mod raw;
pub(crate) mod signal;
pub(crate) mod sites;
pub(crate) mod twin;
