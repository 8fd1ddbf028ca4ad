//! The log that is printed while recording: the lines that `tracer replay` prints afterwards.

use std::io::{self, Write};

use tracer_format::log::LogWriter;
use tracer_format::{Columns, Definitions, Gap};

/// Prints the log if it was asked for.
pub(crate) struct Printer<'a> {
    sink: Option<Box<dyn Write + Send + 'a>>,
    log: LogWriter,
    lines: Vec<u8>,
    /// Why printing stopped.
    pub(crate) failure: Option<io::Error>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(sink: Option<Box<dyn Write + Send + 'a>>) -> Self {
        Self { sink, log: LogWriter::new(), lines: Vec::new(), failure: None }
    }

    /// Formats the header; it is printed with the next lines.
    pub(crate) fn header(&mut self, definitions: &Definitions) {
        if self.sink.is_some() {
            self.log.header(definitions, &mut self.lines);
        }
    }

    /// Formats the lines of sites that were found while recording.
    pub(crate) fn announce(&mut self, definitions: &Definitions) {
        if self.sink.is_some() {
            self.log.announce(definitions, &mut self.lines);
        }
    }

    /// Adds a gap; it is printed in time order.
    pub(crate) fn gap(&mut self, gap: &Gap) {
        if self.sink.is_some() {
            self.log.gap(gap);
        }
    }

    /// Prints events, and the lines formatted before.
    pub(crate) fn events(&mut self, definitions: &Definitions, columns: &Columns) {
        if self.sink.is_some() {
            self.log.events(definitions, columns, 0..columns.len(), &mut self.lines);
            self.print();
        }
    }

    /// Prints the remaining lines.
    pub(crate) fn finish(&mut self, definitions: &Definitions) {
        if self.sink.is_some() {
            self.log.finish(definitions, &mut self.lines);
            self.print();
        }
    }

    /// Prints the formatted lines. A closed pipe is not a failure: the recording continues without printing.
    fn print(&mut self) {
        let Some(sink) = &mut self.sink else { return };
        let printed = sink.write_all(&self.lines).and_then(|()| sink.flush());
        self.lines.clear();
        if let Err(error) = printed {
            self.sink = None;
            self.failure = Some(error).filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
        }
    }
}
