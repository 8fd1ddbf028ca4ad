//! What other threads tell the writing thread: when the recording ended, and requests for snapshots.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Input of the writing thread, shared with the threads that set it.
#[derive(Debug, Default)]
pub struct Control {
    /// CLOCK_MONOTONIC ns; 0 while it runs.
    ended_ns: AtomicU64,
    snapshot: AtomicBool,
}

impl Control {
    /// Sets when the recording ended, CLOCK_MONOTONIC ns. Sites are detached one after the other after that, and later
    /// events are not part of the recording.
    pub fn end(&self, now_ns: u64) {
        self.ended_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the recording ended, CLOCK_MONOTONIC ns; `None` while it runs.
    #[must_use]
    pub fn ended_ns(&self) -> Option<u64> {
        Some(self.ended_ns.load(Ordering::Relaxed)).filter(|ended_ns| *ended_ns > 0)
    }

    /// Asks a flight recorder for a snapshot.
    pub fn ask_snapshot(&self) {
        self.snapshot.store(true, Ordering::Relaxed);
    }

    /// Whether a snapshot was asked for since the last call.
    pub(crate) fn take_snapshot(&self) -> bool {
        self.snapshot.swap(false, Ordering::Relaxed)
    }
}
