//! The writing thread's work: batches become traces.

pub(crate) mod lost;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tracer_format::{
    ClockAnchor, Cost, Definition, Definitions, Host, Result, Site, Skipped, SkippedKind, Writer,
};

use crate::abi::KIND_SITE;
use crate::drain::Batch;
use crate::drain::merge::Merge;
use crate::site::plan::PlannedSite;
use crate::write::bound::Bound;
use crate::write::control::Control;
use crate::write::convert::{Converter, WrittenSite};
use crate::write::flight::snapshot::Snapshots;
use crate::write::output::Output;
use crate::write::print::Printer;
use crate::write::progress::{Ending, Progress};
use crate::write::rotate::Rotation;
use crate::write::seal::Sealer;
use crate::write::sink::Sink;
use crate::write::threads::Threads;
use crate::write::trace::lost::Lost;

/// Turns batches into traces.
pub struct TraceWriter<'a> {
    control: Arc<Control>,
    progress: Arc<Progress>,
    merge: Merge,
    convert: Converter,
    printer: Printer<'a>,
    sealer: Sealer<'a>,
    rotation: Rotation<'a>,
    bound: Bound,
    writer: Writer<Sink<'a>>,
    read_clocks: fn() -> ClockAnchor,
    /// When the clocks were written last, CLOCK_MONOTONIC ns.
    clock_ns: u64,
    /// Every probe was attached by then: what some fired before is not part of the recording.
    from_ns: u64,
    /// Every event up to this time has been written; 0 before the recording begins.
    complete_ns: u64,
    /// Once the last trace is finished: how many facts were known before its end.
    known_before_end: Option<usize>,
    /// What is not recorded beyond the facts that are kept.
    unlisted: BTreeMap<SkippedKind, u64>,
}

/// Where a recording is made.
pub(crate) struct Surroundings {
    pub(crate) host: Host,
    pub(crate) threads: Threads,
    pub(crate) read_clocks: fn() -> ClockAnchor,
}

/// Facts about what is not recorded that one recording keeps; more are only counted.
const MAX_SKIPPED: usize = 4096;

/// Clock anchors are written this often, ns.
const CLOCK_INTERVAL_NS: u64 = 10_000_000_000;

impl<'a> TraceWriter<'a> {
    /// Opens the first trace; sites come with [`add_sites`](Self::add_sites).
    ///
    /// # Errors
    /// When it cannot be opened or written.
    pub(crate) fn new(
        output: Output<'a>,
        surroundings: Surroundings,
        control: Arc<Control>,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let Output { open, print, watch, stages, flush, bounds, accept: _, spool_bytes: _ } = output;
        let mut rotation = Rotation::new(open, surroundings.host, stages, &bounds);
        Ok(Self {
            control,
            progress,
            merge: Merge::default(),
            convert: Converter::new(surroundings.threads),
            printer: Printer::new(print),
            sealer: Sealer::new(flush, watch),
            bound: Bound::new(&bounds),
            writer: rotation.start()?,
            rotation,
            read_clocks: surroundings.read_clocks,
            clock_ns: 0,
            from_ns: 0,
            complete_ns: 0,
            known_before_end: None,
            unlisted: BTreeMap::new(),
        })
    }

    /// The snapshots that are to be written, by another thread.
    pub(crate) fn snapshots(&self) -> Arc<Snapshots<'a>> {
        Arc::clone(&self.rotation.snapshots)
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

    /// All sites, with what was recorded and lost of them.
    #[must_use]
    pub fn sites(&self) -> &[WrittenSite] {
        &self.convert.sites
    }

    /// Why the log could not be printed, if so; that ends a recording, but the trace is whole.
    pub fn print_failure(&mut self) -> Option<io::Error> {
        self.printer.failure.take()
    }

