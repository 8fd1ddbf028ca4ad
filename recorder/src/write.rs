//! The writing thread's work: raw events become events of the trace, in time order, sealed in time.

pub mod control;
pub mod flight;
pub mod output;
mod print;
pub mod progress;
pub mod sink;
pub(crate) mod threads;

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tracer_format::{
    ClockAnchor, Cost, Definition, Definitions, Firing, Gap, Host, Result, Site, Writer, WriterOptions,
};

use crate::abi::KIND_SITE;
use crate::drain::Batch;
use crate::drain::loss::Loss;
use crate::drain::merge::Merge;
use crate::kernel::raw::Raw;
use crate::site::plan::{Plan, PlannedSite, Values};
use crate::write::control::Control;
use crate::write::flight::Memory;
use crate::write::output::{Bounds, Output};
use crate::write::print::Printer;
use crate::write::progress::{Ending, Progress};
use crate::write::sink::Sink;
use crate::write::threads::Threads;

/// A site as the writing thread knows it.
#[derive(Debug, Clone)]
pub struct WrittenSite {
    /// How its values are made.
    pub plan: Plan,
    /// What the trace says of it.
    pub site: Site,
    /// Events written.
    pub recorded: u64,
    /// Events lost.
    pub lost: u64,
}

/// Turns batches into traces.
pub struct TraceWriter<'a> {
    output: Output<'a>,
    control: Arc<Control>,
    progress: Arc<Progress>,
    host: Host,
    /// All sites, by the index that their events carry, which is also their id in the trace.
    pub sites: Vec<WrittenSite>,
    writer: Writer<Sink<'a>>,
    /// Number of the file that is opened next.
    next_part: u32,
    begun_ns: u64,
    /// Every probe was attached by then: what some fired before is not part of the recording.
    from_ns: u64,
    memory: Memory,
    merge: Merge,
    threads: Threads,
    printer: Printer<'a>,
    values: Values,
    losses: Vec<Loss>,
    clock_ns: u64,
    /// Every event up to this time has been written; 0 before the recording begins.
    complete_ns: u64,
    /// Bytes of the files that are finished.
    finished_bytes: u64,
}

/// Bytes that definitions, index and footer take at the end of a small trace.
const END_BYTES: u64 = 4096;

/// Clock anchors are written this often, ns.
const CLOCK_INTERVAL_NS: u64 = 10_000_000_000;

impl<'a> TraceWriter<'a> {
    /// Opens the first trace; sites come with [`add_sites`](Self::add_sites).
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub(crate) fn new(
        mut output: Output<'a>,
        host: Host,
        threads: Threads,
        control: Arc<Control>,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let mut next_part = 0;
        let writer = start(&mut output, &host, &mut next_part)?;
        let printer = Printer::new(output.print.take());
        Ok(Self {
            output,
            control,
            progress,
            host,
            sites: Vec::new(),
            writer,
            next_part,
            begun_ns: 0,
            from_ns: 0,
            memory: Memory::default(),
            merge: Merge::default(),
            threads,
            printer,
            values: Values::default(),
            losses: Vec::new(),
            clock_ns: 0,
            complete_ns: 0,
            finished_bytes: 0,
        })
    }

