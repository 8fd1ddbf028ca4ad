//! The bounds that end a recording: a number of events, a number of bytes.

use crate::write::output::Bounds;

/// Bytes that definitions, index and footer take at the end of a small trace.
const END_BYTES: u64 = 4096;

/// The bounds of a recording.
#[derive(Debug)]
pub(super) struct Bound {
    max_events: u64,
    max_bytes: Option<u64>,
}

impl Bound {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            max_events: bounds.max_events.unwrap_or(u64::MAX),
            // A flight recorder bounds its memory itself.
            max_bytes: bounds.max_bytes.filter(|_| bounds.flight.is_none()),
        }
    }

    /// How many more events may be written when `events` have been.
    pub(super) fn room(&self, events: u64) -> u64 {
        self.max_events.saturating_sub(events)
    }

    /// Whether the recording must end now to stay below its bound: `bytes` are written, `block_bytes` of them by the last
    /// block. About as much is drained until the end, and the end of the trace needs some space too.
    pub(super) fn is_reached(&self, bytes: u64, block_bytes: u64) -> bool {
        self.max_bytes.is_some_and(|max| bytes + 2 * block_bytes + END_BYTES >= max)
    }
}
