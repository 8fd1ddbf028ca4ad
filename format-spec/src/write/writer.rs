//! Writes a trace, block after block, and never goes back: what was written stays as it is.
//!
//! What is durable when: `push`, `define`, `gap` and `clock` keep things in memory; `flush` hands them to the
//! [`io::Write`] as whole blocks; `finish` adds the index and the footer. See SPEC.md "Writing".
#![expect(clippy::cast_possible_truncation, reason = "the limits keep counts below 2^32")]

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::blocks::{Blocks, Unsealed};
use super::packer::Packer;
use super::sealer::Sealer;
use crate::encode::{BlockBuilder, DictionaryBuilder, LEVEL, Shared, weight};
use crate::error::{Error, Result};
use crate::layout::{StoredClock, StoredGap};
use crate::limits::{
    MAX_ARGUMENTS, MAX_BLOCK_EVENTS, MAX_BLOCK_RECORDS, MAX_BLOCK_VALUES, MAX_DEFINITIONS,
    MAX_DEFINITIONS_WEIGHT,
};
use crate::model::{
    ClockAnchor, Columns, Definition, Definitions, Firing, Gap, Host, HostId, Process, ProcessId, Site,
    SiteId, Thread, ThreadId,
};

/// How a trace is written; the defaults are what measurement gave.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// Number that tells traces apart, best a random one. With 0, which means that none was given, blocks do not show
    /// which trace they are of.
    pub trace_id: u64,
    /// Events after which a block is sealed, at most [`MAX_BLOCK_EVENTS`].
    pub block_events: usize,
    /// zstd level.
    pub level: i32,
    /// Threads that compress blocks beside the one that writes: the bytes are the same, but they come some blocks later. With 0,
    /// that one compresses too.
    pub threads: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { trace_id: 0, block_events: MAX_BLOCK_EVENTS, level: LEVEL, threads: 0 }
    }
}

/// Writes one trace to `W`.
pub struct Writer<W> {
    blocks: Blocks<W>,
    packer: Packer,
    /// Flushes that are not written: their events are on their way through the packer.
    waiting: VecDeque<Unsealed>,
    block_events: usize,
    builder: BlockBuilder,
    pending: DictionaryBuilder,
    definitions: Definitions,
    /// What they have in common.
    shared: Shared,
    gaps: Vec<Gap>,
    clocks: Vec<ClockAnchor>,
    dropped: u64,
    /// Bytes of all definitions before compression.
    definition_bytes: u64,
    /// Weight of all definitions, a little more than a reader counts.
    definitions_weight: usize,
}

impl<W: io::Write> Writer<W> {
    /// Starts a trace: writes the file header.
    ///
    /// # Errors
    /// [`Error::Io`] if `sink` fails, or a thread cannot be started.
    pub fn new(sink: W, options: WriterOptions) -> Result<Self> {
        Ok(Self {
            blocks: Blocks::new(Sealer::new(sink, options)?),
            packer: Packer::new(options.threads, options.level)?,
            waiting: VecDeque::new(),
            block_events: options.block_events,
            builder: BlockBuilder::new(),
            pending: DictionaryBuilder::default(),
            definitions: Definitions::default(),
            shared: Shared::default(),
            gaps: Vec::new(),
            clocks: Vec::new(),
            dropped: 0,
            definition_bytes: 0,
            definitions_weight: 0,
        })
    }

