//! What the writing thread reports while it works: counts, and whether the recording should end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// State of a recording, shared with the threads that read it.
#[derive(Debug, Default)]
pub struct Progress {
    events: AtomicU64,
    lost: AtomicU64,
    bytes: AtomicU64,
    wanted: AtomicU8,
    bell: Bell,
}

/// Wakes the draining thread, which may sleep until something happens.
#[derive(Debug)]
struct Bell(Option<OwnedFd>);

impl Default for Bell {
    fn default() -> Self {
        Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).ok())
    }
}

/// Why a recording should end, if the reason is in the recording itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A bound is reached, or a thread has failed.
    Enough,
    /// A flight recorder has seen what it watches for; the rest of the path is still to be recorded.
    Aftermath,
}

impl Progress {
    /// Events written or waiting to be.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Events lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Bytes written, over all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Why the recording should end; `None` if it should not.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        match self.wanted.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Ending::Enough),
            _ => Some(Ending::Aftermath),
        }
    }

    /// Requests the end of the recording. [`Ending::Aftermath`] is kept when [`Ending::Enough`] follows.
    pub(crate) fn end(&self, ending: Ending) {
        let wanted = match ending {
            Ending::Enough => 1,
            Ending::Aftermath => 2,
        };
        self.wanted.fetch_max(wanted, Ordering::Relaxed);
        if let Some(bell) = &self.bell.0 {
            // Fails only if it was rung very often and nothing listens.
            let _ = rustix::io::write(bell, &1_u64.to_le_bytes());
        }
    }

    /// Readable once more each time that the end is requested.
    pub(crate) fn bell(&self) -> Option<BorrowedFd<'_>> {
        self.bell.0.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn add_events(&self, count: u64) {
        self.events.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}
