//! How much is written, and where.

use std::io::Write;
use std::time::Duration;

use tracer_format::{Columns, Definitions, Site, StageDef};

use crate::write::flight::Flight;
use crate::write::sink::Open;

/// Looks at the events of every block before it is sealed; true asks for a snapshot and the end of the recording.
pub type Watch<'a> = Box<dyn FnMut(&Definitions, &Columns) -> bool + Send + 'a>;

/// Looks at the sites that are attached before the recording begins; an error refuses to begin it.
pub type Accept<'a> = Box<dyn FnOnce(&[Site]) -> std::result::Result<(), String> + 'a>;

/// How much is written, and where.
pub struct Output<'a> {
    /// Checks the sites before the recording begins.
    pub accept: Option<Accept<'a>>,
    /// Opens the files.
    pub open: Open<'a>,
    /// Where the log is printed.
    pub print: Option<Box<dyn Write + Send + 'a>>,
    /// Decides when a flight recorder writes its snapshot and ends.
    pub watch: Option<Watch<'a>>,
    /// Stages to keep in the trace.
    pub stages: Vec<StageDef>,
    /// An event is in the file at most this long after it fired.
    pub flush: Duration,
    /// Bytes that may wait to be written, where a disk or pipe is slow: compressed events.
    pub spool_bytes: usize,
    /// The bounds of the recording.
    pub bounds: Bounds,
}

/// What bounds a recording; nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Ends when the file has this many bytes.
    pub max_bytes: Option<u64>,
    /// Ends after this many events.
    pub max_events: Option<u64>,
    /// Begins a new file when one has this many bytes.
    pub rotate_bytes: Option<u64>,
    /// Begins a new file after this time.
    pub rotate_after: Option<Duration>,
    /// Keeps the last events in memory and writes them when asked.
    pub flight: Option<Flight>,
}
