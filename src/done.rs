//! How a verb ended.

/// How a verb that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Everything asked for was done.
    All,
    /// Done, but data was lost, skipped or damaged; a message says how much.
    Lossy,
    /// Done, but not what was required; a message says what is missing.
    Failed,
    /// The command that was recorded ended with this code.
    Command(u8),
}

impl Done {
    /// The worse of two ends.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::All { other } else { self }
    }
}
