//! The log of a trace while it comes: out of a pipe, or out of a file that a recorder is writing.
//!
//! The lines are those of [`replay`](super::replay) of the finished trace. Only what the stream tells too late stands elsewhere:
//! "Found probe" lines of a second trace in it, and events of blocks that overlap earlier ones.

use std::io::Write;

use tracer_format::log::LogWriter;
use tracer_format::{Rest, Step, Stream};

use super::WRITE_BYTES;
use crate::Result;
use crate::select::clock::has_several_clocks;
use crate::select::{Filter, Outcome, Selection};

/// Makes lines of what has come so far.
pub struct Live<'f> {
    filter: &'f Filter,
    stream: Stream,
    /// What the filter means, as far as the stream tells; made again when it tells more.
    selection: Selection,
    /// Numbers of blocks, processes, threads and sites that `selection` knows of.
    known: [usize; 5],
    log: LogWriter,
    /// Whether the header of the log is written.
    begun: bool,
    lines: Vec<u8>,
    outcome: Outcome,
}

impl<'f> Live<'f> {
    /// A log without a line.
    #[must_use]
    pub fn new(filter: &'f Filter) -> Self {
        Self {
            filter,
            stream: Stream::new(),
            selection: Selection::all(),
            known: [0; 5],
            log: LogWriter::in_pieces(WRITE_BYTES),
            begun: false,
            lines: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.stream.push(bytes);
    }

    /// Whether the trace has come to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stream.is_complete()
    }

    /// Events that came behind later ones, in whole blocks that overlap earlier ones.
    #[must_use]
    pub fn disordered(&self) -> u64 {
        self.stream.disordered()
    }

    /// Writes the lines of all that has come and can be told; `rest` says what may follow.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) if this is no trace that can be read; [`Error::Missing`](crate::Error::Missing) for wall
    /// time in a trace without clock anchors; [`Error::Io`](crate::Error::Io) if `out` fails.
    pub fn write(&mut self, rest: Rest, out: &mut impl Write) -> Result<()> {
        while let Some(step) = self.stream.next(rest)? {
            match step {
                Step::Events => self.events(out)?,
                Step::Gap(gap) => {
                    self.select()?;
                    if self.selection.wants_gap(&gap) {
                        self.log.gap(&gap);
                        self.outcome.lost = self.outcome.lost.saturating_add(gap.count);
                        self.outcome.gaps += 1;
                    }
                }
                Step::Damaged(range) => self.outcome.damage.push(range),
            }
            self.write_lines(out)?;
        }
        if rest != Rest::Comes {
            self.header();
            self.write_lines(out)?;
        }
        Ok(())
    }

    /// Writes the last lines; nothing comes any more.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn finish(mut self, out: &mut impl Write) -> Result<Outcome> {
        self.write(Rest::Ends, out)?;
        while !self.log.finish(&self.stream.known().definitions, &mut self.lines) {
            self.write_lines(out)?;
        }
        self.write_lines(out)?;
        self.outcome.incomplete = !self.stream.is_complete();
        self.outcome.several_clocks = has_several_clocks(self.stream.known());
        self.select()?;
        self.outcome.skipped = self.selection.skipped(&self.stream.known().definitions);
        Ok(self.outcome)
    }

    fn events(&mut self, out: &mut impl Write) -> Result<()> {
        self.select()?;
        self.header();
        let (trace, columns) = (self.stream.known(), self.stream.columns());
        let (log, lines, outcome) = (&mut self.log, &mut self.lines, &mut self.outcome);
        self.selection.rows(trace, columns, 0..columns.len(), |mut rows| -> Result<()> {
            outcome.events += rows.len() as u64;
            loop {
                rows = log.events(&trace.definitions, columns, rows, lines);
                if rows.is_empty() {
                    return Ok(());
                }
                out.write_all(lines)?;
                lines.clear();
            }
        })
    }

    /// Makes the header's lines, once; later those of probes that the stream told of since.
    fn header(&mut self) {
        let definitions = &self.stream.known().definitions;
        if self.begun {
            self.log.announce(definitions, &mut self.lines);
        } else if !definitions.sites.is_empty() {
            self.begun = true;
            self.log.header(definitions, &mut self.lines);
        }
    }

    fn select(&mut self) -> Result<()> {
        let trace = self.stream.known();
        let all = &trace.definitions;
        let known =
            [trace.blocks.len(), all.processes.len(), all.threads.len(), all.sites.len(), all.skipped.len()];
        if self.known != known {
            self.selection = Selection::new(self.filter, trace)?;
            self.known = known;
        }
        Ok(())
    }

    fn write_lines(&mut self, out: &mut impl Write) -> Result<()> {
        if !self.lines.is_empty() {
            out.write_all(&self.lines)?;
            out.flush()?;
            self.lines.clear();
        }
        Ok(())
    }
}