    /// What is defined so far.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        self.writer.definitions()
    }

    /// How far the recording is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Defines sites; their events come later.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn add_sites(&mut self, sites: Vec<PlannedSite>) -> Result<()> {
        for PlannedSite { plan, mut site } in sites {
            // 0 before the recording begins; a flight recorder's log has no place for it.
            site.found_ns = if self.output.bounds.flight.is_some() { 0 } else { self.complete_ns };
            self.writer.define(Definition::Site(site.clone()))?;
            self.sites.push(WrittenSite { plan, site, recorded: 0, lost: 0 });
        }
        if self.complete_ns > 0 {
            self.printer.announce(self.writer.definitions());
        }
        Ok(())
    }

    /// Writes what must stand before the first event: the log's header, the first clock anchor.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn begin(&mut self, anchor: ClockAnchor) -> Result<()> {
        self.printer.header(self.writer.definitions());
        self.begun_ns = anchor.monotonic_ns;
        self.from_ns = anchor.monotonic_ns;
        self.complete_ns = anchor.monotonic_ns;
        self.clock(anchor)?;
        self.seal()
    }

    fn clock(&mut self, anchor: ClockAnchor) -> Result<()> {
        self.clock_ns = anchor.monotonic_ns;
        self.threads.set_slept(anchor.boottime_ns.saturating_sub(anchor.monotonic_ns));
        self.writer.clock(anchor)
    }

    /// Takes a batch; seals what has waited for half the flush interval at `now_ns`.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn write(&mut self, batch: &mut Batch, now_ns: u64) -> Result<()> {
        self.merge.push(batch);
        self.losses.extend_from_slice(&batch.losses);
        self.release(batch.complete_ns)?;
        self.complete_ns = batch.complete_ns;
        if now_ns.saturating_sub(self.clock_ns) > CLOCK_INTERVAL_NS {
            self.clock(crate::host::clocks())?;
        }
        // Draining and handing over take up to the other half.
        let due = |waiting: Duration, since_ns: u64| {
            u128::from(now_ns.saturating_sub(since_ns)) >= waiting.as_nanos()
        };
        if self.writer.oldest_ns().is_some_and(|oldest| due(self.output.flush / 2, oldest)) {
            self.seal()?;
        }
        if self.control.take_snapshot() {
            self.snapshot()?;
        }
        let Bounds { rotate_after, rotate_bytes, flight, .. } = self.output.bounds;
        let rotate_after = flight.map(|flight| flight.segment()).or(rotate_after);
        let too_long = rotate_after.is_some_and(|after| due(after, self.begun_ns));
        let too_large =
            flight.is_none() && rotate_bytes.is_some_and(|bytes| self.writer.written_bytes() >= bytes);
        if too_long || too_large { self.rotate() } else { Ok(()) }
    }

    /// Releases what waits, seals it, and finishes the last trace. `cost` is what the recording cost.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn end(&mut self, cost: Cost) -> Result<()> {
        self.release(u64::MAX)?;
        self.seal()?;
        self.printer.finish(self.writer.definitions());
        self.clock(crate::host::clocks())?;
        self.writer.define(Definition::Cost(cost))?;
        if self.output.bounds.flight.is_some() {
            return self.snapshot();
        }
        let writer = std::mem::replace(&mut self.writer, Writer::new(Sink::Memory(Vec::new()), options())?);
        self.finish(writer).map(drop)
    }

    /// Raw events that contradicted themselves: 0 unless the kernel is broken.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.merge.malformed
    }

    /// Why the log could not be printed, if so; that ends a recording, but the trace is whole.
    pub fn print_failure(&mut self) -> Option<io::Error> {
        self.printer.failure.take()
    }

    /// Finishes the trace that is being written and begins another one.
    fn rotate(&mut self) -> Result<()> {
        self.seal()?;
        self.clock(crate::host::clocks())?;
        let mut next = start(&mut self.output, &self.host, &mut self.next_part)?;
        for site in &self.sites {
            next.define(Definition::Site(Site { found_ns: 0, ..site.site.clone() }))?;
        }
        let done = std::mem::replace(&mut self.writer, next);
        // Ids are given anew in every trace.
        self.threads.forget_ids();
        let anchor = crate::host::clocks();
        self.begun_ns = anchor.monotonic_ns;
        let sink = self.finish(done)?;
        if let (Sink::Memory(bytes), Some(flight)) = (sink, self.output.bounds.flight) {
            self.memory.push(bytes, self.present_ns(), &flight);
        }
        self.clock(anchor)?;
        self.seal()
    }

    fn finish(&mut self, writer: Writer<Sink<'a>>) -> Result<Sink<'a>> {
        let mut sink = writer.finish()?;
        sink.flush()?;
        self.finished_bytes += sink.file_bytes();
        self.progress.set_bytes(self.finished_bytes);
        Ok(sink)
    }

    /// Writes what the flight recorder has in memory to a file.
    fn snapshot(&mut self) -> Result<()> {
        let Some(flight) = self.output.bounds.flight else { return Ok(()) };
        self.rotate()?;
        let file = (self.output.open)(self.next_part)?;
        self.next_part += 1;
        let mut writer = Writer::new(Sink::file(file), options())?;
        self.memory.snapshot(self.present_ns(), &flight, &mut writer)?;
        self.finish(writer).map(drop)
    }

    /// The moment from which a flight recorder looks back, CLOCK_MONOTONIC ns: when the trace that is being written began, but
    /// not after the recording ended, as detaching may take longer than what is kept.
    fn present_ns(&self) -> u64 {
        self.control.ended_ns().map_or(self.begun_ns, |ended_ns| ended_ns.min(self.begun_ns))
    }

    fn release(&mut self, until_ns: u64) -> Result<()> {
        let span = self.from_ns..=self.control.ended_ns().unwrap_or(u64::MAX);
        self.release_losses(until_ns, &span)?;
        let mut merge = std::mem::take(&mut self.merge);
        let mut result = Ok(());
        let mut events = 0;
        let room = self.output.bounds.max_events.map(|max| max.saturating_sub(self.progress.events()));
        while let Some(raw) = merge.next(until_ns) {
            if result.is_err() {
                break;
            }
            if raw.kind != KIND_SITE {
                result = self.threads.take(&raw, &mut self.writer);
            } else if span.contains(&raw.time_ns) && room.is_none_or(|room| events < room) {
                result = self.event(&raw).map(|written| events += u64::from(written));
            }
        }
        self.merge = merge;
        self.progress.add_events(events);
        if room == Some(events) {
            self.progress.end(Ending::Enough);
        }
        result
    }

    fn release_losses(&mut self, until_ns: u64, span: &RangeInclusive<u64>) -> Result<()> {
        let mut gaps: Vec<Gap> = Vec::new();
        self.losses.retain(|loss| {
            let due = loss.last_ns <= until_ns;
            // A range that reaches into the recording may have lost events in it.
            if due && loss.last_ns >= *span.start() && loss.first_ns <= *span.end() {
                gaps.push(gap(loss));
            }
            !due
        });
        gaps.sort_by_key(|gap| (gap.to_ns, gap.from_ns, gap.cpu, gap.site));
        for gap in gaps {
            if let Some(site) = self.sites.get_mut(gap.site as usize) {
                site.lost += gap.count;
            }
            self.progress.add_lost(gap.count);
            self.printer.gap(&gap);
            self.writer.gap(gap)?;
        }
        Ok(())
    }

    /// Writes an event; false if it is of a program that is not recorded.
    fn event(&mut self, raw: &Raw<'_>) -> Result<bool> {
        let Some(site) = self.sites.get_mut(raw.site as usize) else { return Ok(false) };
        let Some(thread) = self.threads.id(raw, &site.site.program, &mut self.writer)? else {
            return Ok(false);
        };
        site.recorded += 1;
        site.plan.values(raw, &mut self.values, |text| self.writer.intern(text));
        let Values { values, unreadable, .. } = &self.values;
        let firing = Firing {
            time_ns: raw.time_ns,
            thread,
            site: raw.site,
            cpu: raw.cpu,
            unreadable: *unreadable,
            values,
        };
        self.writer.push_unsealed(&firing)?;
        if self.writer.is_full() {
            self.seal()?;
        }
        Ok(true)
    }

    /// Prints, looks at and seals what waits.
    fn seal(&mut self) -> Result<()> {
        let (columns, definitions) = self.writer.pending();
        self.printer.events(definitions, columns);
        if self.printer.failure.is_some() {
            self.progress.end(Ending::Enough);
        }
        if let Some(watch) = &mut self.output.watch
            && watch(definitions, columns)
        {
            self.progress.end(Ending::Aftermath);
        }
        let before = self.writer.written_bytes();
        self.writer.flush()?;
        if self.output.bounds.flight.is_none() {
            let bytes = self.finished_bytes + self.writer.written_bytes();
            self.progress.set_bytes(bytes);
            // What is drained until the end is about as much as this time, and the end of the trace takes some as well.
            let next = 2 * (self.writer.written_bytes() - before) + END_BYTES;
            if self.output.bounds.max_bytes.is_some_and(|max| bytes + next >= max) {
                self.progress.end(Ending::Enough);
            }
        }
        Ok(())
    }
}

fn options() -> WriterOptions {
    let seed = crate::host::monotonic_ns();
    let trace_id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), seed);
    WriterOptions { trace_id, ..WriterOptions::default() }
}

/// Begins a trace in the next file, or in memory for a flight recorder.
fn start<'a>(output: &mut Output<'a>, host: &Host, next_part: &mut u32) -> Result<Writer<Sink<'a>>> {
    let sink = if output.bounds.flight.is_some() {
        Sink::Memory(Vec::new())
    } else {
        let file = (output.open)(*next_part)?;
        *next_part += 1;
        Sink::file(file)
    };
    let mut writer = Writer::new(sink, options())?;
    writer.define(Definition::Host(host.clone()))?;
    for stage in &output.stages {
        writer.define(Definition::Stage(stage.clone()))?;
    }
    Ok(writer)
}

fn gap(loss: &Loss) -> Gap {
    Gap {
        host: 0,
        cpu: loss.cpu,
        site: loss.site,
        from_ns: loss.first_ns,
        to_ns: loss.last_ns,
        count: loss.count,
    }
}
