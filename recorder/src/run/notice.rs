//! What the recorder tells its user on the way.

use tracer_format::{Site, Skipped};

use crate::write::progress::Progress;

/// What the recorder tells its user on the way.
#[derive(Debug)]
pub enum Notice<'a> {
    /// A word to the user; nothing is missing because of it.
    Problem(&'a str),
    /// Something is not recorded, which stands in the trace, too.
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
