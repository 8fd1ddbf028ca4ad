//! What can go wrong in this crate: one variant for each reaction a caller can have.

use std::io;

use tracer_format::grammar::Malformed;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an analysis, an import or an export cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A trace cannot be read or written.
    #[error(transparent)]
    Format(#[from] tracer_format::Error),
    /// A log has a line that is none of the log's.
    #[error(transparent)]
    Log(#[from] tracer_format::log::ParseError),
    /// A filter or a stage is not written as it should be: a usage error.
    #[error(transparent)]
    Usage(#[from] Malformed),
    /// A file with stages has a line that is none.
    #[error("line {line}: found {found:?}: {problem}")]
    StageFile {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A stage that is stored in a trace is none.
    #[error("the trace has a stage that is none: {0}; give others with --stage or --stages")]
    StoredStage(Malformed),
    /// There are more of something than is worked out.
    #[error("{what}: {found}, at most {max} are worked out; give those that matter with --stage or --stages")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// The trace lacks what the request needs.
    #[error("{0}")]
    Missing(&'static str),
    /// The Parquet or Arrow library refuses.
    #[error(transparent)]
    Table(#[from] parquet::errors::ParquetError),
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// Whether the reader of the output went away, which is no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Io(error) | Self::Format(tracer_format::Error::Io(error)) => {
                error.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}
