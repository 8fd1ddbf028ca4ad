//! What can go wrong between the programs of the pipeline.

use std::io;

/// A failure of one program of the pipeline; the texts name the stream and the buffer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes at the start of a buffer are not a buffer header.
    #[error(
        "standard input: found {found:#010x} where a buffer starts, expected {expected:#010x}; is it the output of source or processor?"
    )]
    NotABuffer {
        /// The four bytes that were there.
        found: u32,
        /// The four bytes of every buffer header.
        expected: u32,
    },
    /// The header claims a payload over the limit.
    #[error("standard input: buffer {seq} claims {bytes} bytes, expected at most {max}")]
    TooLarge {
        /// Sequence number of the buffer.
        seq: u64,
        /// Claimed payload, bytes.
        bytes: u32,
        /// The limit, bytes.
        max: u32,
    },
    /// The payload is not what was sent.
    #[error("standard input: buffer {seq} has checksum {found:#018x}, its trailer says {expected:#018x}")]
    Checksum {
        /// Sequence number of the buffer.
        seq: u64,
        /// Sum over the payload that arrived.
        found: u64,
        /// Sum in the trailer.
        expected: u64,
    },
    /// The input ended inside a buffer.
    #[error("standard input: ended inside a buffer")]
    Cut,
    /// Reading failed.
    #[error("standard input: cannot read")]
    Read(#[source] io::Error),
    /// Writing failed; a closed pipe counts too, the programs treat it as the end.
    #[error("standard output: cannot write")]
    Write(#[source] io::Error),
    /// The kernel refused a signal handler.
    #[error("signals: cannot be watched")]
    Signals(#[source] io::Error),
    /// A program of the pipeline could not be started or watched.
    #[error("{program}: cannot {action}")]
    Program {
        /// Path or name of the program.
        program: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A program of the pipeline ended with a failure.
    #[error("{program}: {status}, expected exit code 0")]
    Failed {
        /// Name of the program.
        program: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// Not every buffer came out at the end.
    #[error("sink: {left} buffers left the pipeline, {entered} entered")]
    Lost {
        /// Buffers that entered.
        entered: u64,
        /// Buffers that left.
        left: u64,
    },
}

impl Error {
    /// True when the reader of our output has gone: an end, not a failure.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Error::Write(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}
