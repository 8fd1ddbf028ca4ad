//! What a recording reports to its caller while it runs.

use tracer_format::{Site, Skipped};

use crate::write::progress::Progress;

/// What a recording reports to its caller while it runs.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A message; nothing is missing because of it.
    Problem(&'a str),
    /// Something is not recorded. The trace says so as well.
    Skipped(&'a Skipped),
    /// Probes were found, before the recording began or meanwhile.
    Found(&'a [Site]),
    /// Every probe is attached: from now on nothing is missed.
    Ready {
        /// Probes (not sites) that are attached.
        probes: usize,
    },
    /// Some time passed.
    Progress {
        /// Events so far.
        events: u64,
        /// Events lost so far.
        lost: u64,
        /// Bytes of the trace so far.
        bytes: u64,
    },
}

impl Notice<'_> {
    pub(crate) fn progress(progress: &Progress) -> Self {
        Self::Progress { events: progress.events(), lost: progress.lost(), bytes: progress.bytes() }
    }
}
