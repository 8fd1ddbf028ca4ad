//! What goes into the writing thread beside events: when the recording ended, and that a snapshot is wanted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the writing thread is told; shared with the threads that tell it.
#[derive(Debug, Default)]
pub struct Control {
    /// CLOCK_MONOTONIC ns; 0 while the recording goes on.
    ended_ns: AtomicU64,
    snapshot: AtomicBool,
}

impl Control {
    /// Says when the recording ended, CLOCK_MONOTONIC ns. Sites are detached one after the other from then on, and what
    /// some of them still fire is not part of the recording.
    pub fn end(&self, now_ns: u64) {
        self.ended_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the recording ended, CLOCK_MONOTONIC ns; `None` while it goes on.
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