    /// Adds a definition and gives its id: its position among those of its kind.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there are too many, together too large, or a site has too many arguments; [`Error::Unnamed`] if a site's
    /// probe or a stage has no name, or what was skipped no reason; [`Error::Io`] if a full block of definitions could not be written.
    pub fn define(&mut self, definition: Definition) -> Result<u32> {
        self.blocks.sealer.check()?;
        if let Definition::Site(site) = &definition {
            limit("arguments of a site", site.args.len(), MAX_ARGUMENTS)?;
        }
        // Readers take those without a name for definitions that are lost.
        let is_unnamed = match &definition {
            Definition::Site(site) => site.probe.is_empty(),
            Definition::Stage(stage) => stage.name.is_empty(),
            Definition::Skipped(skipped) => skipped.reason.is_empty(),
            _ => false,
        };
        if is_unnamed {
            return Err(Error::Unnamed);
        }
        if self.pending.is_full() {
            self.pass_on()?;
        }
        let id = self.definitions.next_id(&definition);
        limit("definitions", id + 1, MAX_DEFINITIONS)?;
        limit("weight of all definitions", self.definitions_weight, MAX_DEFINITIONS_WEIGHT)?;
        let id = id as u32;
        let before = self.pending.bytes();
        self.pending.push(id, &definition);
        let bytes = self.pending.bytes() - before;
        self.definition_bytes += bytes as u64;
        let weight = weight(&definition, bytes);
        self.definitions_weight += weight;
        self.definitions.push(self.shared.definition(definition, weight));
        Ok(id)
    }

