//! When a recording has enough: so many events, so many bytes.

use crate::write::output::Bounds;

/// Bytes that definitions, index and footer take at the end of a small trace.
const END_BYTES: u64 = 4096;

/// The most that is recorded.
#[derive(Debug)]
pub(super) struct Bound {
    max_events: u64,
    max_bytes: Option<u64>,
}

impl Bound {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            max_events: bounds.max_events.unwrap_or(u64::MAX),
            // What a flight recorder keeps in memory is bounded by itself.
            max_bytes: bounds.max_bytes.filter(|_| bounds.flight.is_none()),
        }
    }

    /// Events that may still be written, after so many.
    pub(super) fn room(&self, events: u64) -> u64 {
        self.max_events.saturating_sub(events)
    }

    /// Whether `bytes` are about as many as allowed, of which `block_bytes` were written just now. What is drained until
    /// the end is about as much as those, and the end of the trace takes some as well.
    pub(super) fn is_reached(&self, bytes: u64, block_bytes: u64) -> bool {
        self.max_bytes.is_some_and(|max| bytes + 2 * block_bytes + END_BYTES >= max)
    }
}
