//! Sites: the addresses where probes fire.

use std::sync::Arc;

use super::ArgKind;

/// A site: one address in one binary where a probe fires.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Site {
    /// Provider of the probe.
    pub provider: Arc<str>,
    /// Name of the probe, without the provider.
    pub probe: Arc<str>,
    /// File name of the binary (executable or shared library).
    pub program: Arc<str>,
    /// Path of the binary; empty if unknown.
    pub path: Arc<str>,
    /// Build id of the binary; empty if it has none.
    pub build_id: Arc<[u8]>,
    /// File offset of the instruction, bytes; 0 if unknown.
    pub offset: u64,
    /// File offset of the semaphore, bytes; 0 if there is none.
    pub semaphore_offset: u64,
    /// Argument text of the note, such as `-8@%rdi 4@$1`.
    pub spec: Arc<str>,
    /// Kinds of the arguments, at most [`MAX_ARGUMENTS`](crate::limits::MAX_ARGUMENTS).
    pub args: Arc<[ArgKind]>,
    /// Argument that is the key (sequence number): the first by default.
    pub key_arg: u8,
    /// Whether the log has a "Found probe" line for it.
    pub announced: bool,
    /// When it was found, CLOCK_MONOTONIC ns, if that was while recording: its "Found probe" line stands behind the events
    /// up to this time. 0 if it was found before: the line is in the header.
    pub found_ns: u64,
}

impl Site {
    /// Number of the argument that is the key, if it is an integer.
    #[must_use]
    pub fn key_index(&self) -> Option<usize> {
        let index = usize::from(self.key_arg);
        self.args.get(index).filter(|kind| kind.is_integer()).map(|_| index)
    }

    /// `provider:probe`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.provider, self.probe)
    }
}
