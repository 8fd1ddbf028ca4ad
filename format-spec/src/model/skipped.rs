//! What was asked for and is not in the trace, or not all of it: what a reader must know before it says "never".

use super::{HostId, Site};

/// Something that was not recorded: which, when and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Skipped {
    /// Host.
    pub host: HostId,
    /// What was not recorded.
    pub kind: SkippedKind,
    /// How many of that kind; 0 if unknown.
    pub count: u64,
    /// Process id, if it is about one process; else 0.
    pub pid: u32,
    /// File name of the program; empty if it is about none or several.
    pub program: String,
    /// Path of the file with the probes; empty if unknown.
    pub path: String,
    /// Provider of the probe; empty if it is about none or several.
    pub provider: String,
    /// Name of the probe, without the provider; empty likewise.
    pub probe: String,
    /// File offset of the site, bytes; 0 if it is about none or several.
    pub offset: u64,
    /// From when on, CLOCK_MONOTONIC ns; 0: from the start of the recording.
    pub from_ns: u64,
    /// Until when, CLOCK_MONOTONIC ns; 0: to its end.
    pub until_ns: u64,
    /// Why, in words, without a full stop. Never empty.
    pub reason: String,
}

/// Kind of what was not recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkippedKind {
    /// Sites: what fired there is not in the trace.
    #[default]
    Sites,
    /// Files whose probes are not known.
    Files,
    /// Processes that could not be looked into or followed.
    Processes,
    /// Events that came but could not be written.
    Events,
    /// A kind of a later version, by its number on disk.
    Unknown(u8),
}

impl Skipped {
    /// Whether it is about `site`, for a part of the recording at least.
    #[must_use]
    pub fn covers(&self, site: &Site) -> bool {
        let named = [(&self.path, &site.path), (&self.provider, &site.provider), (&self.probe, &site.probe)];
        self.kind == SkippedKind::Sites
            && named.iter().all(|(said, found)| said.is_empty() || said == found)
            && (self.program.is_empty() || self.program == site.program)
            && (self.offset == 0 || self.offset == site.offset)
    }
}