    /// Adds a host, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn host(&mut self, host: impl Into<Arc<Host>>) -> Result<HostId> {
        self.define(Definition::Host(host.into())).map(HostId)
    }

    /// Adds a process, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn process(&mut self, process: impl Into<Arc<Process>>) -> Result<ProcessId> {
        self.define(Definition::Process(process.into())).map(ProcessId)
    }

    /// Adds a thread, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn thread(&mut self, thread: Thread) -> Result<ThreadId> {
        self.define(Definition::Thread(thread)).map(ThreadId)
    }

    /// Adds a site, as [`define`](Self::define) does.
    ///
    /// # Errors
    /// As there.
    pub fn site(&mut self, site: impl Into<Arc<Site>>) -> Result<SiteId> {
        self.define(Definition::Site(site.into())).map(SiteId)
    }

    /// All definitions so far.
    #[must_use]
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Gives the value that stands for `string` in the next event pushed; a longer string is cut, and marked so, at
    /// [`MAX_STRING_ARGUMENT_BYTES`](crate::limits::MAX_STRING_ARGUMENT_BYTES).
    pub fn intern(&mut self, string: &[u8]) -> u64 {
        self.builder.intern(string, false)
    }

    /// As [`intern`](Self::intern), of a string of which only this beginning is known.
    pub fn intern_cut(&mut self, beginning: &[u8]) -> u64 {
        self.builder.intern(beginning, true)
    }

    /// Adds an event; seals and writes a block when that makes one full.
    ///
    /// # Errors
    /// [`Error::Undefined`] if its thread or site is not defined or it has not as many values as its site has
    /// arguments; [`Error::Io`] if a full block could not be written.
    pub fn push(&mut self, firing: &Firing<'_>) -> Result<()> {
        self.push_unsealed(firing)?;
        if self.is_full() { self.pass_on() } else { Ok(()) }
    }

    /// Adds an event; the caller asks [`is_full`](Self::is_full) and calls [`flush`](Self::flush) then.
    ///
    /// # Errors
    /// [`Error::Undefined`] as [`push`](Self::push); [`Error::TooLarge`] if the block was full.
    pub fn push_unsealed(&mut self, firing: &Firing<'_>) -> Result<()> {
        if self.blocks.sealer.has_failed() {
            return self.blocks.sealer.check();
        }
        let site = self.definitions.site(firing.site);
        let thread_known = self.definitions.thread(firing.thread).is_some();
        if !thread_known || site.is_none_or(|site| site.args.len() != firing.values.len()) {
            return Err(Error::Undefined { site: firing.site.0, thread: firing.thread.0 });
        }
        limit("events of a block", self.builder.len() + 1, MAX_BLOCK_EVENTS)?;
        limit("argument values of a block", self.builder.values() + firing.values.len(), MAX_BLOCK_VALUES)?;
        self.builder.push(firing);
        Ok(())
    }

    /// Whether the events that wait must be sealed before another one is added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.builder.is_full(self.block_events)
    }

    /// Time of the event that was added first of those that wait.
    #[must_use]
    pub fn oldest_ns(&self) -> Option<u64> {
        self.builder.first_ns()
    }

    /// The events that wait for the next [`flush`](Self::flush), in time order, and what their ids mean.
    pub fn pending(&mut self) -> (&Columns, &Definitions) {
        (self.builder.sorted(), &self.definitions)
    }

    /// Adds a gap; it is written behind the events pushed before it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the gap ends before it begins; [`Error::Io`] if a full block could not be written.
    pub fn gap(&mut self, gap: Gap) -> Result<()> {
        self.blocks.sealer.check()?;
        if gap.from_ns > gap.to_ns {
            return Err(Error::TooLarge { what: "start of a gap, ns", len: gap.from_ns, max: gap.to_ns });
        }
        self.dropped = self.dropped.saturating_add(gap.count);
        self.gaps.push(gap);
        if self.gaps.len() == MAX_BLOCK_RECORDS { self.pass_on() } else { Ok(()) }
    }

    /// Adds a clock anchor.
    ///
    /// # Errors
    /// [`Error::Io`] if a full block could not be written.
    pub fn clock(&mut self, anchor: ClockAnchor) -> Result<()> {
        self.blocks.sealer.check()?;
        self.clocks.push(anchor);
        if self.clocks.len() == MAX_BLOCK_RECORDS { self.pass_on() } else { Ok(()) }
    }

    /// Seals everything that waits into blocks and writes them.
    ///
    /// # Errors
    /// [`Error::Io`] if the sink fails; from then on [`Error::Poisoned`]. What was written until then is a trace.
    pub fn flush(&mut self) -> Result<()> {
        self.pass_on()?;
        self.write_waiting(0)
    }

    /// Passes on what waits, to be sealed and written, at once or with what comes next.
    fn pass_on(&mut self) -> Result<()> {
        self.blocks.sealer.check()?;
        let has_events = self.builder.len() > 0;
        if has_events {
            self.builder.sorted();
            let bounds = self.builder.bounds(&self.definitions.sites);
            self.packer.give(&mut self.builder, bounds);
        }
        self.waiting.push_back(Unsealed {
            definitions: std::mem::take(&mut self.pending),
            clocks: self.clocks.drain(..).map(|anchor| StoredClock::from(&anchor)).collect(),
            has_events,
            gaps: self.gaps.drain(..).map(|gap| StoredGap::from(&gap)).collect(),
            extent: self.definitions.extent(),
            definition_bytes: self.definition_bytes,
        });
        self.write_waiting(self.packer.room())
    }

    /// Writes what waits, but for the last `left` flushes.
    fn write_waiting(&mut self, left: usize) -> Result<()> {
        while self.waiting.len() > left
            && let Some(flush) = self.waiting.pop_front()
        {
            let events = flush.has_events.then(|| self.packer.take(&mut self.blocks.sealer.encoder));
            self.blocks.write(flush, events.as_ref(), &self.definitions)?;
            if let Some(events) = events {
                self.packer.give_back(events);
            }
        }
        Ok(())
    }

    /// Bytes handed to the sink so far.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.blocks.sealer.written_bytes
    }

    /// Events in sealed blocks.
    #[must_use]
    pub fn sealed_events(&self) -> u64 {
        self.blocks.events
    }

    /// Events that were reported dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The sink, for a sync; writing to it would damage the trace.
    pub fn sink_mut(&mut self) -> &mut W {
        &mut self.blocks.sealer.sink
    }

    /// Writes what waits, all definitions, gaps and clock anchors again, the index and the footer: the trace is complete.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn finish(mut self) -> Result<W> {
        self.flush()?;
        self.blocks.finish(self.definitions, self.dropped)
    }
}

fn limit(what: &'static str, len: usize, max: usize) -> Result<()> {
    if len > max { Err(Error::TooLarge { what, len: len as u64, max: max as u64 }) } else { Ok(()) }
}
