//! Seals blocks in time: every event is in the file after the flush interval at the latest.

use std::io::Write;
use std::time::Duration;

use tracer_format::{Result, Writer};

use crate::write::output::Watch;
use crate::write::print::Printer;
use crate::write::progress::{Ending, Progress};

/// Seals blocks.
pub(super) struct Sealer<'a> {
    flush: Duration,
    watch: Option<Watch<'a>>,
}

impl<'a> Sealer<'a> {
    pub(super) fn new(flush: Duration, watch: Option<Watch<'a>>) -> Self {
        Self { flush, watch }
    }

    /// Whether the oldest unsealed event has waited for half the flush interval at `now_ns`. Draining and handing over take
    /// up to the other half.
    pub(super) fn is_due<W: Write>(&self, writer: &Writer<W>, now_ns: u64) -> bool {
        let waited = |oldest_ns| u128::from(now_ns.saturating_sub(oldest_ns));
        writer.oldest_ns().is_some_and(|oldest_ns| waited(oldest_ns) >= (self.flush / 2).as_nanos())
    }

    /// Prints, watches and seals the events that are not sealed yet. Returns the bytes that were written.
    ///
    /// # Errors
    /// When the trace cannot be written; a log that cannot be printed ends the recording.
    pub(super) fn seal<W: Write>(
        &mut self,
        writer: &mut Writer<W>,
        printer: &mut Printer<'_>,
        progress: &Progress,
    ) -> Result<u64> {
        let (columns, definitions) = writer.pending();
        printer.events(definitions, columns);
        if printer.failure.is_some() {
            progress.end(Ending::Enough);
        }
        if self.watch.as_mut().is_some_and(|watch| watch(definitions, columns)) {
            progress.end(Ending::Aftermath);
        }
        let before = writer.written_bytes();
        writer.flush()?;
        Ok(writer.written_bytes() - before)
    }
}