    /// Defines sites; their events come later.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn add_sites(&mut self, sites: Vec<PlannedSite>) -> Result<()> {
        for mut planned in sites {
            // 0 before the recording begins; a flight recorder's log has no place for it.
            planned.site.found_ns = if self.rotation.is_flight() { 0 } else { self.complete_ns };
            self.writer.define(Definition::Site(planned.site.clone().into()))?;
            self.convert.add_site(planned);
        }
        if self.complete_ns > 0 {
            self.printer.announce(self.writer.definitions());
        }
        Ok(())
    }

    /// Notes something that is not recorded: it stands in every file from now on.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn skip(&mut self, skipped: Skipped) -> Result<()> {
        let known = &self.rotation.skipped;
        if known.contains(&skipped) {
            return Ok(());
        }
        if known.len() >= MAX_SKIPPED {
            *self.unlisted.entry(skipped.kind).or_default() += skipped.count.max(1);
            return Ok(());
        }
        self.note(skipped)?;
        // While nothing fires, nothing else would write it.
        if self.complete_ns > 0 { self.seal() } else { Ok(()) }
    }

    /// What is not recorded, as far as it is known.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.rotation.skipped
    }

    /// Whether the last trace is finished; nothing is written any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.known_before_end.is_some()
    }

    /// What was found to be missing at the end.
    #[must_use]
    pub fn skipped_at_end(&self) -> &[Skipped] {
        self.known_before_end.map_or(&[], |known| &self.rotation.skipped[known..])
    }

    /// Writes what must stand before the first event: the log's header, the first clock anchor.
    ///
    /// # Errors
    /// When the trace or the log cannot be written.
    pub fn begin(&mut self) -> Result<()> {
        let anchor = (self.read_clocks)();
        self.printer.header(self.writer.definitions());
        self.rotation.begun_ns = anchor.monotonic_ns;
        self.from_ns = anchor.monotonic_ns;
        self.complete_ns = anchor.monotonic_ns;
        self.clock(anchor)?;
        self.seal()
    }

    /// Moves the events of a batch out of it, writes those that are complete, and seals and rotates what is due at
    /// `now_ns`.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn write(&mut self, batch: &mut Batch, now_ns: u64) -> Result<()> {
        self.merge.push(batch);
        self.convert.add_losses(&mut batch.losses);
        self.release(batch.complete_ns)?;
        self.complete_ns = batch.complete_ns;
        batch.waiting_bytes = self.merge.waiting_bytes();
        if now_ns.saturating_sub(self.clock_ns) > CLOCK_INTERVAL_NS {
            self.clock((self.read_clocks)())?;
        }
        if self.sealer.is_due(&self.writer, now_ns) {
            self.seal()?;
        }
        if self.rotation.snapshots.has_room() && self.control.take_snapshot() {
            self.snapshot()?;
        }
        if self.rotation.is_due(now_ns, self.writer.written_bytes()) { self.rotate() } else { Ok(()) }
    }

    /// Releases what waits, seals it, and finishes the last trace. `cost` is what the recording cost.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub(crate) fn end(&mut self, cost: Cost, lost: &Lost) -> Result<()> {
        self.release(u64::MAX)?;
        self.known_before_end = Some(self.rotation.skipped.len());
        self.skip_lost(lost)?;
        self.seal()?;
        self.printer.finish(self.writer.definitions());
        self.clock((self.read_clocks)())?;
        self.writer.define(Definition::Cost(cost))?;
        if self.rotation.is_flight() {
            return self.snapshot();
        }
        // A placeholder: nothing is written after this.
        let done =
            std::mem::replace(&mut self.writer, Writer::new(Sink::Memory(Vec::new()), Default::default())?);
        self.finish(done)
    }

    /// Notes what went wrong on the way from the kernel.
    fn skip_lost(&mut self, lost: &Lost) -> Result<()> {
        let total = self.convert.sites.iter().map(|site| site.lost).sum();
        for skipped in lost.named(total, self.writer.definitions()) {
            self.note(skipped)?;
        }
        let others = [
            (SkippedKind::Events, self.merge.malformed, "they contradicted themselves and were left out"),
            (
                SkippedKind::Processes,
                lost.processes,
                "their begin or end was lost, or there were too many to follow: a process id that was used again may stand for \
                 two processes, and children of COMMAND may be missing",
            ),
        ];
        for (kind, count, reason) in others.into_iter().filter(|(_, count, _)| *count > 0) {
            self.note(Skipped { kind, count, reason: reason.to_owned(), ..Skipped::default() })?;
        }
        for (kind, count) in std::mem::take(&mut self.unlisted) {
            let reason = format!("more than the {MAX_SKIPPED} facts that are listed");
            self.note(Skipped { kind, count, reason, ..Skipped::default() })?;
        }
        Ok(())
    }

    fn note(&mut self, skipped: Skipped) -> Result<()> {
        self.rotation.skipped.push(skipped.clone());
        self.writer.define(Definition::Skipped(skipped)).map(drop)
    }

    fn clock(&mut self, anchor: ClockAnchor) -> Result<()> {
        self.clock_ns = anchor.monotonic_ns;
        self.convert.threads.set_slept(anchor.boottime_ns.saturating_sub(anchor.monotonic_ns));
        self.writer.clock(anchor)
    }

    /// Writes all gaps and events up to `until_ns`.
    fn release(&mut self, until_ns: u64) -> Result<()> {
        let span = self.from_ns..=self.control.ended_ns().unwrap_or(u64::MAX);
        for gap in self.convert.gaps(until_ns, &span) {
            self.progress.add_lost(gap.count);
            self.printer.gap(&gap);
            self.writer.gap(gap)?;
        }
        let room = self.bound.room(self.progress.events());
        let mut events = 0;
        while let Some(raw) = self.merge.next(until_ns) {
            if raw.kind != KIND_SITE {
                self.convert.threads.observe(&raw, &mut self.writer)?;
            } else if span.contains(&raw.time_ns)
                && events < room
                && self.convert.event(&raw, &mut self.writer)?
            {
                events += 1;
                if self.writer.is_full() {
                    self.seal()?;
                }
            }
        }
        self.progress.add_events(events);
        if events == room {
            self.progress.end(Ending::Enough);
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<()> {
        let block_bytes = self.sealer.seal(&mut self.writer, &mut self.printer, &self.progress)?;
        let bytes = self.rotation.file_bytes(self.writer.written_bytes());
        self.set_bytes(bytes);
        if self.bound.is_reached(bytes, block_bytes) {
            self.progress.end(Ending::Enough);
        }
        Ok(())
    }

    /// Finishes the trace that is being written and begins another one.
    fn rotate(&mut self) -> Result<()> {
        self.seal()?;
        self.clock((self.read_clocks)())?;
        let mut next = self.rotation.start()?;
        for site in &self.convert.sites {
            next.define(Definition::Site(Site { found_ns: 0, ..site.site.clone() }.into()))?;
        }
        let done = std::mem::replace(&mut self.writer, next);
        // Ids are given anew in every trace.
        self.convert.threads.forget_ids();
        let anchor = (self.read_clocks)();
        self.rotation.begun_ns = anchor.monotonic_ns;
        self.finish(done)?;
        self.clock(anchor)?;
        self.seal()
    }

    fn finish(&mut self, writer: Writer<Sink<'a>>) -> Result<()> {
        self.rotation.finish(writer, self.present_ns())?;
        self.set_bytes(self.rotation.file_bytes(0));
        Ok(())
    }

    /// Of a flight recorder only snapshots are written, which are counted when they are.
    fn set_bytes(&self, bytes: u64) {
        if !self.rotation.is_flight() {
            self.progress.set_bytes(bytes);
        }
    }

    /// Has what the flight recorder has in memory written to a file.
    fn snapshot(&mut self) -> Result<()> {
        if !self.rotation.is_flight() {
            return Ok(());
        }
        self.rotate()?;
        self.rotation.snapshot(self.present_ns())
    }

    /// The moment from which a flight recorder looks back, CLOCK_MONOTONIC ns: when the trace that is being written began, but
    /// not after the recording ended, as detaching may take longer than what is kept.
    fn present_ns(&self) -> u64 {
        let begun_ns = self.rotation.begun_ns;
        self.control.ended_ns().map_or(begun_ns, |ended_ns| ended_ns.min(begun_ns))
    }
}
