//! A stage as the user gave it while recording.

/// A stage that the user gave while recording: an interval between two probes with the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StageDef {
    /// Name of the stage.
    pub name: String,
    /// `provider:probe` that begins it.
    pub from: String,
    /// `provider:probe` that ends it.
    pub to: String,
    /// Key: comma-separated `seq`, `argN`, `pid`, `tid`.
    pub key: String,
}
