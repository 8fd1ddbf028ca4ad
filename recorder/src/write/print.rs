//! The log that is printed while recording: the lines that `tracer replay` prints afterwards.

use std::io::{self, Write};

use tracer_format::log::LogWriter;
use tracer_format::{Columns, Definitions, Gap};

/// Prints the log, if anybody wants it.
pub(crate) struct Printer<'a> {
    sink: Option<Box<dyn Write + Send + 'a>>,
    log: LogWriter,
    lines: Vec<u8>,
    /// Why it does not print any more.
    pub(crate) failure: Option<io::Error>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(sink: Option<Box<dyn Write + Send + 'a>>) -> Self {
        Self { sink, log: LogWriter::new(), lines: Vec::new(), failure: None }
    }

    /// Makes the header, to be printed with what comes next.
    pub(crate) fn header(&mut self, definitions: &Definitions) {
        if self.sink.is_some() {
            self.log.header(definitions, &mut self.lines);
        }
    }

    /// Makes the lines of sites that were found while recording.
    pub(crate) fn announce(&mut self, definitions: &Definitions) {
        if self.sink.is_some() {
            self.log.announce(definitions, &mut self.lines);
        }
    }

    /// Takes a gap, to be printed at its place.
    pub(crate) fn gap(&mut self, gap: &Gap) {
        if self.sink.is_some() {
            self.log.gap(gap);
        }
    }

    /// Prints events, and what was made before.
    pub(crate) fn events(&mut self, definitions: &Definitions, columns: &Columns) {
        if self.sink.is_some() {
            self.log.events(definitions, columns, 0..columns.len(), &mut self.lines);
            self.print();
        }
    }

    /// Prints what is left.
    pub(crate) fn finish(&mut self, definitions: &Definitions) {
        if self.sink.is_some() {
            self.log.finish(definitions, &mut self.lines);
            self.print();
        }
    }

    /// Prints the lines and forgets them. A reader that has gone away is no failure: the recording goes on.
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
