//! Opens and finishes one trace after the other, in files or, for a flight recorder, in memory.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tracer_format::{Definition, Host, Result, Skipped, StageDef, Writer, WriterOptions};

use crate::write::flight::snapshot::Snapshots;
use crate::write::flight::{Flight, Memory};
use crate::write::output::Bounds;
use crate::write::sink::{Open, Sink};

/// Opens and finishes traces.
pub(super) struct Rotation<'a> {
    open: Open<'a>,
    /// What every trace begins with.
    pub(super) host: Host,
    pub(super) stages: Vec<StageDef>,
    /// What is not recorded.
    pub(super) skipped: Vec<Skipped>,
    after: Option<Duration>,
    bytes: Option<u64>,
    flight: Option<(Flight, Memory)>,
    /// Those that are to be written.
    pub(super) snapshots: Arc<Snapshots<'a>>,
    /// Number of the file that is opened next.
    next_part: u32,
    /// When the trace that is being written began, CLOCK_MONOTONIC ns.
    pub(super) begun_ns: u64,
    /// Bytes of the files that are finished.
    finished_bytes: u64,
}

impl<'a> Rotation<'a> {
    pub(super) fn new(open: Open<'a>, host: Host, stages: Vec<StageDef>, bounds: &Bounds) -> Self {
        Self {
            open,
            host,
            stages,
            skipped: Vec::new(),
            after: bounds.flight.map(|flight| flight.segment()).or(bounds.rotate_after),
            bytes: bounds.rotate_bytes.filter(|_| bounds.flight.is_none()),
            flight: bounds.flight.map(|flight| (flight, Memory::default())),
            snapshots: Arc::default(),
            next_part: 0,
            begun_ns: 0,
            finished_bytes: 0,
        }
    }

    /// Whether traces are kept in memory until a snapshot is taken.
    pub(super) fn is_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// Whether the trace that is being written is too long or too large.
    pub(super) fn is_due(&self, now_ns: u64, written_bytes: u64) -> bool {
        let age_ns = u128::from(now_ns.saturating_sub(self.begun_ns));
        self.after.is_some_and(|after| age_ns >= after.as_nanos())
            || self.bytes.is_some_and(|bytes| written_bytes >= bytes)
    }

    /// Bytes of all files if the current trace has `written_bytes`. A trace in memory counts as 0.
    pub(super) fn file_bytes(&self, written_bytes: u64) -> u64 {
        self.finished_bytes + if self.is_flight() { 0 } else { written_bytes }
    }

    /// Begins the next trace.
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub(super) fn start(&mut self) -> Result<Writer<Sink<'a>>> {
        let sink = if self.is_flight() { Sink::Memory(Vec::new()) } else { self.next_file()? };
        let mut writer = Writer::new(sink, options())?;
        writer.define(Definition::Host(self.host.clone().into()))?;
        for stage in &self.stages {
            writer.define(Definition::Stage(stage.clone()))?;
        }
        for skipped in &self.skipped {
            writer.define(Definition::Skipped(skipped.clone()))?;
        }
        Ok(writer)
    }

    fn next_file(&mut self) -> Result<Sink<'a>> {
        let file = (self.open)(self.next_part)?;
        self.next_part += 1;
        Ok(Sink::file(file))
    }

    /// Finishes a trace, which goes to the flight recorder's memory if there is one. `present_ns` is when it ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn finish(&mut self, writer: Writer<Sink<'a>>, present_ns: u64) -> Result<()> {
        let mut sink = writer.finish()?;
        sink.flush()?;
        self.finished_bytes += sink.file_bytes();
        if let (Sink::Memory(bytes), Some((flight, memory))) = (sink, &mut self.flight) {
            memory.push(bytes, present_ns, flight);
        }
        Ok(())
    }

    /// Hands on what the flight recorder has in memory, to be written to a file; nothing without a flight recorder.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn snapshot(&mut self, present_ns: u64) -> Result<()> {
        let Some((flight, memory)) = &self.flight else { return Ok(()) };
        let snapshot = memory.snapshot(present_ns, flight);
        let file = self.next_file()?;
        self.snapshots.push(snapshot, file, options());
        Ok(())
    }
}

fn options() -> WriterOptions {
    let seed = crate::host::monotonic_ns();
    let trace_id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), seed);
    WriterOptions { trace_id, ..WriterOptions::default() }
}
